"""Whole networks on the default array, at every operating point: the long suite."""

import pytest
from designs import make_design, run
from drawn_networks import (
    RANGE,
    ZERO_POINT,
    add,
    conv,
    linear,
    pointwise,
    run_layer,
    write_drawn_network,
)
from qosnets.files import publish
from qosnets.ops import OpsFile
from qosnets_hw.cli_recipe import DEFAULT_LIBRARY
from qosnets_hw.cli_stages import SEARCH_MANIFEST
from qosnets_hw.cli_store import estimated, load_library
from qosnets_hw.generate import generate
from qosnets_sim.multiplier_model import MultiplierModel

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("simulator")]

N_POINTS = 3
BLOCK_SIZE = 16


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return the trained network of the demonstration, with 300 images, and its design."""
    pytest.importorskip("torch")
    from qosnets_search.pipeline import Run, search
    from qosnets_search.recipe import load_recipe

    (library,) = estimated([load_library(DEFAULT_LIBRARY)])
    recipe = load_recipe("digits", {"n_vector_images": 300})
    folder = tmp_path_factory.mktemp("digits")
    files = search(recipe, library, run=Run(), progress=lambda *_: None)
    publish(folder, files, force=False, manifest=SEARCH_MANIFEST)
    file = OpsFile.load(folder / "ops.json")
    design = generate(file, [library])
    publish(folder / "design", design.files, force=False, manifest=design.manifest)
    return folder / "design", file


@pytest.mark.parametrize(
    ("model", "n_images"), [(MultiplierModel.NETLIST, 100), (MultiplierModel.LUT, 300)]
)
def test_the_digits_network(digits, model, n_images):
    result = run(*digits, n_images=n_images, multiplier_model=model)
    check(result, n_images)


def check(result, n_images):
    assert result.mismatches == 0, result
    assert [point.images for point in result.points] == [n_images] * N_POINTS
    for point in result.points:
        for layer in point.layers:
            assert layer.cycles == layer.predicted_cycles, (point.name, layer)


def resnet8():
    """Return layers and graph of a ResNet8 for images of 3x32x32."""
    layers = [conv("stem", [3, 16], [32, 32], input_zero_point=128)]
    graph = [run_layer("stem", "input", "x0")]
    n_in, size = 16, 32
    for stage, n_out in enumerate((16, 32, 64)):
        stride, source, target = (1 if stage == 0 else 2), f"x{stage}", f"x{stage + 1}"
        sizes = [size, size], [size // stride] * 2
        first = conv(f"s{stage}.a", [n_in, n_out], sizes[0], stride=[stride] * 2)
        layers += [first, conv(f"s{stage}.b", [n_out, n_out], sizes[1])]
        graph += [run_layer(f"s{stage}.a", source, f"a{stage}")]
        graph += [run_layer(f"s{stage}.b", f"a{stage}", f"b{stage}")]
        if stride != 1:
            layers.append(pointwise(f"s{stage}.c", [n_in, n_out], sizes[0], stride=[stride] * 2))
            graph.append(run_layer(f"s{stage}.c", source, f"c{stage}"))
            source = f"c{stage}"
        graph.append(add(f"b{stage}", source, target, [16_000, 15_000]))
        n_in, size = n_out, size // stride
    pool = {"kernel": [8, 8], "stride": [8, 8], "padding": [0, 0, 0, 0]}
    mean = {"mult": [16_384], "shift": 20, "input_zero_points": [ZERO_POINT]}
    graph += [
        {"op": "avg_pool", "inputs": ["x3"], "output": "mean"} | mean | pool | RANGE,
        {"op": "flatten", "inputs": ["mean"], "output": "features"},
        run_layer("classifier", "features", "scores"),
    ]
    return [*layers, linear("classifier", [64, 10])], graph


def inverted_residual():
    """Return layers and graph of a block of MobileNetV2, expansion 6, stride 1."""
    size = [BLOCK_SIZE, BLOCK_SIZE]
    layers = [
        pointwise("expand", [16, 96], size),
        conv("depthwise", [96, 96], size, groups=96),
        pointwise("project", [96, 16], size, clamp=[0, 255]),
    ]
    graph = [
        run_layer("expand", "input", "wide"),
        run_layer("depthwise", "wide", "filtered"),
        run_layer("project", "filtered", "narrow"),
        add("narrow", "input", "sum", [16_000, 16_000]),
    ]
    return layers, graph


@pytest.mark.parametrize("model", MultiplierModel)
@pytest.mark.parametrize(
    ("network", "input_shape"),
    [(resnet8, (3, 32, 32)), (inverted_residual, (16, BLOCK_SIZE, BLOCK_SIZE))],
)
def test_an_image_through_a_network(tmp_path, network, input_shape, model):
    layers, graph = network()
    file = write_drawn_network(
        tmp_path,
        layers,
        graph,
        input_shape=input_shape,
        n_images=1,
        n_multipliers=4,
        n_points=N_POINTS,
    )
    folder = make_design(tmp_path / "design", file, rows=8, cols=8)
    result = run(folder, file, multiplier_model=model)
    check(result, 1)
    for layer in result.points[0].layers:
        # A depthwise layer feeds one activation to one multiplier: at most a column's worth.
        assert layer.utilisation > (0.1 if layer.name == "depthwise" else 0.01), layer
