"""Compilation by numba, with the machine code kept in the user's cache."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from qosnets.library import cache_home

__all__ = ["compiler", "folder_digest"]


def folder_digest(folder: Path) -> str:
    """Return a digest of the Python sources directly in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compiler(folder: Path, *, nogil: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that has functions compiled at their first call.

    numba keeps code by the time stamp of the file of a function alone, and knows nothing of the
    functions that it calls from other files: so the code lies under the digest of all of them.

    Parameters
    ----------
    folder
        The package of the functions and of all compiled functions that they call.
    nogil
        Leave Python's lock alone, so that threads can run the functions at once.
    """
    kept = str(cache_home() / "numba" / folder_digest(folder))

    def compiled(function: Callable[..., Any]) -> Any:
        configured = numba.config.CACHE_DIR  # type: ignore[attr-defined]
        # numba reads the folder while it decorates.
        numba.config.CACHE_DIR = kept  # type: ignore[attr-defined]
        try:
            return numba.njit(cache=True, nogil=nogil)(function)
        finally:
            numba.config.CACHE_DIR = configured  # type: ignore[attr-defined]

    return compiled
