"""A mode of a merged multiplier as a sum of products of masked operands.

Rows of partial products with equal masks merge: M(x, w) = Σ_g (x & R_g)·(w & K_g) + c. So a
sum of products is one of as many products of bytes, without a table.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.lut import Lut

from .masks import MergedMasks

__all__ = ["MaskedProducts", "masked_products"]


@dataclass(frozen=True)
class MaskedProducts:
    """``M(a, b) = Σ_g (a & a_masks[g])·(b & b_masks[g]) + constant``, for uint8 operands."""

    a_masks: tuple[int, ...]
    """0..255 each; no bit is in two of them."""
    b_masks: tuple[int, ...]
    """0..255 each; no two are equal."""
    constant: int

    def lut(self) -> Lut:
        """Return the table of the sum."""
        codes = np.arange(256)
        table = np.full((256, 256), self.constant)
        for a_mask, b_mask in zip(self.a_masks, self.b_masks, strict=True):
            table += np.outer(codes & a_mask, codes & b_mask)
        return table.astype(np.uint16)

    def transposed(self) -> "MaskedProducts":
        """Return the sum with A and B exchanged; now bits may be in several masks of A."""
        return MaskedProducts(self.b_masks, self.a_masks, self.constant)


def masked_products(masks: MergedMasks, mode: int) -> MaskedProducts:
    """Return a mode as a sum of as few products as rows or columns with different masks give.

    Where columns give fewer than rows, the roles of A and B are exchanged.
    """
    kept, constant = masks.kept(mode), masks.constant(mode)
    by_row, by_column = _merged_rows(kept, constant), _merged_rows(kept.T, constant)
    if len(by_column.a_masks) < len(by_row.a_masks):
        return by_column.transposed()
    return by_row


def _merged_rows(kept: npt.NDArray[np.bool_], constant: int) -> MaskedProducts:
    powers = 1 << np.arange(8)
    groups: dict[int, int] = {}
    for row, mask in zip(powers.tolist(), (kept @ powers).tolist(), strict=True):
        if mask:
            groups[mask] = groups.get(mask, 0) | row
    return MaskedProducts(tuple(groups.values()), tuple(groups), constant)
