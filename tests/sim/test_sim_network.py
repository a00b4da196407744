"""A network with every kind of node, through the accelerator: no training, random parameters."""

import numpy as np
import pytest
from designs import make_design, points, run
from drawn_networks import (
    RANGE,
    ZERO_POINT,
    add,
    conv,
    draw,
    linear,
    pointwise,
    run_layer,
    write_drawn_network,
)
from qosnets.parameters import load_parameters
from qosnets_sim.multiplier_model import MultiplierModel

pytestmark = pytest.mark.usefixtures("simulator")

N_IMAGES = 3
STRANGE = {"kernel": [2, 3], "stride": [2, 1], "padding": [0, 2, 1, 0], "dilation": [1, 2]}
LAYERS = [
    conv("stem", [3, 6], [7, 6], input_zero_point=131),
    conv("depthwise", [6, 6], [7, 6], kernel=[3, 2], padding=[1, 0, 1, 1], groups=6),
    conv("grouped", [6, 8], [7, 6], groups=2, **STRANGE),
    pointwise("point.wise", [14, 5], [2, 2]),
    linear("classify", [5, 4]),
]
POOL = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0]}
WIDE = {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1, 0, 0]}
GRAPH = [
    run_layer("stem", "input", "a"),
    run_layer("depthwise", "a", "b"),
    add("a", "b", "c", [20_000, -17_000]),
    run_layer("grouped", "c", "d"),
    {"op": "max_pool", "inputs": ["d"], "output": "e"} | POOL,
    {"op": "max_pool", "inputs": ["c"], "output": "f"} | WIDE,
    {"op": "max_pool", "inputs": ["f"], "output": "g"} | POOL | {"stride": [1, 1]},
    {"op": "concat", "inputs": ["e", "g"], "output": "h"},
    run_layer("point.wise", "h", "i"),
    {"op": "avg_pool", "inputs": ["i"], "output": "j", "mult": [16_384], "shift": 16}
    | {"input_zero_points": [ZERO_POINT]}
    | RANGE
    | POOL,
    {"op": "flatten", "inputs": ["j"], "output": "k"},
    run_layer("classify", "k", "l"),
]


def write_network(folder, change_vectors=lambda vectors: None):
    return write_drawn_network(
        folder,
        LAYERS,
        GRAPH,
        input_shape=(3, 7, 6),
        n_images=N_IMAGES,
        n_multipliers=3,
        n_points=2,
        change_vectors=change_vectors,
    )


def test_a_network_with_every_node_equals_the_model(tmp_path):
    file = write_network(tmp_path)
    # A memory of 8 positions cuts most layers into several jobs.
    folder = make_design(tmp_path / "design", file, rows=4, cols=3, psum_depth=8)
    for stalls in (0.0, 0.3):
        result = run(folder, file, stalls=stalls, multiplier_model=MultiplierModel.LUT)
        assert result.mismatches == 0, result
        assert [point.images for point in result.points] == [N_IMAGES] * 2
        assert min(point.comparison.compared for point in result.points) > 3000
        for layer in result.points[0].layers:
            predicted = layer.cycles == layer.predicted_cycles
            assert predicted == (stalls == 0), layer
            assert 0 < layer.utilisation <= 1
    jobs = {layer.name: layer.jobs // N_IMAGES for layer in result.points[0].layers}
    # Positions by memory, times groups; a depthwise layer needs one job for all its channels.
    assert jobs == {"stem": 6, "depthwise": 6, "grouped": 4, "point.wise": 1, "classify": 1}


def test_one_wrong_value_in_the_vectors_is_reported(tmp_path):
    def change(vectors):
        vectors["o2.grouped.acc"] = vectors["o2.grouped.acc"].copy()
        vectors["o2.grouped.acc"][1, 7, 2, 3] += 1

    file = write_network(tmp_path, change)
    folder = make_design(tmp_path / "design", file, rows=4, cols=3, psum_depth=8)
    result = run(folder, file, n_images=2, multiplier_model=MultiplierModel.LUT)
    assert points(result) == [0, 1]
    assert "vectors o2.grouped.acc image 1[0, 7, 2, 3]" in str(
        result.points[1].comparison.first_mismatch
    )


def test_parameters_survive_the_file(tmp_path):
    file = write_network(tmp_path)
    assert file.ops.parameters is not None
    loaded, drawn = load_parameters(file, file.ops.parameters), draw(file.ops, 5)
    for name, weights in drawn.weights.items():
        assert np.array_equal(loaded.weights[name].codes, weights.codes)


@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (pointwise("deep", [301, 4], [1, 2]), (301, 1, 2)),
        (conv("depthwise", [5, 5], [4, 4], kernel=[4, 4], padding=[0] * 4, groups=5), (5, 4, 4)),
    ],
    ids=["dense", "depthwise"],
)
def test_the_largest_sums_fit(tmp_path, layer, input_shape):
    """All codes 255, as many products as the widths are made for."""
    file = write_drawn_network(
        tmp_path,
        [layer],
        [run_layer(layer["name"], "input", "out")],
        input_shape=input_shape,
        n_images=1,
        n_multipliers=1,
        n_points=1,
        largest=True,
    )
    folder = make_design(tmp_path / "design", file, rows=4, cols=3)
    result = run(folder, file, multiplier_model=MultiplierModel.LUT)
    assert result.mismatches == 0, result
