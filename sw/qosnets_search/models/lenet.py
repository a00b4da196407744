"""LeNet5 (LeCun et al., 1998) with ReLU and maxima in place of sigmoids and trained averages."""

from collections import OrderedDict

from torch import nn

from .initialise import he_initialise

__all__ = ["lenet5"]


def lenet5(*, n_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Return the network, for images ``[image, in_channels, 32, 32]``, with fresh weights.

    Every map of ``conv2`` sees all maps of ``conv1``, and the last layer is an ordinary classifier,
    as usual today.
    """
    modules = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(in_channels, 6, 5),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(400, 120),
        relu3=nn.ReLU(),
        fc2=nn.Linear(120, 84),
        relu4=nn.ReLU(),
        classifier=nn.Linear(84, n_classes),
    )
    return he_initialise(nn.Sequential(modules))
