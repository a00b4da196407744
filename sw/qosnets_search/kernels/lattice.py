"""Short integer bases of the lattice that the rows of an integer matrix generate."""

import numpy as np
import numpy.typing as npt

__all__ = ["Matrix", "coordinates", "reduce_lattice", "row_lattice"]

Matrix = npt.NDArray[np.int64]
_Reals = npt.NDArray[np.float64]

_DELTA = 0.99
"""Of the Lovász condition."""

_REDUCED = 0.501
"""Multiples up to here are left: more than one half, or rounding could go back and forth."""

_MAX_INSERTIONS = 500
_MAX_STEPS = 100_000
"""Bounds on searches that rounding keeps from ending: tables of rank 60 take some 70 insertions,
and up to 20 000 steps of a reduction."""


def row_lattice(matrix: Matrix) -> Matrix:
    """Return a reduced basis ``[r, m]`` of the lattice of all integer combinations of rows.

    Rows are inserted one at a time, the nearest to the lattice so far first, and those that are
    in it already are dropped together.

    Parameters
    ----------
    matrix
        ``int64[n, m]``, below 2¹⁶ in size.

    Raises
    ------
    ArithmeticError
        If it does not end, for lack of precision.
    """
    rows = np.unique(matrix, axis=0)
    basis = np.zeros((0, matrix.shape[1]), dtype=np.int64)
    for _ in range(_MAX_INSERTIONS):
        rest = rows - coordinates(rows, basis) @ basis
        outside = np.any(rest, axis=1)
        if not np.any(outside):
            return basis
        rows, rest = rows[outside], rest[outside]
        nearest = np.argmin((rest * rest).sum(axis=1))
        basis = reduce_lattice(np.vstack([basis, rest[nearest]]))
    raise ArithmeticError("rows stay outside of the lattice that they generate")


def coordinates(matrix: Matrix, basis: Matrix) -> Matrix:
    """Return integers ``C[n, r]`` with C·basis near to the matrix: equal to it where it can be."""
    inverse = np.linalg.pinv(basis.astype(np.float64))
    return np.rint(matrix @ inverse).astype(np.int64)


def reduce_lattice(generators: Matrix) -> Matrix:
    """Return a basis with short vectors of the lattice that the rows generate.

    The algorithm of Lenstra, Lenstra and Lovász (1982), as modified for dependent generators by
    Pohst (1987): these have no orthogonal part, so they move to the front, are reduced to zero
    and dropped. Vectors are integers throughout; their orthogonal parts are float64,
    orthogonalised twice.

    Raises
    ------
    ArithmeticError
        If it does not end, for lack of precision.
    """
    basis = generators.copy()
    orthogonal = np.zeros(basis.shape)
    squares = np.zeros(len(basis))
    mu = np.zeros((len(basis), len(basis)))
    k = 0
    for _ in range(_MAX_STEPS):
        if k == len(basis):
            return basis
        _reduce_size(basis, orthogonal, squares, mu, k)
        if not np.any(basis[k]):
            # The rows of the orthogonal parts from k on are computed anew.
            basis = np.delete(basis, k, axis=0)
        elif k and squares[k] < (_DELTA - mu[k, k - 1] ** 2) * squares[k - 1]:
            basis[[k - 1, k]] = basis[[k, k - 1]]
            k -= 1
        else:
            k += 1
    raise ArithmeticError("the reduction of a lattice does not end")


def _reduce_size(basis: Matrix, orthogonal: _Reals, squares: _Reals, mu: _Reals, k: int) -> None:
    """Subtract from vector k what it has of the vectors before it, in whole multiples.

    Fills row k of ``orthogonal``, of ``mu``, and ``squares[k]``.
    """
    while True:
        rest = basis[k].astype(np.float64)
        mu[k, :k] = 0
        for _ in range(2):
            parts = orthogonal[:k] @ rest / squares[:k]
            mu[k, :k] += parts
            rest -= parts @ orthogonal[:k]
        multiples = np.zeros(k, dtype=np.int64)
        remaining = mu[k, :k].copy()
        for j in range(k - 1, -1, -1):
            if abs(remaining[j]) > _REDUCED:
                multiples[j] = np.rint(remaining[j])
                remaining[:j] -= multiples[j] * mu[j, :j]
        if not np.any(multiples):
            break
        basis[k] -= multiples @ basis[:k]
    orthogonal[k] = rest
    squares[k] = rest @ rest
