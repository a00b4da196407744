"""Receptive fields of a layer's outputs."""

import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor

__all__ = ["receptive_fields"]


def receptive_fields(codes: Tensor, geometry: Geometry) -> Tensor:
    """Return the receptive field of every output position, int64 ``[images·positions, K]``.

    Parameters
    ----------
    codes
        Input codes, ``[image, channel, height, width]`` or ``[image, feature]``.
    geometry
        Of a layer with one group and no dilation; padding holds the code ``input_zero_point``,
        which passes through the multiplier like any other.
    """
    x = codes.to(torch.int64)
    if geometry.kind is LayerKind.LINEAR:
        return x
    top, left, bottom, right = geometry.padding
    padded = F.pad(x, (left, right, top, bottom), value=geometry.input_zero_point)
    windows = padded
    for axis in (0, 1):
        windows = windows.unfold(2 + axis, geometry.kernel[axis], geometry.stride[axis])
    # image, channel, y, x, kernel row, kernel column
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, geometry.reduction)
