"""How often a layer multiplies by each code: operand histograms for breeding and rating circuits.

Padding counts as what is multiplied there, the code ``input_zero_point``; products that the array
masks do not occur in the integer model and are not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .geometry import Geometry
from .golden import Codes, im2col, infer, run_node
from .graph import INPUT, LayerNode
from .lut import ActivationPort, Lut
from .ops import Ops, OpsFile
from .parameters import LayerWeights, load_parameters, load_vectors

__all__ = ["OperandHistograms", "layer_histograms", "operand_histograms"]

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OperandHistograms:
    """Number of multiplications by each code on a multiplier's ports, int64 ``[256]`` each."""

    a: Counts
    b: Counts
    """Both have the same sum, the number of multiplications."""


def operand_histograms(
    file: OpsFile, luts: Sequence[Lut], *, layer: str, point: str
) -> OperandHistograms:
    """Return the operands of a layer while the network runs on the images of the vectors.

    Parameters
    ----------
    file
        With graph, parameters and vectors.
    luts
        Table of each multiplier, ports A and B as in the netlist.
    layer, point
        Names of the layer and of the operating point. The ports are those of the multiplier that
        the point assigns to the layer.

    Raises
    ------
    InputError
        If layer or point do not exist, vectors are missing, or a data file is wrong.
    """
    ops = file.ops
    number = _position("layer", layer, [item.name for item in ops.layers])
    point_number = _position("operating point", point, [item.name for item in ops.operating_points])
    if ops.graph is None or ops.parameters is None or ops.vectors is None:
        raise InputError(f"{file.path}: vectors: are missing; operands are counted on their images")
    parameters = load_parameters(file, ops.parameters)
    images = load_vectors(file, ops.vectors)["input"]
    traces = infer(ops, parameters, luts, point_number, images)
    outputs = {name: trace.out for name, trace in traces.items()}
    geometry = ops.layers[number].geometry
    assert geometry is not None  # the model demands geometry beside parameters
    select = ops.operating_points[point_number].assignment[number]
    return layer_histograms(
        _layer_input(ops, layer, images, outputs),
        geometry,
        parameters.weights[layer],
        ops.multipliers[select].activation_port,
    )


def _position(kind: str, name: str, names: Sequence[str]) -> int:
    if name not in names:
        raise InputError(f"{kind}: must be one of {', '.join(names)}, not {name!r}")
    return names.index(name)


def _layer_input(ops: Ops, layer: str, images: Codes, outputs: Mapping[str, Codes]) -> Codes:
    """Return what a layer reads; ``outputs`` are those of the layers."""
    tensors = {INPUT: images}
    for node in ops.graph or ():
        if not isinstance(node, LayerNode):
            tensors[node.output] = run_node(node, tensors)
        elif node.layer == layer:
            return tensors[node.inputs[0]]
        else:
            tensors[node.output] = outputs[node.layer]
    raise AssertionError("the model demands that every layer occur in the graph")


def layer_histograms(
    x: Codes, geometry: Geometry, weights: LayerWeights, port: ActivationPort
) -> OperandHistograms:
    """Return the operands of a layer for the input ``x``, in the shape that ``im2col`` takes.

    An activation meets every output channel of its group, a weight every position of every image.
    """
    fields = im2col(x, geometry)
    activations = np.bincount(fields.ravel(), minlength=256) * geometry.outputs_per_group
    codes = np.bincount(weights.codes.ravel(), minlength=256) * fields.shape[1]
    if port is ActivationPort.A:
        return OperandHistograms(activations, codes)
    return OperandHistograms(codes, activations)
