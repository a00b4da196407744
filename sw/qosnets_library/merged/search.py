"""The search for the masks of a merged multiplier: most power saved within bounds of the error."""

from itertools import product

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

from .annealing import anneal
from .constants import force_levels
from .goal import Demand, ErrorCriterion, MaskGoal
from .masks import MergedMasks
from .moments import ErrorMoments

__all__ = ["partial_product_costs", "search_masks"]

_IDLE_COST = 0.25
"""Cost of a partial product beside the toggles of its gate: those of the adder behind it."""

_LEVEL_COSTS = (0.1, 0.15, 0.2, 0.25)
"""Costs of a level in a bit of A, the gate that all partial products of both share. How much area
counts against power is not known here; so several are tried."""

_SHARES = (0.99, 0.97, 0.94, 0.9)
"""Shares of the bound of the mean square that are tried for the variance. What is left is for the
mean: the more, the fewer partial products have to be forced."""


def partial_product_costs(moments: ErrorMoments) -> npt.NDArray[np.float64]:
    """Return what each partial product is taken to cost, ``[64]``, in any unit."""
    ones = moments.ones.ravel()
    costs: npt.NDArray[np.float64] = 2 * ones * (1 - ones) + _IDLE_COST
    return costs


def search_masks(goal: MaskGoal, *, seed: int, n_steps: int = 500_000) -> list[MergedMasks]:
    """Return nested masks that keep the bounds and spare as much power as could be found.

    The power of a mode is taken for proportional to Σ over kept partial products of 2p·(1 − p)
    + a constant, p being the probability that it is 1; modes count by the weights of their
    demands. As that does not settle what is best once mapped, the results are different masks for
    different weights of area and, with a constant, different shares of mean and variance.
    Deterministic per seed; some seconds.

    Parameters
    ----------
    goal
        The bounds.
    seed
        Of the annealing, at least 0.
    n_steps
        Moves of each annealing.

    Raises
    ------
    InputError
        If no constants keep the bounds, as with operands that are at odds with each other.
    """
    atoms = _atoms(goal.row_pairs)
    demands = [(mode, demand) for mode, group in enumerate(goal.modes, 1) for demand in group]
    n_modes = len(goal.modes) + 1
    forms = np.stack(
        [atoms @ demand.moments.covariance @ atoms.T / demand.max_error for _, demand in demands]
    )
    gains = np.zeros((n_modes, len(atoms)))
    for mode, demand in demands:
        gains[mode] += demand.weight * (atoms @ partial_product_costs(demand.moments))
    gains /= sum(demand.weight for _, demand in demands)
    modes = np.array([mode for mode, _ in demands])
    rows = np.arange(len(atoms)) // 8
    constants = goal.criterion is ErrorCriterion.MSE
    found: dict[bytes, MergedMasks] = {}
    for share, level_cost in product(_SHARES if constants else (1.0,), _LEVEL_COSTS):
        cost = level_cost * (2 if goal.row_pairs else 1)
        levels = anneal(forms / share, modes, gains, rows, cost, n_modes, n_steps, np.uint64(seed))
        kill_level = (levels @ atoms).reshape(8, 8).astype(np.uint8)
        masks = MergedMasks(n_modes, kill_level)
        if constants:
            masks = MergedMasks(n_modes, kill_level, force_levels(goal, kill_level))
        if not constants or all(_kept(masks, mode, demand) for mode, demand in demands):
            found.setdefault(masks.kill_level.tobytes() + masks.force_level.tobytes(), masks)
    if not found:
        raise InputError(
            "merged multiplier: no constants keep the mean squared errors of all operands within"
            " their bounds; bound the variance instead"
        )
    return list(found.values())


def _atoms(row_pairs: bool) -> npt.NDArray[np.float64]:
    """Return the sets of partial products that have one level, ``[n, 64]``, each in one set."""
    atoms = np.eye(64)
    return atoms.reshape(4, 2, 8, 64).sum(axis=1).reshape(32, 64) if row_pairs else atoms


def _kept(masks: MergedMasks, mode: int, demand: Demand) -> bool:
    """Return whether a mode keeps the bound of its mean squared error."""
    return demand.moments.mse(~masks.kept(mode), masks.constant(mode)) <= demand.max_error
