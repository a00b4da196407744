"""The integer network in torch: the arithmetic that the hardware performs, and all accuracies.

Written apart from :mod:`qosnets.golden`, with which it must agree in every bit::

    acc[o] = Σ_k M[x_k, w_ok] − z_w[o]·Σ_k x_k + bias[o]
    y[o]   = clamp(offset[o] + ((acc[o]·mult[o] + 2^(shift[o]−1)) >> shift[o]), lo, hi)

Codes are uint8, accumulators int32 tensors; the export proves that ``acc`` fits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from qosnets.graph import (
    INPUT,
    AddNode,
    AvgPoolNode,
    ConcatNode,
    FlattenNode,
    LayerNode,
    MaxPoolNode,
    Node,
)
from qosnets.parameters import LayerWeights, Requantisation
from torch import Tensor

from ..kernels.requantise import requantise
from .approximate import window_sums
from .mapped import LayerArithmetic, accumulate
from .torch_geometry import pad

__all__ = [
    "IntegerLayer",
    "IntegerNetwork",
    "LayerTrace",
    "layer_traces",
    "logits",
    "requantise_plain",
    "run_layer",
    "traces",
]

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IntegerLayer:
    """A multiplying layer at one operating point."""

    geometry: Geometry
    weights: LayerWeights
    requantisation: Requantisation

    def weight_codes(self, device: torch.device) -> Tensor:
        """Return the codes of the weights, uint8 ``[O, I/groups, kh, kw]`` or ``[O, I]``."""
        codes = torch.from_numpy(self.weights.codes).to(device)
        if self.geometry.kind is LayerKind.LINEAR:
            return codes
        return codes.reshape(self.geometry.out_channels, -1, *self.geometry.kernel)


@dataclass(frozen=True)
class IntegerNetwork:
    """A network at one operating point."""

    graph: Sequence[Node]
    layers: Mapping[str, IntegerLayer]
    """By name, in the order of execution."""


@dataclass(frozen=True)
class LayerTrace:
    """What enters and leaves a layer, ``[image, channel(, height, width)]``."""

    x: Tensor
    """Codes, uint8."""
    acc: Tensor
    """int32."""
    out: Tensor
    """Codes, uint8."""


def layer_traces(
    network: IntegerNetwork, arithmetic: Mapping[str, LayerArithmetic], codes: Tensor
) -> Iterator[tuple[str, LayerTrace]]:
    """Run the network and yield the name of each layer and what enters and leaves it.

    Nothing is kept that no later node reads.

    Parameters
    ----------
    network
        The network.
    arithmetic
        What each layer multiplies with: a table ``M[x, w]``, or one for each weight.
    codes
        Input codes, uint8 ``[image, channel, height, width]``.
    """
    for node, _, trace in _run(network, arithmetic, codes):
        if isinstance(node, LayerNode):
            assert trace is not None
            yield node.layer, trace


def traces(
    network: IntegerNetwork, arithmetic: Mapping[str, LayerArithmetic], codes: Tensor
) -> dict[str, LayerTrace]:
    """Return all of :func:`layer_traces`, by the name of the layer."""
    return dict(layer_traces(network, arithmetic, codes))


def logits(
    network: IntegerNetwork, arithmetic: Mapping[str, LayerArithmetic], codes: Tensor
) -> Tensor:
    """Return the codes of the logits, uint8 ``[image, class]``.

    Arguments as for :func:`layer_traces`.
    """
    *_, (_, result, _) = _run(network, arithmetic, codes)
    return result


def _run(
    network: IntegerNetwork, arithmetic: Mapping[str, LayerArithmetic], codes: Tensor
) -> Iterator[tuple[Node, Tensor, LayerTrace | None]]:
    """Yield each node, its result, and the trace of a layer; tensors go once they are read."""
    last_reads = {name: number for number, node in enumerate(network.graph) for name in node.inputs}
    tensors = {INPUT: codes.to(torch.uint8)}
    for number, node in enumerate(network.graph):
        inputs = [tensors[name] for name in node.inputs]
        trace = None
        if isinstance(node, LayerNode):
            trace = run_layer(network.layers[node.layer], arithmetic[node.layer], inputs[0])
            result = trace.out
        else:
            result = _run_node(node, inputs)
        tensors[node.output] = result
        for name in set(node.inputs):
            if last_reads[name] == number:
                del tensors[name]
        yield node, result, trace


def run_layer(layer: IntegerLayer, arithmetic: LayerArithmetic, x: Tensor) -> LayerTrace:
    """Run a multiplying layer on codes ``x``, uint8, with a table ``M[x, w]`` or several."""
    weights, values, geometry = layer.weights, layer.requantisation, layer.geometry
    sums = accumulate(x, layer.weight_codes(x.device), arithmetic, geometry)
    side_sums = window_sums(x, geometry)
    fields = (weights.zero_points, values.bias, values.mult, values.shift, values.offset)
    constants = np.stack([field.astype(np.int64) for field in fields])
    requantise = _requantise_compiled if x.device.type == "cpu" else requantise_plain
    acc, out = requantise(sums, side_sums, constants, geometry.clamp)
    return LayerTrace(x, acc, out)


def _requantise_compiled(
    sums: Tensor, side_sums: Tensor, constants: Int, clamp: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Do :func:`requantise_plain` on the CPU, in one pass; ``sums`` become the accumulators."""
    images, channels = sums.shape[:2]
    # Tensors and arrays share their memory.
    flat = sums.view(images, channels, -1).numpy()
    side = side_sums.reshape(images, side_sums.shape[1], -1).numpy()
    out = torch.from_numpy(requantise(flat, side, constants, clamp))
    return sums, out.view(sums.shape)


