"""Mapped designs of many modules, as ``write_json`` of Yosys describes them.

A module holds cells of a library, memories that are left behavioural, and instances of other
modules. :func:`flatten` resolves the hierarchy: every net of the whole design gets a number.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.errors import ToolError

from .liberty import Liberty

__all__ = ["CellGroup", "FlatDesign", "MappedModule", "Scope", "flatten", "read_modules"]

MEMORY = "$mem_v2"

Nets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Cells:
    """Cells of one type in a module."""

    pins: tuple[str, ...]
    """Inputs, then the output."""
    nets: Nets
    """``[n, pins]``."""


@dataclass(frozen=True)
class MappedModule:
    """A module; its nets are numbered from 0, of which 0 and 1 are the constants."""

    name: str
    n_nets: int
    ports: Mapping[str, Nets]
    inputs: frozenset[str]
    names: Mapping[str, Nets]
    """Nets by name, a vector's from its first bit."""
    registers: Mapping[int, str]
    """Name of the vector that a flip-flop drives, by net."""
    cells: Mapping[str, _Cells]
    instances: Sequence[tuple[str, str, Mapping[str, Nets]]]
    """Name, module and connections."""
    memory_inputs: Nets
    """Nets to memories, each once."""
    memory_outputs: Nets
    memory_bits: int


@dataclass(frozen=True)
class Scope:
    """An instance of a module."""

    path: tuple[str, ...]
    """Names of the instances from the top, which has the empty path."""
    module: MappedModule
    nets: Nets
    """Net of the design by net of the module."""


@dataclass(frozen=True, eq=False)
class CellGroup:
    """All cells of one type."""

    nets: Nets
    """``[n, pins]``: inputs, then the output; of a flip-flop clock, data and output."""
    scopes: Nets
    """Index of the scope of each."""


@dataclass(frozen=True, eq=False)
class FlatDesign:
    """A design with its hierarchy resolved; nets 0 and 1 are the constants."""

    n_nets: int
    scopes: tuple[Scope, ...]
    """The top first."""
    cells: Mapping[str, CellGroup]
    """By type, combinational ones and flip-flops."""

    def instances(self, module: str) -> list[Scope]:
        """Return the instances of a module."""
        return [scope for scope in self.scopes if scope.module.name == module]


def read_modules(modules: Mapping[str, Any], liberty: Liberty) -> dict[str, MappedModule]:
    """Read ``modules`` of a JSON file.

    Raises
    ------
    ToolError
        If a cell is neither one of ``liberty`` nor a memory nor an instance.
    """
    pins = {cell.name: (*cell.pins, cell.output) for cell in liberty.cells}
    pins |= {
        cell.name: (cell.clock.name, cell.data.name, cell.output) for cell in liberty.flip_flops
    }
    return {name: _read(name, module, pins, modules, liberty) for name, module in modules.items()}


