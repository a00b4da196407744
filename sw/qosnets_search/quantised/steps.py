"""Steps of a network: what :mod:`.trace` finds in a module, without any parameters.

Tensors are named as in ``ops.json``: the input is ``input``, the result the last step's output.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

__all__ = [
    "Activation",
    "ActivationStep",
    "AddStep",
    "AvgPoolStep",
    "ConcatStep",
    "FlattenStep",
    "LayerStep",
    "MaxPoolStep",
    "Step",
    "ZerosStep",
]


class Activation(Enum):
    """What follows a sum, before it is quantised."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


@dataclass(frozen=True)
class LayerStep:
    """A multiplying layer, with the BatchNorm and the activation that follow it."""

    layer: str
    inputs: tuple[str]
    output: str
    activation: Activation


@dataclass(frozen=True)
class AddStep:
    """Element-wise sum of two tensors."""

    inputs: tuple[str, str]
    output: str
    activation: Activation


@dataclass(frozen=True)
class ActivationStep:
    """An activation whose input has other readers, or comes from a step that takes none."""

    inputs: tuple[str]
    output: str
    activation: Activation


@dataclass(frozen=True)
class ZerosStep:
    """Zeros in the shape of the input."""

    inputs: tuple[str]
    output: str


@dataclass(frozen=True)
class ConcatStep:
    """Concatenation along the channels."""

    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class MaxPoolStep:
    """Maximum over windows; padding never wins."""

    inputs: tuple[str]
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""


@dataclass(frozen=True)
class AvgPoolStep:
    """Mean over windows; padding counts as zero."""

    inputs: tuple[str]
    output: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right."""


@dataclass(frozen=True)
class FlattenStep:
    """All dimensions but the first made one."""

    inputs: tuple[str]
    output: str


Step: TypeAlias = (
    LayerStep
    | AddStep
    | ActivationStep
    | ZerosStep
    | ConcatStep
    | MaxPoolStep
    | AvgPoolStep
    | FlattenStep
)
