"""The one form that the compiled paths compute, and how matrix products and convolutions take it.

For every group g, row r and position p of a plane of lanes,

    out[g, r, p] = Σ_k columns[codes[g, r, k], lanes[starts[g, k] + p]]

A convolution needs no copy of its receptive fields for this: its padded input is cut into one
plane per channel and phase of the stride, in which neighbouring outputs read neighbouring codes
whatever the tap. Positions between the rows of the output are computed in vain and left out
(:class:`Frame`); where that would be too many, every tap gets a plane of its own.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .compiled import compiled, run_items
from .shapes import ConvShape, MatmulShape
from .vector import copy, transpose_8

__all__ = ["TILE", "Amounts", "Frame", "LookupSum", "Planes", "Roles", "aligned"]
__all__ += ["matmul_result", "planes"]

TILE = 256
"""Positions that a kernel may compute at a time: so many bytes past the last one are readable."""

_MAX_IN_VAIN = 8.0
"""Look-ups in vain per code of a plane that cost as much as to copy the code once more."""

_CODES_PER_NANOSECOND = 10.0
"""Speed of copying."""


@dataclass(frozen=True)
class Frame:
    """Where the outputs lie among the positions of a plane.

    Position ``(image · pitch_rows + y) · pitch + x`` is output ``y, x`` of the image.
    """

    images: int
    pitch_rows: int
    pitch: int
    height: int
    width: int

    @property
    def n_positions(self) -> int:
        """Positions up to the last output."""
        rows = (self.images - 1) * self.pitch_rows + self.height - 1
        return rows * self.pitch + self.width

    @property
    def n_outputs(self) -> int:
        """Outputs per channel."""
        return self.images * self.height * self.width

    def as_array(self) -> npt.NDArray[np.int64]:
        """Return pitch_rows, pitch, height, width, as the kernels take them."""
        return np.array([self.pitch_rows, self.pitch, self.height, self.width])


@dataclass(frozen=True)
class Planes:
    """The planes that a convolution reads, per channel of the input."""

    frame: Frame
    rows: int
    """Rows of an image in a plane."""
    columns: int
    origins: tuple[tuple[int, int], ...]
    """Row and column of the padded input that a plane begins with; it advances by the stride."""
    taps: tuple[tuple[int, int], ...]
    """Per tap of the kernel: plane, and position in it that output 0 reads."""

    @property
    def plane_size(self) -> int:
        """Codes of a plane."""
        return self.frame.images * self.rows * self.columns

    @property
    def n_copied(self) -> int:
        """Codes copied per channel."""
        return self.plane_size * len(self.origins)


@cache
def planes(shape: ConvShape) -> Planes:
    """Return the planes for a convolution, shared by the taps where that pays."""
    shared, separate = _shared_planes(shape), _separate_planes(shape)
    n_outputs = shared.frame.n_outputs
    in_vain = (shared.frame.n_positions / n_outputs - 1) * shape.outputs_per_group
    return shared if in_vain <= _MAX_IN_VAIN else separate


def _steps(shape: ConvShape) -> list[tuple[int, int]]:
    """Row and column of the padded input that output 0 reads, per tap."""
    (rows, columns), (down, right) = shape.kernel, shape.dilation
    return [(i * down, j * right) for i in range(rows) for j in range(columns)]


def _separate_planes(shape: ConvShape) -> Planes:
    origins = tuple(_steps(shape))
    # Without gaps, images are rows of one line.
    height, width = shape.output_size
    frame = Frame(shape.batch, 1, height * width, 1, height * width)
    taps = tuple((plane, 0) for plane in range(len(origins)))
    return Planes(frame, height, width, origins, taps)


def _shared_planes(shape: ConvShape) -> Planes:
    (down, right), (height, width) = shape.stride, shape.output_size
    steps = _steps(shape)
    origins = sorted({(y % down, x % right) for y, x in steps})
    pitch_rows = height + max(y // down for y, _ in steps)
    pitch = width + max(x // right for _, x in steps)
    if shape.stride == (1, 1):
        # Padding after a row or an image serves as the padding before the next one.
        top, left, bottom, right_ = shape.padding
        pitch_rows = max(pitch_rows - min(top, bottom), height)
        pitch = max(pitch - min(left, right_), width)
    taps = tuple(
        (origins.index((y % down, x % right)), (y // down) * pitch + x // right) for y, x in steps
    )
    frame = Frame(shape.batch, pitch_rows, pitch, height, width)
    return Planes(frame, pitch_rows, pitch, tuple(origins), taps)


class Roles(Enum):
    """Which operand of a matrix product is the lanes; the other one is the codes."""

    COLUMNS = "columns"
    """Lanes are the columns of w; results are in their final order."""
    ROWS = "rows"
    """Lanes are the rows of x; x and the result are transposed."""


@dataclass(frozen=True)
class LookupSum:
    """Operands of the form above, as arrays that kernels take."""

    lanes: npt.NDArray[np.uint8]
    """All planes, and room to read ``TILE`` codes past the end."""
    starts: npt.NDArray[np.int64]
    """``[group, k]``."""
    codes: npt.NDArray[np.uint8]
    """``[group, row, k]``."""
    columns: npt.NDArray[np.uint16]
    """``[code of a row, code in a lane]``: the column of the table that a row code selects."""
    frame: Frame

    @property
    def n_products(self) -> int:
        """Table entries that are summed."""
        return self.codes.size * self.frame.n_outputs

    def new_output(self) -> npt.NDArray[np.int32]:
        """Return unset memory for the result, ``[image, group·row, position]`` as one line."""
        n_rows = self.codes.shape[0] * self.codes.shape[1]
        return np.empty(n_rows * self.frame.n_outputs, np.int32)

    @classmethod
    def of_matmul(cls, x: Tensor, w: Tensor, lut: Tensor, roles: Roles) -> "LookupSum":
        """Return the form of ``Σ_k lut[x[m, k], w[k, n]]``, with one group."""
        lane_codes, codes, columns = w.numpy(), x.numpy(), lut.numpy()
        if roles is Roles.ROWS:
            lane_codes, codes, columns = x.numpy().T, w.numpy().T, _transposed(lut)
        reduction, n_lanes = lane_codes.shape
        lanes = aligned(lane_codes.size + TILE)
        lanes[: lane_codes.size].reshape(reduction, n_lanes)[:] = lane_codes
        lanes[lane_codes.size :] = 0
        starts = np.arange(reduction)[None] * n_lanes
        rows = np.ascontiguousarray(codes)[None]
        frame = Frame(1, 1, n_lanes, 1, n_lanes)
        return cls(lanes, starts, rows, columns, frame)

    @classmethod
    def of_conv2d(cls, x: Tensor, w: Tensor, lut: Tensor, shape: ConvShape) -> "LookupSum":
        """Return the form of a convolution; lanes are the codes of x."""
        layout = planes(shape)
        size = layout.n_copied * shape.in_channels
        # The last plane finds shared padding behind it, at most that of an image and a row.
        lanes = aligned(size + (layout.rows + 1) * layout.columns + TILE)
        lanes[size:] = shape.padding_code
        geometry = np.array(
            [layout.rows, layout.columns, *shape.stride, *shape.padding[:2], shape.padding_code]
        )
        origins = np.array(layout.origins)
        run_items(
            _copy_planes,
            shape.in_channels,
            size / _CODES_PER_NANOSECOND,
            x.numpy().ravel(),
            tuple(x.shape),
            origins,
            geometry,
            lanes,
        )
        group_channels = shape.in_channels // shape.groups
        channels = np.arange(shape.in_channels).reshape(shape.groups, group_channels, 1)
        taps = np.array([plane * layout.plane_size + start for plane, start in layout.taps])
        starts = (channels * layout.n_copied + taps).reshape(shape.groups, -1)
        codes = w.numpy().reshape(shape.groups, shape.outputs_per_group, -1)
        return cls(lanes, starts, codes, _transposed(lut), layout.frame)


@dataclass(frozen=True)
class Amounts:
    """What the costs of a sum in this form depend on."""

    n_groups: int
    n_rows: int
    """Of all groups."""
    reduction: int
    n_positions: int
    n_copied: int
    """Codes copied into lanes."""
    n_outputs: int
    n_runs: int
    """Pieces of lines that are copied into lanes and out of sums."""

    @classmethod
    def of_matmul(cls, shape: MatmulShape, roles: Roles) -> "Amounts":
        """Return the amounts of a matrix product."""
        n_rows, n_lanes = shape.n_rows, shape.n_columns
        if roles is Roles.ROWS:
            n_rows, n_lanes = n_lanes, n_rows
        copied = n_lanes * shape.reduction
        n_runs = shape.reduction + n_rows
        return cls(1, n_rows, shape.reduction, n_lanes, copied, n_rows * n_lanes, n_runs)

    @classmethod
    def of_conv2d(cls, shape: ConvShape) -> "Amounts":
        """Return the amounts of a convolution."""
        layout = planes(shape)
        return cls(
            shape.groups,
            shape.out_channels,
            shape.reduction,
            layout.frame.n_positions,
            layout.n_copied * shape.in_channels,
            shape.n_outputs,
            shape.in_channels * shape.batch * layout.rows * len(layout.origins)
            + shape.n_outputs // layout.frame.width,
        )

    @property
    def common(self) -> tuple[float, ...]:
        """Amounts of work of every path: a call, codes copied, outputs, runs of both."""
        return 1.0, float(self.n_copied), float(self.n_outputs), float(self.n_runs)


def matmul_result(out: npt.NDArray[np.int32], shape: MatmulShape, roles: Roles) -> Tensor:
    """Return the result of a matrix product, ``[M, N]``."""
    if roles is Roles.COLUMNS:
        return torch.from_numpy(out.reshape(shape.n_rows, shape.n_columns))
    return torch.from_numpy(out.reshape(shape.n_columns, shape.n_rows)).t().contiguous()


def _transposed(lut: Tensor) -> npt.NDArray[np.uint16]:
    columns = np.empty(256 * 256, np.uint16)
    _transpose(lut.numpy().ravel(), columns)
    return columns.reshape(256, 256)


@compiled
def _transpose(table, columns):
    """Write a table of one line transposed."""
    codes = np.arange(256).astype(np.uint8)
    for row in range(0, 256, 8):
        for lane in range(0, 256, 8):
            transpose_8(table, codes, row, lane, columns, lane * 256 + row, 256)


def aligned(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Return unset memory that begins with a line of the cache."""
    memory = np.empty(n_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n_bytes]


@compiled
def _copy_planes(first, last, x, shape, origins, geometry, lanes):
    """Write the planes of input channels; ``x`` of ``shape`` is one line."""
    rows, columns, down, right, top, left, padding_code = geometry
    images, n_channels, height, width = shape
    target = first * len(origins) * images * rows * columns
    lanes[target : target + (last - first) * len(origins) * images * rows * columns] = padding_code
    for channel in range(first, last):
        for plane in range(len(origins)):
            begin = origins[plane, 1] - left
            # Columns and rows of the plane that lie on the image.
            start = max(0, -(begin // right))
            stop = min(columns, (width - 1 - begin) // right + 1)
            for image in range(images):
                for row in range(rows):
                    y = row * down + origins[plane, 0] - top
                    if 0 <= y < height and start < stop:
                        source = ((image * n_channels + channel) * height + y) * width + begin
                        if right == 1:
                            copy(lanes, target + start, x, source + start, stop - start)
                        else:
                            for column in range(start, stop):
                                lanes[target + column] = x[source + column * right]
                    target += columns
