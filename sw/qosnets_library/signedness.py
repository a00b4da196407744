"""Tells the tables of signed multipliers, which have the same ports as unsigned ones."""

import numpy as np
import numpy.typing as npt
from qosnets.lut import Lut

from .ports import OperandWidth

__all__ = ["is_signed"]

_LIKELY = 0.5


def is_signed(lut: Lut, width: OperandWidth) -> bool:
    """Tell whether a table is that of a multiplier of two's complement numbers.

    It is where its entries, read as signed numbers, are correlated with the signed products, by
    0.5 or more, and more closely than its unsigned entries are with the unsigned products.
    """
    n, m = width
    table = lut[: 1 << n, : 1 << m].astype(np.int64)
    a, b = np.arange(1 << n), np.arange(1 << m)
    signed = _correlation(_as_signed(table, n + m), np.outer(_as_signed(a, n), _as_signed(b, m)))
    return signed >= _LIKELY and signed > _correlation(table, np.outer(a, b))


def _as_signed(codes: npt.NDArray[np.int64], n_bits: int) -> npt.NDArray[np.int64]:
    return codes - (codes >> (n_bits - 1) << n_bits)


def _correlation(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> float:
    """Return Pearson's correlation; 0 where one of the two is constant."""
    x_deviation, y_deviation = x - x.mean(), y - y.mean()
    scale = np.sqrt((x_deviation**2).sum() * (y_deviation**2).sum())
    return float((x_deviation * y_deviation).sum() / scale) if scale else 0.0
