"""scikit-learn's digits: 8x8 pixels with 17 grey levels, in ten classes."""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
from torch import Tensor

from .dataset import ImageDataset, channel_statistics, tensor_sha256

__all__ = ["N_CLASSES", "N_TEST", "SPLIT_SEED", "DigitsSplit", "digits_dataset", "load_split"]

N_CLASSES = 10
N_TEST = 500
SPLIT_SEED = 0
"""Fixed, so that accuracies of different recipes are measured on the same images."""


def digits_dataset() -> ImageDataset:
    """Return the fixed stratified split of the 1797 images into 1297 for training and 500.

    There is no augmentation: a mirrored digit is another one or none.
    """
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        digits.images.astype("uint8"),
        digits.target,
        test_size=N_TEST,
        stratify=digits.target,
        random_state=SPLIT_SEED,
    )
    train_images, test_images = (torch.from_numpy(part).unsqueeze(1) for part in (train, test))
    mean, std = channel_statistics(train_images)
    return ImageDataset(
        name="digits",
        train_images=train_images,
        train_labels=torch.from_numpy(train_labels).long(),
        test_images=test_images,
        test_labels=torch.from_numpy(test_labels).long(),
        n_classes=N_CLASSES,
        mean=mean,
        std=std,
        augmentation=None,
        provenance={
            "name": "digits",
            "n_train": len(train),
            "n_test": len(test),
            "split_seed": SPLIT_SEED,
            "sha256": tensor_sha256(train_images, test_images),
        },
    )


@dataclass(frozen=True)
class DigitsSplit:
    """Images, float32 ``[image, 1, 8, 8]``, and labels, int64 ``[image]``, of both parts.

    Pixels are normalised by mean and standard deviation of the training part.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


def load_split() -> DigitsSplit:
    """Return the fixed stratified split of the 1797 images into 1297 for training and 500."""
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        digits.images,
        digits.target,
        test_size=N_TEST,
        stratify=digits.target,
        random_state=SPLIT_SEED,
    )
    mean, std = train.mean(), train.std()
    train_images, test_images = (
        torch.tensor((part - mean) / std, dtype=torch.float32).unsqueeze(1)
        for part in (train, test)
    )
    return DigitsSplit(
        train_images, torch.tensor(train_labels), test_images, torch.tensor(test_labels)
    )
