"""The network: 1-8-16-16 channels on 8x8 images, sized for an 8x8 array.

A layer with reduction K, N outputs and M positions takes ⌈K/8⌉·⌈N/8⌉·max(M, 9) array cycles:
128 + 288 + 576 + 144 = 1136 for one image.
"""

import torch
import torch.nn.functional as F
from qosnets.graph import INPUT, FlattenNode, LayerNode, MaxPoolNode, Node
from torch import Tensor, nn

from ..datasets.digits import N_CLASSES
from .code_range import CodeRange
from .layers import Bias, Block, MultiplyingLayer
from .quantise import ActivationQuantiser

__all__ = ["GRAPH", "DigitsNetwork"]

GRAPH: list[Node] = [
    LayerNode(op="layer", layer="conv1", inputs=(INPUT,), output="conv1"),
    LayerNode(op="layer", layer="conv2", inputs=("conv1",), output="conv2"),
    LayerNode(op="layer", layer="conv3", inputs=("conv2",), output="conv3"),
    MaxPoolNode(
        op="max_pool",
        inputs=("conv3",),
        output="pool",
        kernel=(2, 2),
        stride=(2, 2),
        padding=(0, 0, 0, 0),
    ),
    FlattenNode(op="flatten", inputs=("pool",), output="features"),
    LayerNode(op="layer", layer="classifier", inputs=("features",), output="logits"),
]
"""What :meth:`DigitsNetwork.forward` computes, for ``ops.json``."""


class DigitsNetwork(nn.Module):
    """Three convolutions with BatchNorm and ReLU, a maximum over 2x2 windows and a classifier.

    Parameters
    ----------
    generator
        Source of the initial weights.
    code_range
        Codes of all activations, logits included, and of all weights.
    """

    def __init__(self, generator: torch.Generator, code_range: CodeRange) -> None:
        super().__init__()
        self.input_quantiser = ActivationQuantiser(code_range.max_activation)
        self.blocks = nn.ModuleDict()
        source = self.input_quantiser
        for name, n_in, n_out, stride, size in (
            ("conv1", 1, 8, 1, 8),
            ("conv2", 8, 16, 2, 8),
            ("conv3", 16, 16, 1, 4),
        ):
            layer = MultiplyingLayer(
                source,
                n_in,
                n_out,
                kernel=3,
                stride=stride,
                padding=1,
                input_size=size,
                max_weight=code_range.max_weight,
                generator=generator,
            )
            quantiser = ActivationQuantiser(code_range.max_activation)
            block = Block(layer, nn.BatchNorm2d(n_out), quantiser)
            self.blocks[name], source = block, quantiser
        classifier = MultiplyingLayer(
            source, 64, N_CLASSES, max_weight=code_range.max_weight, generator=generator
        )
        self.blocks["classifier"] = Block(
            classifier, Bias(N_CLASSES), ActivationQuantiser(code_range.max_activation)
        )

    @property
    def named_blocks(self) -> dict[str, Block]:
        """The blocks by the name of their layer, in order."""
        return {name: block for name, block in self.blocks.items() if isinstance(block, Block)}

    def features(self, images: Tensor) -> Tensor:
        """Return the classifier's input, ``[image, 64]``."""
        x = self.input_quantiser(images)
        for name in ("conv1", "conv2", "conv3"):
            x = self.blocks[name](x)
        return F.max_pool2d(x, 2).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, ``[image, class]``, of images ``[image, 1, 8, 8]``."""
        logits: Tensor = self.blocks["classifier"](self.features(images))
        return logits

    def switch_quantisation(self, *, observing: bool, quantising: bool) -> None:
        """Switch range observers and fake quantisation of all activations and weights."""
        for module in self.modules():
            if isinstance(module, ActivationQuantiser):
                module.observing = observing
            if isinstance(module, ActivationQuantiser | MultiplyingLayer):
                module.quantising = quantising
