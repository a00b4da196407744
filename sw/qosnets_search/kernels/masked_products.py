"""Which tables are sums of products of masked operands."""

from dataclasses import replace

import numpy as np
from qosnets.lut import Lut
from qosnets_library.merged.masks import WEIGHTS, MergedMasks
from qosnets_library.merged.terms import MaskedProducts, masked_products

from .factorise import Factors

__all__ = ["as_factors", "find_masked_products"]

_BITS = 1 << np.arange(8)


def find_masked_products(lut: Lut) -> MaskedProducts | None:
    """Return a table ``M[x, w]`` as a sum of products of masked operands, A being x; or None.

    M(0, 0) is the constant, and M(2^i, 2^j) tells whether the product of bits i and j is kept. All
    65 536 products are compared with what these make.
    """
    constant = int(lut[0, 0])
    kept = lut[np.ix_(_BITS, _BITS)] - np.int64(constant) == WEIGHTS
    masks = MergedMasks.from_kept([np.ones_like(kept), kept])
    found = replace(masked_products(masks, 1), constant=constant)
    # A product beyond 16 bits would be another one in a table.
    fits = constant + WEIGHTS[kept].sum() <= np.iinfo(np.uint16).max
    return found if fits and np.array_equal(found.lut(), lut) else None


def as_factors(lut: Lut, terms: MaskedProducts) -> Factors:
    """Return the factors of a table that are its masked operands; the constant is one more."""
    codes = np.arange(256)
    left = [codes & mask for mask in terms.a_masks]
    right = [codes & mask for mask in terms.b_masks]
    if terms.constant:
        left.append(np.ones_like(codes))
        right.append(np.full_like(codes, terms.constant))
    rows, columns = (np.array(side, np.int64).reshape(-1, 256) for side in (left, right))
    return Factors(lut, rows.T, columns)
