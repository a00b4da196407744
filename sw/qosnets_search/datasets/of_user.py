"""Data sets of the user: what a factory may return."""

from collections.abc import Sized
from dataclasses import replace
from typing import Any

import torch
from qosnets.errors import InputError
from torch import Tensor
from torch.utils.data import Dataset

from .dataset import ImageDataset, Part, tensor_sha256

__all__ = ["as_image_dataset"]

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def as_image_dataset(made: object, name: str) -> ImageDataset:
    """Return what a factory made as an :class:`ImageDataset`.

    Parameters
    ----------
    made
        An ImageDataset, whose provenance gets the hash of all images and labels; or a pair of
        training and test part. A part is a pair of tensors, images and labels, or a torch
        ``Dataset`` of such pairs for one image, which is read once: a random transform of it is
        frozen. Mean and deviation are those of the training images, classes are counted up to the
        largest label, and nothing is augmented.
    name
        Name of the data set, for messages and provenance.

    Raises
    ------
    InputError
        If it is none of these, or if images or labels break the rules of ImageDataset.
    """
    if isinstance(made, ImageDataset):
        train = (made.train_images, made.train_labels)
        test = (made.test_images, made.test_labels)
        hashed = {**made.provenance, "sha256": tensor_sha256(*train, *test)}
        return replace(made, provenance=hashed)
    if not isinstance(made, tuple | list) or len(made) != 2:
        rule = "must return an ImageDataset or a pair of a training and a test part"
        raise InputError(f"{name}: {rule}, not {type(made).__name__}")
    train, test = (
        _part(part, f"{name}: {which} part")
        for part, which in zip(made, ("training", "test"), strict=True)
    )
    return ImageDataset.of_parts(
        name,
        train,
        test,
        n_classes=int(torch.cat([train[1], test[1]]).max()) + 1,
        augmentation=None,
        origin={"sha256": tensor_sha256(*train, *test)},
    )


def _part(part: object, where: str) -> Part:
    """Return images, uint8 or float32, and labels, int64."""
    match part:
        case [Tensor() as images, Tensor() as labels]:
            pass
        case Dataset() if isinstance(part, Sized) and len(part) > 0:
            images, labels = _read(part, len(part), where)
        case _:
            rule = "must be a non-empty Dataset with a length, or tensors of images and labels"
            raise InputError(f"{where}: {rule}, not {type(part).__name__}")
    if images.ndim != 4 or len(images) == 0:
        rule = "images must be [image, channel, height, width] with at least one image"
        raise InputError(f"{where}: {rule}, not {list(images.shape)}")
    if labels.dtype not in _INTEGERS or labels.numel() == 0:
        rule = "labels must be integers, one for each image"
        raise InputError(f"{where}: {rule}, not {labels.dtype} {list(labels.shape)}")
    if images.is_floating_point():
        images = images.float()
    return images.detach().cpu(), labels.detach().cpu().long()


def _read(dataset: Dataset[Any], n: int, where: str) -> Part:
    images: list[Tensor] = []
    labels: list[Tensor] = []
    for index in range(n):
        try:
            image, label = dataset[index]
            label = torch.as_tensor(label)
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise InputError(f"{where}: item {index} is no image with a label: {text}") from error
        if not isinstance(image, Tensor):
            rule = f"image must be a tensor, not {type(image).__name__}"
            raise InputError(f"{where}: item {index}: {rule}")
        if images and image.shape != images[0].shape:
            rule = f"image must be {list(images[0].shape)} like the first"
            raise InputError(f"{where}: item {index}: {rule}, not {list(image.shape)}")
        if label.ndim != 0:
            rule = f"label must be a number, not {list(label.shape)}"
            raise InputError(f"{where}: item {index}: {rule}")
        images.append(image)
        labels.append(label)
    return torch.stack(images), torch.stack(labels)
