"""VGG16 with BatchNorm in the form usual for 32x32 images.

The 13 convolutions of configuration D of Simonyan and Zisserman (2015), each with BatchNorm in
place of a bias, and a maximum over 2x2 windows behind each of the five groups. The 512 values that
remain of an image feed a single Linear layer; the original's two hidden layers of 4096 are left out
(as in Li et al., "Pruning Filters for Efficient ConvNets", 2017, who keep one of 512).
"""

from collections import OrderedDict

from torch import nn

from .initialise import he_initialise

__all__ = ["vgg16"]

GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the convolutions between two pools."""


def vgg16(*, n_classes: int = 10, in_channels: int = 3) -> nn.Sequential:
    """Return the network, for images ``[image, in_channels, 32, 32]``, with fresh weights."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    width = in_channels
    for group, widths in enumerate(GROUPS, 1):
        for index, out_channels in enumerate(widths, 1):
            place = f"{group}_{index}"
            modules[f"conv{place}"] = nn.Conv2d(width, out_channels, 3, padding=1, bias=False)
            modules[f"bn{place}"] = nn.BatchNorm2d(out_channels)
            modules[f"relu{place}"] = nn.ReLU()
            width = out_channels
        modules[f"pool{group}"] = nn.MaxPool2d(2)
    modules["flatten"] = nn.Flatten()
    modules["classifier"] = nn.Linear(width, n_classes)
    return he_initialise(nn.Sequential(modules))
