"""A network with every kind of node, through the array: no training, random parameters."""

import numpy as np
import pytest
from designs import make_design, minimal_ops, points, run, write_ops
from qosnets.files import sha256
from qosnets.geometry import Geometry
from qosnets.golden import infer
from qosnets.ops import Ops, OpsFile
from qosnets.parameters import (
    LayerWeights,
    Parameters,
    Requantisation,
    load_parameters,
    parameters_to_bytes,
    vectors_to_bytes,
)
from qosnets_library.families import embedded_library

pytestmark = pytest.mark.usefixtures("simulator")

N_IMAGES = 3


def layer(name, kind, channels, kernel, stride, padding, dilation, groups, size, zero_point):
    return {
        "name": name,
        "kind": kind,
        "in_channels": channels[0],
        "out_channels": channels[1],
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "input_size": size,
        "input_zero_point": zero_point,
        "output_zero_point": 7,
        "clamp": [7, 250],
    }


LAYERS = [
    layer("stem", "conv", [3, 6], [3, 3], [1, 1], [1, 1, 1, 1], [1, 1], 1, [7, 6], 131),
    layer("depthwise", "conv", [6, 6], [3, 2], [1, 1], [1, 0, 1, 1], [1, 1], 6, [7, 6], 7),
    layer("grouped", "conv", [6, 8], [2, 3], [2, 1], [0, 2, 1, 0], [1, 2], 2, [7, 6], 7),
    layer("point.wise", "conv", [14, 5], [1, 1], [1, 1], [0, 0, 0, 0], [1, 1], 1, [2, 2], 7),
    layer("classify", "linear", [5, 4], [1, 1], [1, 1], [0, 0, 0, 0], [1, 1], 1, [1, 1], 7),
]
SUM = {"mult": [20_000, -17_000], "shift": 15, "input_zero_points": [7, 7]}
RANGE = {"output_zero_point": 7, "clamp": [0, 255]}
POOL = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0]}
WIDE = {"kernel": [3, 3], "stride": [2, 2], "padding": [1, 1, 0, 0]}
GRAPH = [
    {"op": "layer", "layer": "stem", "inputs": ["input"], "output": "a"},
    {"op": "layer", "layer": "depthwise", "inputs": ["a"], "output": "b"},
    {"op": "add", "inputs": ["a", "b"], "output": "c"} | SUM | RANGE,
    {"op": "layer", "layer": "grouped", "inputs": ["c"], "output": "d"},
    {"op": "max_pool", "inputs": ["d"], "output": "e"} | POOL,
    {"op": "max_pool", "inputs": ["c"], "output": "f"} | WIDE,
    {"op": "max_pool", "inputs": ["f"], "output": "g"} | POOL | {"stride": [1, 1]},
    {"op": "concat", "inputs": ["e", "g"], "output": "h"},
    {"op": "layer", "layer": "point.wise", "inputs": ["h"], "output": "i"},
    {"op": "avg_pool", "inputs": ["i"], "output": "j", "mult": [16_384], "shift": 16}
    | {"input_zero_points": [7]}
    | RANGE
    | POOL,
    {"op": "flatten", "inputs": ["j"], "output": "k"},
    {"op": "layer", "layer": "classify", "inputs": ["k"], "output": "l"},
]


def draw(ops: Ops) -> Parameters:
    random = np.random.default_rng(5)
    weights, requantisation = {}, {}
    for item in ops.layers:
        geometry = item.geometry
        assert geometry is not None
        n, k = geometry.out_channels, geometry.reduction
        weights[item.name] = LayerWeights(
            random.integers(0, 256, (n, k), np.uint8), random.integers(100, 156, n, np.uint8)
        )
        for point in ops.operating_points:
            requantisation[point.name, item.name] = Requantisation(
                random.integers(-k * 2000, k * 2000, n).astype(np.int32),
                random.integers(1 << 14, 1 << 15, n).astype(np.int16),
                np.full(n, (k * 60).bit_length() + 14, np.uint8),
                random.integers(90, 150, n).astype(np.int16),
            )
    return Parameters(weights, requantisation)


def write_network(folder, change_vectors=lambda vectors: None) -> OpsFile:
    content = minimal_ops(3, n_layers=len(LAYERS), n_points=2) | {"layers": LAYERS, "graph": GRAPH}
    ops = write_ops(folder, content).ops
    geometries: dict[str, Geometry] = {item.name: item.geometry for item in ops.layers}
    parameters = draw(ops)
    library = embedded_library()
    luts = [library.lut(item.name) for item in ops.multipliers]
    images = np.random.default_rng(6).integers(0, 256, (N_IMAGES, 3, 7, 6), np.uint8)
    vectors = {"input": images}
    for number, point in enumerate(ops.operating_points):
        for name, trace in infer(ops, parameters, luts, number, images).items():
            assert len(np.unique(trace.out)) > 3  # not all clamped
            vectors |= {
                f"{point.name}.{name}.acc": trace.acc,
                f"{point.name}.{name}.out": trace.out,
            }
    change_vectors(vectors)
    for key, data in (
        ("parameters", parameters_to_bytes(parameters, geometries)),
        ("vectors", vectors_to_bytes(vectors)),
    ):
        (folder / f"{key}.safetensors").write_bytes(data)
        content[key] = {"file": f"{key}.safetensors", "sha256": sha256(data)}
    return write_ops(folder, content)


def test_a_network_with_every_node_equals_the_model(tmp_path):
    file = write_network(tmp_path)
    # A memory of 8 positions cuts most layers into several jobs.
    folder = make_design(tmp_path / "design", file, rows=4, cols=3, psum_depth=8)
    result = run(folder, file, stalls=0.1)
    assert result.mismatches == 0, result
    assert [point.images for point in result.points] == [N_IMAGES] * 2
    assert min(point.comparison.compared for point in result.points) > 3000


def test_one_wrong_value_in_the_vectors_is_reported(tmp_path):
    def change(vectors):
        vectors["o2.grouped.acc"] = vectors["o2.grouped.acc"].copy()
        vectors["o2.grouped.acc"][1, 7, 2, 3] += 1

    file = write_network(tmp_path, change)
    folder = make_design(tmp_path / "design", file, rows=4, cols=3, psum_depth=8)
    result = run(folder, file, n_images=2)
    assert points(result) == [0, 1]
    assert "vectors o2.grouped.acc image 1[0, 7, 2, 3]" in str(
        result.points[1].comparison.first_mismatch
    )


def test_parameters_survive_the_file(tmp_path):
    file = write_network(tmp_path)
    assert file.ops.parameters is not None
    loaded, drawn = load_parameters(file, file.ops.parameters), draw(file.ops)
    for name, weights in drawn.weights.items():
        assert np.array_equal(loaded.weights[name].codes, weights.codes)
