"""Geometry in PyTorch's terms."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor, nn

__all__ = ["conv_geometry", "linear_geometry", "pad", "pair"]


def pad(x: Tensor, padding: tuple[int, int, int, int], value: float) -> Tensor:
    """Return ``x`` with ``value`` around its last two axes; top, left, bottom, right."""
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


def pair(value: Any) -> tuple[int, int]:
    """Return a number for both axes, or one each, as height and width."""
    if isinstance(value, Sequence):
        pair = tuple(value) * 2 if len(value) == 1 else tuple(value)
        return int(pair[0]), int(pair[1])
    return int(value), int(value)


def linear_geometry(module: nn.Linear) -> Geometry:
    """Return the geometry of a matrix product; quantisation is left open (0, and all codes)."""
    return Geometry(
        kind=LayerKind.LINEAR,
        in_channels=module.in_features,
        out_channels=module.out_features,
        kernel=(1, 1),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        dilation=(1, 1),
        groups=1,
        input_size=(1, 1),
        input_zero_point=0,
        output_zero_point=0,
        clamp=(0, 255),
    )


def conv_geometry(
    module: nn.Conv2d, shape: tuple[int, ...], outer: tuple[int, int, int, int]
) -> Geometry:
    """Return the geometry of a convolution; quantisation is left open (0, and all codes).

    It reads a tensor of ``shape``, of which ``outer`` (top, left, bottom, right) is padding.
    """
    kernel, dilation = pair(module.kernel_size), pair(module.dilation)
    if isinstance(module.padding, str):
        # 'same' puts the odd position at the end.
        wide = [
            d * (k - 1) if module.padding == "same" else 0
            for d, k in zip(dilation, kernel, strict=True)
        ]
        own = (wide[0] // 2, wide[1] // 2, wide[0] - wide[0] // 2, wide[1] - wide[1] // 2)
    else:
        height, width = pair(module.padding)
        own = (height, width, height, width)
    top, left, bottom, right = (a + b for a, b in zip(own, outer, strict=True))
    return Geometry(
        kind=LayerKind.CONV,
        in_channels=module.in_channels,
        out_channels=module.out_channels,
        kernel=kernel,
        stride=pair(module.stride),
        padding=(top, left, bottom, right),
        dilation=dilation,
        groups=module.groups,
        # Of the tensor that the convolution reads, before any padding.
        input_size=(shape[2] - outer[0] - outer[2], shape[3] - outer[1] - outer[3]),
        input_zero_point=0,
        output_zero_point=0,
        clamp=(0, 255),
    )
