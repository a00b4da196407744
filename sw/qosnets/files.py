"""Files between the stages: canonical bytes, hashes, and output folders that are all or nothing."""

import hashlib
import json
import math
import os
import re
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

    def refuse(name: str) -> Any:
        raise InputError(f"{where}: numbers must be finite, not {name}")

    def finite(text: str) -> float:
        return number if math.isfinite(number := float(text)) else refuse(text)

    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite)
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
        if not _is_inside(name) or name == MANIFEST:
            raise ValueError(f"output name must be a relative path below the folder, not {name!r}")
    check_output_folder(folder, force=force)
    previous = _previous_files(folder)
    for name in [*files, *([] if previous else [MANIFEST])]:
        _check_replaceable(folder, name, previous)
    created = not folder.exists()
    staging = folder / _STAGING
    listing = dict(manifest) | {"files": {name: sha256(files[name]) for name in sorted(files)}}
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for name, data in [*files.items(), (MANIFEST, canonical_json(listing))]:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(data)
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        for name in [*files, MANIFEST]:
            (staging / name).replace(folder / name)
        for name in previous - files.keys():
            (folder / name).unlink(missing_ok=True)
    except BaseException as error:
        if created:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            where = error.filename or folder
            raise InputError(f"{where}: cannot be written: {error.strerror}") from None
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_replaceable(folder: Path, name: str, previous: set[str]) -> None:
    """Refuse to write ``name`` over something that is not ours."""
    path = folder / name
    if path.is_dir() or (name not in previous and path.exists()):
        raise InputError(f"{path}: was not written by this tool and is not replaced")
    for parent in path.relative_to(folder).parents:
        if (folder / parent).exists() and not (folder / parent).is_dir():
            raise InputError(f"{folder / parent}: must be a folder")


def _previous_files(folder: Path) -> set[str]:
    """Return the paths that the manifest in ``folder`` lists, empty where there is none of ours."""
    path = folder / MANIFEST
    if not path.is_file():
        return set()
    try:
        content = read_json(path)
    except InputError:
        return set()
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(map(_is_sha256, files.values())):
        return set()
    return {name for name in files if _is_inside(name)}


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_inside(name: str) -> bool:
    """Tell whether ``name`` is a relative path that stays below its folder."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
