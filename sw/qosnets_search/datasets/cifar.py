"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), read from the files of their binary version.

A record is one byte for each label and 3072 bytes for the pixels: 32 rows of 32, red, green, blue.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from qosnets.errors import InputError
from qosnets.files import read_bytes, sha256

from .augmentation import Augmentation
from .dataset import ImageDataset, Part

__all__ = ["CIFAR10", "CIFAR100", "CifarFiles", "cifar_dataset"]

SHAPE = (3, 32, 32)
N_PIXELS = 3072


@dataclass(frozen=True)
class CifarFiles:
    """What the folder of a data set holds."""

    name: str
    title: str
    train: tuple[tuple[str, int], ...]
    """Names of the training files and their numbers of records."""
    test: tuple[str, int]
    n_labels: int
    """Labels of a record; the last is used, which is the fine one of CIFAR-100."""
    n_classes: int


CIFAR10 = CifarFiles(
    name="cifar10",
    title="CIFAR-10",
    train=tuple((f"data_batch_{i}.bin", 10_000) for i in range(1, 6)),
    test=("test_batch.bin", 10_000),
    n_labels=1,
    n_classes=10,
)

CIFAR100 = CifarFiles(
    name="cifar100",
    title="CIFAR-100",
    train=(("train.bin", 50_000),),
    test=("test.bin", 10_000),
    n_labels=2,
    n_classes=100,
)


def cifar_dataset(files: CifarFiles, folder: Path) -> ImageDataset:
    """Return the data set in ``folder``, with flips and crops out of 4 more pixels each way.

    Raises
    ------
    InputError
        If a file is missing, has another size, or has a label that is out of range.
    """
    hashes: dict[str, str] = {}
    train = [_read(files, folder, name, n, hashes) for name, n in files.train]
    images, labels = zip(*train, strict=True)
    return ImageDataset.of_parts(
        files.name,
        (torch.cat(images), torch.cat(labels)),
        _read(files, folder, *files.test, hashes),
        n_classes=files.n_classes,
        augmentation=Augmentation(padding=4),
        origin={"sha256": hashes},
    )


def _read(
    files: CifarFiles, folder: Path, name: str, n_records: int, hashes: dict[str, str]
) -> Part:
    """Return images and labels of a file, and note its hash."""
    where = f"{files.name}: {folder / name}"
    if not (folder / name).is_file():
        advice = f"put the files of {files.title}'s binary version there"
        raise InputError(f"{where}: is missing; {advice}")
    data = read_bytes(folder / name)
    record = files.n_labels + N_PIXELS
    if len(data) != n_records * record:
        rule = f"must have {n_records * record} bytes, {n_records} records of {record}"
        raise InputError(f"{where}: {rule}, not {len(data)}")
    hashes[name] = sha256(data)
    records = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(n_records, record)
    labels = records[:, files.n_labels - 1].long()
    wrong = labels >= files.n_classes
    if wrong.any():
        index = int(wrong.nonzero()[0])
        rule = f"labels must be 0 .. {files.n_classes - 1}, that of record {index} is"
        raise InputError(f"{where}: {rule} {int(labels[index])}")
    return records[:, files.n_labels :].reshape(n_records, *SHAPE), labels
