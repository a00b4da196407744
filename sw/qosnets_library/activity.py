"""Activity of a mapped design: the toggles that a simulation counted, net by net."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qosnets.errors import CheckError, InputError

from .mapped import FlatDesign, Nets
from .saif import SaifNet, saif_nets

__all__ = ["MIN_ANNOTATED", "Activity", "read_activity"]

MIN_ANNOTATED = 0.95
"""Least share of the nets whose activity must be known."""


@dataclass(frozen=True, eq=False)
class Activity:
    """What the nets of a design did."""

    toggles: npt.NDArray[np.int64]
    """Transitions by net; 0 where none are known."""
    annotated: float
    """Share of the nets on pins of cells that are known, constants left out."""
    cycles: int
    """Cycles of the clock."""


def read_activity(design: FlatDesign, path: Path, clock: str) -> Activity:
    """Read the activity of ``design`` from a SAIF file.

    The design may lie anywhere in the hierarchy of the file.

    Parameters
    ----------
    clock
        Port of the design that is the clock.

    Raises
    ------
    InputError
        If the file is not a SAIF file, or not one of this design.
    CheckError
        If fewer than :data:`MIN_ANNOTATED` of the nets are in the file, or the clock stood still.
    """
    scopes = {scope.path: scope for scope in design.scopes}
    place = _place(design, path)
    start = len(place)
    toggles = np.full(design.n_nets, -1, np.int64)
    for net in saif_nets(path):
        if net.scope[:start] != place or (scope := scopes.get(net.scope[start:])) is None:
            continue
        bits = scope.module.names.get(net.name)
        if bits is not None and net.bit < len(bits):
            toggles[scope.nets[bits[net.bit]]] = net.toggles
    used = _used(design)
    known = toggles >= 0
    annotated = float(known[used].mean()) if len(used) else 1.0
    if annotated < MIN_ANNOTATED:
        raise CheckError(
            f"{path}: must have the activity of {MIN_ANNOTATED:.0%} of the nets,"
            f" not of {annotated:.1%}"
        )
    toggles[~known] = 0
    top = design.scopes[0]
    cycles = int(toggles[top.nets[top.module.ports[clock][0]]]) // 2
    if not cycles:
        raise CheckError(f"{path}: {clock}: must toggle")
    return Activity(toggles, annotated, cycles)


def _place(design: FlatDesign, path: Path) -> tuple[str, ...]:
    """Return the scope of the file that has all instances of the design's top."""
    wanted = {name for name, _, _ in design.scopes[0].module.instances}
    children: dict[tuple[str, ...], set[str]] = {}
    for scope in _scopes(saif_nets(path)):
        for depth in range(len(scope)):
            children.setdefault(scope[:depth], set()).add(scope[depth])
        children.setdefault(scope, set())
    found = [scope for scope, names in children.items() if scope and wanted <= names]
    if not found:
        raise InputError(f"{path}: must be of {design.scopes[0].module.name}")
    return min(found, key=len)


def _scopes(nets: Iterator[SaifNet]) -> Iterator[tuple[str, ...]]:
    last: tuple[str, ...] | None = None
    for net in nets:
        if net.scope != last:
            last = net.scope
            yield last


def _used(design: FlatDesign) -> Nets:
    pins = [group.nets.ravel() for group in design.cells.values()]
    nets = np.unique(np.concatenate([np.zeros(0, np.int64), *pins]))
    return nets[nets > 1]
