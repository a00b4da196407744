"""Optimal choices of at most n multipliers, and how far from optimal a given choice is.

Two meanings of "accurate enough" give two optima of the mean power over the operating points:

* **thresholds**: no error exceeds its layer's threshold (what the unconstrained gradient search
  asks for);
* **budget**: the relative loss of each point is at most 1. Errors are traded between layers,
  where thresholds waste what a layer leaves unused.

k-means keeps neither promise: a centroid may be accurate enough where some of its layers are not.
Comparing its power with either optimum would compare different accuracies. The optimality gap
therefore gives the optimum the relative loss that the assignment in question has, point by point,
or else its power.
"""

from dataclasses import dataclass

import numpy as np
from qosnets.errors import CheckError, InputError

from .n_subset import GAP, Solution, SubsetProblem, solve
from .problem import (
    Bool,
    Float,
    Int,
    Selection,
    SelectionProblem,
    n_distinct,
    relative_loss,
    relative_power,
)

__all__ = [
    "MAX_RATIO",
    "OptimalityGap",
    "budget_optimum",
    "least_loss",
    "optimality_gap",
    "threshold_optimum",
]

MAX_RATIO = 4.0
"""Largest error, relative to its scaled threshold, that a budget may be spent on.

The predicted loss is a quadratic around the thresholds, and the tolerance of a layer with few
multiplications, hence with little reward for noise, is learned only roughly.
"""

ROUNDING = 1 + 1e-9
"""Keeps a solution within limits that were computed from itself."""


@dataclass(frozen=True)
class OptimalityGap:
    """What the best assignments with n multipliers save, in comparison with a given one.

    Each figure is a share of the given assignment's, 0 for an optimal one.
    """

    power: float
    """Mean relative power over the points that is saved at no greater loss in any point."""
    max_power: float
    """Proven upper bound on ``power``."""
    loss: float
    """Mean relative loss over the points that is saved at no greater power in any point."""
    max_loss: float
    """Proven upper bound on ``loss``."""


def threshold_optimum(problem: SelectionProblem) -> Selection:
    """Return the assignment of least mean power that keeps every threshold.

    If n multipliers cannot keep all of them, those that :func:`least_loss` violates are widened
    to what it needs, and a note says so.
    """
    within = (problem.ratios <= 1) | ~problem.tolerant[:, None]
    allowed, no_use = _served(problem) & within, np.zeros_like(problem.ratios)
    solution = _solve(problem, _power(problem), no_use, allowed)
    if solution is not None:
        return Selection(solution.members, _notes(solution))
    accurate = _one_hot(problem, least_loss(problem))
    widened = (accurate & ~allowed).any(axis=2)
    note = (
        f"n = {problem.n_multipliers} cannot keep all thresholds: widened as far as least loss"
        f" needs, {widened.sum()} of {widened.size}"
    )
    solution = _found(_solve(problem, _power(problem), no_use, allowed | accurate))
    return Selection(solution.members, (note, *_notes(solution)))


def budget_optimum(problem: SelectionProblem) -> Selection:
    """Return the assignment of least mean power with a relative loss of at most 1 at each point.

    No ratio exceeds :data:`MAX_RATIO`. If n multipliers cannot do that, points and ratios are
    widened to what :func:`least_loss` needs, and a note says so.
    """
    within = (problem.ratios <= MAX_RATIO) | ~problem.tolerant[:, None]
    allowed, loss = _served(problem) & within, _loss(problem)
    solution = _solve(problem, _power(problem), loss, allowed)
    if solution is not None:
        return Selection(solution.members, _notes(solution))
    members = least_loss(problem)
    limits = np.maximum(1.0, relative_loss(problem, members) * ROUNDING)
    use, accurate = loss / limits[:, None, None], _one_hot(problem, members)
    factors = ", ".join(f"{limit:.3g}" for limit in limits)
    note = (
        f"n = {problem.n_multipliers} cannot keep all losses and ratios within their limits:"
        f" budgets widened by factors of {factors}"
    )
    solution = _found(_solve(problem, _power(problem), use, allowed | accurate))
    return Selection(solution.members, (note, *_notes(solution)))


