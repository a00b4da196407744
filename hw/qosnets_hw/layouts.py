"""Payloads that travel between the blocks and through the ports of the array."""

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from .config import ArrayConfig

__all__ = [
    "beat_layout",
    "beat_tag_layout",
    "column_sums_layout",
    "complete_sums_layout",
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
    "tile_shape",
]


def index_shape(n: int) -> Shape:
    """Return the shape of an index below ``n``, at least one bit wide."""
    return unsigned(max(1, (n - 1).bit_length()))


def count_shape(n: int) -> Shape:
    """Return the shape of a count up to and including ``n``."""
    return unsigned(n.bit_length())


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
            **_depthwise_flag(config),
        }
    )


def _depthwise_flag(config: ArrayConfig) -> dict[str, int]:
    """Return the field that tells depthwise layers from dense ones, if there are such layers."""
    return {"depthwise": 1} if config.depthwise_k_max else {}


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


def beat_layout(n_codes: int) -> data.StructLayout:
    """Return a beat of weights or activations."""
    return data.StructLayout(
        {
            "codes": data.ArrayLayout(unsigned(8), n_codes),
            "last": 1,  # last beat of the job
        }
    )


def beat_tag_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what the accumulator must know of the sums of an activation beat."""
    return data.StructLayout(
        {
            "position": index_shape(config.psum_depth),
            "first": 1,  # first row tile: nothing accumulated yet
            "last": 1,  # last row tile: the sum is complete
            **_depthwise_flag(config),
        }
    )


def column_sums_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the sums of a beat: of products by column, of activations over all rows.

    ``own`` are sums of the activations that a column multiplies in a depthwise layer.
    """
    products = data.ArrayLayout(count_shape(config.column_psum_max), config.cols)
    fields = {"products": products, "activations": count_shape(config.column_sum_max)}
    if config.depthwise_k_max:
        own = count_shape(config.depthwise_taps * 255)
        fields["own"] = data.ArrayLayout(own, config.depthwise_lanes)
    return data.StructLayout(fields)


def complete_sums_layout(config: ArrayConfig) -> data.StructLayout:
    """Return the accumulated sums of a position, see :attr:`ArrayConfig.word_width`."""
    words = data.ArrayLayout(unsigned(config.word_width), config.cols)
    return data.StructLayout({"words": words, "activations": unsigned(config.sum_width)})


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
