"""Arrays that are costly to make, kept in the user's cache folder."""

import contextlib
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from qosnets.library import cache_home

__all__ = ["Arrays", "cached_arrays"]

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


def cached_arrays(name: str, make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays kept under ``name``, or make and keep them.

    A file that is damaged counts as absent: zip members carry check sums. Where the cache cannot
    be written nothing is kept.

    Parameters
    ----------
    name
        File name that says all that the arrays depend on.
    make
        Makes the arrays, by their names.
    """
    path = cache_home() / "datasets" / f"{name}.npz"
    with contextlib.suppress(OSError, EOFError, ValueError, zipfile.BadZipFile):
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    arrays = make()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, arrays)
    return arrays


def _write(path: Path, arrays: Arrays) -> None:
    """Write a file that readers see complete or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
