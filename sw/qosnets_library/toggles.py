"""Toggles of the nets of a netlist over many operations, without delays or with unit delays.

With unit delays the sources switch at time 0, and the output of a gate follows its inputs one unit
later; so a net may toggle several times until it settles. 64 operations are simulated at a time,
one per bit of a machine word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.words import Words

from .boolean import compile_function
from .compiled import compiler
from .energies import ToggleCounts
from .gates import GateNetlist

__all__ = ["Delays", "GateArrays", "count_toggles"]

_compiled = compiler(Path(__file__).parent)

_BLOCK = 32
"""Words that are simulated at a time, so that the waveforms of all nets stay in the cache."""

Int = npt.NDArray[np.int64]


class Delays(Enum):
    """Delay of every gate."""

    NONE = 0
    """Nets settle at once: they toggle at most once per operation."""
    UNIT = 1


@dataclass(frozen=True, eq=False)
class GateArrays:
    """Gates in topological order, as arrays."""

    n_sources: int
    """Nets before the first gate: constants and inputs."""
    inputs: Int
    """Nets on the inputs, ``[n_gates, pins]``; unused ones are -1, behind the others."""
    tables: npt.NDArray[np.uint64]
    """Truth tables ``[n_gates]``: bit Σ x_k·2^k is the output for the inputs x."""

    @classmethod
    def of(cls, netlist: GateNetlist) -> "GateArrays":
        """Return the gates of a netlist; a gate may have up to 6 inputs."""
        pins = max((len(gate.inputs) for gate in netlist.gates), default=1)
        inputs = np.full((len(netlist.gates), pins), -1, dtype=np.int64)
        tables = np.zeros(len(netlist.gates), dtype=np.uint64)
        known: dict[str, int] = {}
        for index, gate in enumerate(netlist.gates):
            inputs[index, : len(gate.inputs)] = gate.inputs
            if gate.type not in known:
                gate_type = netlist.gate_types[gate.type]
                known[gate.type] = _truth_table(gate_type.function, gate_type.inputs)
            tables[index] = known[gate.type]
        return cls(netlist.FIRST_GATE, inputs, tables)


def count_toggles(
    gates: GateArrays, before: Words, after: Words, *, n_groups: int, delays: Delays
) -> list[ToggleCounts]:
    """Return the toggles of operations, from the values of the sources before and after each.

    Parameters
    ----------
    gates
        The gates.
    before, after
        Values of the sources, ``uint64[≥ n_sources, words]``.
    n_groups
        Operations are counted in as many groups of equally many words, in their order.
    delays
        Of the gates; the sources switch at time 0.
    """
    times = _switching_times(gates.n_sources, gates.inputs, delays is Delays.UNIT)
    nets, inputs, together = _simulate(
        gates.n_sources, gates.inputs, gates.tables, times, before, after, n_groups
    )
    return [ToggleCounts(nets[g], inputs[g], together[g]) for g in range(n_groups)]


def _truth_table(function: str, inputs: Sequence[str]) -> int:
    compiled = compile_function(function, tuple(inputs))
    n = len(inputs)
    return sum((compiled([row >> k & 1 for k in range(n)]) & 1) << row for row in range(1 << n))


@_compiled
def _common(first: Words, second: Words, width: int) -> Any:
    """Return the number of ones that the first words of both have in common.

    They are added up in groups of 2, 4 and 8 bits, then over all bytes.
    """
    by_2, by_4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
    by_8, bytes_of_1 = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
    total = np.int64(0)
    for w in range(width):
        x = first[w] & second[w]
        x -= x >> np.uint64(1) & by_2
        x = (x & by_4) + (x >> np.uint64(2) & by_4)
        x = (x + (x >> np.uint64(4))) & by_8
        total += np.int64(x * bytes_of_1 >> np.uint64(56))
    return total


@_compiled
def _switching_times(n_sources: int, inputs: Int, unit_delays: bool) -> Int:
    """Return ``[n_nets, depth + 2]``: at how many times before t a net may have switched.

    The two constants never do, other sources at time 0. A gate does one unit after any of its
    inputs; without delays only once, when all of them have.
    """
    n_gates, pins = inputs.shape
    depths = np.zeros(n_sources + n_gates, dtype=np.int64)
    for gate in range(n_gates):
        for pin in range(pins):
            if inputs[gate, pin] >= 0:
                depth = depths[inputs[gate, pin]] + 1
                depths[n_sources + gate] = max(depths[n_sources + gate], depth)
    depth = depths.max()
    switches = np.zeros((n_sources + n_gates, depth + 1), dtype=np.bool_)
    switches[2:n_sources, 0] = True
    for gate in range(n_gates):
        net = n_sources + gate
        if not unit_delays:
            switches[net, depths[net]] = True
            continue
        for pin in range(pins):
            if inputs[gate, pin] >= 0:
                for t in range(depth):
                    switches[net, t + 1] |= switches[inputs[gate, pin], t]
    times = np.zeros((n_sources + n_gates, depth + 2), dtype=np.int64)
    for net in range(n_sources + n_gates):
        for t in range(depth + 1):
            times[net, t + 1] = times[net, t] + switches[net, t]
    return times


@_compiled
def _look_up(
    table: int, inputs: Int, rows: Int, waves: Words, width: int, work: Words, target: Words
) -> None:
    """Set ``target`` to a gate's output; input ``k`` is ``waves[rows[k]]``."""
    n = 0
    while n < len(inputs) and inputs[n] >= 0:
        n += 1
    zero, ones = np.uint64(0), ~np.uint64(0)
    bits = np.uint64(table)
    x = waves[rows[0]]
    half = 1 << (n - 1)
    for j in range(half):
        low = ones if bits >> np.uint64(2 * j) & np.uint64(1) else zero
        high = ones if bits >> np.uint64(2 * j + 1) & np.uint64(1) else zero
        change = low ^ high
        for w in range(width):
            work[j, w] = low ^ (x[w] & change)
    for k in range(1, n):
        x = waves[rows[k]]
        half >>= 1
        for j in range(half):
            for w in range(width):
                low = work[2 * j, w]
                work[j, w] = low ^ (x[w] & (low ^ work[2 * j + 1, w]))
    for w in range(width):
        target[w] = work[0, w]


