"""Exact choice of at most n columns of a table, one of them for every row, under budgets.

A mixed-integer linear programme. x_plm = 1 where layer l takes multiplier m at point p, y_m = 1
where m is among the chosen::

    minimise    Σ cost_plm · x_plm
    subject to  Σ_m x_plm = 1                for all p, l
                x_plm ≤ y_m                  for all p, l, m
                Σ_m y_m ≤ n
                Σ_lm use_plm · x_plm ≤ 1     for all p
                x_plm = 0                    where not allowed, or use_plm > 1

x_plm ≤ y_m for each choice by itself gives a tighter relaxation than one inequality for their sum.
HiGHS solves most problems at the root, without branching.
"""

from dataclasses import dataclass

import numpy as np
from qosnets.errors import CheckError
from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]
from scipy.sparse import coo_array, csr_array  # type: ignore[import-untyped]

from .problem import Bool, Float, Int

__all__ = ["Solution", "SubsetProblem", "solve"]

GAP = 1e-4
"""Relative gap between cost and bound at which a solution is accepted as optimal."""

NODE_LIMIT = 5_000
"""Nodes after which the best solution found is taken. No limit of time: results must repeat."""

INFEASIBLE = 2  # milp's status


@dataclass(frozen=True, eq=False)
class SubsetProblem:
    """Costs and budgets, each array ``[point, layer, multiplier]``."""

    cost: Float
    """What a choice adds to the objective, finite where allowed."""
    use: Float
    """Share of the point's budget that a choice takes, at least 0; 0 everywhere: no budget."""
    allowed: Bool
    """Which choices may be part of a solution."""
    n_multipliers: int
    """n, at least 1."""


@dataclass(frozen=True, eq=False)
class Solution:
    """An assignment and how good it can be at most."""

    members: Int
    """``[point, layer]``."""
    cost: float
    bound: float
    """Proven lower bound on the cost of every assignment."""

    @property
    def gap(self) -> float:
        """Share of the cost that a better assignment might save."""
        return max(0.0, self.cost - self.bound) / self.cost if self.cost > 0 else 0.0


def solve(problem: SubsetProblem) -> Solution | None:
    """Return an optimal assignment, or None if there is none.

    The cost is within :data:`GAP` of the optimum, or further where :data:`NODE_LIMIT` is reached:
    ``gap`` tells. Budgets hold within a relative 1e-6. Same problem, same solution.

    Raises
    ------
    CheckError
        If the solver gives up without a solution.
    """
    feasible = problem.allowed & (problem.use <= 1)
    if not feasible.any(axis=2).all():
        return None
    point, layer, member = np.nonzero(feasible)
    n_points, n_layers, n_columns = feasible.shape
    n_choices = len(point)
    choice, width = np.arange(n_choices), n_choices + n_columns

    def rows(row: Int, variable: Int, value: Float | float, n_rows: int) -> csr_array:
        values = np.broadcast_to(value, row.shape)
        return coo_array((values, (row, variable)), shape=(n_rows, width)).tocsr()

    served = rows(point * n_layers + layer, choice, 1.0, n_points * n_layers)
    opened = rows(choice, choice, 1.0, n_choices) - rows(choice, n_choices + member, 1.0, n_choices)
    counted = rows(np.zeros(n_columns, np.int64), np.arange(n_choices, width), 1.0, 1)
    spent = rows(point, choice, problem.use[point, layer, member], n_points)
    result = milp(
        np.concatenate([problem.cost[point, layer, member], np.zeros(n_columns)]),
        integrality=np.ones(width),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(served, 1, 1),
            LinearConstraint(opened, -np.inf, 0),
            LinearConstraint(counted, 0, problem.n_multipliers),
            LinearConstraint(spent, 0, 1),
        ],
        options={"mip_rel_gap": GAP, "node_limit": NODE_LIMIT},
    )
    if result.status == INFEASIBLE:
        return None
    if result.x is None:
        raise CheckError(f"selection: the solver must find an assignment, not {result.message}")
    chosen = result.x[:n_choices] > 0.5
    members = np.empty((n_points, n_layers), np.int64)
    members[point[chosen], layer[chosen]] = member[chosen]
    cost = float(problem.cost[point[chosen], layer[chosen], member[chosen]].sum())
    return Solution(members, cost, min(cost, float(result.mip_dual_bound)))
