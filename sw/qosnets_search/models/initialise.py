"""Initial weights of all networks."""

from typing import TypeVar

from torch import nn

__all__ = ["he_initialise"]

M = TypeVar("M", bound=nn.Module)


def he_initialise(network: M) -> M:
    """Draw the weights of all Conv2d and Linear layers and return the network.

    Normal with mean 0 and variance 2 / fan-in (He et al., "Delving Deep into Rectifiers", 2015,
    eq. 10); biases are 0. Numbers come from torch's global generator.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
