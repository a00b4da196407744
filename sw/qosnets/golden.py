"""Golden integer model: the arithmetic that simulation, hardware and netlist must reproduce.

With ``M[x, w]`` the table of the selected multiplier (:func:`qosnets.lut.oriented`)::

    acc[o] = Σ_k M[x_k, w_ok] − z_w[o]·Σ_k x_k + bias[o]                          (int32)
    y[o]   = clamp(offset[o] + ((acc[o]·mult[o] + 2^(shift[o]−1)) >> shift[o]), lo, hi)

Zero points are corrected exactly outside the multiplier (gemmlowp's scheme); only ΣM is
approximate. ``bias`` already holds the terms that do not depend on the activations. The shift is
arithmetic, so ties round towards +∞.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .geometry import Geometry, LayerKind
from .graph import (
    INPUT,
    AddNode,
    AvgPoolNode,
    ConcatNode,
    FlattenNode,
    LayerNode,
    MaxPoolNode,
    Node,
)
from .lut import Lut, oriented
from .ops import Ops
from .parameters import LayerWeights, Parameters, Requantisation

__all__ = [
    "LayerTrace",
    "accumulate",
    "from_columns",
    "group_slice",
    "im2col",
    "infer",
    "layer_table",
    "lut_matmul",
    "requantise",
    "run_layer",
    "run_node",
]

Codes = npt.NDArray[np.uint8]
Acc = npt.NDArray[np.int32]


def lut_matmul(x: Codes, w: Codes, table: Lut) -> npt.NDArray[np.int64]:
    """Return ``Σ_k table[x[m, k], w[n, k]]``, int64 ``[M, N]``.

    Parameters
    ----------
    x
        Activation codes, ``[M, K]``.
    w
        Weight codes, ``[N, K]``.
    table
        ``M[x, w]``, uint16 ``[256, 256]``.
    """
    total = np.zeros((len(x), len(w)), np.int64)
    for k in range(x.shape[1]):
        total += table[x[:, k, None], w[None, :, k]]
    return total


def accumulate(x: Codes, weights: LayerWeights, bias: npt.NDArray[np.int32], table: Lut) -> Acc:
    """Return the accumulators ``acc``, int32 ``[M, N]``, wrapping like the hardware's adders.

    ``x`` is ``[M, K]``, ``weights`` and ``bias`` are those of the N outputs.
    """
    correction = np.outer(x.sum(axis=1, dtype=np.int64), weights.zero_points.astype(np.int64))
    return (lut_matmul(x, weights.codes, table) - correction + bias).astype(np.int32)


def requantise(acc: Acc, parameters: Requantisation, clamp: tuple[int, int]) -> Codes:
    """Return the output codes of accumulators ``[M, N]``; ``parameters`` are those of N outputs."""
    shift = parameters.shift.astype(np.int64)
    product = acc.astype(np.int64) * parameters.mult
    scaled = (product + (np.int64(1) << (shift - 1))) >> shift
    codes: Codes = np.clip(scaled + parameters.offset, *clamp).astype(np.uint8)
    return codes


def im2col(x: Codes, geometry: Geometry) -> Codes:
    """Return the receptive fields of ``x``, uint8 ``[groups, images·positions, K]``.

    ``x`` is ``[image, channel, height, width]`` (``[image, feature]`` for a linear layer);
    padding holds the code ``input_zero_point``; K runs over channel, kernel row, kernel column.
    """
    x = x.reshape(len(x), geometry.in_channels, *geometry.input_size)
    top, left, bottom, right = geometry.padding
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, pads, constant_values=geometry.input_zero_point)
    rows, columns = _window_indices(geometry)
    fields = padded[:, :, rows, columns]  # image, channel, position, tap
    fields = fields.reshape(
        len(x), geometry.groups, -1, geometry.positions, rows.shape[1]
    )  # image, group, channel, position, tap
    return fields.transpose(1, 0, 3, 2, 4).reshape(geometry.groups, -1, geometry.reduction)


def _window_indices(geometry: Geometry) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the row and column, each ``[position, tap]``, that a kernel tap reads."""
    (height, width), (kh, kw) = geometry.output_size, geometry.kernel
    y, x, dy, dx = np.ogrid[:height, :width, :kh, :kw]
    rows = y * geometry.stride[0] + dy * geometry.dilation[0]
    columns = x * geometry.stride[1] + dx * geometry.dilation[1]
    shape = (height * width, kh * kw)
    full = (height, width, kh, kw)
    return np.broadcast_to(rows, full).reshape(shape), np.broadcast_to(columns, full).reshape(shape)


def from_columns(values: npt.NDArray[Any], geometry: Geometry) -> npt.NDArray[Any]:
    """Return layer outputs ``[groups, images·positions, N]`` in the shape of a tensor.

    The shape is ``[image, channel, height, width]``, or ``[image, channel]`` for a linear layer.
    """
    groups, _, n = values.shape
    split = values.reshape(groups, -1, geometry.positions, n).transpose(1, 0, 3, 2)
    flat = split.reshape(len(split), geometry.out_channels, geometry.positions)
    if geometry.kind is LayerKind.LINEAR:
        return flat[:, :, 0]
    return flat.reshape(len(flat), geometry.out_channels, *geometry.output_size)


