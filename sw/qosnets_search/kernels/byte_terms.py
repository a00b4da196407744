"""Integer factors as products of signed bytes, which int8 matrix units multiply."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.lut import Lut

__all__ = ["ByteGroup", "ByteTerms", "split_bytes"]


@dataclass(frozen=True, eq=False)
class ByteGroup:
    """Terms of a table that share a scale: ``scale · Σ_t left[x, t]·right[t, w]``.

    ``left`` is ``int8[256, T]``, ``right`` ``int8[T, 256]``.
    """

    scale: int
    left: npt.NDArray[np.int8]
    right: npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class ByteTerms:
    """A table as sums of products of signed bytes; the constructor compares all 65 536 products.

    ``M[x, w] = Σ_groups scale · Σ_t left[x, t]·right[t, w] + row_offset[x] + column_offset[w]``

    A sum of products thus needs one sum of offsets for each row and one for each column, like
    the zero points of a quantised layer.

    Parameters
    ----------
    lut
        The table.
    groups
        By ascending scale.
    row_offset, column_offset
        ``int64[256]``; in sums of K of them, those of rows and columns add up to less than 2⁶³.

    Raises
    ------
    ValueError
        If the terms do not make up the table.
    """

    lut: Lut
    groups: tuple[ByteGroup, ...]
    row_offset: npt.NDArray[np.int64]
    column_offset: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        total = self.row_offset[:, None] + self.column_offset
        for group in self.groups:
            total = total + group.scale * (
                group.left.astype(np.int64) @ group.right.astype(np.int64)
            )
        if not np.array_equal(total, self.lut):
            raise ValueError("the terms must make up the table")

    @property
    def n_terms(self) -> int:
        """Number of int8 products that make one of the table."""
        return sum(len(group.right) for group in self.groups)


def split_bytes(lut: Lut, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> ByteTerms:
    """Split the factors ``left [256, r] @ right [r, 256]`` of a table into bytes.

    A vector is a constant plus digits of base 256, and constants cost no term: they are offsets.
    """
    planes: dict[int, list[tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]]] = {}
    for column, row in zip(left.T, right, strict=True):
        for column_scale, column_digits in _digits(column):
            for row_scale, row_digits in _digits(row):
                planes.setdefault(column_scale * row_scale, []).append((column_digits, row_digits))
    groups = tuple(
        ByteGroup(
            scale,
            np.stack([column for column, _ in planes[scale]], axis=1),
            np.stack([row for _, row in planes[scale]]),
        )
        for scale in sorted(planes)
    )
    rest = lut.astype(np.int64)
    for group in groups:
        rest -= group.scale * (group.left.astype(np.int64) @ group.right.astype(np.int64))
    return ByteTerms(lut, groups, rest[:, 0] - rest[0, 0], rest[0])


def _digits(vector: npt.NDArray[np.int64]) -> list[tuple[int, npt.NDArray[np.int8]]]:
    """Return scales and signed bytes whose sum of products is the vector but for a constant.

    The common divisor is made part of the scales only where that saves a byte.
    """
    steps = vector - vector.min()
    divisor = int(np.gcd.reduce(steps))
    if divisor == 0:
        return []
    if _n_bytes(steps) == _n_bytes(steps // divisor):
        divisor = 1
    steps //= divisor
    return [
        (divisor << 8 * i, ((steps >> 8 * i & 255) - 128).astype(np.int8))
        for i in range(_n_bytes(steps))
    ]


def _n_bytes(steps: npt.NDArray[np.int64]) -> int:
    return math.ceil(int(steps.max()).bit_length() / 8)
