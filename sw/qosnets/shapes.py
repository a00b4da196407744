"""Shapes of the tensors in a graph, and the check that they fit."""

from collections.abc import Mapping, Sequence

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
from .validation import refuse

__all__ = ["Shape", "check_shapes", "input_shape"]

Shape = tuple[int, ...]
"""Channel, height, width; or features, once flattened. Without the image."""


def input_shape(graph: Sequence[Node], geometries: Mapping[str, Geometry | None]) -> Shape | None:
    """Return the shape of the network's input, None if no layer reads it directly."""
    for node in graph:
        if isinstance(node, LayerNode) and node.inputs[0] == INPUT:
            geometry = geometries[node.layer]
            return None if geometry is None else _taken(geometry)
    return None


def check_shapes(graph: Sequence[Node], geometries: Mapping[str, Geometry | None]) -> None:
    """Refuse a graph in which a node gets tensors that do not fit it.

    Shapes follow from the geometry of the layers; where that leaves one open, nothing is checked.

    Raises
    ------
    PydanticCustomError
        See :func:`qosnets.validation.refuse`.
    """
    shapes: dict[str, Shape | None] = {INPUT: input_shape(graph, geometries)}
    for index, node in enumerate(graph):
        inputs = [shapes[name] for name in node.inputs]
        known = [shape for shape in inputs if shape is not None]
        where = f"graph[{index}].inputs"
        if isinstance(node, LayerNode):
            shapes[node.output] = _layer_output(geometries[node.layer], known, node.layer, where)
        elif len(known) < len(inputs):
            shapes[node.output] = None
        else:
            shapes[node.output] = _output(node, known, where)


def _taken(geometry: Geometry) -> Shape:
    if geometry.kind is LayerKind.LINEAR:
        return (geometry.in_channels,)
    return (geometry.in_channels, *geometry.input_size)


def _layer_output(
    geometry: Geometry | None, known: Sequence[Shape], layer: str, where: str
) -> Shape | None:
    if geometry is None:
        return None
    taken = _taken(geometry)
    for shape in known:
        if shape != taken:
            refuse(f"{where}[0]", f"layer {layer!r} takes {list(taken)}, not {list(shape)}")
    if geometry.kind is LayerKind.LINEAR:
        return (geometry.out_channels,)
    return (geometry.out_channels, *geometry.output_size)


def _output(node: Node, inputs: Sequence[Shape], where: str) -> Shape:
    first = inputs[0]
    match node:
        case FlattenNode():
            size = 1
            for extent in first:
                size *= extent
            return (size,)
        case AddNode():
            for number, shape in enumerate(inputs):
                if shape != first:
                    refuse(f"{where}[{number}]", f"must be {list(first)}, not {list(shape)}")
            return first
        case ConcatNode():
            for number, shape in enumerate(inputs):
                if shape[1:] != first[1:]:
                    rule = f"must be [any, {', '.join(map(str, first[1:]))}]"
                    refuse(f"{where}[{number}]", f"{rule}, not {list(shape)}")
            return (sum(shape[0] for shape in inputs), *first[1:])
        case MaxPoolNode() | AvgPoolNode():
            return _pooled(node, first, where)
        case LayerNode():
            raise TypeError("layers have shapes of their own")


def _pooled(node: MaxPoolNode | AvgPoolNode, shape: Shape, where: str) -> Shape:
    if len(shape) != 3:
        refuse(f"{where}[0]", f"must have channel, height and width, not {list(shape)}")
    top, left, bottom, right = node.padding
    extents = []
    for axis, padding in ((0, top + bottom), (1, left + right)):
        extent = (shape[1 + axis] + padding - node.kernel[axis]) // node.stride[axis] + 1
        if extent < 1:
            rule = f"must be at least as large as the kernel {list(node.kernel)}"
            refuse(f"{where}[0]", f"{rule}, not {list(shape)}")
        extents.append(extent)
    return (shape[0], *extents)
