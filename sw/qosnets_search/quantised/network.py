"""The quantised network: the steps of a traced module on quantised tensors."""

import copy
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from qosnets.graph import INPUT
from torch import Tensor, nn

from .code_range import CodeRange
from .domains import domains
from .layers import Block, MultiplyingLayer, activate
from .quantise import ActivationQuantiser
from .steps import (
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
from .torch_geometry import pad
from .trace import Traced, TracedLayer

__all__ = ["QuantisedNetwork"]


class QuantisedNetwork(nn.Module):
    """A traced module whose tensors and weights can be quantised.

    Parameters
    ----------
    traced
        What to compute; parameters are copied.
    code_range
        Codes of all activations, logits included, and of all weights.
    """

    def __init__(self, traced: Traced, code_range: CodeRange) -> None:
        super().__init__()
        self.steps = traced.steps
        self.input_shape = traced.input_shape
        self._last_reads = _last_reads(traced.steps)
        self._domains = domains(traced.steps)
        self._quantisers = nn.ModuleList(
            ActivationQuantiser(code_range.max_activation, n_tensors)
            for n_tensors in self._domains.sizes
        )
        self._names = list(traced.layers)
        steps = {step.layer: step for step in traced.steps if isinstance(step, LayerStep)}
        self._blocks = nn.ModuleList(
            self._block(layer, steps[name], code_range) for name, layer in traced.layers.items()
        )

    def _block(self, traced: TracedLayer, step: LayerStep, code_range: CodeRange) -> Block:
        module = traced.module
        layer = MultiplyingLayer(
            self.quantiser(step.inputs[0]),
            module.weight,
            traced.geometry,
            max_weight=code_range.max_weight,
        )
        return Block(
            layer,
            bias=module.bias,
            norm=None if traced.norm is None else _with_affine(traced.norm),
            activation=step.activation,
            output_quantiser=self.quantiser(step.output),
            output_tensor=self._domains.numbers[step.output],
        )

    @property
    def named_blocks(self) -> dict[str, Block]:
        """The blocks by the name of their layer, in the order of execution."""
        blocks = (block for block in self._blocks if isinstance(block, Block))
        return dict(zip(self._names, blocks, strict=True))

    @property
    def input_quantiser(self) -> ActivationQuantiser:
        """Quantiser of the images."""
        return self.quantiser(INPUT)

    def quantiser(self, tensor: str) -> ActivationQuantiser:
        """Return the quantiser of a tensor."""
        quantiser = self._quantisers[self._domains.members[tensor]]
        assert isinstance(quantiser, ActivationQuantiser)
        return quantiser

    @property
    def quantisers(self) -> dict[str, ActivationQuantiser]:
        """The quantisers by the first tensor that each has."""
        found: dict[int, str] = {}
        for tensor, domain in self._domains.members.items():
            found.setdefault(domain, tensor)
        return {tensor: self.quantiser(tensor) for tensor in found.values()}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, ``[image, class]``, of images ``[image, channel, height, width]``."""
        tensors: dict[str, Tensor] = {INPUT: self.input_quantiser(images)}
        for number, step in enumerate(self.steps):
            inputs = [tensors[name] for name in step.inputs]
            tensors[step.output] = self._run(step, inputs)
            for name in self._last_reads[number]:
                del tensors[name]
        return tensors[self.steps[-1].output]

    def _run(self, step: Step, inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        match step:
            case LayerStep():
                result: Tensor = self._blocks[self._names.index(step.layer)](x)
                return result
            case AddStep():
                return self._quantise(step, activate(x + inputs[1], step.activation))
            case ActivationStep():
                return self._quantise(step, activate(x, step.activation))
            case AvgPoolStep():
                padded = pad(x, step.padding, 0.0)
                return self._quantise(step, F.avg_pool2d(padded, step.kernel, step.stride))
            case MaxPoolStep(kernel=(1, 1)):
                return x[:, :, :: step.stride[0], :: step.stride[1]]
            case MaxPoolStep():
                return F.max_pool2d(pad(x, step.padding, -torch.inf), step.kernel, step.stride)
            case ZerosStep():
                return torch.zeros_like(x)
            case ConcatStep():
                return torch.cat(inputs, 1)
            case FlattenStep():
                return x.flatten(1)

    def _quantise(self, step: Step, x: Tensor) -> Tensor:
        result: Tensor = self.quantiser(step.output)(x, self._domains.numbers[step.output])
        return result

    def switch_quantisation(self, *, observing: bool, quantising: bool) -> None:
        """Switch range observers and fake quantisation of all activations and weights."""
        for module in self.modules():
            if isinstance(module, ActivationQuantiser):
                module.observing = observing
            if isinstance(module, ActivationQuantiser | MultiplyingLayer):
                module.quantising = quantising

    def attach(self, tables: Mapping[str, Tensor | None]) -> None:
        """Let layers multiply through ``M[x, w]``, uint16 ``[256, 256]``; None: exactly."""
        for name, block in self.named_blocks.items():
            block.layer.table = tables[name]


def _with_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """Return a copy of ``norm`` that has γ and β."""
    if norm.affine:
        return copy.deepcopy(norm)
    result = type(norm)(norm.num_features, norm.eps, norm.momentum)
    result.load_state_dict(norm.state_dict(), strict=False)
    return result


def _last_reads(steps: Iterable[Step]) -> list[list[str]]:
    """Return, for each step, the tensors that no later step reads."""
    seen: set[str] = set()
    last: list[list[str]] = []
    for step in reversed(list(steps)):
        fresh = [name for name in dict.fromkeys(step.inputs) if name not in seen]
        seen.update(fresh)
        last.append(fresh)
    return last[::-1]
