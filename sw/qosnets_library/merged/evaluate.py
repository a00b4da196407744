"""Cost of a merged multiplier as mapped: area, delay, and power in every mode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.words import Words, pack

from ..energies import ToggleEnergies
from ..liberty import Liberty
from ..operands import Operands
from ..power import OPERATIONS_PER_SECOND
from ..timing import static_timing
from ..toggles import Delays, GateArrays, count_toggles
from .estimate import operand_stream
from .mapper import MappedModes
from .masks import MergedMasks

__all__ = ["MappedCost", "ModePower", "mapped_cost"]

_UW_PER_FJ = OPERATIONS_PER_SECOND * 1e-15 / 1e-6


@dataclass(frozen=True)
class ModePower:
    """Mean power of a mode under one distribution at 100 million operations per second."""

    settled_uw: float
    """Without delays, as by :func:`..power.estimate_power`."""
    glitching_uw: float
    """With unit delays, as by :func:`..glitches.estimate_glitch_power`."""


@dataclass(frozen=True)
class MappedCost:
    """Cost of a mapped multiplier."""

    area_um2: float
    delay_ns: float
    """From an operand to a product bit; the select does not change."""
    power: tuple[tuple[ModePower, ...], ...]
    """By mode, then by distribution."""


def mapped_cost(
    mapped: MappedModes,
    masks: MergedMasks,
    liberty: Liberty,
    streams: Sequence[Operands],
    *,
    n_operations: int,
) -> MappedCost:
    """Return the cost of a netlist mapped to cells of ``liberty``.

    Parameters
    ----------
    mapped, masks, liberty
        The netlist, its modes and its cells.
    streams
        Distributions of the operands.
    n_operations
        Length of each stream, a multiple of 64, at most 65,536.
    """
    power: list[list[ModePower]] = []
    before, after = _operand_words(streams, n_operations)
    for mode in range(masks.n_modes):
        netlist = mapped.of_word(masks.select_word(mode))
        if not power:
            timing = static_timing(netlist, liberty)
            energies = ToggleEnergies.of(netlist, liberty, timing)
        arrays = GateArrays.of(netlist)
        figures = [
            [
                energies.energy_fj(counts) / n_operations * _UW_PER_FJ + energies.leakage_uw
                for counts in count_toggles(
                    arrays, before, after, n_groups=len(streams), delays=delays
                )
            ]
            for delays in Delays
        ]
        power.append([ModePower(*pair) for pair in zip(*figures, strict=True)])
    return MappedCost(
        area_um2=sum(liberty.by_name[gate.type].area_um2 for gate in netlist.gates),
        delay_ns=timing.delay_ns,
        power=tuple(map(tuple, power)),
    )


def _operand_words(streams: Sequence[Operands], n_operations: int) -> tuple[Words, Words]:
    """Return constants and operand bits before and after each operation, ``[18, words]``."""
    values: list[list[npt.NDArray[np.int64]]] = [[], []]
    for operands in streams:
        pairs = operand_stream(operands, n_operations)
        bits = pairs >> np.array([*range(8, 16), *range(8)])[:, None] & 1
        values[0].append(bits[:, :-1])
        values[1].append(bits[:, 1:])
    constants = np.repeat([[0], [1]], n_operations * len(streams), axis=1)
    before, after = (pack(np.vstack([constants, np.hstack(part)])) for part in values)
    return before, after
