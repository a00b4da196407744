"""Mean and square of a mode's error in closed form, for independent operands.

The error is c − Σ over killed (i, j) of 2^(i+j)·a_i·b_j. With A and B independent of each other,

    E[Σ]  = Σ_ij 2^(i+j)·E[a_i]·E[b_j]
    E[Σ²] = Σ_ij,kl 2^(i+j+k+l)·E[a_i·a_k]·E[b_j·b_l]

for any distribution of either; bits of one operand need not be independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..operands import UNIFORM, Operands
from .masks import WEIGHTS

__all__ = ["ErrorMoments"]


@dataclass(frozen=True, eq=False)
class ErrorMoments:
    """Moments of the weighted partial products; number ``8·i + j`` is that of a_i and b_j."""

    mean: npt.NDArray[np.float64]
    """E of each, ``[64]``."""
    second: npt.NDArray[np.float64]
    """E of the product of each pair, ``[64, 64]``."""
    ones: npt.NDArray[np.float64]
    """Probability that a partial product is 1, ``[8, 8]``."""

    @classmethod
    def of(cls, operands: Operands = UNIFORM) -> "ErrorMoments":
        """Return the moments of a distribution."""
        a, b = (_bit_moments(weights) for weights in (operands.a, operands.b))
        ones = np.outer(np.diag(a), np.diag(b))
        weights = WEIGHTS.ravel().astype(np.float64)
        second = np.einsum("ik,jl->ijkl", a, b).reshape(64, 64) * np.outer(weights, weights)
        return cls(ones.ravel() * weights, second, ones)

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Covariance of each pair, ``[64, 64]``."""
        covariance: npt.NDArray[np.float64] = self.second - np.outer(self.mean, self.mean)
        return covariance

    def error_mean(self, killed: npt.NDArray[np.bool_], constant: int = 0) -> float:
        """Return the mean error without the partial products ``killed``, ``bool[8, 8]``."""
        return constant - float(self.mean[killed.ravel()].sum())

    def error_variance(self, killed: npt.NDArray[np.bool_]) -> float:
        """Return the variance of the error, whatever the constant."""
        x = killed.ravel().astype(np.float64)
        return float(x @ self.covariance @ x)

    def mse(self, killed: npt.NDArray[np.bool_], constant: int = 0) -> float:
        """Return the mean squared error."""
        return self.error_variance(killed) + self.error_mean(killed, constant) ** 2


def _bit_moments(weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return E[x_i·x_k] of the bits of an operand, ``[8, 8]``."""
    probability = np.array(weights) / np.sum(weights)
    bits = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(np.float64)
    moments: npt.NDArray[np.float64] = bits.T @ (bits * probability[:, None])
    return moments
