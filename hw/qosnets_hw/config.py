"""Parameters of a generated array and the widths that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from qosnets.errors import InputError
from qosnets.lut import Lut
from qosnets.ops import Ops
from qosnets.tiling import LayerSizes, ceil_div, tile_layers

from .defaults import DEFAULT_K_MAX, DEFAULT_PSUM_DEPTH, MAX_EXTENT

__all__ = ["ArrayConfig"]

TILES_PER_LAYER = 16
"""Column tiles kept per layer and operating point where ``ops.json`` gives no geometry."""


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """Everything the generated hardware is derived from, except the netlists.

    Raises
    ------
    InputError
        If a parameter is out of range.
    """

    rows: int
    """Products of one accumulator computed at a time, 1..64."""
    cols: int
    """Output channels computed at a time, 1..64."""
    n_multipliers: int
    max_product: int
    """Largest entry of any LUT, at most 65 535."""
    k_max: int
    """Largest number of products in one accumulator."""
    psum_depth: int
    """Largest number of output positions in one job."""
    n_tiles: int
    """Column tiles of all layers: parameter words of one operating point."""
    assignments: tuple[tuple[int, ...], ...]
    """Select code by operating point and layer."""
    depthwise_k_max: int = 0
    """Largest number of products in an accumulator of a depthwise layer; 0: there is none."""

    def __post_init__(self) -> None:
        for name in ("rows", "cols"):
            value = getattr(self, name)
            if not 1 <= value <= MAX_EXTENT:
                raise InputError(f"{name}: must be 1..{MAX_EXTENT}, not {value}")
        for name, limit in (("k_max", 1 << 20), ("psum_depth", 1 << 16)):
            value = getattr(self, name)
            if not 1 <= value <= limit:
                raise InputError(f"{name}: must be 1..{limit}, not {value}")

    @classmethod
    def from_ops(
        cls,
        ops: Ops,
        luts: Sequence[Lut],
        *,
        rows: int,
        cols: int,
        k_max: int = DEFAULT_K_MAX,
        psum_depth: int = DEFAULT_PSUM_DEPTH,
    ) -> "ArrayConfig":
        """Derive the configuration for ``ops``; ``k_max`` counts where geometry is not given."""
        geometries = [layer.geometry for layer in ops.layers]
        sizes = [LayerSizes.of(geometry) for geometry in geometries if geometry is not None]
        n_tiles = TILES_PER_LAYER * len(ops.layers)
        if sizes and rows > 0 and cols > 0:
            k_max = max(layer.reduction for layer in sizes)
            tilings = tile_layers(sizes, rows, cols)
            n_tiles = sum(tiling.n_jobs * tiling.n_tiles for tiling in tilings)
        return cls(
            rows=rows,
            cols=cols,
            n_multipliers=len(ops.multipliers),
            max_product=max(int(lut.max()) for lut in luts),
            k_max=k_max,
            psum_depth=psum_depth,
            n_tiles=n_tiles,
            assignments=tuple(tuple(point.assignment) for point in ops.operating_points),
            depthwise_k_max=max((x.reduction for x in sizes if x.depthwise), default=0),
        )

    @property
    def n_points(self) -> int:
        """Number of operating points."""
        return len(self.assignments)

    @property
    def n_layers(self) -> int:
        """Number of multiplying layers."""
        return len(self.assignments[0])

    @property
    def depthwise_lanes(self) -> int:
        """Channels of a depthwise layer computed at a time; 0 without such layers."""
        return min(self.rows, self.cols) if self.depthwise_k_max else 0

    @property
    def depthwise_taps(self) -> int:
        """Products of each of these channels computed at a time."""
        return self.rows // self.depthwise_lanes if self.depthwise_k_max else 0

    @property
    def max_k_tiles(self) -> int:
        """Row tiles of the deepest accumulator."""
        dense = ceil_div(self.k_max, self.rows)
        if not self.depthwise_k_max:
            return dense
        return max(dense, ceil_div(self.depthwise_k_max, self.depthwise_taps))

    @property
    def column_psum_max(self) -> int:
        """Largest sum of products that leaves a column, at least 1: ports have a width."""
        return max(1, self.rows * self.max_product)

    @property
    def psum_width(self) -> int:
        """Width of a sum of ``k_max`` products; 32 bits suffice since accumulators are int32."""
        return max(1, min(32, (self.k_max * self.max_product).bit_length()))

    @property
    def depthwise_product_width(self) -> int:
        """Width of a sum of ``depthwise_k_max`` products."""
        return max(1, (self.depthwise_k_max * self.max_product).bit_length())

    @property
    def word_width(self) -> int:
        """Width of what is accumulated for a column.

        That is a sum of products; in a depthwise layer also the sum of the column's own
        activations, above that of the products.
        """
        if not self.depthwise_k_max:
            return self.psum_width
        sum_width = (self.depthwise_k_max * 255).bit_length()
        return max(self.psum_width, self.depthwise_product_width + sum_width)

    @property
    def column_sum_max(self) -> int:
        """Largest sum of activations over the rows."""
        return self.rows * 255

    @property
    def sum_width(self) -> int:
        """Width of a sum of ``k_max`` activations."""
        return (self.k_max * 255).bit_length()

    @property
    def array_latency(self) -> int:
        """Cycles from an activation beat to its partial sums, all columns aligned."""
        return self.rows + self.cols + 2

    @property
    def fifo_depth(self) -> int:
        """Finished sums that can wait for requantisation; covers the pipeline at full rate."""
        return self.array_latency + 13
