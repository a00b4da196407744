"""A data set of labelled images, in two parts, held in memory."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from qosnets.errors import InputError
from torch import Tensor

from .augmentation import Augmentation

__all__ = ["ImageDataset", "Part", "channel_statistics", "tensor_sha256"]

Part: TypeAlias = tuple[Tensor, Tensor]
"""Images and labels."""

_CHUNK = 512
"""Images looked at in one go, which bounds memory."""


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images and labels for training and for testing.

    Raises
    ------
    InputError
        If the fields do not fit together; the message names data set and part.
    """

    name: str
    train_images: Tensor
    """uint8 or float32 ``[image, channel, height, width]``."""
    train_labels: Tensor
    """int64 ``[image]``, 0 .. n_classes − 1."""
    test_images: Tensor
    """Of the same type and the same shape per image."""
    test_labels: Tensor
    n_classes: int
    mean: tuple[float, ...]
    """Mean of each channel, in units of the stored pixels, as are all statistics."""
    std: tuple[float, ...]
    """Standard deviation of each channel, positive."""
    augmentation: Augmentation | None
    """What to do with normalised batches in training."""
    provenance: Mapping[str, Any]
    """Where the images come from, for JSON: name, sizes, seeds, hashes."""

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("training", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            _check_images(images, f"{self.name}: {part} images")
            _check_labels(labels, len(images), self.n_classes, f"{self.name}: {part} labels")
        train, test = self.train_images, self.test_images
        if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
            rule = f"must be {train.dtype} {list(train.shape[1:])} as those for training"
            found = f"{test.dtype} {list(test.shape[1:])}"
            raise InputError(f"{self.name}: test images: {rule}, not {found}")
        n_channels = train.shape[1]
        for what, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != n_channels or not all(map(math.isfinite, values)):
                rule = f"must be a finite number for each of {n_channels} channels"
                raise InputError(f"{self.name}: {what}: {rule}, not {values}")
        if min(self.std) <= 0:
            rule = "must be positive, that of a constant channel is not"
            raise InputError(f"{self.name}: std: {rule}: {self.std}")
        try:
            json.dumps(dict(self.provenance), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.name}: provenance: must be JSON: {error}") from None

    @classmethod
    def of_parts(
        cls,
        name: str,
        train: Part,
        test: Part,
        *,
        n_classes: int,
        augmentation: Augmentation | None,
        origin: Mapping[str, Any],
    ) -> "ImageDataset":
        """Return the data set of two parts, with the statistics of the training images.

        ``origin`` is added to the provenance, which starts with name and sizes.
        """
        mean, std = channel_statistics(train[0])
        sizes = {"n_train": len(train[0]), "n_test": len(test[0])}
        return cls(
            name,
            *train,
            *test,
            n_classes=n_classes,
            mean=mean,
            std=std,
            augmentation=augmentation,
            provenance={"name": name, **sizes, **origin},
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, n_channels, height, width = self.train_images.shape
        return n_channels, height, width

    def normalise(self, images: Tensor) -> Tensor:
        """Return stored images as a network takes them: (pixel − mean)/std, float32."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=images.device)[:, None, None]
            for values in (self.mean, self.std)
        )
        return (images.float() - mean) / std


def _check_images(images: object, where: str) -> None:
    if not isinstance(images, Tensor):
        raise InputError(f"{where}: must be a tensor, not {type(images).__name__}")
    if images.ndim != 4 or 0 in images.shape:
        rule = "must be [image, channel, height, width] with at least one image"
        raise InputError(f"{where}: {rule}, not {list(images.shape)}")
    if images.dtype not in (torch.uint8, torch.float32):
        raise InputError(f"{where}: must be uint8 or float32, not {images.dtype}")
    if images.dtype == torch.float32:
        for start in range(0, len(images), _CHUNK):
            finite = torch.isfinite(images[start : start + _CHUNK]).flatten(1).all(1)
            if not finite.all():
                index = start + int((~finite).nonzero()[0])
                raise InputError(f"{where}: pixels must be finite, those of image {index} are not")


def _check_labels(labels: object, n_images: int, n_classes: int, where: str) -> None:
    if not isinstance(labels, Tensor):
        raise InputError(f"{where}: must be a tensor, not {type(labels).__name__}")
    if labels.dtype != torch.int64 or tuple(labels.shape) != (n_images,):
        rule = f"must be int64 [{n_images}], one for each image"
        raise InputError(f"{where}: {rule}, not {labels.dtype} {list(labels.shape)}")
    wrong = (labels < 0) | (labels >= n_classes)
    if wrong.any():
        index = int(wrong.nonzero()[0])
        rule = f"must be 0 .. {n_classes - 1}, that of image {index} is {int(labels[index])}"
        raise InputError(f"{where}: {rule}")


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation (of the population) of each channel.

    For uint8 images the sums are exact, hence the result the same on every machine; for float32
    they are taken in double precision. The deviation of a constant channel is exactly 0.
    """
    n_values = images[:, 0].numel()
    sums, squares = (torch.zeros(images.shape[1], dtype=torch.float64) for _ in range(2))
    for start in range(0, len(images), _CHUNK):
        values = images[start : start + _CHUNK].cpu().transpose(0, 1).flatten(1).double()
        sums += values.sum(1)
        squares += values.square().sum(1)
    means = sums / n_values
    variances = (squares / n_values - means.square()).clamp(min=0)
    constant = (images.amin((0, 2, 3)) == images.amax((0, 2, 3))).cpu()
    variances[constant] = 0
    return tuple(means.tolist()), tuple(variances.sqrt().tolist())


def tensor_sha256(*tensors: Tensor) -> str:
    """Return the SHA-256 of the tensors' bytes in C order, one after the other."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.cpu().contiguous().numpy().data)
    return digest.hexdigest()
