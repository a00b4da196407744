"""PNAM: multipliers with positive and with negative errors, balanced in each filter.

O. Spantidi et al., *Positive/Negative Approximate Multipliers for DNN Accelerators*, ICCAD 2021.

Assumptions
-----------
Public: a multiplier with the modes exact, positive error and negative error; a filter-oriented
mapping of weights to modes balances positive against negative errors, such that the energy falls
most at the least error of the convolution, under a limit on the accuracy drop; no retraining.

Assumed, for neither the circuit nor the code is public:

* the error modes read the z least significant bits of the activation as 0, with the error
  w·(x mod 2^z), or as 1, with the error −w·(2^z − 1 − x mod 2^z); z is 1, 2 or 3. Their power is
  that of separate circuits, exact multipliers with tied inputs;
* in each filter the largest differencing method makes the sums of positive and negative mean
  errors cancel (:func:`.balance.balanced_signs`); weights that it leaves over are exact. The mean
  of x mod 2^z is that of the layer's histogram of activations where one is given: zeros are
  frequent behind ReLU, and balanced for uniform bits the errors would not cancel;
* z is the same for a layer. Layers are ordered by the accuracy with z = 3 in this layer alone.
  For z = 3, then 2, then 1, as many as possible of the layers that are still exact, in that order,
  take z, by bisection. Then, until the budget is spent or nothing changes, z of one layer after the
  other grows by 1 where the limit allows it, the largest saving first.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from .balance import balanced_signs
from .evaluations import Evaluations, Key
from .forced import ForcedPair
from .mapping_search import (
    Choice,
    MappingSearch,
    Margin,
    ModeMapping,
    largest_passing,
    mean_margin,
    points_within,
)
from .problem import Multiplier, RivalLayer, RivalPoint, mean

__all__ = ["balanced_choice", "search"]


def balanced_choice(layer: RivalLayer, n_bits: int) -> Choice:
    """Return the sets of a layer's weights: 0 exact, 1 bits forced to 0, 2 forced to 1.

    Parameters
    ----------
    layer
        The layer.
    n_bits
        How many bits are forced, at least 1.
    """
    histogram = layer.activation_histogram
    share = np.full(256, 1 / 256) if histogram is None else histogram / histogram.sum()
    largest = (1 << n_bits) - 1
    mean_bits = float(share @ (np.arange(256) & largest))
    # Sums w₊ and w₋ cancel if w₊·mean = w₋·(largest − mean).
    signs = [balanced_signs(row, 1 - mean_bits / largest) for row in layer.weights]
    return (np.stack(signs) % 3).astype(np.uint8)


def search(
    layers: Sequence[RivalLayer],
    exact: Multiplier,
    pairs: Sequence[ForcedPair],
    evaluations: Evaluations,
    *,
    limits: Sequence[float],
) -> list[RivalPoint]:
    """Return a mapping of the weights to the error modes for each limit.

    Parameters
    ----------
    layers
        Of the network.
    exact
        The exact mode.
    pairs
        The error modes, by growing z.
    evaluations
        A candidate's key is the number of the pair that each layer uses, 0 for none.
    limits
        Largest drops of the accuracy, 0..1.
    """
    modes = (exact, *(mode for pair in pairs for mode in (pair.zeros, pair.ones)))

    @cache
    def layer_choice(index: int, number: int) -> Choice:
        layer = layers[index]
        if number == 0:
            return np.zeros(layer.weights.shape, np.uint8)
        choice = balanced_choice(layer, pairs[number - 1].n_bits)
        return np.where(choice == 0, 0, choice + np.uint8(2 * (number - 1)))

    def realise(key: Key) -> ModeMapping:
        choices = (layer_choice(index, number) for index, number in enumerate(key))
        return ModeMapping(modes, tuple(choices))

    tried = MappingSearch(layers, realise, evaluations, corrects_means=False)
    return points_within(
        limits,
        tried,
        exact=(0,) * len(layers),
        margin_for=mean_margin,
        explore=lambda margin: _explore(tried, len(pairs), margin),
        label="PNAM",
    )


def _explore(tried: MappingSearch, n_pairs: int, margin: Margin) -> None:
    def passes(key: Key) -> bool:
        return margin(tried.accuracies(key)) >= 0

    n_layers = len(tried.layers)
    exact: Key = (0,) * n_layers
    alone = [mean(tried.accuracies(_with(exact, [index], n_pairs))) for index in range(n_layers)]
    order = sorted(range(n_layers), key=lambda index: (-alone[index], index))
    key = exact
    for number in range(n_pairs, 0, -1):
        key = _with_most(key, order, number, passes)
    changed = True
    while changed:
        changed = False
        larger = [_with(key, [i], key[i] + 1) for i in range(n_layers) if key[i] < n_pairs]
        for candidate in sorted(larger, key=lambda item: (tried.power(item), item)):
            if passes(candidate):
                key, changed = candidate, True
                break


def _with_most(key: Key, order: Sequence[int], number: int, passes: Callable[[Key], bool]) -> Key:
    """Return a key with a number for the most of the exact layers, the first in an order."""
    free = [index for index in order if key[index] == 0]
    n = largest_passing(len(free), lambda n: passes(_with(key, free[:n], number)))
    return _with(key, free[:n], number)


def _with(key: Key, indices: Sequence[int], number: int) -> Key:
    changed = dict.fromkeys(indices, number)
    return tuple(changed.get(index, old) for index, old in enumerate(key))
