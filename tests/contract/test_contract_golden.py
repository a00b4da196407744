"""The golden model against loops over Python integers, written from the formulas alone."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from qosnets.geometry import Geometry, LayerKind
from qosnets.golden import accumulate, im2col, infer, layer_table, requantise, run_layer, run_node
from qosnets.graph import AddNode, AvgPoolNode, ConcatNode, FlattenNode, MaxPoolNode
from qosnets.lut import ActivationPort, exact_lut, oriented
from qosnets.ops import Ops
from qosnets.parameters import LayerWeights, Parameters, Requantisation, weight_shape

LUT = np.random.default_rng(1).integers(0, 65_218, (256, 256), np.uint16)
"""A function of no structure: neither commutative nor zero for a zero operand."""

INT32 = np.iinfo(np.int32)


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def scale(value: int, mult: int, shift: int, offset: int, clamp: tuple[int, int]) -> int:
    rounded = math.floor(Fraction(value * mult, 2**shift) + Fraction(1, 2))
    return min(max(offset + rounded, clamp[0]), clamp[1])


def conv(
    kernel: tuple[int, int], channels: tuple[int, int], size: tuple[int, int], **changes: object
) -> Geometry:
    plain = {
        "stride": (1, 1),
        "padding": (0, 0, 0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "input_zero_point": 131,
        "output_zero_point": 7,
        "clamp": (3, 250),
    }
    return Geometry(
        kind=LayerKind.CONV,
        kernel=kernel,
        in_channels=channels[0],
        out_channels=channels[1],
        input_size=size,
        **plain | changes,
    )


def linear(channels: tuple[int, int]) -> Geometry:
    geometry = conv((1, 1), channels, (1, 1))
    return Geometry(**vars(geometry) | {"kind": LayerKind.LINEAR})


GEOMETRIES = {
    "pointwise": conv((1, 1), (3, 4), (3, 2)),
    "padded": conv((3, 3), (2, 3), (4, 5), padding=(1, 1, 1, 1)),
    "asymmetric": conv((2, 3), (2, 2), (3, 4), padding=(0, 2, 1, 0), stride=(2, 1)),
    "strided": conv((3, 2), (1, 2), (7, 6), stride=(2, 3), padding=(1, 0, 0, 1)),
    "dilated": conv((2, 3), (1, 2), (5, 7), dilation=(3, 2), padding=(1, 1, 0, 0)),
    "grouped": conv((2, 2), (4, 6), (3, 4), groups=2, padding=(0, 0, 1, 1)),
    "depthwise": conv((3, 3), (3, 3), (4, 3), groups=3, padding=(1, 1, 1, 1)),
    "depthwise with two outputs each": conv((2, 1), (3, 6), (3, 3), groups=3),
    "kernel as large as the padded input": conv((4, 3), (2, 1), (3, 3), padding=(1, 0, 0, 0)),
    "linear": linear((9, 4)),
}


def random_weights(rng: np.random.Generator, geometry: Geometry) -> LayerWeights:
    n = geometry.out_channels
    codes = rng.integers(0, 256, (n, geometry.reduction), np.uint8)
    return LayerWeights(codes, rng.integers(0, 256, n, np.uint8))


def random_values(
    rng: np.random.Generator, geometry: Geometry, weights: LayerWeights
) -> Requantisation:
    """Return values for which few outputs are clamped."""
    n, k = geometry.out_channels, geometry.reduction
    sign = rng.choice([-1, 1], n)
    centre = k * (weights.zero_points.astype(np.int32) * 128 - 32_609)
    return Requantisation(
        bias=centre + rng.integers(-10_000, 10_000, n, np.int32),
        mult=(sign * rng.integers(2**14, 2**15, n)).astype(np.int16),
        shift=rng.integers(24, 27, n, np.uint8),
        offset=rng.integers(80, 180, n, np.int16),
    )


def random_images(rng: np.random.Generator, geometry: Geometry, n: int) -> np.ndarray:
    shape = (n, geometry.in_channels, *geometry.input_size)
    images = rng.integers(0, 256, shape, np.uint8)
    return images[:, :, 0, 0] if geometry.kind is LayerKind.LINEAR else images


def naive_layer(x, geometry, weights, values, lut, port):
    """Return accumulators and outputs, [image][channel][row][column], one product at a time."""
    g = geometry
    per_group = g.in_channels // g.groups
    x = x.reshape(len(x), g.in_channels, *g.input_size)
    kernels = weights.codes.reshape(g.out_channels, per_group, *g.kernel)
    acc = np.zeros((len(x), g.out_channels, *g.output_size), np.int64)
    out = np.zeros(acc.shape, np.uint8)
    for image, o, row, column in np.ndindex(acc.shape):
        first = o // (g.out_channels // g.groups) * per_group
        products = activations = 0
        for i, dy, dx in product(range(per_group), range(g.kernel[0]), range(g.kernel[1])):
            y = row * g.stride[0] + dy * g.dilation[0] - g.padding[0]
            z = column * g.stride[1] + dx * g.dilation[1] - g.padding[1]
            inside = 0 <= y < g.input_size[0] and 0 <= z < g.input_size[1]
            code = int(x[image, first + i, y, z]) if inside else g.input_zero_point
            weight = int(kernels[o, i, dy, dx])
            products += int(lut[code, weight] if port == "A" else lut[weight, code])
            activations += code
        total = products - int(weights.zero_points[o]) * activations + int(values.bias[o])
        acc[image, o, row, column] = wrap(total)
        out[image, o, row, column] = scale(
            wrap(total), int(values.mult[o]), int(values.shift[o]), int(values.offset[o]), g.clamp
        )
    return (acc[:, :, 0, 0], out[:, :, 0, 0]) if g.kind is LayerKind.LINEAR else (acc, out)


@pytest.mark.parametrize("port", list(ActivationPort))
@pytest.mark.parametrize("name", GEOMETRIES)
def test_layer_equals_nested_loops(name, port):
    geometry = GEOMETRIES[name]
    rng = np.random.default_rng(5)
    x = random_images(rng, geometry, 2)
    weights = random_weights(rng, geometry)
    values = random_values(rng, geometry, weights)
    trace = run_layer(x, geometry, weights, values, oriented(LUT, port))
    acc, out = naive_layer(x, geometry, weights, values, LUT, port.value)
    assert trace.acc.dtype == np.int32 and trace.out.dtype == np.uint8
    np.testing.assert_array_equal(trace.acc, acc)
    np.testing.assert_array_equal(trace.out, out)
    assert np.mean((out > geometry.clamp[0]) & (out < geometry.clamp[1])) > 0.5


def test_the_ports_are_told_apart():
    geometry = GEOMETRIES["padded"]
    rng = np.random.default_rng(6)
    x = random_images(rng, geometry, 1)
    weights = random_weights(rng, geometry)
    values = random_values(rng, geometry, weights)
    a, b = (run_layer(x, geometry, weights, values, oriented(LUT, port)) for port in ActivationPort)
    assert (a.acc != b.acc).any()


def test_zero_points_are_corrected_exactly():
    """With exact products and a folded bias, acc = b + Σ (x − z_x)·(w − z_w)."""
    geometry = GEOMETRIES["padded"]
    rng = np.random.default_rng(7)
    x, weights = random_images(rng, geometry, 1), random_weights(rng, geometry)
    z_x, z_w = geometry.input_zero_point, weights.zero_points.astype(np.int64)
    w = weights.codes.astype(np.int64)
    bias = 1000 - z_x * w.sum(axis=1) + geometry.reduction * z_x * z_w
    (fields,) = im2col(x, geometry).astype(np.int64)
    expected = (fields - z_x) @ (w - z_w[:, None]).T + 1000
    acc = accumulate(fields.astype(np.uint8), weights, bias.astype(np.int32), exact_lut())
    np.testing.assert_array_equal(acc, expected)


def test_geometry_counts():
    geometry = GEOMETRIES["strided"]
    assert geometry.output_size == (3, 2)  # rows at -1, 1, 3 of 7 and columns at 0, 3 of 6 + 1
    assert (geometry.positions, geometry.reduction, geometry.multiplications) == (6, 6, 72)
    grouped = GEOMETRIES["grouped"]
    assert (grouped.reduction, grouped.outputs_per_group) == (8, 3)


def test_accumulators_wrap_at_32_bits():
    x = np.array([[255], [0]], np.uint8)
    weights = LayerWeights(np.full((3, 1), 255, np.uint8), np.array([0, 255, 0], np.uint8))
    bias = np.array([INT32.max, INT32.min, 0], np.int32)
    expected = [[wrap(INT32.max + 65_025), wrap(INT32.min), 65_025], [INT32.max, INT32.min, 0]]
    np.testing.assert_array_equal(accumulate(x, weights, bias, exact_lut()), expected)


REQUANTISED = [
    # acc, mult, shift, offset, code without clamp
    (0, 2**14, 15, 0, 0),
    (1, 2**14, 15, 0, 1),  # ½ up
    (-1, 2**14, 15, 0, 0),  # −½ up
    (3, 2**14, 15, 0, 2),
    (-3, 2**14, 15, 10, 9),
    (3, -(2**14), 15, 10, 9),
    (-3, -(2**14), 15, 0, 2),
    (1, -(2**15), 1, 0, -(2**14)),
    (5, 0, 1, 77, 77),
    (INT32.min, 0, 47, -5, -5),
    (INT32.min, -(2**15), 47, 0, 1),  # 2⁴⁶ / 2⁴⁷
    (INT32.min, 2**15 - 1, 47, 0, 0),
    (INT32.max, -(2**15), 47, 0, 0),
    (INT32.min, -(2**15), 39, 100, 228),
    (INT32.max, 2**15 - 1, 39, 0, 128),
]


@pytest.mark.parametrize(("acc", "mult", "shift", "offset", "code"), REQUANTISED)
def test_requantisation_of_known_values(acc, mult, shift, offset, code):
    assert scale(acc, mult, shift, offset, (-(2**60), 2**60)) == code  # the oracle itself
    for clamp in ((0, 255), (10, 20), (0, 0), (255, 255)):
        assert requantised([acc], [mult], [shift], [offset], clamp) == [
            min(max(code, clamp[0]), clamp[1])
        ]


def requantised(acc, mult, shift, offset, clamp):
    values = Requantisation(
        np.zeros(len(acc), np.int32),
        np.array(mult, np.int16),
        np.array(shift, np.uint8),
        np.array(offset, np.int16),
    )
    codes = requantise(np.array([acc], np.int32), values, clamp)
    assert codes.dtype == np.uint8
    return codes[0].tolist()


def test_requantisation_of_random_values():
    rng = np.random.default_rng(8)
    n = 4000
    shift = rng.integers(1, 48, n)
    mult = rng.integers(-(2**15), 2**15, n)
    # Accumulators of all sizes, so that at every shift some codes lie within the clamp.
    acc = rng.integers(INT32.min, INT32.max + 1, n) >> rng.integers(0, 32, n)
    acc[:200], mult[:100], mult[100:200] = INT32.min, -(2**15), 2**15 - 1
    offset = rng.integers(-(2**15), 2**15, n) >> rng.integers(4, 16, n)
    expected = [
        scale(int(a), int(m), int(s), int(o), (2, 251))
        for a, m, s, o in zip(acc, mult, shift, offset, strict=True)
    ]
    assert requantised(acc, mult, shift, offset, (2, 251)) == expected
    assert len(set(expected)) > 100


REQUANTISATION = {"shift": 17, "output_zero_point": 9, "clamp": (5, 200)}


def test_add_rescales_every_input():
    rng = np.random.default_rng(9)
    a, b, c = rng.integers(0, 256, (3, 2, 3, 4, 4), np.uint8)
    node = AddNode(
        op="add",
        inputs=["a", "b", "c"],
        output="y",
        mult=[20_000, -16_384, 32_767],
        input_zero_points=[3, 128, 255],
        **REQUANTISATION,
    )
    out = run_node(node, {"a": a, "b": b, "c": c})
    for index in np.ndindex(out.shape):
        total = (
            (int(a[index]) - 3) * 20_000
            - (int(b[index]) - 128) * 16_384
            + (int(c[index]) - 255) * 32_767
        )
        assert out[index] == scale(total, 1, 17, 9, (5, 200))
    assert len(np.unique(out)) > 20


def test_concat_joins_channels_in_order():
    a, b = np.zeros((2, 1, 3, 3), np.uint8), np.ones((2, 2, 3, 3), np.uint8)
    node = ConcatNode(op="concat", inputs=["b", "a"], output="y")
    out = run_node(node, {"a": a, "b": b})
    assert out.shape == (2, 3, 3, 3)
    assert out[1, :, 2, 0].tolist() == [1, 1, 0]


POOLING = {"inputs": ("x",), "output": "y", "kernel": (3, 2), "stride": (2, 1)}


def windows(x, padding):
    """Yield an output index and the values under the window that are not padding."""
    (kh, kw), (sh, sw) = POOLING["kernel"], POOLING["stride"]
    height = (x.shape[2] + padding[0] + padding[2] - kh) // sh + 1
    width = (x.shape[3] + padding[1] + padding[3] - kw) // sw + 1
    for image, channel, row, column in np.ndindex(*x.shape[:2], height, width):
        top, left = row * sh - padding[0], column * sw - padding[1]
        values = [
            int(x[image, channel, y, z])
            for y, z in product(range(top, top + kh), range(left, left + kw))
            if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]
        ]
        yield (image, channel, row, column), values


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 0, 0, 1), (2, 1, 1, 0)])
def test_pooling(padding):
    x = np.random.default_rng(10).integers(0, 256, (2, 3, 6, 5), np.uint8)
    largest = run_node(MaxPoolNode(op="max_pool", padding=padding, **POOLING), {"x": x})
    # 1/6 in mult: the mean of codes around the zero point 100.
    mean = run_node(
        AvgPoolNode(
            op="avg_pool",
            padding=padding,
            mult=[21_845],
            input_zero_points=[100],
            **POOLING,
            **REQUANTISATION,
        ),
        {"x": x},
    )
    seen = 0
    for index, values in windows(x, padding):
        assert largest[index] == max(values)  # padding never wins
        total = sum(value - 100 for value in values)  # padding is the real number 0
        assert mean[index] == scale(total, 21_845, 17, 9, (5, 200))
        seen += 1
    assert largest.size == mean.size == seen
    assert largest.dtype == mean.dtype == np.uint8


def test_flatten_keeps_c_order():
    x = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    node = FlattenNode(op="flatten", inputs=("x",), output="y")
    assert run_node(node, {"x": x}).tolist() == [list(range(12)), list(range(12, 24))]


def residual_network() -> Ops:
    first = conv((3, 3), (2, 3), (4, 4), padding=(1, 1, 1, 1))
    second = conv((3, 3), (3, 3), (4, 4), padding=(1, 1, 1, 1), groups=3)
    layers = {"conv1": first, "block.conv2": second, "fc": linear((12, 5))}
    scaling = {"mult": [16_384, 16_384], "shift": 15, "input_zero_points": [7, 7]}
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": [
            {"name": "random", "lut_sha256": "0" * 64, "activation_port": ActivationPort.B},
            {"name": "exact", "lut_sha256": "1" * 64, "activation_port": ActivationPort.A},
        ],
        "layers": [{"name": name} | vars(geometry) for name, geometry in layers.items()],
        "operating_points": [
            {"name": "o1", "assignment": [1, 1, 1]},
            {"name": "o2", "assignment": [0, 1, 0]},
        ],
        "graph": [
            {"op": "layer", "layer": "conv1", "inputs": ("input",), "output": "a"},
            {"op": "layer", "layer": "block.conv2", "inputs": ("a",), "output": "b"},
            {"op": "add", "inputs": ["b", "a"], "output": "sum", **scaling}
            | {"output_zero_point": 7, "clamp": (0, 255)},
            {"op": "max_pool", "inputs": ("sum",), "output": "pooled"}
            | {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0)},
            {"op": "flatten", "inputs": ("pooled",), "output": "features"},
            {"op": "layer", "layer": "fc", "inputs": ("features",), "output": "y"},
        ],
    }
    return Ops.model_validate(content)


@pytest.mark.parametrize("index", [0, 1])
def test_network_with_a_residual_connection(index):
    ops = residual_network()
    rng = np.random.default_rng(11)
    geometries = {layer.name: layer.geometry for layer in ops.layers}
    weights = {name: random_weights(rng, geometry) for name, geometry in geometries.items()}
    values = {
        (point.name, name): random_values(rng, geometry, weights[name])
        for point in ops.operating_points
        for name, geometry in geometries.items()
    }
    luts = [LUT, exact_lut()]
    point = ops.operating_points[index]
    x = random_images(rng, geometries["conv1"], 2)
    traces = infer(ops, Parameters(weights, values), luts, index, x)
    assert list(traces) == ["conv1", "block.conv2", "fc"]

    def naive(layer, inputs):
        code = point.assignment[list(geometries).index(layer)]
        acc, out = naive_layer(
            inputs,
            geometries[layer],
            weights[layer],
            values[point.name, layer],
            luts[code],
            "BA"[code],
        )
        np.testing.assert_array_equal(traces[layer].acc, acc)
        np.testing.assert_array_equal(traces[layer].out, out)
        return out

    a = naive("conv1", x)
    b = naive("block.conv2", a)
    total = np.zeros(a.shape, np.int64)
    for position in np.ndindex(a.shape):
        both = int(a[position]) + int(b[position]) - 14
        total[position] = scale(both, 2**14, 15, 7, (0, 255))
    pooled = total.reshape(2, 3, 2, 2, 2, 2).max(axis=(3, 5))
    naive("fc", pooled.reshape(2, 12).astype(np.uint8))


def test_layer_table_is_that_of_the_assigned_multiplier():
    ops = residual_network()
    luts = [LUT, exact_lut()]
    np.testing.assert_array_equal(layer_table(ops, luts, 0, 0), exact_lut())
    np.testing.assert_array_equal(layer_table(ops, luts, 1, 0), LUT.T)
    np.testing.assert_array_equal(layer_table(ops, luts, 1, 1), exact_lut())


def test_stored_shapes_of_weights():
    assert weight_shape(GEOMETRIES["grouped"]) == (6, 2, 2, 2)
    assert weight_shape(GEOMETRIES["linear"]) == (4, 9)
