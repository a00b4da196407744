"""What a node of ``torch.fx`` does, whether it is a module, a function or a method."""

import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .steps import Activation

__all__ = ["Kind", "Operation", "operation"]


class Kind(Enum):
    """Kind of an operation."""

    LAYER = auto()
    BATCH_NORM = auto()
    ACTIVATION = auto()
    ADD = auto()
    CONCAT = auto()
    MAX_POOL = auto()
    AVG_POOL = auto()
    ADAPTIVE_AVG_POOL = auto()
    MEAN = auto()
    FLATTEN = auto()
    SUBSAMPLE = auto()
    PAD = auto()
    IDENTITY = auto()
    SHAPE = auto()
    """A number about a tensor, which shapes tell anyway."""
    UNKNOWN = auto()


@dataclass(frozen=True)
class Operation:
    """An operation, the nodes it reads, and its values by name."""

    kind: Kind
    inputs: tuple[fx.Node, ...]
    values: Mapping[str, Any]


Reader = Callable[[fx.Node, Mapping[str, Any]], Operation | str]
"""Makes an operation of a call's arguments, or says why it cannot."""


def operation(node: fx.Node, module: nn.Module | None) -> Operation | str:
    """Return what ``node`` does, or why it cannot be mapped.

    ``module`` is the one that a ``call_module`` node calls.
    """
    if module is not None:
        return _of_module(node, module)
    if node.op == "call_method":
        target = f"Tensor.{node.target}"
        found = _METHODS.get(str(node.target))
    else:
        target = getattr(node.target, "__name__", str(node.target))
        found = _FUNCTIONS.get(node.target)
    if found is None:
        return _unknown(target)
    signature, read = found
    try:
        arguments = signature.bind(*node.args, **node.kwargs)
    except TypeError as error:
        return f"{target} cannot be mapped: {error}"
    arguments.apply_defaults()
    return read(node, arguments.arguments)


def _of_module(node: fx.Node, module: nn.Module) -> Operation | str:
    inputs = tuple(argument for argument in node.args if isinstance(argument, fx.Node))
    for types, kind in _MODULES.items():
        if isinstance(module, types):
            return Operation(kind, inputs, {})
    match module:
        case nn.ReLU6():
            return Operation(Kind.ACTIVATION, inputs, {"activation": Activation.RELU6})
        case nn.ReLU():
            return Operation(Kind.ACTIVATION, inputs, {"activation": Activation.RELU})
        case nn.Hardtanh():
            return _hardtanh(inputs[0], module.min_val, module.max_val)
        case nn.MaxPool2d():
            values = {name: getattr(module, name) for name in _MAX_POOL_FIELDS}
            return Operation(Kind.MAX_POOL, inputs, values | {"must_be": _MAX_POOL_RULES})
        case nn.AvgPool2d():
            values = {name: getattr(module, name) for name in _AVG_POOL_FIELDS}
            return _avg_pool(inputs[0], values)
        case nn.Flatten():
            return Operation(Kind.FLATTEN, inputs, {})
        case nn.ZeroPad2d():
            return Operation(Kind.PAD, inputs, {"padding": (*module.padding, 0, 0)})
    return _unknown(type(module).__name__)


def _unknown(what: str) -> str:
    """Return why something unknown cannot be mapped."""
    hint = "; return the logits, the loss does it" if "softmax" in what.lower() else ""
    return f"{what} cannot be mapped{hint}"


_MODULES: Mapping[Any, Kind] = {
    (nn.Conv2d, nn.Linear): Kind.LAYER,
    (nn.BatchNorm1d, nn.BatchNorm2d): Kind.BATCH_NORM,
    (nn.Identity, nn.Dropout, nn.Dropout2d): Kind.IDENTITY,
    nn.AdaptiveAvgPool2d: Kind.ADAPTIVE_AVG_POOL,
}
_POOL_FIELDS = ("kernel_size", "stride", "padding", "ceil_mode")
_MAX_POOL_FIELDS = (*_POOL_FIELDS, "dilation", "return_indices")
_AVG_POOL_FIELDS = (*_POOL_FIELDS, "count_include_pad", "divisor_override")
_MAX_POOL_RULES = {"ceil_mode": False, "dilation": 1, "return_indices": False}


def _avg_pool(x: fx.Node, values: Mapping[str, Any]) -> Operation:
    rules: dict[str, Any] = {"ceil_mode": False, "divisor_override": None}
    if values["padding"] not in (0, (0, 0), [0, 0]):
        rules["count_include_pad"] = True
    return Operation(Kind.AVG_POOL, (x,), {**values, "must_be": rules})


def _hardtanh(x: fx.Node, low: object, high: object) -> Operation | str:
    if (low, high) != (0, 6):
        return f"Hardtanh must clip to 0..6, not {low}..{high}"
    return Operation(Kind.ACTIVATION, (x,), {"activation": Activation.RELU6})


def _plain(kind: Kind, **values: Any) -> Reader:
    return lambda node, given: Operation(kind, (given["input"],), values)


