"""The path of exact low-rank factors, as the planner sees it."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from qosnets_library.characterise import rank
from torch import Tensor

from .examined import Examined
from .factorise import MAX_RANK, Factors, NoFactorsError, factorise
from .low_rank import low_rank_conv2d, low_rank_matmul
from .masked_products import as_factors, find_masked_products
from .paths import KernelPath
from .shapes import MatmulShape, Shape

__all__ = ["LowRank"]

_MAX_RANK_ON_CPU = 8
"""Above it a look-up is faster on any processor that was measured; the search is spared."""


@dataclass(frozen=True)
class LowRank:
    """Matrix products of exact factors of the table."""

    name: KernelPath = KernelPath.LOW_RANK

    def table_key(self, lut: Tensor) -> Hashable:
        """Return the number of terms, or why the table has no factors."""
        found = _factors(lut)
        return found if isinstance(found, str) else found.byte_terms.n_terms

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        """Return why operands of this shape, on the device of ``lut``, cannot be had, or None."""
        if not isinstance(shape, MatmulShape) and shape.groups > 1:
            return "needs one group: a matrix product for each is slow"
        found = _factors(lut)
        return found if isinstance(found, str) else None

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        """Return calls, codes replaced by terms, and products with outputs of all terms."""
        found = _factors(lut)
        assert isinstance(found, Factors)
        n_terms = float(found.byte_terms.n_terms)
        if isinstance(shape, MatmulShape):
            n_fields, n_outputs = shape.n_rows, shape.n_rows * shape.n_columns
            n_weights = shape.reduction * shape.n_columns
        else:
            n_fields = shape.n_outputs // shape.out_channels
            n_outputs, n_weights = shape.n_outputs, shape.reduction * shape.out_channels
        replaced = n_terms * (n_fields * shape.reduction + n_weights)
        return 1.0, replaced, float(n_outputs), n_terms * shape.n_products

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        """Return the sums, int32 ``[M, N]`` or ``[B, O, H', W']``, of checked operands."""
        factors = _factors(lut)
        assert isinstance(factors, Factors)
        if isinstance(shape, MatmulShape):
            return low_rank_matmul(x, w, factors)
        return low_rank_conv2d(
            x,
            w,
            factors,
            stride=shape.stride,
            padding=shape.padding,
            padding_code=shape.padding_code,
            dilation=shape.dilation,
            groups=shape.groups,
        )


def _examine(lut: Tensor) -> Factors | str:
    """Return the factors of a table, or why it has none."""
    if lut.device.type not in ("cpu", "cuda"):
        return f"needs operands on the CPU or on CUDA, not on {lut.device}"
    table = np.ascontiguousarray(lut.cpu().numpy())
    terms = find_masked_products(table)
    if terms is not None:
        # A search would not find factors with fewer bytes.
        return as_factors(table, terms)
    limit = _MAX_RANK_ON_CPU if lut.device.type == "cpu" else MAX_RANK
    found = rank(table)
    if not 0 < found <= limit:
        return f"needs a table of rank 1..{limit} on {lut.device.type}, not {found}"
    try:
        return factorise(table)
    except NoFactorsError as error:
        return str(error)


_factors = Examined(_examine)
