"""Multipliers from partial products: exact, and with partial products left out.

The seeds of the evolution. Leaving out partial products of a Dadda tree one by one, always the one
that costs the least accuracy, is a strong greedy method: a carry tree over what is left, and the
mean of what was left out as a constant in its place.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .genome import FIRST_NODE, N_OUTPUTS, Function, Genome

__all__ = ["TruncatedMultiplier", "truncated_multipliers"]

_ZERO, _ONE, _A, _B = 0, 1, 2, 10
_WIDTH = 8


@dataclass(frozen=True)
class TruncatedMultiplier:
    """A multiplier of some partial products: Σ kept[i, j]·2^(i+j)·a_i·b_j + constant."""

    kept: npt.NDArray[np.bool_]
    """``bool[8, 8]``."""
    constant: int

    def genome(self) -> Genome:
        """Return a Dadda tree (L. Dadda, *Some schemes for parallel multipliers*, 1965).

        The final adder is a ripple-carry adder. Carries are added first and sums last in the next
        stage: of the orders tried, this switches least.
        """
        tree = _Tree()
        columns: list[list[int]] = [[] for _ in range(N_OUTPUTS + 1)]
        for i, j in np.argwhere(self.kept).tolist():
            columns[i + j].append(tree.gate(Function.AND, _A + i, _B + j))
        for bit in range(N_OUTPUTS):
            if self.constant >> bit & 1:
                columns[bit].append(_ONE)
        for height in _dadda_heights(max(map(len, columns))):
            for index in range(N_OUTPUTS):
                column = columns[index]
                while len(column) > height:
                    inputs = [column.pop(0) for _ in range(min(3, len(column) - height + 1))]
                    total, carry = tree.add(inputs)
                    column += [total] if total != _ZERO else []
                    columns[index + 1][:0] = [carry] if carry != _ZERO else []
        outputs = []
        for index in range(N_OUTPUTS):
            total, carry = tree.add(columns[index])
            outputs.append(total)
            columns[index + 1] += [carry] if carry != _ZERO else []
        return Genome(
            np.array(tree.nodes, dtype=np.int64).reshape(-1, 3), np.array(outputs, dtype=np.int64)
        )


def truncated_multipliers() -> Iterator[TruncatedMultiplier]:
    """Yield the exact multiplier, then 64 with one more partial product left out each.

    Left out is the one whose loss keeps the variance of the error least, for uniform operands.
    The constant is the mean of what is left out, which makes the mean error less than 1.
    """
    bits = (np.arange(256)[:, None] >> np.arange(_WIDTH) & 1).T.astype(np.float64)
    kept = np.ones((_WIDTH, _WIDTH), dtype=np.bool_)
    lost = np.zeros((256, 256))
    yield TruncatedMultiplier(kept.copy(), 0)
    while kept.any():
        losses = {
            (i, j): lost + np.outer(bits[i], bits[j]) * 2.0 ** (i + j)
            for i, j in np.argwhere(kept).tolist()
        }
        place = min(losses, key=lambda place: float(losses[place].var()))
        lost = losses[place]
        kept[place] = False
        yield TruncatedMultiplier(kept.copy(), round(float(lost.mean())))


def _dadda_heights(height: int) -> list[int]:
    """Return the heights of the stages below ``height``: …, 13, 9, 6, 4, 3, 2."""
    heights = [2]
    while heights[-1] * 3 // 2 < height:
        heights.append(heights[-1] * 3 // 2)
    return heights[::-1] if height > 2 else []


class _Tree:
    """Nodes under construction; constants are folded and equal gates shared."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int, int]] = []
        self._known: dict[tuple[int, int, int], int] = {}

    def gate(self, function: Function, x: int, y: int) -> int:
        """Return the net of AND, OR, XOR or NOT of two nets."""
        x, y = min(x, y), max(x, y)
        if function is not Function.NOT and x == _ZERO:
            return _ZERO if function is Function.AND else y
        if function is not Function.NOT and x == _ONE:
            if function is Function.XOR:
                return self.gate(Function.NOT, y, y)
            return y if function is Function.AND else _ONE
        key = (x, y, int(function))
        if key not in self._known:
            self.nodes.append(key)
            self._known[key] = FIRST_NODE + len(self.nodes) - 1
        return self._known[key]

    def add(self, bits: list[int]) -> tuple[int, int]:
        """Return sum and carry of up to three nets."""
        x, y, z = [*bits, _ZERO, _ZERO, _ZERO][:3]
        half = self.gate(Function.XOR, x, y)
        total = self.gate(Function.XOR, half, z)
        carries = self.gate(Function.AND, x, y), self.gate(Function.AND, half, z)
        return total, self.gate(Function.OR, *carries)