def _add(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    operands = given["input"], given["other"]
    nodes = [operand for operand in operands if isinstance(operand, fx.Node)]
    if len(nodes) == 1 and 0 in operands:  # where sum() starts
        return Operation(Kind.IDENTITY, tuple(nodes), {})
    if len(nodes) < 2:
        return "adding a constant cannot be mapped"
    if not all("tensor_meta" in operand.meta for operand in operands):
        return Operation(Kind.SHAPE, (), {})
    if given["alpha"] != 1:
        return f"alpha must be 1, not {given['alpha']}"
    return Operation(Kind.ADD, operands, {})


def _concat(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    tensors = given["tensors"]
    if not (isinstance(tensors, list | tuple) and all(isinstance(x, fx.Node) for x in tensors)):
        return "concatenation must name its tensors"
    return Operation(Kind.CONCAT, tuple(tensors), {"dim": given["dim"]})


def _pool(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    values = dict(given)
    return Operation(Kind.MAX_POOL, (values.pop("input"),), values | {"must_be": _MAX_POOL_RULES})


def _average(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    values = dict(given)
    return _avg_pool(values.pop("input"), values)


def _mean(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    dim = given["dim"]
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())
    return Operation(Kind.MEAN, (given["input"],), {"dim": dims})


def _clip(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    return _hardtanh(given["input"], given["min"], given["max"])


def _pad(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    if given["mode"] != "constant" or given["value"] not in (None, 0, 0.0):
        return "padding must be with zeros"
    padding = (*given["pad"], 0, 0, 0, 0, 0, 0)
    if not all(isinstance(item, int) for item in padding) or any(padding[6:]):
        return "padding must be of channels, height and width"
    return Operation(Kind.PAD, (given["input"],), {"padding": padding[:6]})


def _item(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    x, index = given["a"], given["b"]
    if "tensor_meta" not in node.meta:
        return Operation(Kind.SHAPE, (), {})
    index = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    strides = []
    for place, part in enumerate((*index, *(whole,) * (4 - len(index)))):
        full = isinstance(part, slice) and part.start in (None, 0) and part.stop is None
        if not full or place > 3 or (place < 2 and part.step not in (None, 1)):
            return "slices must be x[:, :, ::s, ::t]"
        strides.append(part.step or 1)
    return Operation(Kind.SUBSAMPLE, (x,), {"stride": (strides[2], strides[3])})


def _one(input: Any, *rest: Any, **named: Any) -> None: ...


def _sum(input: Any, other: Any, alpha: Any = 1) -> None: ...


def _cat(tensors: Any, dim: Any = 0) -> None: ...


def _max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: Any = False,
    return_indices: Any = False,
) -> None: ...


def _avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: Any = False,
    count_include_pad: Any = True,
    divisor_override: Any = None,
) -> None: ...


def _average_of(input: Any, dim: Any = None, keepdim: Any = False) -> None: ...


def _clamped(input: Any, min: Any = None, max: Any = None) -> None: ...


def _hardtanh_of(
    input: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: Any = False
) -> None: ...


def _padded(input: Any, pad: Any, mode: Any = "constant", value: Any = None) -> None: ...


def _indexed(a: Any, b: Any) -> None: ...


# How functions and methods name their arguments; torch's own have no signature to look at.
_ONE, _SUM, _CAT, _MAX, _AVG, _MEAN, _CLAMP, _HARDTANH, _PAD, _ITEM = (
    inspect.signature(form)
    for form in (
        *(_one, _sum, _cat, _max_pool2d, _avg_pool2d),
        *(_average_of, _clamped, _hardtanh_of, _padded, _indexed),
    )
)

_relu = _plain(Kind.ACTIVATION, activation=Activation.RELU)
_relu6 = _plain(Kind.ACTIVATION, activation=Activation.RELU6)
_identity = _plain(Kind.IDENTITY)
_flatten = _plain(Kind.FLATTEN)


def _shape_of(node: fx.Node, given: Mapping[str, Any]) -> Operation | str:
    if "tensor_meta" in node.meta:
        return f"{getattr(node.target, '__name__', node.target)} of a tensor cannot be mapped"
    return Operation(Kind.SHAPE, (), {})


_FUNCTIONS: Mapping[Any, tuple[inspect.Signature, Reader]] = {
    operator.add: (_SUM, _add),
    operator.iadd: (_SUM, _add),
    torch.add: (_SUM, _add),
    torch.cat: (_CAT, _concat),
    torch.concat: (_CAT, _concat),
    torch.concatenate: (_CAT, _concat),
    torch.relu: (_ONE, _relu),
    torch.relu_: (_ONE, _relu),
    F.relu: (_ONE, _relu),
    F.relu_: (_ONE, _relu),
    F.relu6: (_ONE, _relu6),
    F.hardtanh: (_HARDTANH, lambda node, given: _hardtanh(*list(given.values())[:3])),
    torch.clamp: (_CLAMP, _clip),
    torch.clip: (_CLAMP, _clip),
    torch.max_pool2d: (_MAX, _pool),
    F.max_pool2d: (_MAX, _pool),
    F.avg_pool2d: (_AVG, _average),
    F.adaptive_avg_pool2d: (_ONE, _plain(Kind.ADAPTIVE_AVG_POOL)),
    torch.mean: (_MEAN, _mean),
    torch.flatten: (_ONE, _flatten),
    torch.reshape: (_ONE, _flatten),
    torch.squeeze: (_ONE, _flatten),
    F.dropout: (_ONE, _identity),
    F.dropout2d: (_ONE, _identity),
    F.pad: (_PAD, _pad),
    operator.getitem: (_ITEM, _item),
    getattr: (_ONE, _shape_of),
    operator.mul: (_ONE, _shape_of),
    operator.floordiv: (_ONE, _shape_of),
}

_METHODS: Mapping[str, tuple[inspect.Signature, Reader]] = {
    "add": (_SUM, _add),
    "add_": (_SUM, _add),
    "relu": (_ONE, _relu),
    "relu_": (_ONE, _relu),
    "clamp": (_CLAMP, _clip),
    "clamp_": (_CLAMP, _clip),
    "mean": (_MEAN, _mean),
    "flatten": (_ONE, _flatten),
    "view": (_ONE, _flatten),
    "reshape": (_ONE, _flatten),
    "squeeze": (_ONE, _flatten),
    "contiguous": (_ONE, _identity),
    "size": (_ONE, _shape_of),
    "dim": (_ONE, _shape_of),
}