def group_slice(geometry: Geometry, group: int) -> slice:
    """Return the output channels of a group."""
    n = geometry.outputs_per_group
    return slice(group * n, (group + 1) * n)


@dataclass(frozen=True)
class LayerTrace:
    """What a layer computes."""

    acc: npt.NDArray[np.int32]
    out: Codes
    """Both ``[image, channel, height, width]``, or ``[image, channel]`` for a linear layer."""


def run_layer(
    x: Codes, geometry: Geometry, weights: LayerWeights, values: Requantisation, table: Lut
) -> LayerTrace:
    """Run a multiplying layer; ``table`` is ``M[x, w]`` of the selected multiplier."""
    fields = im2col(x, geometry)
    accs, outs = [], []
    for group in range(geometry.groups):
        part = group_slice(geometry, group)
        acc = accumulate(fields[group], weights[part], values.bias[part], table)
        accs.append(acc)
        outs.append(requantise(acc, values[part], geometry.clamp))
    return LayerTrace(
        from_columns(np.stack(accs), geometry), from_columns(np.stack(outs), geometry)
    )


def run_node(node: Node, tensors: Mapping[str, Codes]) -> Codes:
    """Run a node without multiplications by a netlist; ``tensors`` holds its inputs by name."""
    inputs = [tensors[name] for name in node.inputs]
    match node:
        case AddNode():
            return _requantised_sum(node, inputs)
        case ConcatNode():
            return np.concatenate(inputs, axis=1)
        case MaxPoolNode():
            largest: Codes = _windows(inputs[0], node, fill=0).max(axis=(-2, -1))
            return largest
        case AvgPoolNode():
            windows = _windows(inputs[0], node, fill=node.input_zero_points[0])
            count = node.kernel[0] * node.kernel[1]
            total = windows.sum(axis=(-2, -1), dtype=np.int64)
            centred = total - count * node.input_zero_points[0]
            return _scale(centred * node.mult[0], node)
        case FlattenNode():
            return inputs[0].reshape(len(inputs[0]), -1)
        case LayerNode():
            raise TypeError("a layer node is run by run_layer")


def _requantised_sum(node: AddNode, inputs: Sequence[Codes]) -> Codes:
    total = np.zeros(inputs[0].shape, np.int64)
    for x, mult, zero_point in zip(inputs, node.mult, node.input_zero_points, strict=True):
        total += (x.astype(np.int64) - zero_point) * mult
    return _scale(total, node)


def _scale(total: npt.NDArray[np.int64], node: AddNode | AvgPoolNode) -> Codes:
    scaled = (total + (1 << (node.shift - 1))) >> node.shift
    codes: Codes = np.clip(scaled + node.output_zero_point, *node.clamp).astype(np.uint8)
    return codes


def _windows(x: Codes, node: MaxPoolNode | AvgPoolNode, fill: int) -> Codes:
    """Return pooling windows, ``[image, channel, height, width, kernel row, kernel column]``."""
    top, left, bottom, right = node.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, node.kernel, axis=(2, 3))
    return windows[:, :, :: node.stride[0], :: node.stride[1]]


def infer(
    ops: Ops, parameters: Parameters, luts: Sequence[Lut], point: int, x: Codes
) -> dict[str, LayerTrace]:
    """Run the network of ``ops.graph`` at an operating point.

    Parameters
    ----------
    ops
        With graph and geometry.
    parameters
        Weights and requantisation.
    luts
        Table of each multiplier, ports A and B as in the netlist.
    point
        Index of the operating point.
    x
        Input images, uint8 ``[image, channel, height, width]``.

    Returns
    -------
    dict
        Accumulators and outputs by layer.
    """
    assert ops.graph is not None
    index = {layer.name: number for number, layer in enumerate(ops.layers)}
    tensors, traces = {INPUT: x}, {}
    for node in ops.graph:
        if isinstance(node, LayerNode):
            geometry = ops.layers[index[node.layer]].geometry
            assert geometry is not None
            traces[node.layer] = run_layer(
                tensors[node.inputs[0]],
                geometry,
                parameters.weights[node.layer],
                parameters.requantisation[ops.operating_points[point].name, node.layer],
                layer_table(ops, luts, point, index[node.layer]),
            )
            tensors[node.output] = traces[node.layer].out
        else:
            tensors[node.output] = run_node(node, tensors)
    return traces


def layer_table(ops: Ops, luts: Sequence[Lut], point: int, layer: int) -> Lut:
    """Return ``M[x, w]`` of the multiplier that a layer uses at an operating point."""
    select = ops.operating_points[point].assignment[layer]
    return oriented(luts[select], ops.multipliers[select].activation_port)
