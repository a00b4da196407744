"""Errors that a multiplier makes in a layer, measured: the oracle of the error model."""

from collections.abc import Iterator

import numpy as np
import torch
from qosnets.lut import Lut, exact_lut
from torch import Tensor

from ..quantised.approximate import accumulate
from ..quantised.integer import IntegerLayer
from .channel_moments import ChannelMoments, channel_moments

__all__ = ["measured_error"]

CHUNK_OUTPUTS = 1 << 22
"""Outputs, about, that are held at once."""


def measured_error(layer: IntegerLayer, x: Tensor, table: Lut) -> ChannelMoments:
    """Return the moments of the error ``ΣM(x, w) − Σx·w`` over all outputs of a layer.

    Both sums are exact integers. The terms of zero points are the same in both, hence this is the
    error of the corrected accumulator as well.

    Parameters
    ----------
    layer
        The layer.
    x
        Its input codes, uint8 ``[image, channel, height, width]`` or ``[image, feature]``.
    table
        ``M[x, w]``.
    """
    return channel_moments(_errors(layer, x, table))


def _errors(layer: IntegerLayer, x: Tensor, table: Lut) -> Iterator[Tensor]:
    geometry = layer.geometry
    weights = layer.weight_codes(x.device)
    approximate, exact = (
        torch.from_numpy(np.ascontiguousarray(lut)).to(x.device) for lut in (table, exact_lut())
    )
    chunk_images = max(1, CHUNK_OUTPUTS // (geometry.out_channels * geometry.positions))
    for images in torch.split(x, chunk_images):
        sums = accumulate(images, weights, approximate, geometry)
        yield sums.sub_(accumulate(images, weights, exact, geometry))
