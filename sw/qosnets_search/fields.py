"""Products through a look-up table, on integer codes.

Tables are ``M[x, w]``, indexed by activation and weight code (:func:`qosnets.lut.oriented`).
"""

import numpy as np
import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import Lut
from torch import Tensor

__all__ = ["from_columns", "lut_matmul", "lut_matmul_fast", "receptive_fields"]


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


def from_columns(columns: Tensor, geometry: Geometry) -> Tensor:
    """Return values ``[images·positions, channel]`` as ``[image, channel(, height, width)]``."""
    if geometry.kind is LayerKind.LINEAR:
        return columns
    height, width = geometry.output_size
    return columns.reshape(-1, height, width, geometry.out_channels).permute(0, 3, 1, 2)


def lut_matmul(x: Tensor, w: Tensor, table: Lut) -> Tensor:
    """Return ``Σ_k table[x[m, k], w[n, k]]``, int64 ``[M, N]``, one gather per k.

    ``x`` ``[M, K]`` and ``w`` ``[N, K]`` are int64.
    """
    products = torch.from_numpy(table.astype(np.int64))
    total = torch.zeros(len(x), len(w), dtype=torch.int64)
    for k in range(x.shape[1]):
        total += products[x[:, k, None], w[None, :, k]]
    return total


def lut_matmul_fast(x: Tensor, w: Tensor, table: Lut) -> Tensor:
    """Return what :func:`lut_matmul` returns, as float64.

    The table rows of the N weights at position k are laid side by side, so that one activation
    code selects N products at once. Exact, for float64 holds integers up to 2⁵³.
    """
    n_outputs, reduction = w.shape
    rows = torch.from_numpy(table.astype(np.float64))[:, w.T]  # activation code, k, n
    rows = rows.transpose(0, 1).reshape(reduction * 256, n_outputs)
    return F.embedding_bag(x + 256 * torch.arange(reduction), rows, mode="sum")
