"""ALWANN's weight tuning: weights move to codes whose products come out better.

V. Mrazek et al., *ALWANN: Automatic Layer-Wise Approximation of Deep Neural Network Accelerators
without Retraining*, ICCAD 2019, as in the public code. For each multiplier, and without data, a
weight w is replaced by::

    map(w) = argmin_v Σ_a |a·w − M(a, v)|        over all activation codes a; a tie prefers v = w

Tuned weights are stored, hence cost nothing when multiplying.
"""

import numpy as np
import numpy.typing as npt
from qosnets.lut import Lut

__all__ = ["tuned_table", "tuned_weights"]


def tuned_weights(table: Lut, *, max_activation: int = 255) -> npt.NDArray[np.uint8]:
    """Return ``map(w)`` for every weight code w, uint8 ``[256]``.

    Of several best codes other than w the smallest is taken.

    Parameters
    ----------
    table
        ``M[x, w]``.
    max_activation
        Largest activation code that occurs.
    """
    products = table[: max_activation + 1].astype(np.int32)
    activations = np.arange(max_activation + 1, dtype=np.int32)[:, None]
    result = np.arange(256, dtype=np.uint8)
    for w in range(256):
        distance = np.abs(activations * w - products).sum(axis=0, dtype=np.int64)
        if distance.min() < distance[w]:
            result[w] = distance.argmin()
    return result


def tuned_table(table: Lut, *, max_activation: int = 255) -> Lut:
    """Return ``T[x, w] = M[x, map(w)]``, the table that weights see which are tuned for M.

    Only the products use tuned weights. The constants of the layer, −z_x·Σw + K·z_x·z_w, keep the
    true ones: M(x, map(w)) stands for x·w, and it is x·w that they complete to (x − z_x)·(w − z_w).
    """
    return np.ascontiguousarray(table[:, tuned_weights(table, max_activation=max_activation)])
