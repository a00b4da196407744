"""Modes for the layers of a network: which layers share one, and what it must keep to.

What a layer saves is that of the masks that suit it alone. Layers are sorted by it; those that
share a mode are neighbours in that order, and save what the least tolerant of them does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

from .goal import Demand, ErrorCriterion, MaskGoal
from .masks import MAX_MODES
from .search import partial_product_costs

__all__ = ["LayerModes", "modes_of_layers"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerModes:
    """Modes that suit the layers of a network."""

    goal: MaskGoal
    mode_of: tuple[int, ...]
    """Mode of each layer; 0 is the exact one."""


def modes_of_layers(
    layers: Sequence[Demand], n_modes: int, *, row_pairs: bool = False
) -> LayerModes:
    """Return the modes that save most power over all layers, by what each saves alone.

    The variance of the error is bounded, since a layer's bias takes its mean. At different
    operating points a layer is a layer each. Modes that no layer needs are left out.

    Parameters
    ----------
    layers
        What each layer demands, weighted by its multiplications.
    n_modes
        Number of modes, the exact one included, 2..8.
    row_pairs
        As in :class:`.goal.MaskGoal`.

    Raises
    ------
    InputError
        If there are no layers, or ``n_modes`` is out of range.
    """
    if not 2 <= n_modes <= MAX_MODES:
        raise InputError(f"merged multiplier: modes: must be 2..{MAX_MODES}, not {n_modes}")
    if not layers:
        raise InputError("merged multiplier: layers: must be at least 1, not none")
    savings = np.array([_saving(layer) for layer in layers])
    order = np.lexsort((np.array([layer.max_error for layer in layers]), savings))
    starts = _partition(savings[order], np.array([layers[k].weight for k in order]), n_modes - 1)
    mode_of = np.zeros(len(layers), dtype=np.int64)
    for start in starts:
        mode_of[order[start:]] += 1
    modes = [
        tuple(layer for layer, own in zip(layers, mode_of, strict=True) if own == mode)
        for mode in range(1, len(starts) + 1)
    ]
    exact = sum(layer.weight for layer, own in zip(layers, mode_of, strict=True) if own == 0)
    goal = MaskGoal(tuple(modes), ErrorCriterion.VARIANCE, exact, row_pairs)
    return LayerModes(goal, tuple(mode_of.tolist()))


def _saving(layer: Demand) -> float:
    """Return the share of power that masks for one layer save.

    Partial products are killed greedily, most power for the variance first; for given operands,
    what is saved rises with the bound.
    """
    covariance, costs = layer.moments.covariance, partial_product_costs(layer.moments)
    killed = np.zeros(64)
    saved = 0.0
    while not killed.all():
        added = 2 * covariance @ killed + np.diag(covariance)
        ratio = np.where(killed == 1, np.inf, added / costs)
        killed[int(np.argmin(ratio))] = 1
        if killed @ covariance @ killed > layer.max_error:
            break
        saved = float(killed @ costs)
    return saved / float(costs.sum())


def _partition(savings: Floats, weights: Floats, n_modes: int) -> list[int]:
    """Return where modes 1, 2, … start in layers of rising savings; those before are exact.

    Dynamic programming over the number of modes and the first layer of the coarsest.
    """
    n = len(savings)
    # best[m][k]: most that layers k.. save with m modes, the first of which starts at k.
    rest = np.concatenate([np.cumsum(weights[::-1])[::-1], [0.0]])
    best = [savings * rest[:n]]
    following: list[list[int | None]] = [[None] * n]
    for _ in range(1, n_modes):
        gains = best[0].copy()
        choices: list[int | None] = [None] * n
        for k in range(n):
            for other in range(k + 1, n):
                gain = savings[k] * (rest[k] - rest[other]) + best[-1][other]
                if gain > gains[k] + 1e-12:
                    gains[k], choices[k] = gain, other
        best.append(gains)
        following.append(choices)
    start: int | None = int(np.argmax(best[-1]))
    starts = []
    level = n_modes - 1
    while start is not None:
        starts.append(start)
        start = following[level][start]
        level -= 1
    return starts
