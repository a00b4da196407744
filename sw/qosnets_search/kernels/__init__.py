"""Exact integer sums of table entries, as fast as the machine allows.

:func:`lut_matmul` and :func:`lut_conv2d` are what a multiplier's look-up table makes of a matrix
product and of a convolution. They take and return integers, and no gradients. Several ways lead
to the same result; a planner takes the fastest one for shape and machine.
"""

from torch import Tensor

from .low_rank_path import LowRank
from .masked_path import Masked
from .paths import KernelPath, register
from .planner import VARIABLE, Candidate, choose, explain
from .shapes import ConvShape, MatmulShape, check_conv2d, check_matmul

__all__ = [
    "VARIABLE",
    "Candidate",
    "ConvShape",
    "KernelPath",
    "MatmulShape",
    "explain",
    "lut_conv2d",
    "lut_matmul",
]

register(LowRank())
register(Masked())


def lut_matmul(
    x: Tensor, w: Tensor, lut: Tensor, *, path: KernelPath | str | None = None
) -> Tensor:
    """Return ``Σ_k lut[x[m, k], w[k, n]]``, int32 ``[M, N]``.

    Parameters
    ----------
    x
        Codes, uint8 ``[M, K]``.
    w
        Codes, uint8 ``[K, N]``.
    lut
        Table, uint16 ``[256, 256]``; its rows are the codes of x
        (:func:`qosnets.lut.oriented` brings it into that order).
    path
        The way to compute it; None leaves the choice to the environment variable
        ``QOSNETS_KERNEL`` and else to the planner.

    Raises
    ------
    InputError
        If a tensor has another type or shape, is not contiguous or is on another device than x,
        if K entries could exceed int32, or if the path cannot compute it.
    """
    shape = check_matmul(x, w, lut)
    return choose(shape, lut, path).run(shape, x, w, lut)


def lut_conv2d(
    x: Tensor,
    w: Tensor,
    lut: Tensor,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    padding_code: int = 0,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    path: KernelPath | str | None = None,
) -> Tensor:
    """Return the convolution whose products are those of a table, int32 ``[B, O, H', W']``.

    Parameters
    ----------
    x
        Codes, uint8 ``[B, C, H, W]``.
    w
        Codes, uint8 ``[O, C/groups, kh, kw]``.
    lut
        Table, uint16 ``[256, 256]``; its rows are the codes of x.
    stride, dilation
        Of rows, of columns.
    padding
        Top, left, bottom, right.
    padding_code
        Code of padded positions, 0..255; it goes through the table like any other.
    groups
        Number of groups; C is that of a depthwise convolution.
    path
        As for :func:`lut_matmul`.

    Raises
    ------
    InputError
        As for :func:`lut_matmul`, and if the kernel does not fit into the padded input.
    """
    shape = check_conv2d(
        x,
        w,
        lut,
        stride=stride,
        padding=padding,
        padding_code=padding_code,
        dilation=dilation,
        groups=groups,
    )
    return choose(shape, lut, path).run(shape, x, w, lut)