@_compiled
def _simulate(
    n_sources: int,
    inputs: Int,
    tables: Words,
    times: Int,
    before: Words,
    after: Words,
    n_groups: int,
) -> tuple[Int, Int, Int]:
    """Return ``nets[groups, n_nets]``, ``inputs`` and ``together[groups, n_gates, pins]``.

    ``times`` is that of :func:`_switching_times`.
    """
    n_gates, pins = inputs.shape
    n_nets, n_words = n_sources + n_gates, before.shape[1]
    words = n_words // n_groups
    depth = times.shape[1] - 2
    nets = np.zeros((n_groups, n_nets), dtype=np.int64)
    together = np.zeros((n_groups, n_gates, pins), dtype=np.int64)
    toggled = np.zeros((n_groups, n_gates, pins), dtype=np.int64)
    # Rows first[net].. are the values of a net: at first, and from each switching time on. Edges
    # are the differences to the row before.
    first = np.zeros(n_nets + 1, dtype=np.int64)
    for net in range(n_nets):
        first[net + 1] = first[net] + times[net, depth + 1] + 1
    waves = np.zeros((first[n_nets], _BLOCK), dtype=np.uint64)
    edges = np.zeros((first[n_nets], _BLOCK), dtype=np.uint64)
    work = np.zeros((32, _BLOCK), dtype=np.uint64)
    rows = np.zeros(pins, dtype=np.int64)
    for group in range(n_groups):
        for start in range(group * words, (group + 1) * words, _BLOCK):
            width = min(_BLOCK, (group + 1) * words - start)
            for net in range(n_nets):
                row = first[net]
                if net < n_sources:
                    for w in range(width):
                        waves[row, w] = before[net, start + w]
                    if times[net, 1]:
                        for w in range(width):
                            waves[row + 1, w] = after[net, start + w]
                            edges[row + 1, w] = waves[row + 1, w] ^ waves[row, w]
                        nets[group, net] += _common(edges[row + 1], edges[row + 1], width)
                    continue
                gate = net - n_sources
                last = 0
                for t in range(depth + 1):
                    # t = 0: the value before all edges; t > 0: what edges since the last t lead to.
                    if t and times[net, t + 1] == times[net, t]:
                        continue
                    for pin in range(pins):
                        source = max(inputs[gate, pin], 0)
                        rows[pin] = first[source] + times[source, t]
                    _look_up(tables[gate], inputs[gate], rows, waves, width, work, waves[row])
                    if t:
                        for w in range(width):
                            edges[row, w] = waves[row, w] ^ waves[row - 1, w]
                        nets[group, net] += _common(edges[row], edges[row], width)
                        for pin in range(pins):
                            source = inputs[gate, pin]
                            if source >= 0 and times[source, t] > times[source, last]:
                                together[group, gate, pin] += _common(
                                    edges[rows[pin]], edges[row], width
                                )
                    row, last = row + 1, t
        for gate in range(n_gates):
            for pin in range(pins):
                if inputs[gate, pin] >= 0:
                    toggled[group, gate, pin] = nets[group, inputs[gate, pin]]
    return nets, toggled, together
