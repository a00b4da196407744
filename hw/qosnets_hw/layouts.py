"""Payloads that travel between the blocks and through the ports of the array."""

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from .config import ArrayConfig

__all__ = [
    "beat_tag_layout",
    "count_shape",
    "index_shape",
    "job_layout",
    "layer_layout",
    "layer_shape",
    "layer_write_layout",
    "parameter_layout",
    "parameter_write_layout",
    "point_shape",
    "result_layout",
    "select_shape",
    "sums_layout",
    "tile_shape",
]


def index_shape(n: int) -> Shape:
    """Return the shape of an index below ``n``, at least one bit wide."""
    return unsigned(max(1, (n - 1).bit_length()))


def count_shape(n: int) -> Shape:
    """Return the shape of a count up to and including ``n``."""
    return unsigned(n.bit_length())


def select_shape(config: ArrayConfig) -> Shape:
    """Return the shape of a select code."""
    return index_shape(config.n_multipliers)


def point_shape(config: ArrayConfig) -> Shape:
    """Return the shape of an operating point, with room for values that must be refused."""
    return count_shape(config.n_points)


def layer_shape(config: ArrayConfig) -> Shape:
    """Return the shape of a layer index, with room for values that must be refused."""
    return count_shape(config.n_layers)


def tile_shape(config: ArrayConfig) -> Shape:
    """Return the shape of the address of a column tile within one operating point."""
    return index_shape(config.n_tiles)


def layer_layout(config: ArrayConfig) -> data.StructLayout:
    """Return an entry of the layer table."""
    return data.StructLayout(
        {
            "k_tiles": count_shape(config.max_k_tiles),  # row tiles of an accumulator
            "last_rows": count_shape(config.rows),  # rows used by the last of them
            "n_tiles": count_shape(config.n_tiles),  # column tiles of one group
            "base": tile_shape(config),  # first column tile of the layer
            "clamp_low": 8,
            "clamp_high": 8,
        }
    )


def layer_write_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a write to the layer table."""
    return data.StructLayout({"layer": index_shape(config.n_layers), "entry": layer_layout(config)})


def parameter_layout() -> data.StructLayout:
    """Return the parameters of one output channel at one operating point."""
    return data.StructLayout(
        {
            "bias": signed(32),
            "mult": signed(16),
            "shift": 6,
            "offset": signed(16),
            "weight_zero_point": 8,
        }
    )


def parameter_write_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a write of one column's word to the parameter bank of an operating point."""
    return data.StructLayout(
        {
            "point": index_shape(config.n_points),
            "tile": tile_shape(config),
            "column": index_shape(config.cols),
            "word": parameter_layout(),
        }
    )


def job_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a job: some output positions of one group of a layer."""
    return data.StructLayout(
        {
            "layer": layer_shape(config),
            "positions": count_shape(config.psum_depth),
            "tile_offset": tile_shape(config),  # first column tile of the group in the layer
            "last": 1,  # ends the inference
        }
    )


def beat_tag_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what the accumulator must know of the sums of an activation beat."""
    return data.StructLayout(
        {
            "position": index_shape(config.psum_depth),
            "first": 1,  # first row tile: nothing accumulated yet
            "last": 1,  # last row tile: the sum is complete
        }
    )


def sums_layout(config: ArrayConfig, *, column: bool) -> data.StructLayout:
    """Return sums of products and of activations, of one row tile or of all of them."""
    psum = count_shape(config.column_psum_max) if column else unsigned(config.psum_width)
    total = count_shape(config.column_sum_max) if column else unsigned(config.sum_width)
    return data.StructLayout(
        {"products": data.ArrayLayout(psum, config.cols), "activations": total}
    )


def result_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a result: one output position of a column tile."""
    return data.StructLayout(
        {
            "out": data.ArrayLayout(unsigned(8), config.cols),
            "acc": data.ArrayLayout(signed(32), config.cols),
            "point": index_shape(config.n_points),
            "last": 1,  # last result of a job
        }
    )
