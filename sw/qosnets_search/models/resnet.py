"""ResNets for 32x32 images: He et al., "Deep Residual Learning", 2016, section 4.2.

6n + 2 multiplying layers: a convolution, three stages of n blocks with 16, 32 and 64 channels, of
which the second and third halve the image, and a classifier on the mean of each channel.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from .initialise import he_initialise

__all__ = ["BasicBlock", "ResNet", "resnet"]

WIDTHS = (16, 32, 64)
"""Channels of the three stages."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm, added to the block's own input.

    The shortcut has no weights (option A of the paper): where the block halves the image it takes
    every other pixel, and the channels it lacks are zero. They follow the others, since hardware
    that stores channel by channel then appends them for nothing; the implementations that put one
    half before and one half behind compute the same up to the order of channels.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.n_added = out_channels - in_channels
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, ``[image, out_channels, height/stride, width/stride]``."""
        branch = self.relu1(self.bn1(self.conv1(x)))
        branch = self.bn2(self.conv2(branch))
        if self.stride != 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.n_added))
        y: Tensor = self.relu2(branch + x)
        return y


class ResNet(nn.Module):
    """The network of depth 6n + 2, for images ``[image, in_channels, height, width]``."""

    def __init__(self, n: int, n_classes: int, in_channels: int) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.conv1 = nn.Conv2d(in_channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu = nn.ReLU()
        self.layer1 = _stage(n, first, first, stride=1)
        self.layer2 = _stage(n, first, second, stride=2)
        self.layer3 = _stage(n, second, third, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(third, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, ``[image, class]``."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.classifier(self.flatten(self.pool(x)))
        return logits


def _stage(n: int, in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    rest = (BasicBlock(out_channels, out_channels, 1) for _ in range(n - 1))
    return nn.Sequential(BasicBlock(in_channels, out_channels, stride), *rest)


def resnet(depth: int, *, n_classes: int = 10, in_channels: int = 3) -> ResNet:
    """Return the ResNet with ``depth`` = 6n + 2 multiplying layers, with fresh weights.

    Raises
    ------
    ValueError
        If ``depth`` is not 6n + 2 with n ≥ 1.
    """
    n, rest = divmod(depth - 2, 6)
    if n < 1 or rest:
        raise ValueError(f"depth must be 8, 14, 20, …, not {depth}")
    return he_initialise(ResNet(n, n_classes, in_channels))
