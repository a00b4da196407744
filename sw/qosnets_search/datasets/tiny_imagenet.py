"""TinyImageNet: 64x64 colour images of 200 classes of ImageNet, read from the official folder.

The test part is the official validation part, since the official test part has no labels.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from qosnets.errors import InputError, shorten
from qosnets.files import read_bytes

from .augmentation import Augmentation
from .cache import Arrays, cached_arrays
from .dataset import ImageDataset

__all__ = ["OFFICIAL", "TinyImageNetSizes", "tiny_imagenet_dataset"]

NAME = "tinyimagenet"
SIZE = 64
"""Height and width of an image, pixels."""


@dataclass(frozen=True)
class TinyImageNetSizes:
    """How much the folder holds."""

    n_classes: int
    n_train_per_class: int
    n_test: int


OFFICIAL = TinyImageNetSizes(n_classes=200, n_train_per_class=500, n_test=10_000)


@dataclass(frozen=True)
class _Listing:
    """Paths and labels of all images, those for training first."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    n_train: int


def tiny_imagenet_dataset(folder: Path, sizes: TinyImageNetSizes = OFFICIAL) -> ImageDataset:
    """Return the data set in ``folder``, with flips and crops out of 8 more pixels each way.

    The folder has ``wnids.txt``, ``train/WNID/images/WNID_0.JPEG`` and following,
    ``val/val_annotations.txt`` and ``val/images``. Labels count the lines of ``wnids.txt``. Decoded
    images are kept in the cache for as long as names, sizes and times of the files stay the same.

    Raises
    ------
    InputError
        If a file is missing, is no image or is cut off, or has another size than 64x64.
    """
    listing = _list(folder, sizes)
    arrays = cached_arrays(f"{NAME}-{_key(folder, listing)}", lambda: _decode(listing))
    images = torch.from_numpy(arrays["images"])
    labels = torch.tensor(listing.labels)
    n_train = listing.n_train
    return ImageDataset.of_parts(
        NAME,
        (images[:n_train], labels[:n_train]),
        (images[n_train:], labels[n_train:]),
        n_classes=sizes.n_classes,
        augmentation=Augmentation(padding=8),
        origin={"sha256": str(arrays["sha256"])},
    )


def _refuse(path: Path, rule: str) -> NoReturn:
    raise InputError(f"{NAME}: {path}: {rule}")


def _read_lines(path: Path) -> list[str]:
    if not path.is_file():
        _refuse(path, "is missing; put the content of tiny-imagenet-200 there")
    try:
        return read_bytes(path).decode().splitlines()
    except UnicodeDecodeError:
        _refuse(path, "must be text")


def _list(folder: Path, sizes: TinyImageNetSizes) -> _Listing:
    """Return the images that the folder must have."""
    wnids = _read_lines(folder / "wnids.txt")
    if len(set(wnids)) != sizes.n_classes or len(wnids) != sizes.n_classes:
        rule = f"must name {sizes.n_classes} classes, one on each line"
        _refuse(folder / "wnids.txt", f"{rule}, not {len(set(wnids))}")
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    paths, labels = [], []
    for wnid, label in label_of.items():
        for index in range(sizes.n_train_per_class):
            paths.append(folder / "train" / wnid / "images" / f"{wnid}_{index}.JPEG")
            labels.append(label)
    n_train = len(paths)
    annotations = folder / "val" / "val_annotations.txt"
    lines = _read_lines(annotations)
    if len(lines) != sizes.n_test:
        _refuse(annotations, f"must have {sizes.n_test} lines, not {len(lines)}")
    for number, line in enumerate(lines, 1):
        match line.split("\t"):
            case [name, wnid, *_] if wnid in label_of and Path(name).name == name:
                paths.append(folder / "val" / "images" / name)
                labels.append(label_of[wnid])
            case _:
                rule = "must start with the name of an image and a class of wnids.txt"
                _refuse(annotations, f"line {number}: {rule}, not {shorten(line)}")
    return _Listing(tuple(paths), tuple(labels), n_train)


def _key(folder: Path, listing: _Listing) -> str:
    """Return a hash of the names, sizes and times of all images."""
    digest = hashlib.sha256()
    for path in listing.paths:
        try:
            status = path.stat()
        except OSError:
            _refuse(path, "is missing")
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\t{status.st_size}\t{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decode(listing: _Listing) -> Arrays:
    """Return ``images``, uint8 ``[image, 3, 64, 64]``, and the ``sha256`` of all files' bytes."""
    images = np.empty((len(listing.paths), 3, SIZE, SIZE), np.uint8)
    digest = hashlib.sha256()
    for image, path in zip(images, listing.paths, strict=True):
        data = read_bytes(path)
        digest.update(data)
        image[:] = _pixels(data, path)
    return {"images": images, "sha256": np.array(digest.hexdigest())}


def _pixels(data: bytes, path: Path) -> NDArray[np.uint8]:
    """Return the image, ``[3, 64, 64]``; grey ones get three equal channels."""
    try:
        with Image.open(BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGB"))
    except UnidentifiedImageError:
        _refuse(path, "must be an image")
    except (OSError, SyntaxError, ValueError) as error:
        _refuse(path, f"cannot be decoded: {error}")
    if pixels.shape != (SIZE, SIZE, 3):
        height, width, _ = pixels.shape
        _refuse(path, f"must be {SIZE}x{SIZE} pixels, not {width}x{height}")
    return pixels.transpose(2, 0, 1)
