"""Reduction trees of an 8x8 multiplier: which adder takes which bits.

A column holds the bits of one weight: partial products, sums of its own adders, and carries of
the column below. Full and half adders reduce it; those that the last bits go through make the
final ripple-carry adder, which differs from the rest by nothing but its place. Any assignment of
bits to the adders of their column is an exact multiplier, as long as no adder waits for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FIRST_SUM", "N_COLUMNS", "N_PARTIAL_PRODUCTS", "Tree", "earliest_first_tree"]

N_COLUMNS = 16
N_PARTIAL_PRODUCTS = 64
FIRST_SUM = N_PARTIAL_PRODUCTS

_X_TO_SUM, _Z_TO_SUM, _X_TO_CARRY, _Z_TO_CARRY = 4, 2, 4, 2
"""Delays through a full adder in units of a NAND gate; x stands for y as well."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Adders and what they add.

    Bits are numbered: ``8·i + j`` is the partial product of a_i and b_j, ``64 + 2·k`` the sum and
    ``65 + 2·k`` the carry of adder ``k``.
    """

    columns: npt.NDArray[np.int64]
    """Column of each adder, ``[n]``."""
    inputs: npt.NDArray[np.int64]
    """Bits x, y and z of each adder, ``[n, 3]``; z of a half adder is -1."""
    product: npt.NDArray[np.int64]
    """Bit of each column that is left, ``[16]``; -1: none."""

    def bit_columns(self) -> npt.NDArray[np.int64]:
        """Return the column of every bit."""
        places = np.arange(8)[:, None] + np.arange(8)
        sums = np.stack([self.columns, self.columns + 1], axis=1)
        return np.concatenate([places.ravel(), sums.ravel()])

    def order(self) -> list[int]:
        """Return the adders, each behind those whose bits it takes.

        Raises
        ------
        ValueError
            If an adder waits for itself.
        """
        found = _sorted(self.inputs.tolist())
        if len(found) < len(self.columns):
            raise ValueError("an adder must not wait for itself")
        return found

    def is_acyclic(self) -> bool:
        """Tell whether no adder waits for itself."""
        return len(_sorted(self.inputs.tolist())) == len(self.columns)


def _sorted(inputs: Sequence[Sequence[int]]) -> list[int]:
    """Return adders in topological order, but for those that wait for themselves."""
    sources = [[(bit - FIRST_SUM) // 2 for bit in row if bit >= FIRST_SUM] for row in inputs]
    waiting = [len(row) for row in sources]
    takers: list[list[int]] = [[] for _ in inputs]
    for adder, row in enumerate(sources):
        for source in row:
            takers[source].append(adder)
    found = [adder for adder, n in enumerate(waiting) if n == 0]
    for adder in found:
        for taker in takers[adder]:
            waiting[taker] -= 1
            if waiting[taker] == 0:
                found.append(taker)
    return found


def earliest_first_tree() -> Tree:
    """Return the tree whose adders take the earliest bits of their column, the latest as z.

    This is the three-dimensional method of V. Oklobdzija, D. Villeger, S. Liu, *A Method for Speed
    Optimized Partial Product Reduction and Generation of Fast Parallel Multipliers Using an
    Algorithmic Approach*, IEEE Trans. Computers 45(3), 1996, carried on to one bit per column.
    Bits that arrive together glitch least. Two rows summed by a ripple-carry or a parallel-prefix
    adder, from any column on, were neither faster nor smaller once mapped for area, and glitched
    more.
    """
    arriving: list[list[tuple[int, int]]] = [[] for _ in range(N_COLUMNS + 1)]
    for i in range(8):
        for j in range(8):
            arriving[i + j].append((0, 8 * i + j))
    columns: list[int] = []
    inputs: list[tuple[int, int, int]] = []
    product: list[int] = []
    for column in range(N_COLUMNS):
        bits = arriving[column]
        while len(bits) > 1:
            # An even number of bits needs one half adder.
            n_taken = 2 + len(bits) % 2
            taken, bits = sorted(bits)[:n_taken], sorted(bits)[n_taken:]
            early = taken[1][0]
            total, carry = early + _X_TO_SUM // 2, early + _X_TO_CARRY // 4
            if n_taken == 3:
                late = taken[2][0]
                total = max(early + _X_TO_SUM, late + _Z_TO_SUM)
                carry = max(early + _X_TO_CARRY, late + _Z_TO_CARRY)
            names = [bit for _, bit in taken]
            new = FIRST_SUM + 2 * len(columns)
            columns.append(column)
            inputs.append((names[0], names[1], names[2] if n_taken == 3 else -1))
            bits.append((total, new))
            arriving[column + 1].append((carry, new + 1))
        product.append(bits[0][1] if bits else -1)
    return Tree(np.array(columns), np.array(inputs), np.array(product))