def least_loss(problem: SelectionProblem) -> Int:
    """Return the assignment of least relative loss with n multipliers, at any power.

    It is the same at all points: a scale changes all losses of a point by one factor.
    """
    loss = _loss(problem)[:1]
    # The safest throughout is an assignment, too: a choice that alone costs more is of no use.
    cost = _share_of(loss[:, :, problem.safest].sum(axis=1), loss)
    allowed = _served(problem)[:1] & (cost <= 1)
    solution = _found(_solve(problem, cost, np.zeros_like(cost), allowed))
    return np.repeat(solution.members, problem.n_points, axis=0)


def optimality_gap(problem: SelectionProblem, members: Int) -> OptimalityGap:
    """Return how far ``members [point, layer]`` is from optimal.

    Layers that tolerate nothing keep their multipliers; ratios are not limited.

    Raises
    ------
    InputError
        If ``members`` has more than n different multipliers.
    """
    if n_distinct(members) > problem.n_multipliers:
        raise InputError(
            f"selection: members: must be at most {problem.n_multipliers} different ones,"
            f" not {n_distinct(members)}"
        )
    power, loss = _power(problem), _loss(problem)
    given_power = relative_power(problem, members)
    given_loss = relative_loss(problem, members)
    free = problem.tolerant[:, None] | _one_hot(problem, members)
    # Costs are shares of the given assignment's: the solver's tolerances are absolute.
    cost = _share_of(np.full(problem.n_points, given_power.mean()), power)
    cheapest = _found(_solve(problem, cost, _share_of(given_loss, loss), free))
    cost = _share_of(np.full(problem.n_points, given_loss.mean()), loss / problem.n_points)
    spent = _share_of(given_power / problem.n_points, power)
    gentlest = _found(_solve(problem, cost, spent, free & (cost <= 1)))
    return OptimalityGap(
        power=_saved(cheapest.cost, given_power),
        max_power=_saved(cheapest.bound, given_power),
        loss=_saved(gentlest.cost, given_loss),
        max_loss=_saved(gentlest.bound, given_loss),
    )


def _solve(problem: SelectionProblem, cost: Float, use: Float, allowed: Bool) -> Solution | None:
    return solve(SubsetProblem(cost, use, allowed, problem.n_multipliers))


def _found(solution: Solution | None) -> Solution:
    """Return the solution of a problem that has one by construction."""
    if solution is None:
        raise CheckError("selection: the solver must confirm a known assignment, not reject it")
    return solution


def _power(problem: SelectionProblem) -> Float:
    """Return what each choice adds to the mean power, ``[point, layer, multiplier]``."""
    power = np.outer(problem.shares, problem.relative_power) / problem.n_points
    return np.repeat(power[None], problem.n_points, axis=0)


def _loss(problem: SelectionProblem) -> Float:
    """Return what each choice adds to its point's relative loss, ``[point, layer, multiplier]``."""
    ratios = np.where(problem.tolerant[:, None], problem.ratios, 0.0)
    loss: Float = ratios**2 * problem.loss_weights[:, None]
    return loss


def _served(problem: SelectionProblem) -> Bool:
    """Return the choices before any limit: layers that tolerate nothing take the safest."""
    safest = np.arange(problem.n_candidates) == problem.safest
    allowed = problem.tolerant[:, None] | safest
    return np.repeat(allowed[None], problem.n_points, axis=0)


def _one_hot(problem: SelectionProblem, members: Int) -> Bool:
    hot: Bool = members[:, :, None] == np.arange(problem.n_candidates)
    return hot


def _share_of(limits: Float, amounts: Float) -> Float:
    """Return ``amounts [point, layer, multiplier]`` in units of ``limits [point]``; 0/0 is 0."""
    limits = np.broadcast_to(limits[:, None, None] * ROUNDING, amounts.shape)
    unlimited = np.where(amounts > 0, np.inf, 0.0)
    shares: Float = np.divide(amounts, limits, out=unlimited, where=limits > 0)
    return shares


def _saved(cost: float, given: Float) -> float:
    """Return what is saved where ``cost`` is a share of the mean of ``given [point]``."""
    return max(0.0, 1 - cost) if given.any() else 0.0


def _notes(solution: Solution) -> tuple[str, ...]:
    if solution.gap <= GAP:
        return ()
    return (f"the optimum is proven only within {solution.gap:.2%} of the power",)