def requantise_plain(
    sums: Tensor, side_sums: Tensor, constants: Int, clamp: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return accumulators, int32, and output codes, uint8, on any device.

    Parameters
    ----------
    sums
        Sums of products, int32 ``[image, channel(, height, width)]``.
    side_sums
        Sums of activations, int32, with as many channels as there are groups.
    constants
        Weight zero point, bias, mult, shift and offset of each channel, ``[5, channel]``.
    clamp
        Smallest and largest code.
    """
    side_sums = side_sums.repeat_interleave(sums.shape[1] // side_sums.shape[1], 1)
    shape = (5, -1) + (1,) * (sums.ndim - 2)
    channel = torch.from_numpy(constants).to(sums.device).reshape(shape)
    zero_points, bias, mult, shift, offset = channel
    # Sums may wrap in int32, the accumulator fits.
    acc = sums - side_sums * zero_points.to(torch.int32) + bias.to(torch.int32)
    half = torch.ones_like(shift) << (shift - 1)
    out = ((acc.to(torch.int64) * mult + half) >> shift) + offset
    return acc, out.clamp(*clamp).to(torch.uint8)


def _run_node(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """Run a node without multiplications by a netlist."""
    match node:
        case AddNode():
            # 255·2¹⁵ in each term, at most.
            wide = torch.int32 if len(inputs) < 256 else torch.int64
            terms = zip(inputs, node.input_zero_points, node.mult, strict=True)
            centred = [(x.to(wide) - zero_point) * mult for x, zero_point, mult in terms]
            return _requantised(sum(centred[1:], centred[0]), node)
        case AvgPoolNode():
            (zero_point,), (mult,) = node.input_zero_points, node.mult
            # Sums of few codes: float32 holds them exactly.
            centred_codes = pad(inputs[0].to(torch.float32) - zero_point, node.padding, 0.0)
            sums = F.avg_pool2d(centred_codes, node.kernel, node.stride, divisor_override=1)
            return _requantised(sums.to(torch.int64) * mult, node)
        case MaxPoolNode(kernel=(1, 1)):
            padded = pad(inputs[0], node.padding, 0)
            return padded[:, :, :: node.stride[0], :: node.stride[1]].contiguous()
        case MaxPoolNode():
            # Code 0, the smallest, never wins.
            filled = pad(inputs[0].to(torch.float32), node.padding, 0.0)
            return F.max_pool2d(filled, node.kernel, node.stride).to(torch.uint8)
        case ConcatNode():
            return torch.cat(list(inputs), 1)
        case FlattenNode():
            return inputs[0].flatten(1)
        case LayerNode():
            raise TypeError("a layer is run by run_layer")


def _requantised(total: Tensor, node: AddNode | AvgPoolNode) -> Tensor:
    scaled = (total + (1 << (node.shift - 1))) >> node.shift
    return (scaled + node.output_zero_point).clamp(*node.clamp).to(torch.uint8)
