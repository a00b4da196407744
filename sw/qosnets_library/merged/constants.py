"""The constants of the modes, made from killed partial products that are forced to 1."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from .goal import Demand, MaskGoal
from .masks import Levels

__all__ = ["force_levels"]

_MAX_BITS = 4
"""Partial products that a mode forces on top of those that the one before does."""


def force_levels(goal: MaskGoal, kill_level: Levels) -> Levels:
    """Return force levels ``uint8[8, 8]`` whose constants make up for the mean of what is killed.

    A mode forces as few partial products more than the mode before as keep the mean squared error
    within the bounds, and where none do, as many as are allowed; of several choices that which
    comes closest to the mean.
    """
    n_modes = len(goal.modes) + 1
    levels = np.full((8, 8), n_modes, np.uint8)
    constant = 0
    for mode, demands in enumerate(goal.modes, 1):
        killed = kill_level <= mode
        free = killed & (levels == n_modes)
        missing = _wanted(demands, killed) - constant
        for n_bits in range(_MAX_BITS + 1):
            columns = _columns(free, missing, n_bits)
            if all(
                demand.moments.mse(killed, constant + _total(columns)) <= demand.max_error
                for demand in demands
            ):
                break
        for column in columns:
            i, j = _place(free, kill_level, column, mode)
            levels[i, j], free[i, j] = mode, False
            constant += 1 << column
    return levels


def _wanted(demands: Sequence[Demand], killed: npt.NDArray[np.bool_]) -> float:
    """Return the mean of what is killed, over the multiplications of all demands."""
    means = [-demand.moments.error_mean(killed) for demand in demands]
    return float(np.average(means, weights=[demand.weight for demand in demands]))


def _columns(free: npt.NDArray[np.bool_], missing: float, n_bits: int) -> tuple[int, ...]:
    """Return up to ``n_bits`` columns of partial products that add up to about ``missing``."""
    available = [int(np.trace(free[:, ::-1], 7 - column)) for column in range(15)]
    usable = [column for column in range(15) if available[column]]
    choices = [
        choice
        for n in range(n_bits + 1)
        for choice in combinations_with_replacement(usable, n)
        if all(choice.count(column) <= available[column] for column in choice)
    ]
    return min(choices, key=lambda choice: abs(missing - _total(choice)))


def _total(columns: tuple[int, ...]) -> int:
    return sum(1 << column for column in columns)


def _place(
    free: npt.NDArray[np.bool_], kill_level: Levels, column: int, mode: int
) -> tuple[int, int]:
    """Return a free partial product of a column, one that this mode kills where there is one."""
    places = [(i, column - i) for i in range(8) if 0 <= column - i < 8 and free[i, column - i]]
    return min(places, key=lambda place: kill_level[place] != mode)
