"""Mappings by two nested intervals of weight codes around a layer's median."""

import numpy as np
import numpy.typing as npt

from .mapping_search import Choice

__all__ = ["AGGRESSIVE", "EXACT", "MEDIUM", "N_STEPS", "nested_choice"]

EXACT, MEDIUM, AGGRESSIVE = range(3)
"""Indices of the modes."""

N_STEPS = 16
"""Widths of intervals are multiples of a sixteenth of a layer's weights."""


def nested_choice(weights: npt.NDArray[np.uint8], inner: int, outer: int) -> Choice:
    """Return the modes of a layer's weights: aggressive within, medium around, exact outside.

    An interval of step s reaches from the (½ − s/32)-quantile of the layer's codes to the
    (½ + s/32)-quantile, both included; there is none for step 0.

    Parameters
    ----------
    weights
        Codes, uint8 ``[O, K]``.
    inner, outer
        Steps of the intervals, 0..N_STEPS; where ``inner`` is larger, there is no medium.
    """
    choice = np.full(weights.shape, EXACT, np.uint8)
    choice[_inside(weights, outer)] = MEDIUM
    choice[_inside(weights, inner)] = AGGRESSIVE
    return choice


def _inside(weights: npt.NDArray[np.uint8], step: int) -> npt.NDArray[np.bool_]:
    if step == 0:
        return np.zeros(weights.shape, bool)
    half = step / N_STEPS / 2
    low, high = np.quantile(weights, (0.5 - half, 0.5 + half), method="inverted_cdf")
    inside: npt.NDArray[np.bool_] = (weights >= low) & (weights <= high)
    return inside
