"""The choice of a path, and its explanation."""

import logging
import os
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache

import torch
from qosnets.errors import InputError, shorten
from torch import Tensor

from .calibration import seconds_per_work
from .paths import KernelPath, Path, path_named, registered
from .shapes import Shape

__all__ = ["VARIABLE", "Candidate", "choose", "explain"]

_log = logging.getLogger(__name__)

_choices: dict[Hashable, KernelPath] = {}
"""By shape, device, number of threads, and what paths read of the table."""

VARIABLE = "QOSNETS_KERNEL"
"""Environment variable that names the path of all sums which it can compute."""


@dataclass(frozen=True)
class Candidate:
    """A path, as the planner sees it."""

    path: KernelPath
    gproducts_per_s: float | None
    """Predicted 10⁹ products per second; None where the path cannot be used or is not rated."""
    reason: str

    def __str__(self) -> str:
        rate = "      –" if self.gproducts_per_s is None else f"{self.gproducts_per_s:7.2f}"
        return f"{self.path:10} {rate} G/s  {self.reason}"


def explain(shape: Shape, lut: Tensor) -> list[Candidate]:
    """Return all paths for sums of this shape, best first; the first one is what the planner takes.

    ``lut`` tells the device; only some paths depend on its content.
    """
    rated, unrated, unusable = [], [], []
    for path in registered():
        obstacle = path.usable(shape, lut)
        if obstacle is not None:
            unusable.append(Candidate(path.name, None, obstacle))
            continue
        seconds = _predict(path, shape, lut)
        if seconds is None:
            unrated.append(Candidate(path.name, None, "last resort"))
        else:
            rate = shape.n_products / seconds / 1e9
            rated.append(Candidate(path.name, rate, f"predicted to take {1e3 * seconds:.3g} ms"))
    rated.sort(key=lambda candidate: -(candidate.gproducts_per_s or 0.0))
    return rated + unrated + unusable


def choose(shape: Shape, lut: Tensor, path: KernelPath | str | None) -> Path:
    """Return the path that is asked for: here, in the environment, or else the fastest one.

    Raises
    ------
    InputError
        If there is no path of that name, or if ``path`` cannot compute this shape. Where the
        environment asks for a path that cannot, the fastest one is taken and the reason logged.
    """
    if path is not None:
        wanted = _parse("path", path)
        obstacle = _obstacle(wanted, shape, lut)
        if obstacle is not None:
            raise InputError(f"path: {wanted}: must be usable for {shape}, not: {obstacle}")
        return _existing(wanted)
    if os.environ.get(VARIABLE):
        wanted = _parse(VARIABLE, os.environ[VARIABLE])
        obstacle = _obstacle(wanted, shape, lut)
        if obstacle is None:
            return _existing(wanted)
        _log_once(f"{VARIABLE}: {wanted} cannot be used for {shape}: {obstacle}")
    keys = tuple(path.table_key(lut) for path in registered())
    situation = shape, lut.device, torch.get_num_threads(), keys
    if situation not in _choices:
        _choices[situation] = _fastest(shape, lut)
    return _existing(_choices[situation])


def _parse(where: str, name: str) -> KernelPath:
    try:
        return KernelPath(name)
    except ValueError:
        known = ", ".join(KernelPath)
        raise InputError(f"{where}: must be one of {known}, not {shorten(name)}") from None


def _obstacle(name: KernelPath, shape: Shape, lut: Tensor) -> str | None:
    path = path_named(name)
    return "it is not installed" if path is None else path.usable(shape, lut)


def _existing(name: KernelPath) -> Path:
    path = path_named(name)
    assert path is not None
    return path


def _fastest(shape: Shape, lut: Tensor) -> KernelPath:
    candidates = explain(shape, lut)
    best = candidates[0]
    if best.gproducts_per_s is None:
        others = "; ".join(f"{other.path}: {other.reason}" for other in candidates[1:])
        _log_once(f"{shape}: on the slow path {best.path}, for {others}")
    return best.path


def _predict(path: Path, shape: Shape, lut: Tensor) -> float | None:
    amounts = path.work(shape, lut)
    if amounts is None:
        return None
    costs = seconds_per_work(path, lut.device)
    return sum(amount * cost for amount, cost in zip(amounts, costs, strict=True))


@cache
def _log_once(message: str) -> None:
    _log.warning(message)
