"""How the generic flip-flop behaves in time: its gates after an edge of a pin, event by event.

Every stage follows its inputs after the delay of its output net, which is the total width of the
drains and gates on that net; an edge of the net costs energy in proportion to the same width.
Times and energies are stated in units of width here: what a unit of it takes is the business of
:mod:`.generic_liberty`.
"""

import heapq
from dataclasses import dataclass
from itertools import product

from .boolean import compile_function
from .cells import Cell

__all__ = ["FlipFlopEdges", "Settling", "flip_flop_edges"]


@dataclass(frozen=True)
class Settling:
    """What an edge of a pin leads to, in units of width."""

    times: dict[str, int]
    """Time of the last edge of every net that changes; that of the pin is 0."""
    width: int
    """Total width on the nets inside and on the output, one term per edge."""


@dataclass(frozen=True)
class FlipFlopEdges:
    """Edges of a flip-flop, from all states it can be in, by what they do."""

    clock_rise: dict[bool, list[Settling]]
    """Rising clock, by the new value of the output; only where that changes."""
    clock_hidden: dict[bool, list[Settling]]
    """Rising (True) and falling clock where the output stays as it is."""
    data: dict[bool, list[Settling]]
    """Rising (True) and falling data."""
    setup: int
    """Longest time that data takes to settle before the clock may rise."""


def flip_flop_edges(cell: Cell) -> FlipFlopEdges:
    """Return what the edges of a flip-flop do; the pins of ``cell`` are data and clock."""
    assert cell.clock is not None
    clock_rise: dict[bool, list[Settling]] = {False: [], True: []}
    clock_hidden: dict[bool, list[Settling]] = {False: [], True: []}
    data_edges: dict[bool, list[Settling]] = {False: [], True: []}
    setup = 0
    (data,) = (pin for pin in cell.inputs if pin != cell.clock)
    for stored, clock, value in product((0, 1), repeat=3):
        nets = _state(cell, data, stored, clock, value)
        after, settling = _settle(cell, nets, cell.clock)
        if after[cell.output] != nets[cell.output]:
            clock_rise[bool(after[cell.output])].append(settling)
        else:
            clock_hidden[not clock].append(settling)
        _, settling = _settle(cell, nets, data)
        data_edges[not value].append(settling)
        if not clock:
            setup = max(setup, *settling.times.values())
    return FlipFlopEdges(clock_rise, clock_hidden, data_edges, setup)


def _state(cell: Cell, data: str, stored: int, clock: int, value: int) -> dict[str, int]:
    """Return the nets with ``stored`` at the output, then the pins at ``clock`` and ``value``."""
    assert cell.clock is not None
    # A rising clock stores a value, whatever the loops held before.
    nets = dict.fromkeys(cell_nets(cell), 1) | {data: stored, cell.clock: 0}
    nets, _ = _events(cell, nets, list(nets))
    nets, _ = _settle(cell, nets, cell.clock)
    for pin, level in ((cell.clock, clock), (data, value)):
        if nets[pin] != level:
            nets, _ = _settle(cell, nets, pin)
    return nets


def _settle(cell: Cell, nets: dict[str, int], pin: str) -> tuple[dict[str, int], Settling]:
    """Return the nets after an edge of a pin, and what happens until then."""
    return _events(cell, nets | {pin: 1 - nets[pin]}, [pin])


def _events(
    cell: Cell, nets: dict[str, int], changed: list[str]
) -> tuple[dict[str, int], Settling]:
    nets, width = dict(nets), 0
    times = dict.fromkeys(changed, 0)
    queue = [(0, pin) for pin in changed]
    while queue:
        now, source = heapq.heappop(queue)
        if source in cell_nets(cell):
            value = _value(cell, source, nets)
            if value == nets[source]:
                continue
            nets[source] = value
            times[source] = now
            width += net_width(cell, source)
        for net, _, sources in cell.stages:
            if source in sources and _value(cell, net, nets) != nets[net]:
                heapq.heappush(queue, (now + net_width(cell, net), net))
    return nets, Settling(times, width)


def cell_nets(cell: Cell) -> tuple[str, ...]:
    """Return the nets that the stages of a cell drive."""
    return tuple(net for net, _, _ in cell.stages)


def net_width(cell: Cell, net: str) -> int:
    """Return the total width of the drains and gates inside a cell on a net that it drives."""
    (stage,) = (stage for name, stage, _ in cell.stages if name == net)
    return stage.drains + cell.capacitance(net)


def _value(cell: Cell, net: str, nets: dict[str, int]) -> int:
    ((stage, sources),) = ((stage, sources) for name, stage, sources in cell.stages if name == net)
    names = tuple(f"x{index}" for index in range(len(sources)))
    value: int = compile_function(stage.function, names)([nets[source] for source in sources]) & 1
    return value