def _read(
    name: str,
    module: Mapping[str, Any],
    pins: Mapping[str, tuple[str, ...]],
    modules: Mapping[str, Any],
    liberty: Liberty,
) -> MappedModule:
    # An undefined bit may have any value: it counts as 0.
    numbers: dict[int | str, int] = {"0": 0, "1": 1, "x": 0}

    def nets(bits: Sequence[int | str]) -> Nets:
        return np.array([numbers.setdefault(bit, max(2, len(numbers) - 1)) for bit in bits], int)

    cells: dict[str, list[Nets]] = defaultdict(list)
    instances, memories = [], []
    for cell_name, cell in module["cells"].items():
        kind, connections = cell["type"], cell["connections"]
        if kind in pins:
            cells[kind].append(nets([connections[pin][0] for pin in pins[kind]]))
        elif kind in modules:
            ends = {port: nets(bits) for port, bits in connections.items()}
            instances.append((cell_name, kind, ends))
        elif kind == MEMORY:
            memories.append(cell)
        else:
            raise ToolError(f"{name}: {cell_name}: must be mapped, not a cell of type {kind}")
    # Yosys marks names of the source that begin like its own by a backslash.
    names = {
        net.removeprefix("\\"): nets(entry["bits"]) for net, entry in module["netnames"].items()
    }
    driven = {int(net) for kind in liberty.flip_flops_by_name for net in _last(cells[kind])}
    hidden = {net for net, entry in module["netnames"].items() if entry.get("hide_name")}
    return MappedModule(
        name=name,
        ports={port: nets(entry["bits"]) for port, entry in module["ports"].items()},
        inputs=frozenset(p for p, e in module["ports"].items() if e["direction"] == "input"),
        names=names,
        registers={
            int(net): vector
            for vector, bits in reversed(names.items())
            if vector not in hidden
            for net in bits
            if int(net) in driven
        },
        cells={kind: _Cells(pins[kind], np.array(rows)) for kind, rows in cells.items() if rows},
        instances=instances,
        memory_inputs=_memory_nets(memories, nets, "input"),
        memory_outputs=_memory_nets(memories, nets, "output"),
        memory_bits=sum(
            int(cell["parameters"]["WIDTH"], 2) * int(cell["parameters"]["SIZE"], 2)
            for cell in memories
        ),
        n_nets=max(2, len(numbers) - 1),
    )


def _last(rows: Sequence[Nets]) -> list[int]:
    return [int(row[-1]) for row in rows]


def _memory_nets(memories: Sequence[Mapping[str, Any]], nets: Any, direction: str) -> Nets:
    found = [
        nets(cell["connections"][port])
        for cell in memories
        for port, way in cell["port_directions"].items()
        if way == direction
    ]
    # Yosys repeats an enable for every bit of the word.
    return np.unique(np.concatenate([np.zeros(0, int), *found]))


def flatten(modules: Mapping[str, MappedModule], top: str) -> FlatDesign:
    """Resolve the hierarchy of ``top``."""
    found: list[tuple[tuple[str, ...], MappedModule, int]] = []
    joined: list[tuple[int, int]] = []
    n_nets = 0

    def visit(path: tuple[str, ...], module: MappedModule) -> int:
        nonlocal n_nets
        first, n_nets = n_nets, n_nets + module.n_nets
        found.append((path, module, first))
        joined.extend([(0, first), (1, first + 1)])
        for name, kind, ends in module.instances:
            child = modules[kind]
            inside = visit((*path, name), child)
            for port, nets in ends.items():
                pairs = zip(nets.tolist(), child.ports[port].tolist(), strict=True)
                joined.extend((first + outer, inside + inner) for outer, inner in pairs)
        return first

    visit((), modules[top])
    number, n_nets = _numbers(n_nets, joined)
    scopes = tuple(
        Scope(path, module, number[first : first + module.n_nets]) for path, module, first in found
    )
    rows: dict[str, list[Nets]] = defaultdict(list)
    owners: dict[str, list[Nets]] = defaultdict(list)
    for index, scope in enumerate(scopes):
        for kind, found_here in scope.module.cells.items():
            rows[kind].append(scope.nets[found_here.nets])
            owners[kind].append(np.full(len(found_here.nets), index))
    cells = {
        kind: CellGroup(np.concatenate(rows[kind]), np.concatenate(owners[kind])) for kind in rows
    }
    return FlatDesign(n_nets, scopes, cells)


def _numbers(n_nets: int, joined: Sequence[tuple[int, int]]) -> tuple[Nets, int]:
    """Return a number for every net, the same for those that are joined, and how many there are.

    The constants keep 0 and 1.
    """
    parent = list(range(n_nets))

    def root(net: int) -> int:
        while parent[net] != net:
            parent[net] = parent[parent[net]]
            net = parent[net]
        return net

    for one, other in joined:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    roots = np.array([root(net) for net in range(n_nets)])
    # np.unique sorts, and the constants of the top are the lowest roots.
    kept, number = np.unique(roots, return_inverse=True)
    return number, len(kept)
