"""Estimators of the gradient of a multiplier's table, as factors that ordinary products can use.

A table has no derivative, so training takes an estimate of ∂M/∂x and of ∂M/∂w at each pair of
codes. Estimates have one form, a function of the *other* operand and a sum of separable terms::

    ∂M/∂x ≈ base(w) + Σ_r own_r(x)·other_r(w)          ∂M/∂w ≈ base(x) + Σ_r own_r(w)·other_r(x)

Hence the gradients of a layer are 1 + R ordinary convolutions or matrix products of operands whose
codes were replaced through tables of 256 entries.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from qosnets.lut import Lut
from torch import Tensor

__all__ = [
    "GradientEstimator",
    "GradientFactors",
    "OperandFactors",
    "gradient_factors",
    "gradient_table",
    "straight_through",
]

TOLERANCE = 0.01
"""Largest error of factors relative to the gradient table that they stand for, in Frobenius norm.

The mean square of ∂M over all pairs of codes is the measure. With it, tables of the default library
need no more than 8 terms besides the base."""

N_KEPT = 64
"""Tables whose factors are kept."""

Float = npt.NDArray[np.float64]


class GradientEstimator(StrEnum):
    """What training takes for the gradient of a multiplier."""

    STRAIGHT_THROUGH = "straight_through"
    """That of the exact product, ∂M/∂x = w: the multiplier is ignored."""
    REGRESSION = "regression"
    """Slope of the least-squares line through M(·, w) over all x, one for each w."""
    DIFFERENCE = "difference"
    """Differences of the smoothed table (C. Meng et al., DATE 2025), one for each pair of codes.

    M(·, w) is smoothed by a moving average over 2·h + 1 codes, h an eighth of the number of codes
    (32 for 8 bits, the largest that the authors use); the gradient is the central difference
    (S(x + 1) − S(x − 1))/2. The h + 1 codes next to either end take (max − min)/n instead, of M
    over the n codes.
    """


@dataclass(frozen=True)
class OperandFactors:
    """The gradient of a table for one operand, float32 tensors by code."""

    base: Tensor
    """``[256]``, by the code of the other operand."""
    own: Tensor
    """``[R, 256]``, by the code of the operand itself."""
    other: Tensor
    """``[R, 256]``, by the code of the other operand."""

    @property
    def table(self) -> Tensor:
        """The gradient that the factors make, ``[256, 256]``: rows are codes of the operand."""
        return self.base + self.own.T @ self.other

    def to(self, device: torch.device) -> "OperandFactors":
        """Return the factors on a device."""
        return OperandFactors(self.base.to(device), self.own.to(device), self.other.to(device))


@dataclass(frozen=True)
class GradientFactors:
    """The gradients of a table for both operands."""

    activation: OperandFactors
    """∂M/∂x."""
    weight: OperandFactors
    """∂M/∂w."""

    def to(self, device: torch.device) -> "GradientFactors":
        """Return the factors on a device."""
        return GradientFactors(self.activation.to(device), self.weight.to(device))


def gradient_factors(
    table: Lut,
    estimator: GradientEstimator,
    *,
    max_activation: int = 255,
    max_weight: int = 255,
) -> GradientFactors:
    """Return the factors of a table's gradients, on the CPU; those of equal tables are kept.

    Parameters
    ----------
    table
        ``M[x, w]``, uint16 ``[256, 256]``.
    estimator
        How to estimate.
    max_activation, max_weight
        Largest codes that occur, 1..255. What the table holds beyond them has no influence; a
        circuit that reads fewer bits repeats itself there.
    """
    if estimator is GradientEstimator.STRAIGHT_THROUGH:
        return straight_through()
    return _kept_factors(table.tobytes(), estimator, max_activation, max_weight)


@lru_cache(maxsize=1)
def straight_through() -> GradientFactors:
    """Return the factors of the exact product's gradients: no terms besides the base."""
    codes, none = torch.arange(256, dtype=torch.float32), torch.zeros(0, 256)
    factors = OperandFactors(codes, none, none)
    return GradientFactors(factors, factors)


@lru_cache(maxsize=N_KEPT)
def _kept_factors(
    content: bytes, estimator: GradientEstimator, max_activation: int, max_weight: int
) -> GradientFactors:
    table = np.frombuffer(content, np.uint16).reshape(256, 256)
    used = table[: max_activation + 1, : max_weight + 1]
    return GradientFactors(
        activation=_factorised(gradient_table(used, estimator)),
        weight=_factorised(gradient_table(used.T, estimator)),
    )


def gradient_table(table: npt.NDArray[np.uint16], estimator: GradientEstimator) -> Float:
    """Return the estimate of ``∂table[a, b]/∂a``, ``[n, m]`` as the table.

    This is what factors approximate. ``n`` must be at least 2.
    """
    values = table.astype(np.float64)
    n, m = values.shape
    if estimator is GradientEstimator.STRAIGHT_THROUGH:
        return np.broadcast_to(np.arange(m, dtype=np.float64), (n, m))
    if estimator is GradientEstimator.REGRESSION:
        centred = np.arange(n) - (n - 1) / 2
        return np.broadcast_to(centred @ values / (centred @ centred), (n, m))
    return _smoothed_differences(values)


def _smoothed_differences(values: Float) -> Float:
    n = len(values)
    half = max(n // 8, 1)
    codes = np.arange(n)
    first, last = np.maximum(codes - half, 0), np.minimum(codes + half + 1, n)
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    smoothed = (sums[last] - sums[first]) / (last - first)[:, None]
    gradient = np.tile(np.ptp(values, axis=0) / n, (n, 1))
    inner = slice(half + 1, n - half - 1)
    gradient[inner] = (np.roll(smoothed, -1, axis=0) - np.roll(smoothed, 1, axis=0))[inner] / 2
    return gradient


def _factorised(gradient: Float) -> OperandFactors:
    """Return the factors of a gradient table with the fewest terms within ``TOLERANCE``.

    The base is the mean over the operand, which leaves least to the terms; they are the first of
    the singular value decomposition of what remains.
    """
    base = gradient.mean(axis=0)
    own, sizes, other = np.linalg.svd(gradient - base, full_matrices=False)
    errors = np.sqrt(np.cumsum((sizes**2)[::-1])[::-1])  # of the terms before each
    n_terms = np.count_nonzero(errors > TOLERANCE * np.linalg.norm(gradient))
    roots = np.sqrt(sizes[:n_terms, None])
    return OperandFactors(
        base=_by_code(base),
        own=_by_code(own.T[:n_terms] * roots),
        other=_by_code(other[:n_terms] * roots),
    )


def _by_code(values: Float) -> Tensor:
    """Return values as float32, with zeros for the codes that do not occur."""
    padding = [(0, 0)] * (values.ndim - 1) + [(0, 256 - values.shape[-1])]
    return torch.from_numpy(np.pad(values, padding).astype(np.float32))
