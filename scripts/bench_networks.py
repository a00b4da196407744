"""Networks whose training and inference the benchmarks measure: ResNet8 and MobileNetV2.

The forms of CIFAR: 32x32 images for ResNet8 (K. He et al., 2016, option-A shortcuts), 64x64 images
and a first stride of 1 for MobileNetV2 (M. Sandler et al., 2018). Every convolution and the
classifier are quantised and go through a table where one is attached.
"""

import torch
import torch.nn.functional as F
from qosnets_search.quantised.layers import MultiplyingLayer
from qosnets_search.quantised.quantise import ActivationQuantiser
from torch import Tensor, nn

__all__ = ["attach", "mobilenetv2", "multiplications", "resnet8"]


class _Conv(nn.Sequential):
    """Quantiser, convolution and BatchNorm."""

    def __init__(
        self, n_in: int, n_out: int, size: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        quantiser = ActivationQuantiser(255)
        layer = MultiplyingLayer(
            quantiser,
            n_in,
            n_out,
            kernel=kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            input_size=size,
            max_weight=255,
            generator=torch.default_generator,
        )
        super().__init__(quantiser, layer, nn.BatchNorm2d(n_out))


class _ResidualBlock(nn.Module):
    def __init__(self, n_in: int, n_out: int, size: int, stride: int) -> None:
        super().__init__()
        self.first = _Conv(n_in, n_out, size, stride=stride)
        self.second = _Conv(n_out, n_out, size // stride)
        self.stride = stride
        self.n_added = n_out - n_in

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.n_added))
        return F.relu(y + shortcut)


class _InvertedResidual(nn.Module):
    def __init__(self, n_in: int, n_out: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        n_inner = n_in * expansion
        self.expand = _Conv(n_in, n_inner, size, kernel=1) if expansion > 1 else None
        self.depthwise = _Conv(n_inner, n_inner, size, stride=stride, groups=n_inner)
        self.project = _Conv(n_inner, n_out, size // stride, kernel=1)
        self.residual = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class _Classifier(nn.Sequential):
    def __init__(self, n_in: int, n_classes: int) -> None:
        quantiser = ActivationQuantiser(255)
        layer = MultiplyingLayer(
            quantiser, n_in, n_classes, max_weight=255, generator=torch.default_generator
        )
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), quantiser, layer)


def resnet8() -> nn.Sequential:
    """Return ResNet8 for 32x32 images of 10 classes."""
    return nn.Sequential(
        _Conv(3, 16, 32),
        nn.ReLU(),
        _ResidualBlock(16, 16, 32, 1),
        _ResidualBlock(16, 32, 32, 2),
        _ResidualBlock(32, 64, 16, 2),
        _Classifier(64, 10),
    )


def mobilenetv2() -> nn.Sequential:
    """Return MobileNetV2 for 64x64 images of 200 classes."""
    parts: list[nn.Module] = [_Conv(3, 32, 64), nn.ReLU6()]
    n_in, size = 32, 64
    for expansion, n_out, n_blocks, first_stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for index in range(n_blocks):
            stride = first_stride if index == 0 else 1
            parts.append(_InvertedResidual(n_in, n_out, size, stride, expansion))
            n_in, size = n_out, size // stride
    return nn.Sequential(
        *parts, _Conv(n_in, 1280, size, kernel=1), nn.ReLU6(), _Classifier(1280, 200)
    )


def attach(network: nn.Module, table: Tensor | None) -> None:
    """Quantise all layers and let them multiply through ``table``; None: exactly."""
    for module in network.modules():
        if isinstance(module, ActivationQuantiser):
            module.observing = module.quantising = True
        if isinstance(module, MultiplyingLayer):
            module.quantising, module.table = True, table


def multiplications(network: nn.Module) -> int:
    """Return the multiplications of one image."""
    layers = (module for module in network.modules() if isinstance(module, MultiplyingLayer))
    return sum(layer.geometry.multiplications for layer in layers)
