"""Adaptation of the network to the multipliers of one operating point, with weights frozen.

Two steps, both on the constants that differ between operating points anyway:

1. closed form: the running mean and variance of every BatchNorm become those of the training set
   under the approximate multipliers, and the mean error of the classifier's product is taken off
   its bias;
2. training of each BatchNorm's γ and β and of the classifier's bias, with the statistics of
   step 1 held fixed: what is trained is what is deployed.
"""

import copy
from collections.abc import Mapping

import torch
from qosnets.lut import Lut
from torch import Tensor, nn

from ..quantised.layers import Bias
from ..quantised.network import DigitsNetwork
from .loop import Batches, Progress, fit

__all__ = ["correct_statistics", "tune"]


def tune(
    network: DigitsNetwork,
    tables: Mapping[str, Lut],
    batches: Batches,
    *,
    n_epochs: int,
    lr: float,
    progress: Progress,
) -> DigitsNetwork:
    """Return a copy of ``network`` adapted to multipliers, in evaluation mode.

    Parameters
    ----------
    network
        Quantised network with frozen ranges.
    tables
        ``M[x, w]`` of the multiplier of each layer.
    batches
        Training set.
    n_epochs, lr, progress
        Of step 2.
    """
    network = copy.deepcopy(network).eval()
    for name, block in network.named_blocks.items():
        block.layer.table = torch.from_numpy(tables[name])
    correct_statistics(network, batches.images)
    followers = [block.follower for block in network.named_blocks.values()]
    parameters = [parameter for follower in followers for parameter in follower.parameters()]
    fit(network, parameters, batches, n_epochs=n_epochs, lr=lr, progress=progress)
    return network


@torch.no_grad()
def correct_statistics(network: DigitsNetwork, images: Tensor) -> None:
    """Do step 1 with all ``images`` as one batch; the network has its tables attached."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0  # the running statistics become those of the next batch
        norm.train()
    network.features(images)
    network.eval()
    features = network.features(images)
    classifier = network.named_blocks["classifier"]
    assert isinstance(classifier.follower, Bias)
    error = classifier.layer(features) - classifier.layer.product(features)
    classifier.follower.bias.sub_(error.mean(dim=0))
