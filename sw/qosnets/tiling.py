"""How a layer is laid out on the array: tiles, table entry, parameter words and beats of codes.

The array holds a tile of ``rows`` x ``cols`` weights at a time. A layer is run in jobs, one for
each group; a job goes through its column tiles and, for each, through its row tiles.

A *dense* tile multiplies ``rows`` activations with the weights of ``cols`` output channels. A
*depthwise* layer has activations of its own for every output channel, so only one column can use
those of a row: with ``lanes = min(rows, cols)``, row r carries tap ``r // lanes`` of channel
``r % lanes``, and column c multiplies the rows with ``r % lanes == c`` only. So at most ``rows`` of
the ``rows·cols`` multipliers work, which is all that the activation stream can feed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .geometry import Geometry
from .parameters import LayerWeights, Requantisation

__all__ = ["LayerSizes", "Tiling", "ceil_div", "tile_layers"]

Codes = npt.NDArray[np.uint8]


def ceil_div(numerator: int, denominator: int) -> int:
    """Return the quotient of positive integers, rounded up."""
    return -(-numerator // denominator)


@dataclass(frozen=True)
class LayerSizes:
    """Sizes of the matrix products of a layer."""

    reduction: int
    """K, the number of products in one accumulator."""
    outputs: int
    """Output channels of a group."""
    groups: int
    depthwise: bool = False
    """Whether every group has one input and one output channel and there are several."""

    @classmethod
    def of(cls, geometry: Geometry) -> "LayerSizes":
        """Return the sizes of a layer with ``geometry``."""
        groups, channels = geometry.groups, (geometry.in_channels, geometry.out_channels)
        depthwise = groups > 1 and channels == (groups, groups)
        return cls(geometry.reduction, geometry.outputs_per_group, groups, depthwise)


@dataclass(frozen=True)
class Tiling:
    """A layer on an array of ``rows`` x ``cols``."""

    rows: int
    cols: int
    reduction: int
    """K, the number of products in one accumulator."""
    outputs: int
    """N, output channels of a job."""
    n_jobs: int
    """Groups; 1 for a depthwise layer, whose job covers all channels."""
    base: int
    """First column tile of the layer in the parameter bank."""
    depthwise: bool = False

    @property
    def lanes(self) -> int:
        """Columns in use, so many output channels are computed at a time."""
        return min(self.rows, self.cols) if self.depthwise else self.cols

    @property
    def taps(self) -> int:
        """Products of one accumulator computed at a time."""
        return self.rows // self.lanes if self.depthwise else self.rows

    @property
    def k_tiles(self) -> int:
        """Row tiles of an accumulator."""
        return ceil_div(self.reduction, self.taps)

    @property
    def last_rows(self) -> int:
        """Rows used by the last row tile."""
        last_taps = self.reduction - (self.k_tiles - 1) * self.taps
        return last_taps * self.lanes if self.depthwise else last_taps

    @property
    def n_tiles(self) -> int:
        """Column tiles of a job."""
        return ceil_div(self.outputs, self.lanes)

    def multiplications(self, positions: int) -> int:
        """Return the useful multiplications of a job with ``positions`` output positions."""
        return positions * self.outputs * self.reduction

    def table_entry(self, clamp: tuple[int, int]) -> dict[str, int]:
        """Return the entry of the layer table; ``clamp`` is the range of output codes."""
        return {
            "k_tiles": self.k_tiles,
            "last_rows": self.last_rows,
            "n_tiles": self.n_tiles,
            "base": self.base,
            "clamp_low": clamp[0],
            "clamp_high": clamp[1],
            "depthwise": int(self.depthwise),
        }

    def parameter_words(
        self, weights: LayerWeights, values: Requantisation
    ) -> Iterator[tuple[int, int, dict[str, int]]]:
        """Yield (tile, column, word) for every output channel of the layer."""
        for channel in range(self.n_jobs * self.outputs):
            job, output = divmod(channel, self.outputs)
            tile, column = divmod(output, self.lanes)
            word = {
                "bias": int(values.bias[channel]),
                "mult": int(values.mult[channel]),
                "shift": int(values.shift[channel]),
                "offset": int(values.offset[channel]),
                "weight_zero_point": int(weights.zero_points[channel]),
            }
            yield self.base + job * self.n_tiles + tile, column, word

    def weight_beats(self, codes: Codes) -> Codes:
        """Return the weight beats of a job, uint8 ``[beat, cols]``: of each tile, last row first.

        ``codes`` is uint8 ``[N, K]``.
        """
        padded = np.zeros((self.n_tiles * self.lanes, self.k_tiles * self.taps), np.uint8)
        padded[: self.outputs, : self.reduction] = codes
        shape = (self.n_tiles, self.lanes, self.k_tiles, self.taps)
        tiles = padded.reshape(shape).transpose(0, 2, 3, 1)  # column tile, row tile, tap, lane
        if self.depthwise:
            beats = np.zeros((self.n_tiles, self.k_tiles, self.rows, self.cols), np.uint8)
            used = np.arange(self.taps * self.lanes)
            beats[:, :, used, used % self.lanes] = tiles.reshape(*tiles.shape[:2], -1)
        else:
            beats = tiles
        return beats[:, :, ::-1].reshape(-1, self.cols)

    def activation_beats(self, x: Codes, filler: np.random.Generator) -> Codes:
        """Return the activation beats of a job, uint8 ``[beat, rows]``.

        ``x`` is uint8 ``[M, K]``, for a depthwise layer ``[N, M, K]``. What the array must ignore
        gets random codes.
        """
        n = x.shape[-2]
        if not self.depthwise:
            padded = filler.integers(0, 256, (n, self.k_tiles * self.rows), np.uint8)
            padded[:, : self.reduction] = x
            beats = padded.reshape(n, self.k_tiles, self.rows).transpose(1, 0, 2)
            return np.tile(beats.reshape(-1, self.rows), (self.n_tiles, 1))
        shape = (self.n_tiles * self.lanes, n, self.k_tiles * self.taps)
        padded = filler.integers(0, 256, shape, np.uint8)
        padded[: self.outputs, :, : self.reduction] = x
        split = padded.reshape(self.n_tiles, self.lanes, n, self.k_tiles, self.taps)
        used = split.transpose(0, 3, 2, 4, 1).reshape(-1, self.taps * self.lanes)
        beats = filler.integers(0, 256, (len(used), self.rows), np.uint8)
        beats[:, : used.shape[1]] = used
        return beats

    def results(self, lanes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
        """Return the results of a job, ``[M, N]``, from those of its beats, ``[beat, cols]``."""
        tiles = lanes.reshape(self.n_tiles, -1, self.cols)[:, :, : self.lanes]
        by_position = tiles.transpose(1, 0, 2).reshape(tiles.shape[1], -1)
        return by_position[:, : self.outputs]


def tile_layers(sizes: Sequence[LayerSizes], rows: int, cols: int) -> list[Tiling]:
    """Return the layers on an array, one after the other in the parameter bank."""
    tilings, base = [], 0
    for layer in sizes:
        outputs, n_jobs = layer.outputs, layer.groups
        if layer.depthwise:
            outputs, n_jobs = layer.groups * layer.outputs, 1
        tiling = Tiling(rows, cols, layer.reduction, outputs, n_jobs, base, layer.depthwise)
        tilings.append(tiling)
        base += n_jobs * tiling.n_tiles
    return tilings
