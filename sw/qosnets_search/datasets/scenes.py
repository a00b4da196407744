"""The procedural data set: 32x32 colour images of a figure in clutter, in ten classes.

Position, size, turn, stretch, outline, colours, texture, light and noise vary; spots lie behind the
figure and bars across it. Colours tell nothing about the class. TODO recipe.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from qosnets.errors import InputError

from .augmentation import Augmentation
from .cache import Arrays, cached_arrays
from .dataset import ImageDataset, channel_statistics, tensor_sha256
from .draws import Draws
from .figures import FIGURES
from .rendering import render

__all__ = ["N_TEST", "N_TRAIN", "VERSION", "scenes_dataset"]

VERSION = 1
"""Counts changes of the images; a part of cache names and provenance."""

N_TRAIN = 10_000
N_TEST = 2_000

_CHUNK = 500
"""Images drawn in one go from a stream of their own, which bounds memory."""


def scenes_dataset(seed: int = 0, *, n_train: int = N_TRAIN, n_test: int = N_TEST) -> ImageDataset:
    """Return the data set, with flips and crops out of 2 more pixels each way.

    Equal seeds and sizes give equal bytes on every machine and with every version of NumPy: see
    :mod:`.draws`. Each part has its own streams, and each class its equal share of it, up to one
    image. The images are kept in the cache.

    Parameters
    ----------
    seed
        At least 0.
    n_train, n_test
        Numbers of images, at least 1.

    Raises
    ------
    InputError
        If a parameter is out of range.
    """
    for what, value, least in (("seed", seed, 0), ("n_train", n_train, 1), ("n_test", n_test, 1)):
        if value < least:
            raise InputError(f"scenes: {what}: must be at least {least}, not {value}")

    def make() -> Arrays:
        train_images, train_labels = _part(n_train, seed, 0)
        test_images, test_labels = _part(n_test, seed, 1)
        return {
            "train_images": train_images,
            "train_labels": train_labels,
            "test_images": test_images,
            "test_labels": test_labels,
        }

    arrays = cached_arrays(f"scenes-{VERSION}-{seed}-{n_train}-{n_test}", make)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    mean, std = channel_statistics(tensors["train_images"])
    return ImageDataset(
        name="scenes",
        **tensors,
        n_classes=len(FIGURES),
        mean=mean,
        std=std,
        augmentation=Augmentation(padding=2),
        provenance={
            "name": "scenes",
            "version": VERSION,
            "seed": seed,
            "n_train": n_train,
            "n_test": n_test,
            "sha256": tensor_sha256(tensors["train_images"], tensors["test_images"]),
        },
    )


def _part(n: int, seed: int, part: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images and labels of one part."""
    order = np.argsort(Draws(seed, part).words(n), kind="stable")
    labels = order % len(FIGURES)
    chunks = [
        render(labels[start : start + _CHUNK], Draws(seed, part, start))
        for start in range(0, n, _CHUNK)
    ]
    return np.concatenate(chunks), labels
