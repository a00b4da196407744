"""The evolution strategy of an island, compiled by numba.

One parent, one child at a time; the child takes the parent's place if it costs no more than the
parent, or no more than a little above the best so far, and its error is within the bound. What
is allowed above the best shrinks to nothing over the run (record-to-record travel: G. Dueck, *New
Optimization Heuristics*, J. Comput. Phys. 104, 1993).
"""

import numpy as np

from .genome import FIRST_NODE, N_OUTPUTS, Function
from .kernel import (
    BLOCK,
    WCE,
    block_error,
    compiled,
    cost,
    mark_active,
    simulate,
    weighted_error,
)

__all__ = ["assess", "climb"]

_N_FUNCTIONS = len(Function)
_MAX_MUTATIONS = 6
_SLACK_PPM = 20_000
"""Cost allowed above the best at the start of a run, in millionths."""

_SCREENING_PERCENT = 110
"""Drawn stimuli refuse a child only well above the bound; the exact error decides."""


@compiled
def _random(state):
    """Return the next number of SplitMix64 (G. Steele et al., OOPSLA 2014), uint64."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def _below(state, limit):
    return np.int64((_random(state) >> np.uint64(33)) % np.uint64(limit))


@compiled
def _mutate(nodes, outputs, active, state):
    """Change a few genes; return whether one was changed that an output depends on."""
    matters = False
    for _ in range(1 + _below(state, _MAX_MUTATIONS)):
        site = _below(state, len(nodes) + N_OUTPUTS)
        if site < len(nodes):
            gene = _below(state, 3)
            old = nodes[site, gene]
            limit = _N_FUNCTIONS if gene == 2 else FIRST_NODE + site
            nodes[site, gene] = _below(state, limit)
            matters |= active[site] and nodes[site, gene] != old
        elif _below(state, 4) == 0:
            output = site - len(nodes)
            old = outputs[output]
            outputs[output] = _below(state, FIRST_NODE + len(nodes))
            matters |= outputs[output] != old
    return matters


@compiled
def _within(metric, bound, nodes, active, outputs, stimuli, values, planes, sign):
    """Return whether the error is within the bound; the first block is in ``values``."""
    inputs, exact, all_pairs, weights = stimuli
    n_words = inputs.shape[1]
    weighted = weights.shape[1] > 0
    limit = np.int64(bound)
    most = np.int64(0)
    if metric != WCE:
        limit = np.int64(min(bound * (64.0 * n_words), 2.0**62))
        if weighted:
            limit = limit // 100 * _SCREENING_PERCENT
        most = limit
    error = np.int64(0)
    for start in range(0, n_words, BLOCK):
        if start:
            simulate(nodes, active, inputs, start, values)
        error += block_error(metric, limit, outputs, values, exact, start, planes, sign)
        if error > most:
            return False
    if weighted:
        return weighted_error(metric, nodes, active, outputs, all_pairs, weights, values) <= bound
    return True


@compiled
def _scratch(n_nodes):
    """Return memory for the simulation of a genome; the constant nets are set."""
    active = np.empty(n_nodes, dtype=np.bool_)
    values = np.zeros((FIRST_NODE + n_nodes, BLOCK), dtype=np.uint64)
    values[1] = ~np.uint64(0)
    loads = np.empty(len(values), dtype=np.int64)
    planes = np.empty((N_OUTPUTS, BLOCK), dtype=np.uint64)
    sign = np.empty(BLOCK, dtype=np.uint64)
    return active, values, loads, planes, sign


@compiled
def assess(nodes, outputs, stimuli, metric, bound, weights, by_activity):
    """Return the cost of a genome (int64), or -1 if its error is above ``bound``."""
    active, values, loads, planes, sign = _scratch(len(nodes))
    mark_active(nodes, outputs, active)
    simulate(nodes, active, stimuli[0], 0, values)
    total = cost(nodes, outputs, active, values, weights, by_activity, loads)
    if _within(metric, bound, nodes, active, outputs, stimuli, values, planes, sign):
        return total
    return np.int64(-1)


@compiled
def climb(nodes, outputs, stimuli, metric, bound, weights, by_activity, n_evaluations, seed):
    """Return nodes, outputs and cost of the best genome that was found.

    Parameters
    ----------
    nodes, outputs
        The genome to start from, as in :class:`.genome.Genome`; its error is within the bound.
    stimuli
        ``inputs, exact, all_pairs, weights`` of :class:`.stimuli.Stimuli`.
    metric, bound
        Error metric and its largest value.
    weights, by_activity
        As for :func:`.kernel.cost`.
    n_evaluations
        Number of children that differ from their parent in what they compute or cost.
    seed
        uint64.
    """
    state = np.array([seed], dtype=np.uint64)
    active, values, loads, planes, sign = _scratch(len(nodes))

    nodes, outputs = nodes.copy(), outputs.copy()
    mark_active(nodes, outputs, active)
    simulate(nodes, active, stimuli[0], 0, values)
    current = cost(nodes, outputs, active, values, weights, by_activity, loads)
    best, best_nodes, best_outputs = current, nodes.copy(), outputs.copy()
    child_nodes, child_outputs, child_active = nodes.copy(), outputs.copy(), active.copy()
    n_left = np.int64(n_evaluations)
    while n_left:
        child_nodes[:] = nodes
        child_outputs[:] = outputs
        if not _mutate(child_nodes, child_outputs, active, state):
            nodes[:] = child_nodes
            continue
        n_left -= 1
        mark_active(child_nodes, child_outputs, child_active)
        simulate(child_nodes, child_active, stimuli[0], 0, values)
        total = cost(child_nodes, child_outputs, child_active, values, weights, by_activity, loads)
        slack = best // 1_000_000 * _SLACK_PPM * n_left // n_evaluations
        if total > max(current, best + slack):
            continue
        if not _within(
            metric, bound, child_nodes, child_active, child_outputs, stimuli, values, planes, sign
        ):
            continue
        nodes[:] = child_nodes
        outputs[:] = child_outputs
        active[:] = child_active
        current = total
        if current < best:
            best = current
            best_nodes[:] = nodes
            best_outputs[:] = outputs
    return best_nodes, best_outputs, best
