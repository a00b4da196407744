"""Matrix products of floating-point and int8 units that are exact on integers, and when they are.

A table that is a sum of exact products (:mod:`.factorise`) is summed by matrix products over
vectors of its terms: each code is replaced by the T entries of its row of a term table.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from .factorise import Factors

__all__ = ["Method", "TermGroup", "Terms", "reason_against", "terms_of"]


class Method(StrEnum):
    """Units that multiply; ordered by speed where they are exact."""

    INT8 = "int8"
    """Signed bytes, summed in int32."""
    FLOAT16 = "float16"
    """Signed bytes held as float16, summed in float32: tensor cores without int8."""
    FLOAT32 = "float32"
    """One product for each rank."""
    FLOAT64 = "float64"
    """One product for each rank; exact for any table and any K that int32 holds."""


@dataclass(frozen=True, eq=False)
class TermGroup:
    """Terms with one scale, ``scale · Σ_t left[x, t]·right[w, t]``; tables of ``[256, T]``."""

    scale: int
    left: Tensor
    right: Tensor
    k_chunk: int
    """Largest K that one matrix product sums exactly, in any order."""
    multiply: Callable[[Tensor, Tensor], Tensor]
    """``[m, k·T] · [k·T, n]`` as int32."""


@dataclass(frozen=True, eq=False)
class Terms:
    """A table as sums of exact products, modulo 2³².

    The offsets are int32 ``[256, 1]``; None stands for zeros.
    """

    groups: tuple[TermGroup, ...]
    row_offset: Tensor | None
    column_offset: Tensor | None


def terms_of(factors: Factors, method: Method, device: torch.device) -> Terms:
    """Return the tables of a method on a device."""

    def put(array: npt.NDArray[np.generic], dtype: torch.dtype) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype)

    if method in (Method.FLOAT32, Method.FLOAT64):
        dtype, digits = (torch.float32, 24) if method is Method.FLOAT32 else (torch.float64, 53)
        group = TermGroup(
            scale=1,
            left=put(factors.left, dtype),
            right=put(factors.right.T, dtype),
            k_chunk=(2**digits - 1) // factors.max_partial_sum,
            multiply=_multiply_floats,
        )
        return Terms((group,) if factors.rank else (), None, None)
    dtype, digits, multiply = (
        (torch.int8, 31, _multiply_bytes)
        if method is Method.INT8
        else (torch.float16, 24, _multiply_halves)
    )
    terms = factors.byte_terms
    groups = tuple(
        TermGroup(
            scale=group.scale,
            left=put(group.left, dtype),
            right=put(group.right.T, dtype),
            # Products of signed bytes are at most 2¹⁴ in size.
            k_chunk=(2**digits - 1) // (len(group.right) << 14),
            multiply=multiply,
        )
        for group in terms.groups
    )
    offsets = (_modulo(offset) for offset in (terms.row_offset, terms.column_offset))
    return Terms(groups, *(put(offset[:, None], torch.int32) for offset in offsets))


def _modulo(offset: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return values modulo 2³², within int32."""
    return (offset + 2**31) % 2**32 - 2**31


def reason_against(method: Method, factors: Factors, device: torch.device) -> str | None:
    """Return why a method is not to be used for a table on a device, None where it is exact."""
    if method is Method.FLOAT32:
        if factors.float_k_chunk == 0:
            return f"partial sums of one product reach {factors.max_partial_sum}, above 2^24"
        if not _full_precision(device):
            return "matrix products in less than float32 precision are allowed in torch"
    if method is Method.FLOAT16 and device.type != "cuda":
        return f"there are no tensor cores on {device.type}"
    if method in (Method.INT8, Method.FLOAT16) and not _exact_bytes(method, device):
        return f"products of signed bytes are not exact on {device}"
    return None


def _full_precision(device: torch.device) -> bool:
    """Tell whether float32 operands are multiplied as they are, not rounded to tf32 or bf16."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    # The setting of a backend exists from torch 2.9 on; both may have been changed.
    setting = getattr(getattr(backend, "matmul", None), "fp32_precision", "none")
    try:
        return setting in ("none", "ieee") and torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:
        return False


@functools.cache
def _exact_bytes(method: Method, device: torch.device) -> bool:
    """Tell whether sums of products of signed bytes come out right, extreme ones among them.

    Vector units without a dot product of bytes saturate sums of two products at 16 bits (pytorch
    issue 136746); tensor cores may align sums to fewer bits than float32 has.
    """
    reduction = 1023
    left = np.random.default_rng(0).integers(-128, 128, (96, reduction))
    left[:32], left[32:64] = -128, 127
    right = left[::-1].T
    dtype, multiply = (
        (torch.int8, _multiply_bytes)
        if method is Method.INT8
        else (torch.float16, _multiply_halves)
    )
    operands = (torch.from_numpy(side.copy()).to(device, dtype) for side in (left, right))
    try:
        found = multiply(*operands).cpu().numpy()
    except (RuntimeError, NotImplementedError, TypeError):
        # torch has no such product for this type on this device, and says so in any of these ways.
        return False
    return np.array_equal(found, left @ right)


def _multiply_floats(left: Tensor, right: Tensor) -> Tensor:
    return torch.mm(left, right).to(torch.int32)


def _multiply_halves(left: Tensor, right: Tensor) -> Tensor:
    return torch.mm(left, right, out_dtype=torch.float32).to(torch.int32)


def _multiply_bytes(left: Tensor, right: Tensor) -> Tensor:
    # On a CPU torch returns garbage where an axis of length 1 has an unusual stride, as views of
    # contiguous tensors do (pytorch issue 195066).
    if left.device.type == "cpu" and min(*left.shape, *right.shape) > 1:
        return torch._int_mm(left, right)
    return _aligned(left, right)


def _aligned(left: Tensor, right: Tensor) -> Tensor:
    """Multiply bytes in sizes that CUDA takes: more than 16 rows, K and N multiples of 8."""
    n_rows, reduction = left.shape
    n_columns = right.shape[1]
    more_k, more_n = -reduction % 8, -n_columns % 8
    left = F.pad(left, (0, more_k, 0, max(0, 17 - n_rows)))
    # Padded as its transpose, which is how it lies in memory.
    right = F.pad(right.T, (0, more_k, 0, more_n)).T
    return torch._int_mm(left, right)[:n_rows, :n_columns]
