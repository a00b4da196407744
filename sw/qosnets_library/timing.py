"""Static timing of a mapped netlist from the tables of its cells.

Of every net the latest rising and falling edge and their largest slews are carried on, each arc
being computed with the largest slew at its input, as common static timing analysers do. Operands
arrive at 0 with the slew of :func:`input_slew`; a product bit drives one inverter; wires have
no capacitance. The load of a net is the sum of the capacitances of the pins on it, the same for
both edges: where a library states others for rising and falling edges, analysers that use those
find delays that differ by about 1 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .gates import GateNetlist
from .liberty import Arc, Liberty, LibertyCell

__all__ = ["Timing", "input_slew", "net_loads", "static_timing"]

_FANOUT = 4
"""Inverters that an inverter drives where the slew of the operands is defined."""


@dataclass(frozen=True)
class Timing:
    """Result of static timing."""

    delay_ns: float
    """Arrival of the latest edge of a product bit; 0 where no product bit changes."""
    loads_ff: tuple[float, ...]
    """Capacitance by net, without that inside the driving cell."""
    slews_ns: tuple[tuple[float, float], ...]
    """Largest slew of the rising and the falling edge by net."""


_NEVER = float("-inf")


def static_timing(netlist: GateNetlist, liberty: Liberty) -> Timing:
    """Analyse a netlist of cells of ``liberty``."""
    loads = net_loads(netlist, liberty)
    first = netlist.FIRST_GATE
    slew = input_slew(liberty)
    arrivals = [(_NEVER, _NEVER)] * 2 + [(0.0, 0.0)] * (first - 2)
    slews = [(0.0, 0.0)] * 2 + [(slew, slew)] * (first - 2)
    for net, gate in enumerate(netlist.gates, first):
        cell = liberty.by_name[gate.type]
        sources = dict(zip(cell.pins, gate.inputs, strict=True))
        edges = []
        for rising in (True, False):
            arrival, largest = _NEVER, 0.0
            for arc in cell.arcs:
                source = sources[arc.pin]
                for input_rising in (True, False):
                    start = arrivals[source][not input_rising]
                    found = _through(
                        arc, input_rising, rising, slews[source][not input_rising], loads[net]
                    )
                    if found is not None and start != _NEVER:
                        arrival = max(arrival, start + found[0])
                        largest = max(largest, found[1])
            edges.append((arrival, largest))
        arrivals.append((edges[0][0], edges[1][0]))
        slews.append((edges[0][1], edges[1][1]))
    delay = max((max(arrivals[net]) for net in netlist.outputs), default=0.0)
    return Timing(max(delay, 0.0), tuple(loads), tuple(slews))


def _through(
    arc: Arc, input_rising: bool, rising: bool, slew: float, load: float
) -> tuple[float, float] | None:
    """Return delay and output slew of an arc, None where it does not join these edges."""
    edge = arc.rise if rising else arc.fall
    joined = arc.positive if input_rising == rising else arc.negative
    if edge is None or not joined:
        return None
    return edge.delay.at(slew, load), max(edge.slew.at(slew, load), 0.0)


def net_loads(netlist: GateNetlist, liberty: Liberty) -> Sequence[float]:
    """Return the capacitance of every net in fF, that of an inverter on each product bit added."""
    loads = [0.0] * (netlist.FIRST_GATE + len(netlist.gates))
    for gate in netlist.gates:
        for pin, net in zip(liberty.by_name[gate.type].inputs, gate.inputs, strict=True):
            loads[net] += pin.capacitance_ff
    for net in netlist.outputs:
        loads[net] += liberty.inverter.inputs[0].capacitance_ff
    return loads


def input_slew(liberty: Liberty) -> float:
    """Return the slew of the operands in ns: of the smallest inverter that drives four like it.

    Such an inverter in a long chain of its kind; the larger one of rise and fall.
    """
    cell: LibertyCell = liberty.inverter
    load = _FANOUT * cell.inputs[0].capacitance_ff
    slew = 0.0
    # Slews in a chain settle after a few stages.
    for _ in range(10):
        edges = [edge for arc in cell.arcs for edge in (arc.rise, arc.fall) if edge]
        slew = max(edge.slew.at(slew, load) for edge in edges)
    return slew
