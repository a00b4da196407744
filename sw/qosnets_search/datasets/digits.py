"""scikit-learn's digits: 8x8 pixels with 17 grey levels, in ten classes."""

import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

from .dataset import ImageDataset, tensor_sha256

__all__ = ["N_CLASSES", "N_TEST", "SPLIT_SEED", "digits_dataset"]

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
    parts = [
        (torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())
        for images, labels in ((train, train_labels), (test, test_labels))
    ]
    return ImageDataset.of_parts(
        "digits",
        *parts,
        n_classes=N_CLASSES,
        augmentation=None,
        origin={"split_seed": SPLIT_SEED, "sha256": tensor_sha256(*parts[0], *parts[1])},
    )
