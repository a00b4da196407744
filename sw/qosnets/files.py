"""Files between the stages: canonical bytes, hashes, and output folders that are all or nothing."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import InputError, shorten

__all__ = [
    "MANIFEST",
    "atomic_write",
    "canonical_json",
    "check_output_folder",
    "parse_json",
    "publish",
    "read_bytes",
    "read_json",
    "sha256",
]

MANIFEST = "manifest.json"
"""Name of the file that lists what a command wrote into its output folder."""

_STAGING = ".qosnets-partial"


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: object) -> bytes:
    """Serialise ``value``: UTF-8, two-space indent, keys in the order given, final newline."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_bytes(path: Path) -> bytes:
    """Return the content of ``path``.

    Raises
    ------
    InputError
        If the file does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_json(path: Path) -> Any:
    """Return the parsed content of the JSON file ``path``; raises as :func:`parse_json` does."""
    return parse_json(read_bytes(path), str(path))


def parse_json(data: bytes, where: str) -> Any:
    """Parse JSON text; ``where`` names it in messages.

    Raises
    ------
    InputError
        If the text is not JSON, repeats a key in an object, or has a number that is not finite.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{where}: key {shorten(twice)} appears twice in one object")
        return result

    def finite(name: str) -> Any:
        raise InputError(f"{where}: numbers must be finite, not {name}")

    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=finite)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: must be JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{where}: must be JSON: {error}") from None


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old content or the new, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_output_folder(folder: Path, *, force: bool) -> None:
    """Refuse an output folder that :func:`publish` would refuse, before any work is done.

    Raises
    ------
    InputError
        If ``folder`` is not a folder, or is not empty and ``force`` is false.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: output must be a folder, not a file")
    if not force and folder.is_dir() and any(item.name != _STAGING for item in folder.iterdir()):
        raise InputError(f"{folder}: output folder must be empty (--force replaces earlier output)")


def publish(
    folder: Path, files: Mapping[str, bytes], *, force: bool, manifest: Mapping[str, Any]
) -> None:
    """Write ``files`` and a manifest of them into ``folder``, all or nothing.

    The files are written to a staging folder inside ``folder`` and moved into place once all
    are complete, the manifest last. With ``force``, files that the previous manifest lists are
    replaced or removed; every other file in the folder stays as it is.

    Parameters
    ----------
    folder
        Output folder; created with its parents where missing.
    files
        Content by relative POSIX path.
    force
        Accept a folder that is not empty.
    manifest
        Further entries of the manifest, before its ``files`` (path → SHA-256).

    Raises
    ------
    InputError
        If the folder is refused, if a file would replace one that the previous manifest does
        not list, or if the folder cannot be written.
    """
    for name in files:
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or ".." in parts or name == MANIFEST or not parts:
            raise ValueError(f"output name must be a relative path below the folder, not {name!r}")
    check_output_folder(folder, force=force)
    previous = _previous_files(folder)
    for name in [*files, *([] if previous else [MANIFEST])]:
        if name not in previous and (folder / name).exists():
            raise InputError(f"{folder / name}: was not written by this tool and is not replaced")
    created = not folder.exists()
    staging = folder / _STAGING
    listing = dict(manifest) | {"files": {name: sha256(files[name]) for name in sorted(files)}}
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for name, data in [*files.items(), (MANIFEST, canonical_json(listing))]:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(data)
        for name in previous - files.keys():
            (folder / name).unlink(missing_ok=True)
        for name in [*files, MANIFEST]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(folder / name)
    except OSError as error:
        if created:
            shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"{error.filename or folder}: cannot be written: {error.strerror}"
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _previous_files(folder: Path) -> set[str]:
    """Return the paths that the manifest in ``folder`` lists, empty where there is none of ours."""
    path = folder / MANIFEST
    if not path.is_file():
        return set()
    try:
        names = read_json(path)["files"]
        return {name for name in names if ".." not in PurePosixPath(name).parts}
    except (InputError, KeyError, TypeError):
        return set()
