"""Choices that know no limit n: a multiplier for each layer by itself, or one for all layers."""

import numpy as np

from .problem import Float, Int, Selection, SelectionProblem

__all__ = ["cheapest_admissible", "homogeneous", "unconstrained"]


def cheapest_admissible(ratios: Float, power: Float) -> int:
    """Return the multiplier of least power among those with a ratio of at most 1.

    Of equal power the most accurate counts; where no ratio is at most 1, the most accurate of all
    serves, of equal ones that of least power.

    Parameters
    ----------
    ratios, power
        ``[multiplier]``.
    """
    admissible = np.flatnonzero(ratios <= 1)
    if not admissible.size:
        return int(np.lexsort((power, ratios))[0])
    return int(admissible[np.lexsort((ratios[admissible], power[admissible]))[0]])


def unconstrained(problem: SelectionProblem) -> Selection:
    """Return the cheapest admissible multiplier of each layer and point: any number in total.

    This is how the gradient search of Trommer et al. [16 in the QoS-Nets paper] ends. Layers that
    tolerate nothing take :attr:`.SelectionProblem.safest`; a note counts the others that have no
    admissible multiplier and take their most accurate.
    """
    members: Int = np.full((problem.n_points, problem.n_layers), problem.safest, np.int64)
    n_without = 0
    for point, layer in np.ndindex(members.shape):
        if problem.tolerant[layer]:
            ratios = problem.ratios[point, layer]
            members[point, layer] = cheapest_admissible(ratios, problem.relative_power)
            n_without += bool(ratios.min() > 1)
    note = f"thresholds that no multiplier keeps: {n_without} of {members.size}"
    return Selection(members, (note,) if n_without else ())


def homogeneous(problem: SelectionProblem) -> Int:
    """Return the assignments with one multiplier in all layers, ``[multiplier, layer]``."""
    return np.repeat(np.arange(problem.n_candidates)[:, None], problem.n_layers, axis=1)
