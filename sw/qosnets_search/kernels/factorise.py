"""Exact integer factors of look-up tables of low rank.

Most tables of approximate multipliers have a low rank r over the reals, and a table that has is a
product of integer matrices, ``M[x, w] = Σ_r F[x, r]·G[r, w]``. A sum of approximate products is
then a sum of r exact ones: matrix products, which every processor is built for.

G is a basis of a lattice that holds the rows of the table, reduced so that its vectors are short;
F are the coordinates of the rows. The search for it computes in floating point and may fail, but
cannot give a wrong result: all 65 536 products are compared.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as validated
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.lut import Lut, lut_sha256
from qosnets_library.cache import load, store
from qosnets_library.characterise import rank

from .byte_terms import ByteTerms, split_bytes
from .lattice import Matrix, coordinates, reduce_lattice, row_lattice

__all__ = ["MAX_RANK", "Factors", "NoFactorsError", "factorise"]

MAX_RANK = 60
"""Largest rank that is factorised: above it a look-up is faster on any processor we know of."""

_LARGEST = 2**24
"""Bound of the size of entries: float32 holds them, and no sum of products leaves int64."""


class NoFactorsError(InputError):
    """A table that is not factorised, because its rank is too high or its entries too large."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors of a table, proven: the constructor compares all 65 536 products.

    Parameters
    ----------
    lut
        The table ``M[x, w]``, ``uint16[256, 256]``.
    left
        ``F[x, r]``, ``int64[256, rank]``, below 2²⁴ in size.
    right
        ``G[r, w]``, ``int64[rank, 256]``, below 2²⁴ in size.

    Raises
    ------
    ValueError
        If ``left @ right`` is not the table.
    """

    lut: Lut
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.left.shape != (256, self.rank) or self.right.shape != (self.rank, 256):
            found = f"{list(self.left.shape)} and {list(self.right.shape)}"
            raise ValueError(f"factors must be [256, r] and [r, 256], not {found}")
        for factor in (self.left, self.right):
            if factor.dtype != np.int64 or np.any(np.abs(factor) >= _LARGEST):
                raise ValueError("factors must be int64, below 2²⁴ in size")
        if not np.array_equal(self.left @ self.right, self.lut):
            raise ValueError("the product of the factors must be the table")

    @property
    def rank(self) -> int:
        """Number of exact products that make one of the table."""
        return len(self.right)

    @cached_property
    def max_partial_sum(self) -> int:
        """Bound of any sum of some of the terms of one product, ``max_{x,w} Σ_r |F·G|``."""
        return int((np.abs(self.left) @ np.abs(self.right)).max(initial=1))

    @property
    def float_k_chunk(self) -> int:
        """Largest K for which float32 adds up K products exactly in any order; 0 for none.

        All sums of integers are exact as long as no partial sum reaches 2²⁴.
        """
        return (2**24 - 1) // self.max_partial_sum

    @cached_property
    def byte_terms(self) -> ByteTerms:
        """The factors as products of signed bytes."""
        return split_bytes(self.lut, self.left, self.right)


@validated(frozen=True)
class _Entries:
    """Content of the cache: ``left`` and ``right`` as lists of rows."""

    left: list[list[int]]
    right: list[list[int]]


_ADAPTER = TypeAdapter(_Entries)


def factorise(lut: Lut) -> Factors:
    """Return exact integer factors of a table, as many as its rank over the reals.

    They are kept in the cache by the hash of the table, and compared with it again when they are
    read. Of the factors by rows and by columns those with fewer byte terms are taken.

    Parameters
    ----------
    lut
        ``M[x, w]``, ``uint16[256, 256]``. Tables of one circuit with the operands in either
        order are two tables.

    Raises
    ------
    NoFactorsError
        If the rank is above `MAX_RANK`, or no factors below 2²⁴ are found.
    ValueError
        If ``lut`` is not ``uint16[256, 256]``.
    """
    key = sha256(f"{lut_sha256(lut)} {_sources_sha256()}".encode())
    kept = load("factors", key, _ADAPTER)
    factors = _sound(lut, kept) if kept else None
    if factors is None:
        factors = _search(lut)
        entries = _Entries(left=factors.left.tolist(), right=factors.right.tolist())
        store("factors", key, _ADAPTER, entries)
    return factors


def _sound(lut: Lut, kept: _Entries) -> Factors | None:
    """Return the factors that the cache holds, None where they are not those of the table."""
    try:
        left = np.array(kept.left, dtype=np.int64).reshape(256, -1)
        right = np.array(kept.right, dtype=np.int64).reshape(-1, 256)
        return Factors(lut, left, right)
    except (ValueError, OverflowError):
        return None


def _search(lut: Lut) -> Factors:
    n_terms = rank(lut)
    if n_terms > MAX_RANK:
        raise NoFactorsError(
            f"factorise: rank of the table must be at most {MAX_RANK}, not {n_terms}"
        )
    table = lut.astype(np.int64)
    found = []
    for rows, transposed in ((table, False), (np.ascontiguousarray(table.T), True)):
        # A search that rounding led astray ends without factors, or with wrong ones.
        with contextlib.suppress(ArithmeticError, ValueError):
            for outer, inner in _products(rows):
                sides = (inner.T, outer.T) if transposed else (outer, inner)
                found.append(Factors(lut, *map(np.ascontiguousarray, sides)))
    if not found:
        raise NoFactorsError(f"factorise: no small factors found for a table of rank {n_terms}")
    return min(found, key=lambda factors: (factors.byte_terms.n_terms, factors.max_partial_sum))


def _products(matrix: Matrix) -> Iterator[tuple[Matrix, Matrix]]:
    """Yield products that are the matrix if rounding did no harm.

    The first has a short basis of the row lattice on its right; the second has the same products
    with the columns of its left side made short.
    """
    basis = row_lattice(matrix)
    multiples = coordinates(matrix, basis)
    yield multiples, basis
    multiples = reduce_lattice(np.ascontiguousarray(multiples.T))
    yield multiples.T, coordinates(matrix.T, multiples).T


def _sources_sha256() -> str:
    """Return a hash of the modules that make the factors."""
    folder = Path(__file__).parent
    return sha256(b"".join((folder / f"{name}.py").read_bytes() for name in _SOURCES))


_SOURCES = ("byte_terms", "factorise", "lattice")
