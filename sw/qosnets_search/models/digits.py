"""A network of 4,168 weights for the 8x8 digits, sized for an 8x8 array.

A layer with reduction K, N outputs and M positions takes ⌈K/8⌉·⌈N/8⌉·max(M, 9) array cycles:
128 + 288 + 576 + 144 = 1136 for one image.
"""

from collections import OrderedDict

from torch import nn

from .initialise import he_initialise

__all__ = ["digits_cnn"]


def digits_cnn(*, n_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Return the network, for images ``[image, in_channels, 8, 8]``, with fresh weights."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    width = in_channels
    for index, (out_channels, stride) in enumerate(((8, 1), (16, 2), (16, 1)), 1):
        modules[f"conv{index}"] = nn.Conv2d(width, out_channels, 3, stride, padding=1, bias=False)
        modules[f"bn{index}"] = nn.BatchNorm2d(out_channels)
        modules[f"relu{index}"] = nn.ReLU()
        width = out_channels
    modules["pool"] = nn.MaxPool2d(2)
    modules["flatten"] = nn.Flatten()
    modules["classifier"] = nn.Linear(64, n_classes)
    return he_initialise(nn.Sequential(modules))
