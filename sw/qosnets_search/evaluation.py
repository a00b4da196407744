"""Accuracy, in floating point and of the integer network."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .datasets.dataset import ImageDataset
from .quantised.integer import IntegerNetwork, logits
from .quantised.mapped import LayerArithmetic
from .quantised.quantise import Affine

__all__ = ["accuracy", "correct_predictions", "float_accuracy", "input_codes"]

CHUNK = 250
"""Images that are run at once."""

Hits: TypeAlias = npt.NDArray[np.bool_]


def float_accuracy(module: nn.Module, dataset: ImageDataset, device: torch.device) -> float:
    """Return the share of test images, 0..1, that ``module`` classifies correctly."""
    found = []
    with torch.no_grad():
        for images, labels in zip(
            torch.split(dataset.test_images, CHUNK),
            torch.split(dataset.test_labels, CHUNK),
            strict=True,
        ):
            found.append(_hits(module(dataset.normalise(images).to(device)), labels))
    return float(np.concatenate(found).mean())


def input_codes(affine: Affine, dataset: ImageDataset, images: Tensor) -> Tensor:
    """Return the codes of images of ``dataset``, uint8, on the device of ``affine``."""
    device = affine.scale.device
    parts = [
        affine.to_int(dataset.normalise(part).to(device)) for part in torch.split(images, CHUNK)
    ]
    return torch.cat(parts)


def correct_predictions(
    network: IntegerNetwork,
    arithmetic: Mapping[str, LayerArithmetic],
    codes: Tensor,
    labels: Tensor,
) -> Hits:
    """Return whether the integer network classifies each image correctly.

    Parameters
    ----------
    network
        The network.
    arithmetic
        How each layer multiplies.
    codes
        Codes of the images, uint8 ``[image, channel, height, width]``.
    labels
        int64 ``[image]``.
    """
    parts = zip(torch.split(codes, CHUNK), torch.split(labels, CHUNK), strict=True)
    return np.concatenate(
        [_hits(logits(network, arithmetic, part), wanted) for part, wanted in parts]
    )


def accuracy(
    network: IntegerNetwork,
    arithmetic: Mapping[str, LayerArithmetic],
    codes: Tensor,
    labels: Tensor,
) -> float:
    """Return the share of images, 0..1; arguments as for :func:`correct_predictions`."""
    return float(correct_predictions(network, arithmetic, codes, labels).mean())


def _hits(scores: Tensor, labels: Tensor) -> Hits:
    """Compare the largest score of each image with its label; ties go to the lowest class."""
    # NumPy, unlike torch, promises the first of equal maxima.
    hits: Hits = scores.cpu().numpy().argmax(axis=1) == labels.numpy()
    return hits
