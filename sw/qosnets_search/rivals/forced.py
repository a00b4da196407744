"""Multipliers that read some bits of the activation as constants.

They are real circuits: the netlist of an exact multiplier with inputs tied, synthesised and
estimated like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from qosnets.lut import Lut, exact_lut
from qosnets_library.characterise import Progress, estimate_netlists
from qosnets_library.default import reference_netlist
from qosnets_library.liberty import Liberty

from .problem import Multiplier

__all__ = ["N_FORCED", "ForcedPair", "forced_netlist", "forced_pairs", "forced_table"]

N_FORCED = (1, 2, 3)
"""Numbers of least significant bits that are forced."""


@dataclass(frozen=True, eq=False)
class ForcedPair:
    """The two multipliers that force the same bits."""

    n_bits: int
    zeros: Multiplier
    """Forced to 0: products are too small."""
    ones: Multiplier
    """Forced to 1: products are too large."""


def forced_table(n_bits: int, *, ones: bool) -> Lut:
    """Return ``M[x, w]`` with the ``n_bits`` least significant bits of x forced to 1, or to 0."""
    codes = np.arange(256)
    mask = (1 << n_bits) - 1
    table: Lut = exact_lut()[codes | mask if ones else codes & ~mask]
    return table


def forced_netlist(netlist: str, n_bits: int, *, ones: bool) -> str:
    """Return a canonical netlist whose ``n_bits`` least significant bits of port A are tied."""
    for bit in range(n_bits):
        netlist = netlist.replace(f"A[{bit}]", f"1'b{int(ones)}")
    return netlist


def forced_pairs(
    netlist: str,
    liberty: Liberty,
    *,
    alternatives: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[ForcedPair]:
    """Return the pairs for 1, 2 and 3 forced bits, each multiplier made from the best netlist.

    With bits forced to 0, rows of partial products vanish; forced to 1 they become the weight,
    which toggles and has to be added, so that little power is saved or none.

    Parameters
    ----------
    netlist
        Canonical netlist of an exact multiplier; port A takes the activation.
    liberty
        Cells to estimate with: those of the library that the other multipliers come from. The
        power is relative to that of the reference netlist, as theirs is.
    alternatives
        Further netlists of exact multipliers. Each forced multiplier is the one of least power.
    progress
        Called after each forced netlist, of which there are six for every exact one.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    netlists = (netlist, *alternatives)
    variants = {
        f"forced{n_bits}_{int(ones)}_{index}": forced_netlist(exact, n_bits, ones=ones)
        for index, exact in enumerate(netlists)
        for n_bits, ones in product(N_FORCED, (False, True))
    }
    estimates = estimate_netlists(
        variants, reference=reference_netlist(), liberty=liberty, progress=progress
    )

    def best(n_bits: int, *, ones: bool) -> Multiplier:
        name = f"forced{n_bits}_{int(ones)}"
        powers = [estimates[f"{name}_{index}"].relative_power for index in range(len(netlists))]
        return Multiplier(name, forced_table(n_bits, ones=ones), min(powers))

    return [
        ForcedPair(n_bits, best(n_bits, ones=False), best(n_bits, ones=True)) for n_bits in N_FORCED
    ]
