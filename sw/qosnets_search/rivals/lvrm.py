"""LVRM: a multiplier with three modes of low error variance, mapped by divide and conquer.

Z.-G. Tasoulas et al., *Weight-Oriented Approximation for Energy-Efficient Neural Network Inference
Accelerators*, IEEE TCAS-I 2020.

Assumptions
-----------
Public: a reconfigurable multiplier with an exact and two approximate modes, built for low error
variance, since a bias can cancel the mean; ranges of weight values are mapped to modes by divide
and conquer, under a limit on the accuracy drop; no retraining.

Assumed, for neither the circuit nor the code is public:

* the approximate modes are circuits of the library: of those that save at least 15 % and 30 % of
  the exact multiplier's power (other shares may be given) the ones of least error variance. Their
  power is that of separate circuits; a merged one would need more;
* evaluations take mean errors off the constants (``corrects_means``);
* the steps for a limit: (1) the resilience of each layer is the accuracy with this layer alone in
  the aggressive mode; (2) as many layers as possible, in order of resilience, become aggressive as
  a whole; (3) in each other layer, in that order, an interval of weight codes around the median
  becomes aggressive, as wide as possible; (4) in the same way a wider interval becomes medium.
  Each maximum is found by bisection, intervals in sixteenths of the layer's weights.
"""

from collections.abc import Callable, Sequence
from functools import partial

from qosnets.errors import InputError

from .evaluations import Evaluations, Key
from .intervals import N_STEPS, nested_choice
from .mapping_search import (
    MappingSearch,
    Margin,
    ModeMapping,
    largest_passing,
    mean_margin,
    points_within,
)
from .problem import Multiplier, RivalLayer, RivalPoint, cheapest_exact, error_std, mean

__all__ = ["SAVINGS", "low_variance_modes", "search"]

SAVINGS = (0.15, 0.30)
"""Least share of the power that the medium and the aggressive mode save."""


def low_variance_modes(
    multipliers: Sequence[Multiplier], savings: tuple[float, float] = SAVINGS
) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Return the exact, the medium and the aggressive mode.

    Parameters
    ----------
    multipliers
        On offer, an exact one among them.
    savings
        Least share of the exact one's power that the medium and the aggressive mode save.

    Raises
    ------
    InputError
        If no multiplier is exact, or none saves enough.
    """
    exact = cheapest_exact(multipliers)
    found = [exact]
    for saving in savings:
        limit = (1 - saving) * exact.relative_power
        saving_ones = [item for item in multipliers if item.relative_power <= limit]
        if not saving_ones:
            raise InputError(f"multipliers: one must save {saving:.0%} of the power, none does")
        found.append(min(saving_ones, key=lambda item: error_std(item.table)))
    return found[0], found[1], found[2]


def search(
    layers: Sequence[RivalLayer],
    modes: tuple[Multiplier, Multiplier, Multiplier],
    evaluations: Evaluations,
    *,
    limits: Sequence[float],
) -> list[RivalPoint]:
    """Return a mapping of the weights to three modes for each limit.

    Parameters
    ----------
    layers
        Of the network.
    modes
        Exact, medium, aggressive.
    evaluations
        A candidate's key is the inner and the outer step of each layer in turn
        (:func:`.intervals.nested_choice`).
    limits
        Largest drops of the accuracy, 0..1.
    """

    def realise(key: Key) -> ModeMapping:
        choices = [
            nested_choice(layer.weights, *key[2 * index : 2 * index + 2])
            for index, layer in enumerate(layers)
        ]
        return ModeMapping(modes, tuple(choices))

    tried = MappingSearch(layers, realise, evaluations, corrects_means=True)
    return points_within(
        limits,
        tried,
        exact=(0, 0) * len(layers),
        margin_for=mean_margin,
        explore=lambda margin: _divide_and_conquer(tried, margin),
        label="LVRM",
    )


def _divide_and_conquer(tried: MappingSearch, margin: Margin) -> None:
    def widest(n: int, variant: Callable[[int], Key]) -> Key:
        """Return the variant of the largest number up to ``n`` that passes."""
        return variant(
            largest_passing(n, lambda number: margin(tried.accuracies(variant(number))) >= 0)
        )

    n_layers = len(tried.layers)
    exact: Key = (0, 0) * n_layers
    alone = [mean(tried.accuracies(_with_whole(exact, [index], 1))) for index in range(n_layers)]
    order = sorted(range(n_layers), key=lambda index: (-alone[index], index))
    key = widest(n_layers, partial(_with_whole, exact, order))
    rest = [index for index in order if key[2 * index] < N_STEPS]
    for index in rest:
        key = widest(N_STEPS, partial(_with_aggressive, key, index))
    for index in rest:
        key = widest(N_STEPS - key[2 * index], partial(_with_medium, key, index))


def _with_whole(key: Key, order: Sequence[int], n: int) -> Key:
    """Return a key with the first ``n`` layers of an order aggressive as a whole."""
    for index in order[:n]:
        key = _with_aggressive(key, index, N_STEPS)
    return key


def _with_aggressive(key: Key, index: int, step: int) -> Key:
    return (*key[: 2 * index], step, step, *key[2 * index + 2 :])


def _with_medium(key: Key, index: int, n_more: int) -> Key:
    return (*key[: 2 * index + 1], key[2 * index] + n_more, *key[2 * index + 2 :])
