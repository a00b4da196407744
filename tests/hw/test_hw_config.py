"""Array configuration: what is refused, and the widths that follow."""

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import ActivationPort, exact_lut
from qosnets.ops import Ops
from qosnets.tiling import ceil_div
from qosnets_hw.config import ArrayConfig
from qosnets_hw.layouts import (
    beat_tag_layout,
    column_sums_layout,
    complete_sums_layout,
    count_shape,
    index_shape,
    job_layout,
    layer_layout,
    parameter_layout,
)

PLAIN = {
    "rows": 3,
    "cols": 2,
    "n_multipliers": 2,
    "max_product": 65_025,
    "k_max": 20,
    "psum_depth": 16,
    "n_tiles": 4,
    "assignments": ((0, 1), (1, 1)),
}


@pytest.mark.parametrize(
    ("field", "value", "limits"),
    [
        *((field, value, "1..64") for field in ("rows", "cols") for value in (0, 65, -1)),
        *(("k_max", value, "1..1048576") for value in (0, 2**20 + 1)),
        *(("psum_depth", value, "1..65536") for value in (0, 2**16 + 1)),
    ],
)
def test_refused_sizes(field, value, limits):
    with pytest.raises(InputError) as error:
        ArrayConfig(**PLAIN | {field: value})
    assert str(error.value) == f"{field}: must be {limits}, not {value}"


@pytest.mark.parametrize("field", ["rows", "cols"])
def test_accepted_sizes(field):
    for value in (1, 64):
        assert getattr(ArrayConfig(**PLAIN | {field: value}), field) == value


def test_sums_fit_their_widths_and_no_bit_is_idle():
    rng = np.random.default_rng(1)
    bounds = [(1, 1), (257, 255), (258, 255), (65_537, 65_535), (2**20, 65_535), (4608, 65_025)]
    bounds += [(int(2 ** rng.uniform(0, 20)), int(2 ** rng.uniform(0, 16))) for _ in range(300)]
    for k_max, max_product in bounds:
        rows = int(rng.integers(1, 65))
        changes = {"rows": rows, "k_max": k_max, "max_product": max_product}
        config = ArrayConfig(**PLAIN | changes)
        largest = k_max * max_product
        if largest < 2**32:
            assert 2 ** (config.psum_width - 1) <= largest < 2**config.psum_width
        else:
            assert config.psum_width == 32
        assert 2 ** (config.sum_width - 1) <= k_max * 255 < 2**config.sum_width
        assert config.column_psum_max == rows * max_product
        assert config.max_k_tiles == ceil_div(k_max, rows)
        assert (config.max_k_tiles - 1) * rows < k_max <= config.max_k_tiles * rows
        column = column_sums_layout(config)
        assert 2 ** column["products"].shape.elem_shape.width > rows * max_product
        assert 2 ** column["activations"].shape.width > rows * 255


def test_widths_at_the_bound():
    assert ArrayConfig(**PLAIN | {"k_max": 257, "max_product": 255}).psum_width == 16
    assert ArrayConfig(**PLAIN | {"k_max": 258, "max_product": 255}).psum_width == 17
    assert ArrayConfig(**PLAIN | {"k_max": 65_537, "max_product": 65_535}).psum_width == 32


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 64), (64, 1)])
def test_degenerate_arrays(rows, cols):
    config = ArrayConfig(**PLAIN | {"rows": rows, "cols": cols})
    assert config.array_latency == rows + cols + 2
    assert config.fifo_depth > config.array_latency
    assert complete_sums_layout(config)["words"].shape.length == cols


def test_shapes_of_indices_and_counts():
    assert [index_shape(n).width for n in (1, 2, 3, 4, 5, 8, 9)] == [1, 1, 2, 2, 3, 3, 4]
    assert [count_shape(n).width for n in (1, 2, 3, 4, 7, 8)] == [1, 2, 2, 3, 3, 4]
    config = ArrayConfig(**PLAIN)
    assert parameter_layout().size == 32 + 16 + 6 + 16 + 8
    # Refused values exist: 2 layers need a bit, 16 positions up to 31.
    assert job_layout(config).size == 2 + 5 + 2 + 1
    assert layer_layout(config).size == 3 + 2 + 3 + 2 + 16
    assert beat_tag_layout(config).size == 4 + 2


def ops(geometry: dict[str, object] | None) -> Ops:
    layers = [{"name": "c1"}, {"name": "c2"}]
    if geometry:
        layers = [layer | geometry for layer in layers]
        layers[1] |= {"out_channels": 12, "groups": 4}
    return Ops.model_validate(
        {
            "schema": "qosnets-ops/1",
            "multipliers": [
                {"name": name, "lut_sha256": "0" * 64, "activation_port": ActivationPort.A}
                for name in ("m0", "m1")
            ],
            "layers": layers,
            "operating_points": [
                {"name": "o1", "assignment": [0, 0]},
                {"name": "o2", "assignment": [1, 0]},
                {"name": "o3", "assignment": [1, 1]},
            ],
        }
    )


def test_configuration_without_geometry():
    lut = exact_lut()
    lut[3, 4] = 65_500
    config = ArrayConfig.from_ops(ops(None), [exact_lut(), lut], rows=3, cols=5, k_max=100)
    assert (config.k_max, config.psum_depth, config.n_tiles) == (100, 1024, 32)
    assert config.max_product == 65_500
    assert config.assignments == ((0, 0), (1, 0), (1, 1))
    assert (config.n_points, config.n_layers, config.n_multipliers) == (3, 2, 2)


def test_configuration_with_geometry():
    geometry = {
        "kind": "conv",
        "in_channels": 8,
        "out_channels": 10,
        "kernel": (3, 3),
        "stride": (1, 1),
        "padding": (0, 0, 0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "input_size": (6, 6),
        "input_zero_point": 0,
        "output_zero_point": 0,
        "clamp": (0, 255),
    }
    config = ArrayConfig.from_ops(ops(geometry), [exact_lut()] * 2, rows=8, cols=4, k_max=5)
    assert config.k_max == 72  # of c1; c2 has 18 a group
    assert config.n_tiles == 3 + 4  # 10 outputs in tiles of 4; four groups of 3


@pytest.mark.parametrize(
    ("rows", "cols", "lanes", "taps"), [(8, 8, 8, 1), (8, 3, 3, 2), (3, 8, 3, 1), (1, 1, 1, 1)]
)
def test_depthwise_layers_need_a_word_for_two_sums(rows, cols, lanes, taps):
    size = {"rows": rows, "cols": cols}
    dense = ArrayConfig(**PLAIN | size)
    assert (dense.depthwise_lanes, dense.depthwise_taps) == (0, 0)
    assert dense.word_width == dense.psum_width
    assert "depthwise" not in dict(layer_layout(dense))
    assert "own" not in dict(column_sums_layout(dense))

    config = ArrayConfig(**PLAIN | size | {"depthwise_k_max": 9})
    assert (config.depthwise_lanes, config.depthwise_taps) == (lanes, taps)
    assert config.max_k_tiles == max(ceil_div(20, rows), ceil_div(9, taps))
    assert 2**config.depthwise_product_width > 9 * 65_025
    assert config.word_width == config.depthwise_product_width + (9 * 255).bit_length()
    own = column_sums_layout(config)["own"].shape
    assert (own.length, own.elem_shape.width) == (lanes, (taps * 255).bit_length())
