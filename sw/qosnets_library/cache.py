"""Content-addressed results in the user's cache folder, which may be deleted at any time."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from qosnets.files import atomic_write
from qosnets.library import cache_home

__all__ = ["load", "sources_sha256", "store"]

T = TypeVar("T")


def load(kind: str, key: str, adapter: TypeAdapter[T]) -> T | None:
    """Return what is kept under ``key``; None where there is nothing, or nothing sound.

    Parameters
    ----------
    kind
        Folder in the cache.
    key
        Hash of all that the result depends on.
    adapter
        Type of the result.
    """
    with contextlib.suppress(OSError, ValidationError):
        return adapter.validate_json(_path(kind, key).read_bytes())
    return None


def store(kind: str, key: str, adapter: TypeAdapter[T], value: T) -> None:
    """Keep ``value`` under ``key``; where the cache cannot be written, nothing is kept."""
    path = _path(kind, key)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, adapter.dump_json(value))


def _path(kind: str, key: str) -> Path:
    return cache_home() / kind / f"{key}.json"


def sources_sha256(modules: Iterable[str]) -> str:
    """Return a hash of the named modules of this package, which make a result."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()
