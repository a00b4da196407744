"""TPM: a subset of multipliers and ranges of weights for each, by mining a temporal formula.

O. Spantidi and I. Anagnostopoulos, *The Perfect Match: Selecting Approximate Multipliers for
Energy-Efficient Neural Network Inference*, HPSR 2023; the mapping is that of O. Spantidi et al.,
*Energy-Efficient DNN Inference on Approximate Accelerators Through Formal Property Exploration*,
arXiv 2207.12350.

Assumptions
-----------
Public: of a library n multipliers are chosen, then ranges of each layer's weight values are mapped
to them; both choices come from mining the parameters of a formula in parametric signal temporal
logic that bounds the accuracy drop over the batches of a data set, such that the energy gain is
largest; no retraining.

Assumed, for the code is not public:

* n is 3, one of them exact. The others are among those that none beats in both power and error
  variance;
* in each layer two nested intervals of weight codes around the median are mapped to the less and
  the more accurate of them, in sixteenths of the layer's weights; the rest is exact;
* the formula has two clauses for a limit τ: the mean drop is at most τ, and at least 80 % of the
  batches lose at most τ + 2 percentage points. Its robustness, the margin of the clause that is
  nearer to being broken, is that of the usual semantics;
* parameters are mined by simulated annealing. It minimises the power plus 20 times the amount by
  which the robustness is negative. A third of a limit's budget goes to the choice of multipliers,
  with the same intervals in all layers; the rest to the intervals of each layer.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from qosnets.errors import InputError

from .evaluations import Accuracies, Evaluations, Key
from .intervals import N_STEPS, nested_choice
from .mapping_search import ROUNDING, MappingSearch, Margin, ModeMapping, points_within
from .problem import Multiplier, RivalLayer, RivalPoint, cheapest_exact, useful_multipliers

__all__ = ["robustness", "search"]

SHARE = 0.8
BATCH_SLACK = 0.02
PENALTY = 20.0
SUBSET_SHARE = 1 / 3
TEMPERATURES = (0.05, 0.002)
"""Of the annealing, at its start and end, in units of relative power."""
LARGEST_MOVE = 4
"""Steps by which an interval grows or shrinks at once."""
PROPOSALS_PER_EVALUATION = 20
"""Annealing ends where so many proposals for each evaluation were not new."""


def robustness(limit: float, baseline: Accuracies, found: Accuracies) -> float:
    """Return by how much accuracies satisfy the formula; negative where they do not.

    Parameters
    ----------
    limit
        τ, 0..1.
    baseline, found
        Accuracies of each batch, without and with approximation.
    """
    drops = np.subtract(baseline, found)
    # The smallest drop that a share of the batches does not exceed.
    of_batches = np.quantile(drops, SHARE, method="inverted_cdf")
    return float(min(limit - drops.mean(), limit + BATCH_SLACK - of_batches)) + ROUNDING


def search(
    layers: Sequence[RivalLayer],
    multipliers: Sequence[Multiplier],
    evaluations: Evaluations,
    *,
    limits: Sequence[float],
    seed: int,
) -> list[RivalPoint]:
    """Return a subset of multipliers and a mapping of the weights to it for each limit.

    Parameters
    ----------
    layers
        Of the network.
    multipliers
        On offer, an exact one among them.
    evaluations
        Of an evaluator that returns several batches; with one, the second clause means nothing. A
        candidate's key is the indices of the two approximate multipliers among the useful ones,
        then the inner and the outer step of each layer in turn (:func:`.intervals.nested_choice`).
    limits
        τ, 0..1.
    seed
        Of the annealing.

    Raises
    ------
    InputError
        If no multiplier is exact, or less than two others are useful.
    """
    exact = cheapest_exact(multipliers)
    useful = [item for item in useful_multipliers(multipliers) if item is not exact]
    if len(useful) < 2:
        raise InputError(f"multipliers: two must be cheaper than the exact one, not {len(useful)}")

    def realise(key: Key) -> ModeMapping:
        medium, aggressive, *steps = key
        choices = [
            nested_choice(layer.weights, steps[2 * index], steps[2 * index + 1])
            for index, layer in enumerate(layers)
        ]
        return ModeMapping((exact, useful[medium], useful[aggressive]), tuple(choices))

    tried = MappingSearch(layers, realise, evaluations, corrects_means=False)
    generator = np.random.default_rng(seed)
    start: Key = (0, 1, *(0, 0) * len(layers))
    return points_within(
        limits,
        tried,
        exact=start,
        margin_for=lambda limit, baseline: lambda found: robustness(limit, baseline, found),
        explore=lambda margin: _mine(tried, margin, start, len(useful), generator),
        label="TPM",
    )


def _mine(
    tried: MappingSearch,
    margin: Margin,
    start: Key,
    n_useful: int,
    generator: np.random.Generator,
) -> None:
    def other_subset(key: Key) -> Key:
        return _other_subset(key, n_useful, generator)

    def other_interval(key: Key) -> Key:
        return _other_interval(key, generator)

    evaluations = tried.evaluations
    n_subset = round(SUBSET_SHARE * (evaluations.allowance - evaluations.n_used))
    _anneal(tried, margin, start, n_subset, other_subset, generator)
    best = tried.cheapest(margin, start)
    n_rest = evaluations.allowance - evaluations.n_used
    _anneal(tried, margin, best, n_rest, other_interval, generator)


def _anneal(
    tried: MappingSearch,
    margin: Margin,
    key: Key,
    n_evaluations: int,
    propose: Callable[[Key], Key],
    generator: np.random.Generator,
) -> None:
    """Walk from a mapping through proposals, for so many evaluations."""

    def cost(key: Key) -> float:
        return tried.power(key) + PENALTY * max(-margin(tried.accuracies(key)), 0.0)

    first = tried.evaluations.n_used
    current = cost(key)
    for _ in range(PROPOSALS_PER_EVALUATION * n_evaluations):
        progress = (tried.evaluations.n_used - first) / n_evaluations
        if progress >= 1:
            break
        candidate = propose(key)
        proposed = cost(candidate)
        hot, cold = TEMPERATURES
        temperature = hot * (cold / hot) ** progress
        if generator.random() < math.exp(min((current - proposed) / temperature, 0.0)):
            key, current = candidate, proposed


def _other_subset(key: Key, n_useful: int, generator: np.random.Generator) -> Key:
    """Return a neighbour with the same intervals in all layers: a multiplier or a width changed."""
    (medium, aggressive, inner, outer), n_layers = key[:4], len(key) // 2 - 1
    if generator.random() < 0.5:
        kept = (medium, aggressive)[generator.integers(2)]
        others = [index for index in range(n_useful) if index != kept]
        other = others[generator.integers(len(others))]
        medium, aggressive = min(kept, other), max(kept, other)
    else:
        inner, outer = _other_widths(inner, outer, generator)
    return (medium, aggressive, *(inner, outer) * n_layers)


def _other_interval(key: Key, generator: np.random.Generator) -> Key:
    """Return a neighbour with other intervals in one layer."""
    place = 2 + 2 * int(generator.integers(len(key) // 2 - 1))
    widths = _other_widths(key[place], key[place + 1], generator)
    return (*key[:place], *widths, *key[place + 2 :])


def _other_widths(inner: int, outer: int, generator: np.random.Generator) -> tuple[int, int]:
    """Return widths of which one has moved, and has taken the other along where it had to."""
    if generator.random() < 0.5:
        inner = _moved(inner, N_STEPS, generator)
        return inner, max(inner, outer)
    outer = _moved(outer, N_STEPS, generator)
    return min(inner, outer), outer


def _moved(value: int, largest: int, generator: np.random.Generator) -> int:
    move = int(generator.integers(1, LARGEST_MOVE + 1)) * (1 if generator.random() < 0.5 else -1)
    return min(max(value + move, 0), largest)
