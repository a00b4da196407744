"""Nodes of the integer network graph: multiplying layers and the exact operations between them.

Tensors are named; the network's input is the tensor ``input``, its result the output of the last
node. All tensors are uint8 ``[image, channel, height, width]``, or ``[image, feature]`` once
flattened.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .names import Name

__all__ = [
    "INPUT",
    "AddNode",
    "AvgPoolNode",
    "Clamp",
    "Code",
    "ConcatNode",
    "Extent",
    "FlattenNode",
    "LayerNode",
    "MaxPoolNode",
    "Node",
    "Padding",
    "Pair",
    "Record",
]

INPUT = "input"
"""Name of the network's input tensor."""

Code = Annotated[int, Field(ge=0, le=255)]
Extent = Annotated[int, Field(ge=1, le=65_535)]
Pad = Annotated[int, Field(ge=0, le=65_535)]
Pair = tuple[Extent, Extent]
Padding = tuple[Pad, Pad, Pad, Pad]
Clamp = tuple[Code, Code]
Mult = Annotated[int, Field(ge=-(2**15), le=2**15 - 1)]
Shift = Annotated[int, Field(ge=1, le=47)]


class Record(BaseModel):
    """Base of everything in ``ops.json``: closed, immutable, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class LayerNode(Record):
    """A multiplying layer, by its name in ``layers``."""

    op: Literal["layer"]
    layer: Name
    inputs: tuple[Name]
    output: Name


class _Requantised(Record):
    """One multiplier per input, a common shift: y = clamp(z_y + Σ (x_i − z_i)·mult_i >> shift)."""

    mult: list[Mult]
    shift: Shift
    input_zero_points: list[Code]
    output_zero_point: Code
    clamp: Clamp


class AddNode(_Requantised):
    """Element-wise sum."""

    op: Literal["add"]
    inputs: Annotated[list[Name], Field(min_length=2)]
    output: Name


class ConcatNode(Record):
    """Concatenation along the channels; all inputs share one scale and zero point."""

    op: Literal["concat"]
    inputs: Annotated[list[Name], Field(min_length=2)]
    output: Name


class MaxPoolNode(Record):
    """Maximum over windows; padding never wins."""

    op: Literal["max_pool"]
    inputs: tuple[Name]
    output: Name
    kernel: Pair
    stride: Pair
    padding: Padding


class AvgPoolNode(_Requantised):
    """Requantised sum over windows; ``mult`` contains the division, padding counts as zero."""

    op: Literal["avg_pool"]
    inputs: tuple[Name]
    output: Name
    kernel: Pair
    stride: Pair
    padding: Padding


class FlattenNode(Record):
    """All dimensions but the first made one, in C order."""

    op: Literal["flatten"]
    inputs: tuple[Name]
    output: Name


Node = Annotated[
    LayerNode | AddNode | ConcatNode | MaxPoolNode | AvgPoolNode | FlattenNode,
    Field(discriminator="op"),
]
