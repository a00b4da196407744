"""Stimuli of the evolution: operand pairs as bits in machine words."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from qosnets.words import Words, pack

from ..gates import ALL_PAIRS
from ..operands import UNIFORM, Operands

__all__ = ["Stimuli", "stimuli"]

_SEED = 1


class Stimuli(NamedTuple):
    """Operand pairs, and what a multiplier is compared with.

    Bit ``i % 64`` of word ``i // 64`` belongs to pair ``i``.
    """

    inputs: Words
    """``uint64[16, 1024]``: bits of A, then of B, of 65 536 pairs in random order."""
    exact: Words
    """``uint64[16, 1024]``: bits of their products."""
    all_pairs: Words
    """``uint64[16, 1024]``: as ``inputs``, of all pairs in the order of a LUT."""
    weights: npt.NDArray[np.float64]
    """``float64[2, 256]``: probability of each operand of A and B; ``[2, 0]`` where the pairs are
    all pairs, once each."""


def stimuli(operands: Operands) -> Stimuli:
    """Return stimuli of a distribution.

    For uniform operands these are all pairs. Otherwise they are drawn, with repetition, and the
    error that counts is computed from ``weights``.
    """
    if operands == UNIFORM:
        pairs, weights = ALL_PAIRS, np.empty((2, 0))
    else:
        pairs = operands.pairs()[1:]
        weights = np.array([operands.a, operands.b])
        weights /= weights.sum(axis=1, keepdims=True)
    order = np.argsort(np.random.PCG64(_SEED).random_raw(len(pairs)), kind="stable")
    shuffled = pairs[order].astype(np.int64)
    return Stimuli(
        inputs=_operand_planes(shuffled),
        exact=_planes((shuffled >> 8) * (shuffled & 255), 16),
        all_pairs=_operand_planes(ALL_PAIRS.astype(np.int64)),
        weights=weights,
    )


def _operand_planes(pairs: npt.NDArray[np.int64]) -> Words:
    return np.vstack([_planes(pairs >> 8, 8), _planes(pairs, 8)])


def _planes(values: npt.NDArray[np.int64], n_bits: int) -> Words:
    """Return the lowest bits of ``int64[n]`` as ``uint64[n_bits, n / 64]``."""
    return pack(values >> np.arange(n_bits)[:, None] & 1)
