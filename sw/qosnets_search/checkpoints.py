"""Checkpoints: the result of every stage of a long run, in a folder, to continue from.

A run is known by its identity: everything that its results depend on. A folder belongs to one
run; another one is refused, for its stages would be silently wrong.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from qosnets.errors import InputError, shorten
from qosnets.files import atomic_write, canonical_json, read_json

from .training import distributed

__all__ = ["Checkpoints", "Journal"]

IDENTITY = "run.json"


class Checkpoints:
    """Results of the stages of a run.

    Parameters
    ----------
    folder
        Where they are kept, or None to keep none.
    identity
        JSON-able record of what the run depends on.
    resume
        Continue the run that ``folder`` holds; otherwise one that is there is refused.

    Raises
    ------
    InputError
        If ``folder`` holds a run and ``resume`` is false, or holds another run.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any], *, resume: bool) -> None:
        self._folder = folder
        if folder is None or not distributed.is_first():
            return
        path = folder / IDENTITY
        if path.exists():
            if not resume:
                raise InputError(
                    f"{folder}: holds an interrupted run (--resume continues, --force forgets it)"
                )
            _check_same(path, read_json(path), identity)
            return
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, canonical_json(identity))

    def stage(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of a stage, computed only if there is none yet.

        Results are dictionaries of tensors, numbers, text, and lists or dictionaries of those.

        Raises
        ------
        InputError
            If the file of the stage is damaged.
        """
        if self._folder is None:
            return compute()
        path = self._folder / f"{name.replace(' ', '_')}.pt"
        if path.exists():
            return _load(path)
        result = compute()
        if distributed.is_first():
            buffer = io.BytesIO()
            torch.save(result, buffer)
            atomic_write(path, buffer.getvalue())
        return result

    def journal(self, name: str) -> "Journal":
        """Return the journal of a stage that keeps intermediate results."""
        return Journal(None if self._folder is None else self._folder / f"{name}.jsonl")


def _load(path: Path) -> dict[str, Any]:
    try:
        result = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives fail in many ways
        raise InputError(f"{path}: must be a checkpoint: {shorten(str(error))}") from None
    if not isinstance(result, dict):
        raise InputError(f"{path}: must be a checkpoint, not {type(result).__name__}")
    return result


def _check_same(path: Path, before: Any, now: Mapping[str, Any]) -> None:
    """Refuse the checkpoints of another run, naming the first difference."""
    difference = _difference("", before, now)
    if difference is not None:
        field, old, new = difference
        raise InputError(
            f"{path}: belongs to another run: {field} was {shorten(old)}, not {shorten(new)}"
            " (--force forgets it)"
        )


def _difference(field: str, before: Any, now: Any) -> tuple[str, Any, Any] | None:
    if isinstance(before, dict) and isinstance(now, Mapping):
        # In the order of the identity: its first parts explain differences in the others.
        for key in dict.fromkeys([*now, *before]):
            path = f"{field}.{key}" if field else str(key)
            found = _difference(path, before.get(key), now.get(key))
            if found is not None:
                return found
        return None
    same = before == (list(now) if isinstance(now, tuple) else now)
    return None if same else (field, before, now)


class Journal:
    """Results by integers, kept one by one; a line that an interruption cut short is left out."""

    def __init__(self, path: Path | None) -> None:
        self._path = path if distributed.is_first() else None
        self.known: dict[tuple[int, ...], tuple[float, ...]] = {}
        """What was kept before."""
        if path is not None and path.exists():
            lines = path.read_text().split("\n")[:-1]
            self.known = {tuple(key): tuple(values) for key, values in map(json.loads, lines)}
            if self._path is not None:
                atomic_write(path, "".join(f"{line}\n" for line in lines).encode())

    def keep(self, key: tuple[int, ...], values: tuple[float, ...]) -> None:
        """Add a result."""
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(f"{json.dumps([key, values])}\n")
