"""From a module of PyTorch to steps that the integer network has.

``torch.fx`` records what the module computes; every node becomes a step, is taken into the step
before it (BatchNorm, activations, padding), or is refused with its place. Refused is also what
would give another result in hardware: rounding modes of pooling, broadcasting, shared layers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from qosnets.errors import InputError
from qosnets.geometry import Geometry
from qosnets.graph import INPUT
from torch import fx, nn

from .operations import Kind, Operation, operation
from .recording import N_IMAGES, place, record, shape
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
from .torch_geometry import conv_geometry, linear_geometry, pair

__all__ = ["Traced", "TracedLayer", "trace"]


@dataclass(frozen=True)
class TracedLayer:
    """A multiplying layer of the traced module."""

    module: nn.Conv2d | nn.Linear
    norm: nn.BatchNorm1d | nn.BatchNorm2d | None
    """BatchNorm that directly follows."""
    geometry: Geometry
    """With zero points 0 and all codes: quantisation knows better."""


@dataclass(frozen=True)
class Traced:
    """What a module computes."""

    steps: tuple[Step, ...]
    layers: dict[str, TracedLayer]
    """By name, in the order of execution."""
    input_shape: tuple[int, int, int]
    """Channel, height, width."""


def trace(module: nn.Module, input_shape: tuple[int, int, int], *, where: str = "model") -> Traced:
    """Return what ``module`` computes of images of ``input_shape``, in evaluation mode.

    Layers are named after their place in the module, ``layer1.0.conv1``; a name that would start
    with a digit gets the prefix ``layer_``. The module is neither changed nor kept: the layers
    are those of a copy.

    Raises
    ------
    InputError
        If the module cannot be traced, does not take such images, or does something that the
        integer network cannot.
    """
    return _Tracing(record(module, input_shape, where), input_shape, where).result()


class _Tracing:
    """The steps found so far, while nodes are taken in order."""

    def __init__(
        self, recorded: fx.GraphModule, input_shape: tuple[int, int, int], where: str
    ) -> None:
        self._recorded = recorded
        self._modules = dict(recorded.named_modules())
        self._input_shape = input_shape
        self._where = where
        self._steps: list[Step] = []
        self._layers: dict[str, TracedLayer] = {}
        self._tensors: dict[fx.Node, str] = {}
        """Name of the tensor that holds a node's result."""
        self._made: dict[str, tuple[int, ...]] = {}
        """Shape of a tensor as its step makes it; a node may see it without extents of 1."""
        self._paddings: dict[fx.Node, tuple[int, int, int, int]] = {}
        """Zeros around the tensor of a node, which the convolution that reads it adds."""
        self._taken: set[fx.Node] = set()
        """Nodes that an earlier step has taken in."""
        self._names: set[str] = {INPUT}
        self._operations = {
            node: self._classify(node)
            for node in recorded.graph.nodes
            if node.op not in ("placeholder", "output", "get_attr")
        }

    def result(self) -> Traced:
        """Take all nodes."""
        for node in self._recorded.graph.nodes:
            if node.op == "placeholder":
                self._tensors[node] = INPUT
                self._made[INPUT] = shape(node)
            elif node.op == "output":
                self._check_result(node)
            elif node.op == "get_attr":
                self._refuse(node, f"{node.target}: a tensor as operand cannot be mapped")
            elif node not in self._taken:
                self._take(node)
        if not self._layers:
            raise InputError(f"{self._where}: must have a Conv2d or Linear layer, has none")
        return Traced(tuple(self._steps), self._layers, self._input_shape)

    def _check_result(self, node: fx.Node) -> None:
        value = node.args[0]
        if not isinstance(value, fx.Node) or value not in self._tensors:
            raise InputError(f"{self._where}: must return one tensor of logits")
        logits = shape(value)
        if len(logits) != 2:
            rule = "must return logits [image, class]"
            raise InputError(f"{self._where}: {rule}, not a tensor {list(logits)}")
        name = self._tensors[value]
        if not self._steps or self._steps[-1].output != name:
            raise InputError(f"{self._where}: the last operation must give the result")

    def _classify(self, node: fx.Node) -> Operation:
        module = self._modules.get(str(node.target)) if node.op == "call_module" else None
        found = operation(node, module)
        return (
            found if isinstance(found, Operation) else Operation(Kind.UNKNOWN, (), {"why": found})
        )

    def _take(self, node: fx.Node) -> None:
        found = self._operations[node]
        take: dict[Kind, Callable[[fx.Node, Operation], None]] = {
            Kind.LAYER: self._take_layer,
            Kind.BATCH_NORM: self._refuse_norm,
            Kind.ACTIVATION: self._take_activation,
            Kind.ADD: self._take_add,
            Kind.CONCAT: self._take_concat,
            Kind.MAX_POOL: self._take_max_pool,
            Kind.AVG_POOL: self._take_avg_pool,
            Kind.ADAPTIVE_AVG_POOL: self._take_adaptive,
            Kind.MEAN: self._take_mean,
            Kind.FLATTEN: self._take_flatten,
            Kind.SUBSAMPLE: self._take_subsample,
            Kind.PAD: self._take_pad,
            Kind.IDENTITY: self._take_identity,
            Kind.SHAPE: lambda node, found: None,
            Kind.UNKNOWN: lambda node, found: self._refuse(node, found.values["why"]),
        }
        take[found.kind](node, found)

    # Names, places, readers

    def _refuse(self, node: fx.Node, rule: str) -> NoReturn:
        raise InputError(f"{self._where}: {place(node)}: {rule}")

    def _name(self, wanted: str) -> str:
        """Return a name for a tensor or layer that no other has."""
        name = wanted if wanted[0].isalpha() or wanted[0] == "_" else f"layer_{wanted}"
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def _read(self, node: fx.Node, source: object) -> str:
        """Return the name of the tensor that ``node`` reads."""
        if not isinstance(source, fx.Node) or source not in self._tensors:
            self._refuse(node, "must take tensors that the network computes from its input")
        if source in self._paddings:
            self._refuse(node, "padding by itself must be read by convolutions only")
        return self._tensors[source]

    def _only_reader(self, node: fx.Node, kind: Kind) -> fx.Node | None:
        """Return the one reader of ``node``, past identities, if it is of ``kind``."""
        passed: list[fx.Node] = []
        while len(readers := self._readers(node)) == 1:
            (node,) = readers
            found = self._operations.get(node)
            if found is None:
                return None
            if found.kind is kind:
                self._taken.update(passed)
                return node
            if found.kind is not Kind.IDENTITY:
                return None
            passed.append(node)
        return None

    def _readers(self, node: fx.Node) -> list[fx.Node]:
        """Return the nodes that read the tensor of ``node``, not only its shape."""
        return [
            user
            for user in node.users
            if user not in self._operations or self._operations[user].kind is not Kind.SHAPE
        ]

    def _take_in(self, node: fx.Node, kind: Kind) -> fx.Node | None:
        """Take the reader of ``node`` into its step, if it is the only one and of ``kind``."""
        reader = self._only_reader(node, kind)
        if reader is not None:
            self._taken.add(reader)
        return reader

    def _with_activation(self, node: fx.Node) -> tuple[Activation, fx.Node]:
        """Return the activation after ``node`` and the node that holds the step's result."""
        reader = self._take_in(node, Kind.ACTIVATION)
        if reader is None:
            return Activation.NONE, node
        return self._operations[reader].values["activation"], reader

    def _add_step(self, step: Step, node: fx.Node) -> None:
        self._steps.append(step)
        self._tensors[node] = step.output
        self._made[step.output] = shape(node)

    # Steps

    def _take_layer(self, node: fx.Node, found: Operation) -> None:
        module = self._modules[str(node.target)]
        assert isinstance(module, nn.Conv2d | nn.Linear)
        if any(layer.module is module for layer in self._layers.values()):
            self._refuse(node, "a layer must be used once; its constants belong to one place")
        source = found.inputs[0]
        padding = self._paddings.get(source)
        tensor = self._tensors.get(source) if padding else self._read(node, source)
        assert tensor is not None
        read = shape(source)
        if isinstance(module, nn.Linear):
            if len(read) != 2:
                self._refuse(node, f"Linear must read [image, feature], not {list(read)}")
            geometry = linear_geometry(module)
        else:
            if module.padding_mode != "zeros":
                self._refuse(node, f"padding_mode must be 'zeros', not {module.padding_mode!r}")
            geometry = conv_geometry(module, read, padding or (0, 0, 0, 0))
        last, norm = node, self._take_in(node, Kind.BATCH_NORM)
        norm_module = None
        if norm is not None:
            last, norm_module = norm, self._modules[str(norm.target)]
            assert isinstance(norm_module, nn.BatchNorm1d | nn.BatchNorm2d)
            if norm_module.running_mean is None:
                self._refuse(norm, "BatchNorm must track running statistics")
        activation, last = self._with_activation(last)
        name = self._name(str(node.target))
        self._layers[name] = TracedLayer(module, norm_module, geometry)
        self._add_step(LayerStep(name, (tensor,), name, activation), last)

    def _refuse_norm(self, node: fx.Node, found: Operation) -> None:
        self._refuse(
            node, "BatchNorm must directly follow a Conv2d or Linear that nothing else reads"
        )

    def _take_activation(self, node: fx.Node, found: Operation) -> None:
        source = self._read(node, found.inputs[0])
        step = ActivationStep((source,), self._name(node.name), found.values["activation"])
        self._add_step(step, node)

    def _take_add(self, node: fx.Node, found: Operation) -> None:
        first, second = (self._read(node, source) for source in found.inputs)
        shapes = [shape(source) for source in found.inputs]
        if any(shape != shapes[0] for shape in shapes):
            rule = "tensors of one shape can be added only"
            self._refuse(node, f"{rule}, not {' and '.join(str(list(s)) for s in shapes)}")
        activation, last = self._with_activation(node)
        self._add_step(AddStep((first, second), self._name(node.name), activation), last)

    def _take_concat(self, node: fx.Node, found: Operation) -> None:
        if found.values["dim"] not in (1, 1 - len(shape(node))):
            self._refuse(
                node, f"concatenation must be along dimension 1, not {found.values['dim']}"
            )
        inputs = tuple(self._read(node, source) for source in found.inputs)
        if len(inputs) == 1:
            self._tensors[node] = inputs[0]
        else:
            self._add_step(ConcatStep(inputs, self._name(node.name)), node)

    def _take_max_pool(self, node: fx.Node, found: Operation) -> None:
        kernel, stride, padding = self._window(node, found)
        source = self._read(node, found.inputs[0])
        step = MaxPoolStep((source,), self._name(node.name), kernel, stride, padding)
        self._add_step(step, node)

    def _take_avg_pool(self, node: fx.Node, found: Operation) -> None:
        kernel, stride, padding = self._window(node, found)
        self._average(node, found, kernel, stride, padding)

    def _take_adaptive(self, node: fx.Node, found: Operation) -> None:
        size, target = shape(found.inputs[0])[2:], shape(node)[2:]
        if any(extent % wanted for extent, wanted in zip(size, target, strict=True)):
            rule = f"output size must divide {size[0]}x{size[1]}"
            self._refuse(node, f"{rule}, not {target[0]}x{target[1]}")
        kernel = (size[0] // target[0], size[1] // target[1])
        self._average(node, found, kernel, kernel, (0, 0, 0, 0))

    def _take_mean(self, node: fx.Node, found: Operation) -> None:
        read = shape(found.inputs[0])
        if len(read) != 4 or {dim % 4 for dim in found.values["dim"]} != {2, 3}:
            self._refuse(node, "the mean must be over height and width, dimensions 2 and 3")
        kernel = (read[2], read[3])
        self._average(node, found, kernel, kernel, (0, 0, 0, 0))
        if len(shape(node)) == 2:
            step = FlattenStep((self._tensors[node],), self._name(f"{node.name}_flat"))
            self._add_step(step, node)

    def _average(
        self,
        node: fx.Node,
        found: Operation,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
    ) -> None:
        source = self._read(node, found.inputs[0])
        if kernel == stride == (1, 1) and not any(padding):
            self._tensors[node] = source
            return
        step = AvgPoolStep((source,), self._name(node.name), kernel, stride, padding)
        self._add_step(step, node)

    def _window(
        self, node: fx.Node, found: Operation
    ) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
        """Return kernel, stride and padding of a pooling operation."""
        if len(shape(found.inputs[0])) != 4:
            self._refuse(node, "pooling must read [image, channel, height, width]")
        values = found.values
        for field, allowed in values.get("must_be", {}).items():
            if values[field] != allowed:
                self._refuse(node, f"{field} must be {allowed}, not {values[field]}")
        kernel = pair(values["kernel_size"])
        stride = kernel if values["stride"] in (None, [], ()) else pair(values["stride"])
        height, width = pair(values["padding"])
        return kernel, stride, (height, width, height, width)

    def _take_flatten(self, node: fx.Node, found: Operation) -> None:
        source = self._read(node, found.inputs[0])
        before, after = self._made[source], shape(node)
        if after == before or (*after, 1) == before:
            self._tensors[node] = source
        elif after == (N_IMAGES, math.prod(before[1:])):
            self._add_step(FlattenStep((source,), self._name(node.name)), node)
        else:
            rule = "only all dimensions but the first can be made one"
            self._refuse(node, f"{rule}, not {list(before)} into {list(after)}")

    def _take_subsample(self, node: fx.Node, found: Operation) -> None:
        stride = found.values["stride"]
        source = self._read(node, found.inputs[0])
        if len(shape(found.inputs[0])) != 4:
            self._refuse(node, "slices must be of [image, channel, height, width]")
        if stride == (1, 1):
            self._tensors[node] = source
            return
        step = MaxPoolStep((source,), self._name(node.name), (1, 1), stride, (0, 0, 0, 0))
        self._add_step(step, node)

    def _take_pad(self, node: fx.Node, found: Operation) -> None:
        source = self._read(node, found.inputs[0])
        left, right, top, bottom, before, after = found.values["padding"]
        if min(found.values["padding"]) < 0 or (
            (before or after) and (left or right or top or bottom)
        ):
            self._refuse(node, "padding must add zeros, to an image's borders or to its channels")
        if before or after:
            self._pad_channels(node, source, shape(found.inputs[0])[1], before, after)
            return
        if any(self._operations[user].kind is not Kind.LAYER for user in self._readers(node)):
            self._refuse(node, "padding by itself must be read by convolutions only")
        self._tensors[node], self._paddings[node] = source, (top, left, bottom, right)

    def _pad_channels(
        self, node: fx.Node, source: str, n_channels: int, before: int, after: int
    ) -> None:
        """Concatenate with zeros, of which there are as many channels as the tensor has."""
        if before % n_channels or after % n_channels:
            rule = f"zero channels before and after must be multiples of the {n_channels} channels"
            self._refuse(node, f"{rule}, not {before} and {after}")
        zeros = self._name(f"{node.name}_zeros")
        self._steps.append(ZerosStep((source,), zeros))
        inputs = (zeros,) * (before // n_channels) + (source,) + (zeros,) * (after // n_channels)
        self._add_step(ConcatStep(inputs, self._name(node.name)), node)

    def _take_identity(self, node: fx.Node, found: Operation) -> None:
        self._tensors[node] = self._read(node, found.inputs[0])
