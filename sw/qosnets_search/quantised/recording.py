"""Recording of a module by ``torch.fx``: operations, each with the shape of its result."""

import copy
import warnings

import torch
from qosnets.errors import InputError
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

__all__ = ["N_IMAGES", "place", "record", "shape"]

N_IMAGES = 2
"""Of the batch that shapes are found with: unlike 1, it does not broadcast."""


def record(module: nn.Module, input_shape: tuple[int, int, int], where: str) -> fx.GraphModule:
    """Return the graph of a copy of ``module``, each node with the shape of its result.

    Raises
    ------
    InputError
        If the module cannot be traced, does not take such images, or has parameters that are not
        finite.
    """
    module = copy.deepcopy(module).cpu().eval()
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"{where}: {name}: must hold finite numbers, has NaN or infinity")
    try:
        recorded = fx.symbolic_trace(module)
    except Exception as error:  # whatever the user's code does on symbolic values
        raise InputError(f"{where}: cannot be traced by torch.fx: {_line(error)}") from None
    inputs = [node for node in recorded.graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise InputError(f"{where}: must take one tensor of images, not {len(inputs)} inputs")
    images = torch.zeros(N_IMAGES, *input_shape)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ShapeProp(recorded).propagate(images)
    except Exception as error:
        shape = "x".join(map(str, input_shape))
        raise InputError(f"{where}: does not take images of {shape}: {_line(error)}") from None
    recorded.graph.eliminate_dead_code()
    return recorded


def _line(error: Exception) -> str:
    """Return what an error says, on one line."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__


def shape(node: fx.Node) -> tuple[int, ...]:
    """Return the shape of a node's result."""
    extents: tuple[int, ...] = getattr(node.meta.get("tensor_meta"), "shape", ())
    return tuple(extents)


def place(node: fx.Node) -> str:
    """Return where in the user's module a node is: ``layer1.0: torch.mul``."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    what = str(node.target) if node.op == "call_module" else node.name
    path = stack[-1][0] if stack and node.op != "call_module" else ""
    return f"{path}: {what}" if path else what
