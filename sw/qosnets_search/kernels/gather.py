"""Path ``gather``: plain torch on any device, the oracle of all other paths."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .shapes import ConvShape, MatmulShape, Shape

__all__ = ["run_gather"]

_MAX_GATHERED = 1 << 18
"""Table entries gathered at a time; their indices are 2 MiB."""


def run_gather(shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
    """Return the sums, int32 ``[M, N]`` or ``[B, O, H', W']``: entries are gathered, then added."""
    if isinstance(shape, MatmulShape):
        return _sums(x[None], w.t()[None], lut)[0]
    fields = _receptive_fields(shape, x)
    codes = w.reshape(shape.groups, shape.outputs_per_group, shape.reduction)
    sums = _sums(fields, codes, lut)
    sums = sums.reshape(shape.groups, shape.batch, *shape.output_size, shape.outputs_per_group)
    # image, group, channel, y, x
    sums = sums.permute(1, 0, 4, 2, 3)
    return sums.reshape(shape.batch, shape.out_channels, *shape.output_size).contiguous()


def _receptive_fields(shape: ConvShape, x: Tensor) -> Tensor:
    """Return the codes that each output reads, uint8 ``[group, position, K]``."""
    top, left, bottom, right = shape.padding
    padded = F.pad(x, (left, right, top, bottom), value=shape.padding_code)
    (height, width), (down, across) = shape.output_size, shape.stride
    taps = []
    for i in range(shape.kernel[0]):
        for j in range(shape.kernel[1]):
            y, z = i * shape.dilation[0], j * shape.dilation[1]
            rows = slice(y, y + down * (height - 1) + 1, down)
            columns = slice(z, z + across * (width - 1) + 1, across)
            taps.append(padded[:, :, rows, columns])
    fields = torch.stack(taps, dim=2)  # image, channel, tap, y, x
    group_channels = shape.in_channels // shape.groups
    fields = fields.reshape(shape.batch, shape.groups, group_channels, len(taps), height, width)
    return fields.permute(1, 0, 4, 5, 2, 3).reshape(shape.groups, -1, shape.reduction)


def _sums(x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
    """Return ``Σ_k lut[x[g, m, k], w[g, n, k]]``, int32 ``[g, m, n]``."""
    entries = lut.reshape(-1).to(torch.int32)
    n_groups, n_rows, reduction = x.shape
    n_columns = w.shape[1]
    total = torch.zeros(n_groups, n_rows, n_columns, dtype=torch.int32, device=x.device)
    row_step = max(1, min(n_rows, _MAX_GATHERED // (n_groups * n_columns)))
    k_step = max(1, _MAX_GATHERED // (n_groups * n_columns * row_step))
    for row in range(0, n_rows, row_step):
        for k in range(0, reduction, k_step):
            upper = x[:, row : row + row_step, None, k : k + k_step].to(torch.int64) << 8
            gathered = entries[upper + w[:, None, :, k : k + k_step]]
            total[:, row : row + row_step] += gathered.sum(dim=-1, dtype=torch.int32)
    return total
