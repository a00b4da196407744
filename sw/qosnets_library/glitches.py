"""Power of a mapped netlist with glitches: every cell delays by one unit of time.

From one operand pair to the next all operands switch at time 0; nets may toggle several times
until they settle (:mod:`.toggles`). Energies are those of :mod:`.power`, for every toggle. The
model is a coarse one: real delays differ by cell, load and edge, and short pulses vanish in a real
cell. It ranks circuits by how much they glitch; it does not replace a simulation with annotated
delays.
"""

from dataclasses import dataclass

import numpy as np

from .energies import ToggleEnergies
from .gates import GateNetlist
from .liberty import Liberty
from .operands import UNIFORM, Operands
from .power import OPERATIONS_PER_SECOND
from .timing import Timing
from .toggles import Delays, GateArrays, count_toggles

__all__ = ["GlitchPower", "estimate_glitch_power"]

_UW_PER_FJ = OPERATIONS_PER_SECOND * 1e-15 / 1e-6


@dataclass(frozen=True)
class GlitchPower:
    """Mean power over a stream at 100 million operations per second."""

    power_uw: float
    """Dynamic and leakage power, with glitches."""
    glitch_ratio: float
    """Toggles of all nets over those without delays; 1 where nothing glitches or toggles."""


def estimate_glitch_power(
    netlist: GateNetlist,
    liberty: Liberty,
    timing: Timing,
    operands: Operands = UNIFORM,
    *,
    n_operations: int = 1 << 13,
) -> GlitchPower:
    """Estimate the power of a netlist of cells of ``liberty``, glitches included.

    Parameters
    ----------
    netlist, liberty, timing
        The mapped netlist, its cells, its loads and slews.
    operands
        What is multiplied.
    n_operations
        Length of the stream, a multiple of 64, at most 65,536: the start of the one that
        :func:`.power.estimate_power` takes.
    """
    pairs = operands.pairs()[: n_operations + 1]
    values = netlist.evaluate(pairs[:-1]), netlist.evaluate(pairs[1:])
    (counts,) = count_toggles(GateArrays.of(netlist), *values, n_groups=1, delays=Delays.UNIT)
    energies = ToggleEnergies.of(netlist, liberty, timing)
    energy = energies.energy_fj(counts)
    settled = int(np.bitwise_count(values[0] ^ values[1]).sum(dtype=np.int64))
    return GlitchPower(
        power_uw=energy / n_operations * _UW_PER_FJ + energies.leakage_uw,
        glitch_ratio=int(counts.nets.sum()) / settled if settled else 1.0,
    )
