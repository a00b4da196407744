"""Path for CUDA devices: the table in global memory, which the L1 cache keeps; needs triton.

Checked in Triton's interpreter on a CPU, and compiled for CUDA; it has not run on a GPU yet, and
its speed is unmeasured. What follows are reasons, not results.

Convolutions are implicit matrix products: nothing is unfolded, each program computes where the
codes of its positions lie in the padded input. A matrix product is the convolution of images of
one pixel. Triton cannot keep a table of this size in shared memory, hence entries are loaded as
the 16 bits they are: 128 KiB fit into the L1 cache where an SM has more than that (A100, H100).
The 32 lanes of a warp take the same code of x and neighbouring columns, so that what they look up
lies in one row of the table, 512 bytes. Fewer than 32 output channels per group do without that;
a depthwise convolution reads from all of the table.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .shapes import ConvShape, MatmulShape, Shape

__all__ = ["run_triton", "triton_obstacle", "triton_work"]

_TILE = 2048
"""Accumulators of a program; 16 per thread."""

_MAX_COLUMNS = 64
"""Columns of a tile, where there are so many."""

tl: Any = None
"""``triton.language`` once the kernel was built: to import this module must not need triton."""


def triton_obstacle(device: torch.device) -> str | None:
    """Return why sums on this device cannot be had from Triton, or None."""
    if device.type != "cuda":
        return f"needs operands on a CUDA device, not on {device}"
    return "needs the package triton" if find_spec("triton") is None else None


def triton_work(shape: Shape) -> tuple[float, ...]:
    """Return the amounts of work: one call, and the entries looked up, unused lanes included."""
    sums = _Sums.of(shape)
    rows, columns = sums.tile
    return 1.0, float(sums.n_programs * rows * columns * sums.reduction)


def run_triton(shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
    """Return the sums, int32 ``[M, N]`` or ``[B, O, H', W']``.

    Operands must be on one CUDA device; on the CPU if the environment had ``TRITON_INTERPRET=1``
    at the first call, which is slow and for tests.
    """
    sums = _Sums.of(shape)
    if isinstance(shape, MatmulShape):
        out = torch.empty(shape.n_rows, shape.n_columns, dtype=torch.int32, device=x.device)
    else:
        top, left, bottom, right = shape.padding
        x = F.pad(x, (left, right, top, bottom), value=shape.padding_code)
        # group, k, channel: lanes read neighbouring bytes
        w = w.reshape(shape.groups, shape.outputs_per_group, shape.reduction)
        w = w.transpose(1, 2).contiguous()
        size = (shape.batch, shape.out_channels, *shape.output_size)
        out = torch.empty(size, dtype=torch.int32, device=x.device)
    rows, columns = sums.tile
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        _kernel()[(sums.n_programs,)](
            x,
            w,
            lut,
            out,
            sums.n_positions,
            sums.n_columns,
            sums.n_groups,
            sums.n_channels,
            *sums.kernel,
            sums.positions_per_image,
            sums.positions_per_row,
            sums.image_step,
            sums.plane_step,
            *sums.position_steps,
            *sums.tap_steps,
            rows,
            columns,
        )
    return out


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """Arguments of the kernel; steps are distances in the padded input, in codes."""

    n_positions: int
    """Outputs of a channel, of all images."""
    n_columns: int
    """Output channels of a group."""
    n_groups: int
    n_channels: int
    """Input channels of a group."""
    kernel: tuple[int, int]
    positions_per_image: int
    positions_per_row: int
    image_step: int
    plane_step: int
    """From one channel to the next."""
    position_steps: tuple[int, int]
    """Between outputs, down and across."""
    tap_steps: tuple[int, int]
    """Between the codes of one output, down and across."""

    @classmethod
    def of(cls, shape: Shape) -> "_Sums":
        if isinstance(shape, MatmulShape):
            return cls(
                n_positions=shape.n_rows,
                n_columns=shape.n_columns,
                n_groups=1,
                n_channels=shape.reduction,
                kernel=(1, 1),
                positions_per_image=1,
                positions_per_row=1,
                image_step=shape.reduction,
                plane_step=1,
                position_steps=(1, 1),
                tap_steps=(1, 1),
            )
        return cls._of_conv2d(shape)

    @classmethod
    def _of_conv2d(cls, shape: ConvShape) -> "_Sums":
        top, left, bottom, right = shape.padding
        width = shape.size[1] + left + right
        plane = (shape.size[0] + top + bottom) * width
        n_positions = prod(shape.output_size)
        return cls(
            n_positions=shape.batch * n_positions,
            n_columns=shape.outputs_per_group,
            n_groups=shape.groups,
            n_channels=shape.in_channels // shape.groups,
            kernel=shape.kernel,
            positions_per_image=n_positions,
            positions_per_row=shape.output_size[1],
            image_step=shape.in_channels * plane,
            plane_step=plane,
            position_steps=(shape.stride[0] * width, shape.stride[1]),
            tap_steps=(shape.dilation[0] * width, shape.dilation[1]),
        )

    @property
    def reduction(self) -> int:
        return self.n_channels * prod(self.kernel)

    @property
    def tile(self) -> tuple[int, int]:
        """Positions and columns of a program, powers of two."""
        columns = min(_MAX_COLUMNS, _power_of_two(self.n_columns))
        return min(_TILE // columns, _power_of_two(self.n_positions)), columns

    @property
    def n_programs(self) -> int:
        rows, columns = self.tile
        return -(-self.n_positions // rows) * self.n_groups * -(-self.n_columns // columns)


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


@cache
def _kernel() -> Any:
    # Triton's interpreter looks for its language among the globals of a kernel.
    global tl
    tl = import_module("triton.language")

    def add_entries(  # type: ignore[no-untyped-def]
        x,
        w,
        lut,
        out,
        n_positions,
        n_columns,
        n_groups,
        n_channels,
        kernel_height,
        kernel_width,
        positions_per_image,
        positions_per_row,
        image_step,
        plane_step,
        down,
        across,
        tap_down,
        tap_across,
        rows: tl.constexpr,
        columns: tl.constexpr,
    ):
        """Write one tile of the sums; ``x`` is ``[image, channel, y, x]``, ``w`` ``[group, k, n]``.

        The last positions and columns are computed repeatedly where a tile reaches beyond them, for
        that needs no mask in the loop.
        """
        n_column_tiles = (n_columns + columns - 1) // columns
        program = tl.program_id(0)
        column_tile = program % n_column_tiles
        group = (program // n_column_tiles % n_groups).to(tl.int64)
        row_tile = (program // n_column_tiles // n_groups).to(tl.int64)

        position = row_tile * rows + tl.arange(0, rows)
        position_read = tl.minimum(position, n_positions - 1)
        image = position_read // positions_per_image
        pixel = position_read % positions_per_image
        first = image * image_step + group * n_channels * plane_step
        first += pixel // positions_per_row * down + pixel % positions_per_row * across
        column = column_tile * columns + tl.arange(0, columns)
        weights = w + group * n_channels * kernel_height * kernel_width * n_columns
        weights += tl.minimum(column, n_columns - 1)

        total = tl.full((rows, columns), 0, tl.int32)
        channel_codes = x + first
        for _channel in range(n_channels):
            for i in range(kernel_height):
                for j in range(kernel_width):
                    x_codes = tl.load(channel_codes + (i * tap_down + j * tap_across)).to(tl.int32)
                    w_codes = tl.load(weights).to(tl.int32)
                    entries = tl.load(lut + (x_codes[:, None] * 256 + w_codes[None, :]))
                    total += entries.to(tl.int32)
                    weights += n_columns
            channel_codes += plane_step

        n_outputs = n_groups * n_columns
        output = group * n_columns + column
        target = image[:, None] * n_outputs + output[None, :]
        target = target * positions_per_image + pixel[:, None]
        inside = (position < n_positions)[:, None] & (column < n_columns)[None, :]
        tl.store(out + target, total, mask=inside)

    return import_module("triton").jit(add_entries)
