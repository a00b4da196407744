"""The ways to choose n multipliers for all layers and operating points."""

import logging
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from .kmeans import cluster
from .optimum import budget_optimum, threshold_optimum
from .problem import Selection, SelectionProblem, relative_power

__all__ = ["DEFAULT_SELECTOR", "Selector", "least_power", "select"]

LOGGER = logging.getLogger("qosnets_search")


class Selector(StrEnum):
    """How multipliers are chosen."""

    KMEANS = "kmeans"
    """Clusters of preference vectors, as in the QoS-Nets paper."""
    THRESHOLD_OPTIMUM = "threshold-optimum"
    """Least power with every layer's error within its threshold."""
    BUDGET_OPTIMUM = "budget-optimum"
    """Least power with each point's predicted loss within its budget."""


DEFAULT_SELECTOR = Selector.BUDGET_OPTIMUM

_METHODS: dict[Selector, Callable[[SelectionProblem], Selection]] = {
    Selector.KMEANS: cluster,
    Selector.THRESHOLD_OPTIMUM: threshold_optimum,
    Selector.BUDGET_OPTIMUM: budget_optimum,
}


def select(problem: SelectionProblem, selector: Selector) -> Selection:
    """Return the multipliers of every layer at every operating point, at most n different ones.

    Every note of the selection is logged as a warning.
    """
    found = _METHODS[selector](problem)
    selection = Selection(found.members, (*_common_notes(problem), *found.notes))
    for note in selection.notes:
        LOGGER.warning("selection (%s): %s", selector.value, note)
    return selection


def least_power(problems: Sequence[SelectionProblem], selector: Selector) -> int:
    """Return the number of the problem whose selection has least mean power, the first if equal."""
    if len(problems) == 1:
        return 0
    selections = [_METHODS[selector](problem) for problem in problems]
    powers = [
        relative_power(problem, selection.members).mean()
        for problem, selection in zip(problems, selections, strict=True)
    ]
    return int(np.argmin(powers))


def _common_notes(problem: SelectionProblem) -> list[str]:
    notes = []
    circuits = np.vstack([problem.relative_errors, problem.relative_power])
    n_circuits = np.unique(circuits, axis=1).shape[1]
    if n_circuits < problem.n_multipliers:
        notes.append(
            f"multipliers that differ in error or power: {n_circuits},"
            f" fewer than {problem.n_multipliers}"
        )
    rigid = np.flatnonzero(~problem.tolerant)
    if rigid.size:
        kind = "exact" if _is_exact(problem) else "most accurate"
        notes.append(
            f"layers that tolerate no error take the {kind} multiplier:"
            f" {rigid.size} of {problem.n_layers}"
        )
    return notes


def _is_exact(problem: SelectionProblem) -> bool:
    return not problem.relative_errors[~problem.tolerant, problem.safest].any()
