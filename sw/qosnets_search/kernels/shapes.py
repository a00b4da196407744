"""Shapes of sums of table entries, and the checks of the operands that have them."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from qosnets.errors import InputError
from torch import Tensor

__all__ = ["ConvShape", "MatmulShape", "Shape", "check_conv2d", "check_matmul"]

_N_CODES = 256
_ACC_LIMIT = 2**31


@dataclass(frozen=True)
class MatmulShape:
    """Sizes of ``[M, K] · [K, N]``."""

    n_rows: int
    """M."""
    reduction: int
    """K."""
    n_columns: int
    """N."""

    @property
    def n_products(self) -> int:
        """Table entries that are summed."""
        return self.n_rows * self.reduction * self.n_columns

    def __str__(self) -> str:
        return f"linear {self.n_rows}x{self.reduction}x{self.n_columns}"


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """Geometry of a convolution of a batch; pairs are height, width."""

    batch: int
    in_channels: int
    size: tuple[int, int]
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""
    padding_code: int
    """Code that padded positions hold."""
    dilation: tuple[int, int]
    groups: int

    @property
    def reduction(self) -> int:
        """K, the products in one accumulator."""
        return math.prod(self.kernel) * self.in_channels // self.groups

    @property
    def outputs_per_group(self) -> int:
        """N, the output channels of one group."""
        return self.out_channels // self.groups

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        top, left, bottom, right = self.padding
        return self._output_extent(0, top + bottom), self._output_extent(1, left + right)

    def _output_extent(self, axis: int, padding: int) -> int:
        span = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (self.size[axis] + padding - span) // self.stride[axis] + 1

    @property
    def n_outputs(self) -> int:
        """Accumulators of the batch."""
        return self.batch * self.out_channels * math.prod(self.output_size)

    @property
    def n_products(self) -> int:
        """Table entries that are summed."""
        return self.n_outputs * self.reduction

    def __str__(self) -> str:
        kernel, size = ("x".join(map(str, pair)) for pair in (self.kernel, self.size))
        groups = f" groups {self.groups}" if self.groups > 1 else ""
        channels = f"{self.in_channels}->{self.out_channels}"
        return f"conv {channels} {kernel} on {self.batch}x{size}{groups}"


Shape: TypeAlias = MatmulShape | ConvShape


def check_matmul(x: Tensor, w: Tensor, lut: Tensor) -> MatmulShape:
    """Return the shape of ``lut_matmul(x, w, lut)``; raises InputError if there is none."""
    where = "lut_matmul"
    _check_codes(where, "x", x, "[M, K]")
    _check_codes(where, "w", w, "[K, N]")
    (n_rows, reduction), (w_rows, n_columns) = x.shape, w.shape
    if w_rows != reduction:
        raise InputError(f"{where}: w: must have the {reduction} rows that x needs, not {w_rows}")
    _check_lut(where, lut, x, w, reduction)
    return MatmulShape(n_rows, reduction, n_columns)


def check_conv2d(
    x: Tensor,
    w: Tensor,
    lut: Tensor,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    padding_code: int,
    dilation: tuple[int, int],
    groups: int,
) -> ConvShape:
    """Return the shape of ``lut_conv2d`` of these arguments; raises InputError if there is none."""
    where = "lut_conv2d"
    _check_codes(where, "x", x, "[B, C, H, W]")
    _check_codes(where, "w", w, "[O, C/groups, kh, kw]")
    _check_integers(where, "stride", stride, 2, 1)
    _check_integers(where, "padding", padding, 4, 0)
    _check_integers(where, "dilation", dilation, 2, 1)
    _check_integers(where, "groups", (groups,), 1, 1)
    _check_integers(where, "padding_code", (padding_code,), 1, 0)
    if padding_code >= _N_CODES:
        raise InputError(f"{where}: padding_code: must be at most 255, not {padding_code}")
    batch, in_channels, height, width = x.shape
    out_channels, group_channels, *kernel = w.shape
    for name, channels in (("x", in_channels), ("w", out_channels)):
        if channels % groups:
            rule = f"must have a multiple of {groups} channels (groups)"
            raise InputError(f"{where}: {name}: {rule}, not {channels}")
    if group_channels * groups != in_channels:
        rule = f"must have {in_channels // groups} channels per group"
        raise InputError(f"{where}: w: {rule}, not {group_channels}")
    shape = ConvShape(
        batch=batch,
        in_channels=in_channels,
        size=(height, width),
        out_channels=out_channels,
        kernel=(kernel[0], kernel[1]),
        stride=stride,
        padding=padding,
        padding_code=padding_code,
        dilation=dilation,
        groups=groups,
    )
    if min(shape.output_size) < 1:
        raise InputError(f"{where}: w: must fit into the padded x, not {list(w.shape)}")
    _check_lut(where, lut, x, w, shape.reduction)
    return shape


def _check_codes(where: str, name: str, codes: Tensor, axes: str) -> None:
    n_axes = axes.count(",") + 1
    if codes.dtype != torch.uint8 or codes.ndim != n_axes or 0 in codes.shape:
        found = f"{_dtype(codes)}{list(codes.shape)}"
        raise InputError(f"{where}: {name}: must be uint8 {axes}, none of them 0, not {found}")
    if not codes.is_contiguous():
        found = f"strides {list(codes.stride())}"
        raise InputError(f"{where}: {name}: must be contiguous, not of {found}")


def _check_lut(where: str, lut: Tensor, x: Tensor, w: Tensor, reduction: int) -> None:
    if lut.dtype != torch.uint16 or lut.shape != (_N_CODES, _N_CODES):
        found = f"{_dtype(lut)}{list(lut.shape)}"
        raise InputError(f"{where}: lut: must be uint16 [256, 256], not {found}")
    if not lut.is_contiguous():
        found = f"strides {list(lut.stride())}"
        raise InputError(f"{where}: lut: must be contiguous, not of {found}")
    for name, other in (("w", w), ("lut", lut)):
        if other.device != x.device:
            rule = f"must be on {x.device} like x"
            raise InputError(f"{where}: {name}: {rule}, not on {other.device}")
    largest = int(lut.cpu().numpy().max())
    if reduction * largest >= _ACC_LIMIT:
        rule = f"{reduction} products of at most {largest} must stay below 2^31"
        raise InputError(f"{where}: K: {rule}, not {reduction * largest}")


def _check_integers(
    where: str, name: str, values: tuple[int, ...], n_values: int, least: int
) -> None:
    whole = isinstance(values, tuple) and all(type(value) is int for value in values)
    if not whole or len(values) != n_values or min(values) < least:
        rule = f"must be {n_values} integer(s) of at least {least}"
        raise InputError(f"{where}: {name}: {rule}, not {values}")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
