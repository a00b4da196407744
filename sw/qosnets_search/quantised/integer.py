"""The integer network in torch: the arithmetic that the hardware performs, and all accuracies.

Written apart from :mod:`qosnets.golden`, with which it must agree in every bit::

    acc[o] = Σ_k M[x_k, w_ok] − z_w[o]·Σ_k x_k + bias[o]
    y[o]   = clamp(offset[o] + ((acc[o]·mult[o] + 2^(shift[o]−1)) >> shift[o]), lo, hi)

Codes and accumulators are int64 tensors; the export proves that ``acc`` fits int32.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from qosnets.graph import INPUT, FlattenNode, LayerNode, MaxPoolNode, Node
from qosnets.lut import Lut
from qosnets.parameters import LayerWeights, Requantisation
from torch import Tensor

from .approximate import accumulate, window_sums

__all__ = ["IntegerLayer", "LayerTrace", "accuracy", "infer", "run_layer"]


@dataclass(frozen=True)
class IntegerLayer:
    """A multiplying layer at one operating point."""

    geometry: Geometry
    weights: LayerWeights
    requantisation: Requantisation


@dataclass(frozen=True)
class LayerTrace:
    """What enters and leaves a layer, ``[image, channel(, height, width)]``."""

    x: Tensor
    acc: Tensor
    out: Tensor


def infer(
    graph: Sequence[Node],
    layers: Mapping[str, IntegerLayer],
    tables: Mapping[str, Lut],
    codes: Tensor,
) -> dict[str, LayerTrace]:
    """Run the network.

    Parameters
    ----------
    graph
        Layers, maxima over windows, and flattening.
    layers
        By name.
    tables
        ``M[x, w]`` of the multiplier that each layer uses.
    codes
        Input codes, ``[image, channel, height, width]``.

    Returns
    -------
    dict
        Trace of each layer, in the order of the graph.
    """
    tensors, traces = {INPUT: codes.to(torch.int64)}, {}
    for node in graph:
        x = tensors[node.inputs[0]]
        match node:
            case LayerNode():
                traces[node.layer] = run_layer(layers[node.layer], tables[node.layer], x)
                tensors[node.output] = traces[node.layer].out
            case MaxPoolNode():
                tensors[node.output] = _max_pool(x, node)
            case FlattenNode():
                tensors[node.output] = x.flatten(1)
            case _:
                raise TypeError(f"node must be a layer, max_pool or flatten, not {node.op}")
    return traces


def run_layer(layer: IntegerLayer, table: Lut, x: Tensor) -> LayerTrace:
    """Run a multiplying layer on codes ``x``."""
    weights, values, geometry = layer.weights, layer.requantisation, layer.geometry
    codes = torch.from_numpy(weights.codes)
    if geometry.kind is LayerKind.CONV:
        group_channels = geometry.in_channels // geometry.groups
        codes = codes.reshape(geometry.out_channels, group_channels, *geometry.kernel)
    inputs = x.to(torch.uint8)
    sums = accumulate(inputs, codes, torch.from_numpy(np.ascontiguousarray(table)), geometry)
    side_sums = window_sums(inputs, geometry).to(torch.int64)
    if geometry.kind is LayerKind.CONV:
        side_sums = side_sums.repeat_interleave(geometry.out_channels // geometry.groups, 1)
    zero_points, bias, mult, shift, offset = (
        _per_channel(item, geometry)
        for item in (weights.zero_points, values.bias, values.mult, values.shift, values.offset)
    )
    acc = sums - side_sums * zero_points + bias
    half = torch.ones_like(shift) << (shift - 1)
    out = (((acc * mult + half) >> shift) + offset).clamp(*geometry.clamp)
    return LayerTrace(x, acc, out)


def _per_channel(values: npt.NDArray[Any], geometry: Geometry) -> Tensor:
    """Return values of the output channels, int64, shaped to meet the layer's output."""
    tensor = torch.from_numpy(values.astype(np.int64))
    return tensor if geometry.kind is LayerKind.LINEAR else tensor[:, None, None]


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of images, 0..1, whose largest logit is the label's; ties go to the lowest.

    Works alike on logit codes of the integer network, of which the largest is the class.
    """
    # NumPy, unlike torch, promises the first of equal maxima.
    return float(np.mean(logits.numpy().argmax(axis=1) == labels.numpy()))


def _max_pool(x: Tensor, node: MaxPoolNode) -> Tensor:
    top, left, bottom, right = node.padding
    windows = F.pad(x, (left, right, top, bottom))
    for axis in (0, 1):
        windows = windows.unfold(2 + axis, node.kernel[axis], node.stride[axis])
    return windows.amax(dim=(-2, -1))
