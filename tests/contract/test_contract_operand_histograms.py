"""Operand histograms, against a multiplier that counts."""

from itertools import product

import numpy as np
import pytest
from networks import LAYERS, Network, random_weights, write_network
from qosnets.errors import InputError
from qosnets.golden import infer
from qosnets.lut import ActivationPort, exact_lut
from qosnets.operand_histograms import layer_histograms, operand_histograms
from qosnets.ops import OpsFile


def counted(x, geometry, codes):
    """Count one multiplication at a time; returns counts of activations and of weights."""
    g = geometry
    x = x.reshape(len(x), g.in_channels, *g.input_size)
    per_group, height, width = g.in_channels // g.groups, *g.output_size
    kernels = codes.reshape(g.out_channels, per_group, *g.kernel)
    activations, weights = np.zeros(256, int), np.zeros(256, int)
    for image, o, row, column in np.ndindex(len(x), g.out_channels, height, width):
        first = o // g.outputs_per_group * per_group
        for i, dy, dx in product(range(per_group), *map(range, g.kernel)):
            y, z = row * g.stride[0] + dy - g.padding[0], column * g.stride[1] + dx - g.padding[1]
            inside = 0 <= y < g.input_size[0] and 0 <= z < g.input_size[1]
            activations[x[image, first + i, y, z] if inside else g.input_zero_point] += 1
            weights[kernels[o, i, dy, dx]] += 1
    return activations, weights


@pytest.mark.parametrize("name", LAYERS)
def test_every_multiplication_counts_once(name):
    rng, geometry = np.random.default_rng(1), LAYERS[name]
    x = rng.integers(0, 256, (3, geometry.in_channels, *geometry.input_size), np.uint8)
    weights = random_weights(geometry, rng)
    activations, codes = counted(x, geometry, weights.codes)
    found = layer_histograms(x, geometry, weights, ActivationPort.A)
    np.testing.assert_array_equal(found.a, activations)
    np.testing.assert_array_equal(found.b, codes)
    assert found.a.sum() == found.b.sum() == 3 * geometry.multiplications
    swapped = layer_histograms(x, geometry, weights, ActivationPort.B)
    np.testing.assert_array_equal(swapped.a, codes)
    np.testing.assert_array_equal(swapped.b, activations)


@pytest.fixture
def network(tmp_path) -> Network:
    """Two points, with exact and with halved products."""
    return write_network(
        tmp_path,
        [
            {"name": "exact", "lut_sha256": "0" * 64, "activation_port": "A"},
            {"name": "half", "lut_sha256": "1" * 64, "activation_port": "B"},
        ],
    )


LUTS = [exact_lut(), exact_lut() >> 1]


@pytest.mark.parametrize("number", [0, 1])
def test_layers_are_counted_where_they_lie_in_the_network(network, number):
    file, parameters, images = network
    point = f"o{number + 1}"
    out = infer(file.ops, parameters, LUTS, number, images)["conv"].out
    pooled = np.maximum(out[:, :, 0:4:2], out[:, :, 1:4:2])
    inputs = {"conv": images, "fc": pooled.reshape(2, 36)}
    for layer, x in inputs.items():
        activations, codes = counted(x, LAYERS[layer], parameters.weights[layer].codes)
        found = operand_histograms(file, LUTS, layer=layer, point=point)
        expected = (activations, codes) if number == 0 else (codes, activations)
        np.testing.assert_array_equal((found.a, found.b), expected)


def test_points_differ(network):
    """Halved products change what the second layer reads."""
    file, _, _ = network
    first = operand_histograms(file, LUTS, layer="fc", point="o1")
    second = operand_histograms(file, LUTS, layer="fc", point="o2")
    assert (first.a != second.b).any()
    np.testing.assert_array_equal(first.b, second.a)


@pytest.mark.parametrize(
    ("layer", "point", "message"),
    [
        ("conv9", "o1", "layer: must be one of conv, fc, not 'conv9'"),
        ("conv", "o3", "operating point: must be one of o1, o2, not 'o3'"),
    ],
)
def test_unknown_names(network, layer, point, message):
    with pytest.raises(InputError) as error:
        operand_histograms(network[0], LUTS, layer=layer, point=point)
    assert str(error.value) == message


def test_vectors_are_needed(network):
    file, _, _ = network
    bare = OpsFile(file.path, file.sha256, file.ops.model_copy(update={"vectors": None}))
    with pytest.raises(InputError) as error:
        operand_histograms(bare, LUTS, layer="conv", point="o1")
    rule = "vectors: are missing; operands are counted on their images"
    assert str(error.value) == f"{file.path}: {rule}"
