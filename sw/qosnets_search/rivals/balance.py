"""Number partitioning: weights in two sets of almost equal, or otherwise related, sums."""

import heapq

import numpy as np
import numpy.typing as npt

__all__ = ["balanced_signs"]


def balanced_signs(weights: npt.NDArray[np.uint8], positive_share: float) -> npt.NDArray[np.int8]:
    """Return the set of each weight: 1 positive, −1 negative, 0 in neither.

    The positive set holds ``positive_share`` of the sum of both, as nearly as the largest
    differencing method (Karmarkar and Karp 1982) gets it: the two largest numbers go to different
    sets, and only their difference remains to be balanced. Another share than a half is an item
    of that size in the smaller set. What difference is left is taken from the larger set, weight
    by weight, as long as that reduces it; these weights are in neither set.

    Parameters
    ----------
    weights
        Codes, uint8 ``[K]``.
    positive_share
        0..1.
    """
    values = weights.astype(np.float64)
    surplus = (2 * positive_share - 1) * values.sum()
    signs, difference = _differenced([*values.tolist(), abs(surplus)])
    if signs[-1] == np.sign(surplus):  # the item belongs to the smaller set
        signs, difference = -signs, -difference
    result = signs[:-1]
    while difference:
        larger = np.flatnonzero(result == np.sign(difference))
        if not larger.size:
            break
        best = larger[np.abs(abs(difference) - values[larger]).argmin()]
        if not abs(abs(difference) - values[best]) < abs(difference):
            break
        result[best] = 0
        difference -= np.sign(difference) * values[best]
    return result


def _differenced(values: list[float]) -> tuple[npt.NDArray[np.int8], float]:
    """Return the sign of each value, and the sum of signed values."""
    heap = [(-value, index) for index, value in enumerate(values)]
    heapq.heapify(heap)
    opposite = []
    while len(heap) > 1:
        larger, index = heapq.heappop(heap)
        smaller, other = heapq.heappop(heap)
        opposite.append((index, other))
        heapq.heappush(heap, (larger - smaller, index))
    signs = np.ones(len(values), np.int8)
    for index, other in reversed(opposite):
        signs[other] = -signs[index]
    return signs, -heap[0][0]
