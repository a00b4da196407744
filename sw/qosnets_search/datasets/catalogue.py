"""The data sets by name, and data sets of the user."""

from pathlib import Path

from qosnets.errors import InputError, shorten
from qosnets.library import data_home

from ..models.reference import call_factory, is_reference
from .cifar import CIFAR10, CIFAR100, cifar_dataset
from .dataset import ImageDataset
from .digits import digits_dataset
from .of_user import as_image_dataset
from .scenes import scenes_dataset
from .tiny_imagenet import tiny_imagenet_dataset

__all__ = ["DATASETS", "default_folder", "load_dataset"]

_READ = ("cifar10", "cifar100", "tinyimagenet")

DATASETS = ("digits", "scenes", *_READ)
"""Names of all data sets of the catalogue."""


def default_folder(name: str) -> Path:
    """Return where a data set is looked for, ``$XDG_DATA_HOME/qosnets-hw-datasets/NAME``.

    That lies beside the folder of the user's libraries, not in it: a library may have any name.
    """
    return data_home().with_name("qosnets-hw-datasets") / name


def load_dataset(
    name_or_reference: str, *, folder: Path | None = None, seed: int = 0
) -> ImageDataset:
    """Return a data set.

    Parameters
    ----------
    name_or_reference
        One of :data:`DATASETS`, or ``package.module:factory``, called without arguments; what it
        may return says :func:`.of_user.as_image_dataset`. The current directory is searched
        first, as with ``python -m``.
    folder
        Where the files of ``cifar10``, ``cifar100`` and ``tinyimagenet`` lie; None for
        :func:`default_folder`. The others have no files.
    seed
        Seed of ``scenes``, at least 0; the others are fixed.

    Raises
    ------
    InputError
        If there is no such data set, if a file of it is missing or damaged, if a folder is given
        for a data set without files, or if the user's factory fails or returns something else.
    """
    name = name_or_reference
    if name not in DATASETS and not is_reference(name):
        rule = f"must be one of {', '.join(DATASETS)} or package.module:factory"
        raise InputError(f"--data: {rule}, not {shorten(name)}")
    if folder is not None and name not in _READ:
        raise InputError(f"--data: {name}: reads no folder, not {folder}")
    if folder is None:
        folder = default_folder(name)
    match name:
        case "digits":
            return digits_dataset()
        case "scenes":
            return scenes_dataset(seed)
        case "cifar10" | "cifar100":
            return cifar_dataset(CIFAR10 if name == "cifar10" else CIFAR100, folder)
        case "tinyimagenet":
            return tiny_imagenet_dataset(folder)
    made = call_factory(name, option="--data")
    try:
        return as_image_dataset(made, name)
    except InputError as error:
        raise InputError(f"--data: {error}") from error
