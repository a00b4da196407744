"""Power of a mapped netlist from the toggles of its nets and the energies of its cells.

All nets are simulated without delays over a stream of operand pairs, so that a net toggles at
most once per operation: glitches are not counted. An operation costs

* ½·C·V² for every toggle of a net, C being the pins on it (:func:`.timing.net_loads`), nets of
  operands included;
* for every toggle of a cell's output, the internal energy of the cell at the load of the output
  and the slew of the input pin that caused it. Tables of several states are averaged. Of several
  pins, each counts as often as it toggles together with the output;
* for every toggle of an input pin that leaves the output as it is, the energy that the cell
  library states for the pin;
* leakage, whatever happens.

Rising and falling edges alternate: the mean of both is used for either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.library import Toggles

from .gates import GateNetlist
from .liberty import Energy, Liberty, LibertyCell
from .operands import N_OPERATIONS, Operands
from .timing import Timing

__all__ = ["OPERATIONS_PER_SECOND", "Power", "estimate_power"]

OPERATIONS_PER_SECOND = 100e6

_UW_PER_FJ = OPERATIONS_PER_SECOND * 1e-15 / 1e-6


@dataclass(frozen=True)
class Power:
    """Mean power over a stream at 100 million operations per second."""

    power_uw: float
    """Dynamic and leakage power."""
    leakage_uw: float
    toggles: Toggles


def estimate_power(
    netlist: GateNetlist, liberty: Liberty, timing: Timing, operands: Operands
) -> Power:
    """Estimate the power of a netlist of cells of ``liberty``.

    Parameters
    ----------
    netlist, liberty
        The mapped netlist and its cells.
    timing
        Loads and slews of the netlist.
    operands
        What is multiplied.
    """
    pairs = operands.pairs()
    toggled = netlist.evaluate(pairs[:-1]) ^ netlist.evaluate(pairs[1:])
    counts = _count(toggled)
    energy = 0.5 * liberty.voltage_v**2 * _dot(counts, timing.loads_ff)
    slews = [sum(edges) / 2 for edges in timing.slews_ns]
    for net, gate in enumerate(netlist.gates, netlist.FIRST_GATE):
        cell = liberty.by_name[gate.type]
        inputs = list(gate.inputs)
        together = _count(toggled[inputs] & toggled[net])
        pin_slews = [slews[source] for source in inputs]
        if counts[net]:
            by_pin = _output_energies(cell, pin_slews, timing.loads_ff[net])
            energy += int(counts[net]) * _dot(together, by_pin) / int(together.sum())
        for pin, slew, hidden in zip(
            cell.inputs, pin_slews, counts[inputs] - together, strict=True
        ):
            energy += int(hidden) * _mean(pin.hidden, slew, 0.0)
    leakage_uw = sum(liberty.by_name[gate.type].leakage_nw for gate in netlist.gates) / 1000
    return Power(
        power_uw=energy / N_OPERATIONS * _UW_PER_FJ + leakage_uw,
        leakage_uw=leakage_uw,
        toggles=_port_toggles(netlist, counts / N_OPERATIONS),
    )


def _count(toggled: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = np.bitwise_count(toggled).sum(axis=-1, dtype=np.int64)
    return counts


def _dot(counts: npt.NDArray[np.int64], figures: Sequence[float]) -> float:
    """Return a scalar product that is the same on every machine."""
    return math.fsum(n * figure for n, figure in zip(counts.tolist(), figures, strict=True))


def _output_energies(cell: LibertyCell, slews: Sequence[float], load: float) -> list[float]:
    """Return the internal energy in fJ of an output edge, by the input pin that causes it."""
    return [
        _mean([energy for energy in cell.energies if energy.pin in (pin, None)], slew, load)
        for pin, slew in zip(cell.pins, slews, strict=True)
    ]


def _mean(energies: Sequence[Energy], slew: float, load: float) -> float:
    """Return the mean over the states that a library tells apart; nothing where it has none."""
    return sum(energy.mean(slew, load) for energy in energies) / max(len(energies), 1)


def _port_toggles(netlist: GateNetlist, rates: npt.NDArray[np.float64]) -> Toggles:
    return Toggles(
        a=tuple(rates[2:10].tolist()),
        b=tuple(rates[10:18].tolist()),
        product=tuple(rates[list(netlist.outputs)].tolist()),
    )
