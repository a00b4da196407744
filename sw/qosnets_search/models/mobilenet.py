"""MobileNetV2 (Sandler et al., 2018, table 2) for 64x64 images.

The first convolution has stride 1 in place of 2, so that an image of 64x64 pixels still has 4x4
positions at the end.
"""

from collections import OrderedDict

from torch import Tensor, nn

from .initialise import he_initialise

__all__ = ["InvertedResidual", "mobilenetv2"]

STEM_WIDTH = 32
HEAD_WIDTH = 1280
DROPOUT = 0.2

BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""The paper's (t, c, n, s): expansion, output channels, repetitions, stride of the first."""


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise convolution, 1x1 projection; added to the input where it fits.

    Without expansion (factor 1) the first of the three is left out.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.has_expansion = expansion != 1
        self.has_shortcut = stride == 1 and in_channels == out_channels
        if self.has_expansion:
            self.expand = nn.Conv2d(in_channels, width, 1, bias=False)
            self.expand_bn = nn.BatchNorm2d(width)
            self.expand_relu = nn.ReLU6()
        self.depthwise = nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(width)
        self.depthwise_relu = nn.ReLU6()
        self.project = nn.Conv2d(width, out_channels, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, ``[image, out_channels, height/stride, width/stride]``."""
        y = x
        if self.has_expansion:
            y = self.expand_relu(self.expand_bn(self.expand(y)))
        y = self.depthwise_relu(self.depthwise_bn(self.depthwise(y)))
        projected: Tensor = self.project_bn(self.project(y))
        return x + projected if self.has_shortcut else projected


def mobilenetv2(*, n_classes: int = 200, in_channels: int = 3) -> nn.Sequential:
    """Return the network with fresh weights: stem, 17 blocks, head and classifier.

    It maps images ``[image, in_channels, height, width]`` to logits ``[image, n_classes]``.
    """
    modules = OrderedDict[str, nn.Module](
        stem=nn.Conv2d(in_channels, STEM_WIDTH, 3, padding=1, bias=False),
        stem_bn=nn.BatchNorm2d(STEM_WIDTH),
        stem_relu=nn.ReLU6(),
    )
    width, n_blocks = STEM_WIDTH, 0
    for expansion, out_channels, n, first_stride in BLOCKS:
        for stride in (first_stride, *(1,) * (n - 1)):
            n_blocks += 1
            modules[f"block{n_blocks}"] = InvertedResidual(width, out_channels, stride, expansion)
            width = out_channels
    modules |= OrderedDict[str, nn.Module](
        head=nn.Conv2d(width, HEAD_WIDTH, 1, bias=False),
        head_bn=nn.BatchNorm2d(HEAD_WIDTH),
        head_relu=nn.ReLU6(),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(DROPOUT),
        classifier=nn.Linear(HEAD_WIDTH, n_classes),
    )
    return he_initialise(nn.Sequential(modules))
