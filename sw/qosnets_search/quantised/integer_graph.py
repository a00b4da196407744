"""Nodes of the integer network, with their constants, out of the steps of a quantised one.

A step that adds or averages requantises: with input scales s_i and output scale s_y,

    y = clamp(z_y + (Σ (x_i − z_i)·mult_i + 2^(shift−1)) >> shift),   mult_i·2^−shift ≈ s_i/s_y,

divided by the number of positions for an average. The largest |mult_i| has 15 bits.
"""

import math
from collections.abc import Sequence
from typing import Any

from qosnets.errors import CheckError
from qosnets.graph import (
    AddNode,
    AvgPoolNode,
    ConcatNode,
    FlattenNode,
    LayerNode,
    MaxPoolNode,
    Node,
)

from .network import QuantisedNetwork
from .quantise import Affine
from .steps import (
    Activation,
    ActivationStep,
    AddStep,
    AvgPoolStep,
    ConcatStep,
    FlattenStep,
    LayerStep,
    MaxPoolStep,
    Step,
    ZerosStep,
)

__all__ = ["clamp_of", "integer_graph"]

MULT_BITS = 15
MAX_SHIFT = 47


def clamp_of(activation: Activation, output: Affine) -> tuple[int, int]:
    """Return the smallest and the largest code that an activation leaves."""
    low, high = 0, output.max_code
    if activation is not Activation.NONE:
        low = int(output.zero_point)
    if activation is Activation.RELU6:
        high = min(high, low + round(6 / float(output.scale)))
    return low, high


def integer_graph(network: QuantisedNetwork) -> list[Node]:
    """Return the nodes of the integer network, with constants of the present ranges.

    Raises
    ------
    CheckError
        If a scale is too small against another for the constants.
    """
    return [_node(network, step) for step in network.steps]


def _node(network: QuantisedNetwork, step: Step) -> Node:
    output = network.quantiser(step.output).affine
    inputs = [network.quantiser(name).affine for name in step.inputs]
    match step:
        case LayerStep():
            return LayerNode(op="layer", layer=step.layer, inputs=step.inputs, output=step.output)
        case AddStep():
            ratios = [float(part.scale) / float(output.scale) for part in inputs]
            return _add(
                step, step.inputs, ratios, inputs, clamp_of(step.activation, output), output
            )
        case ActivationStep():
            # An addition of nothing: the format has no operation for one tensor alone.
            ratios = [float(inputs[0].scale) / float(output.scale), 0.0]
            clamp = clamp_of(step.activation, output)
            return _add(step, step.inputs * 2, ratios, inputs * 2, clamp, output)
        case ZerosStep():
            clamp = clamp_of(Activation.NONE, output)
            return _add(step, step.inputs * 2, [0.0, 0.0], inputs * 2, clamp, output)
        case AvgPoolStep():
            ratio = float(inputs[0].scale) / float(output.scale) / math.prod(step.kernel)
            return AvgPoolNode(
                op="avg_pool",
                inputs=step.inputs,
                output=step.output,
                kernel=step.kernel,
                stride=step.stride,
                padding=step.padding,
                **_requantised(step, [ratio], inputs, clamp_of(Activation.NONE, output), output),
            )
        case ConcatStep():
            return ConcatNode(op="concat", inputs=list(step.inputs), output=step.output)
        case FlattenStep():
            return FlattenNode(op="flatten", inputs=step.inputs, output=step.output)
        case MaxPoolStep():
            return MaxPoolNode(
                op="max_pool",
                inputs=step.inputs,
                output=step.output,
                kernel=step.kernel,
                stride=step.stride,
                padding=step.padding,
            )


def _add(
    step: Step,
    names: Sequence[str],
    ratios: Sequence[float],
    inputs: Sequence[Affine],
    clamp: tuple[int, int],
    output: Affine,
) -> AddNode:
    values = _requantised(step, ratios, inputs, clamp, output)
    return AddNode(op="add", inputs=list(names), output=step.output, **values)


def _requantised(
    step: Step,
    ratios: Sequence[float],
    inputs: Sequence[Affine],
    clamp: tuple[int, int],
    output: Affine,
) -> dict[str, Any]:
    """Return the constants that scale inputs by ``ratios``, which are at least 0."""
    largest = max(ratios)
    shift = MULT_BITS - math.frexp(largest)[1] if largest else 1
    if largest and round(math.ldexp(largest, shift)) == 1 << MULT_BITS:
        shift -= 1  # rounded up to the next power of two
    if shift < 1:
        rule = "output codes per input code must be below 2^14"
        raise CheckError(f"tensor {step.output}: {rule}, not {largest:.6g}")
    shift = min(shift, MAX_SHIFT)
    return {
        "mult": [round(math.ldexp(ratio, shift)) for ratio in ratios],
        "shift": shift,
        "input_zero_points": [int(part.zero_point) for part in inputs],
        "output_zero_point": int(output.zero_point),
        "clamp": clamp,
    }
