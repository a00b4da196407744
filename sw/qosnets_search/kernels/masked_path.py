"""The path of masked products, as the planner sees it."""

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from qosnets_library.merged.terms import MaskedProducts
from torch import Tensor

from .examined import Examined
from .lookup_sum import Amounts, LookupSum, Roles, matmul_result
from .masked_products import find_masked_products
from .masked_sum import masked_work, run_masked
from .paths import KernelPath, fuller_vectors
from .shapes import MatmulShape, Shape
from .vector import has_byte_dot_product

__all__ = ["Masked"]


@dataclass(frozen=True)
class Masked:
    """Sums of products of masked bytes."""

    name: KernelPath = KernelPath.MASKED

    def table_key(self, lut: Tensor) -> Hashable:
        """Return the number of terms; None for a table that it does not take."""
        terms = _terms(lut) if lut.device.type == "cpu" else None
        return None if terms is None else len(terms.a_masks)

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        """Return why operands of this shape, on the device of ``lut``, cannot be had, or None."""
        if lut.device.type != "cpu":
            return f"needs operands on the CPU, not on {lut.device}"
        if not has_byte_dot_product():
            return "needs a processor with AVX-512 VNNI"
        if _terms(lut) is None:
            return "needs a table of masked products, as those of a merged multiplier are"
        return None

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        """Return the amounts of :func:`.masked_sum.masked_work`."""
        terms = _terms(lut)
        assert terms is not None
        if isinstance(shape, MatmulShape):
            amounts = Amounts.of_matmul(shape, fuller_vectors(shape))
        else:
            amounts = Amounts.of_conv2d(shape)
        return masked_work(amounts, len(terms.a_masks))

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        """Return the sums, int32 ``[M, N]`` or ``[B, O, H', W']``, of checked operands."""
        terms = _terms(lut)
        assert terms is not None
        if isinstance(shape, MatmulShape):
            roles = fuller_vectors(shape)
            # Lanes are the codes of x only where they are its rows.
            terms = terms if roles is Roles.ROWS else terms.transposed()
            return matmul_result(
                run_masked(LookupSum.of_matmul(x, w, lut, roles), terms), shape, roles
            )
        out = run_masked(LookupSum.of_conv2d(x, w, lut, shape), terms)
        return torch.from_numpy(out).reshape(shape.batch, shape.out_channels, *shape.output_size)


def _examine(lut: Tensor) -> MaskedProducts | None:
    return find_masked_products(lut.numpy())


_terms = Examined(_examine)
