"""What a toggle costs in a mapped netlist, net by net and pin by pin, as :mod:`.power` counts it.

A toggle of a net costs ½·C·V². A toggle of a cell's output costs internal energy by the input pin
that caused it, several pins sharing it by how often they toggle together with the output; a toggle
of an input pin that leaves the output as it is costs the hidden energy of the pin. Energies are in
fJ, means of the rising and the falling edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .gates import GateNetlist
from .liberty import Energy, Liberty
from .timing import Timing

__all__ = ["ToggleCounts", "ToggleEnergies"]


@dataclass(frozen=True, eq=False)
class ToggleCounts:
    """How often nets and pins of a netlist toggle.

    ``pins`` is the largest number of inputs of a gate; a gate with fewer has zeros.
    """

    nets: npt.NDArray[np.int64]
    """Toggles of each net, ``[n_nets]``."""
    inputs: npt.NDArray[np.int64]
    """Toggles of the net on each input, ``[n_gates, pins]``."""
    together: npt.NDArray[np.int64]
    """Of these, those that come with a toggle of the gate's output, ``[n_gates, pins]``."""


@dataclass(frozen=True, eq=False)
class ToggleEnergies:
    """Energies of a mapped netlist in fJ per toggle; shapes as in :class:`ToggleCounts`."""

    first_gate: int
    nets: npt.NDArray[np.float64]
    """½·C·V² of each net."""
    outputs: npt.NDArray[np.float64]
    """Internal energy of an output edge, by the pin that causes it."""
    hidden: npt.NDArray[np.float64]
    """Energy of an input edge that the output does not follow."""
    leakage_uw: float

    @classmethod
    def of(cls, netlist: GateNetlist, liberty: Liberty, timing: Timing) -> "ToggleEnergies":
        """Return the energies of a netlist of cells of ``liberty`` at its loads and slews."""
        pins = max((len(gate.inputs) for gate in netlist.gates), default=1)
        outputs = np.zeros((len(netlist.gates), pins))
        hidden = np.zeros_like(outputs)
        slews = [sum(edges) / 2 for edges in timing.slews_ns]
        for index, gate in enumerate(netlist.gates):
            cell = liberty.by_name[gate.type]
            load = timing.loads_ff[netlist.FIRST_GATE + index]
            for number, (pin, source) in enumerate(zip(cell.inputs, gate.inputs, strict=True)):
                slew = slews[source]
                caused = [energy for energy in cell.energies if energy.pin in (pin.name, None)]
                outputs[index, number] = _mean(caused, slew, load)
                hidden[index, number] = _mean(pin.hidden, slew, 0.0)
        return cls(
            first_gate=netlist.FIRST_GATE,
            nets=0.5 * liberty.voltage_v**2 * np.array(timing.loads_ff),
            outputs=outputs,
            hidden=hidden,
            leakage_uw=sum(liberty.by_name[gate.type].leakage_nw for gate in netlist.gates) / 1000,
        )

    def energy_fj(self, counts: ToggleCounts) -> float:
        """Return the energy of toggles; a sum that is the same on every machine."""
        causes = np.maximum(counts.together.sum(axis=1), 1)
        share = (counts.together * self.outputs).sum(axis=1) / causes
        return math.fsum(
            (
                *(counts.nets * self.nets).tolist(),
                *(counts.nets[self.first_gate :] * share).tolist(),
                *((counts.inputs - counts.together) * self.hidden).ravel().tolist(),
            )
        )


def _mean(energies: Sequence[Energy], slew: float, load: float) -> float:
    """Return the mean over the states that a library tells apart; nothing where it has none."""
    return sum(energy.mean(slew, load) for energy in energies) / max(len(energies), 1)
