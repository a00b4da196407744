"""Adaptation of the network to the multipliers of one operating point.

:func:`tune` leaves all weights as they are and changes only what differs between operating points
anyway, in two steps:

1. closed form: the running mean and variance of every BatchNorm become those of training images
   under the approximate multipliers, and the mean error of a product without BatchNorm is taken
   off its bias;
2. training of each BatchNorm's γ and β, and of the bias of layers without one, with the
   statistics of step 1 held fixed: what is trained is what is deployed.

:func:`retrain` trains everything instead, for an operating point with weights of its own.
"""

import copy
from collections.abc import Iterator, Mapping
from itertools import islice

import torch
from qosnets.lut import Lut
from torch import Tensor, nn

from ..quantised.gradients import GradientEstimator, gradient_factors
from ..quantised.layers import Block, MultiplyingLayer
from ..quantised.network import QuantisedNetwork
from ..recipe import Schedule
from .loop import Batches, Progress, fit

__all__ = ["correct_statistics", "retrain", "tune"]

N_CORRECTION_IMAGES = 2048
"""Training images, at most, that the closed form sees."""


def tune(
    network: QuantisedNetwork,
    tables: Mapping[str, Lut],
    batches: Batches,
    schedule: Schedule,
    *,
    estimator: GradientEstimator = GradientEstimator.STRAIGHT_THROUGH,
    progress: Progress,
) -> QuantisedNetwork:
    """Return a copy of ``network`` adapted to multipliers with its weights as they are.

    Parameters
    ----------
    network
        Quantised network with frozen ranges.
    tables
        ``M[x, w]`` of the multiplier of each layer.
    batches
        Training set.
    schedule, progress
        Of step 2.
    estimator
        Of the gradients of products through a table.

    Returns
    -------
    QuantisedNetwork
        In evaluation mode, its tables attached.
    """
    network = _with_tables(network, tables, estimator, batches.device)
    correct_statistics(network, batches)
    blocks = network.named_blocks.values()
    trained = [parameter for block in blocks for parameter in block.point_parameters]
    network.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    fit(network, trained, batches, schedule, progress=progress)
    network.requires_grad_(True)
    return network


def retrain(
    network: QuantisedNetwork,
    tables: Mapping[str, Lut],
    batches: Batches,
    schedule: Schedule,
    *,
    estimator: GradientEstimator = GradientEstimator.STRAIGHT_THROUGH,
    progress: Progress,
) -> QuantisedNetwork:
    """Return a copy of ``network`` with all parameters trained for multipliers.

    Ranges of activations stay as they are; arguments and result as for :func:`tune`.
    """
    network = _with_tables(network, tables, estimator, batches.device)
    correct_statistics(network, batches)
    network.train()
    fit(network, network.parameters(), batches, schedule, progress=progress)
    return network.eval()


def _with_tables(
    network: QuantisedNetwork,
    tables: Mapping[str, Lut],
    estimator: GradientEstimator,
    device: torch.device,
) -> QuantisedNetwork:
    network = copy.deepcopy(network).eval()
    for name, block in network.named_blocks.items():
        block.layer.table = torch.from_numpy(tables[name]).to(device)
        block.layer.factors = gradient_factors(
            tables[name],
            estimator,
            max_activation=block.layer.input_quantiser.max_code,
            max_weight=block.layer.max_weight,
        )
    return network


@torch.no_grad()
def correct_statistics(network: QuantisedNetwork, batches: Batches) -> None:
    """Do step 1; the network has its tables attached."""
    norms = [block.norm for block in network.named_blocks.values() if block.norm is not None]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    for images in _correction_images(batches):
        network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    biased = [block for block in network.named_blocks.values() if block.norm is None]
    if biased:
        _correct_biases(network, biased, batches)


def _correction_images(batches: Batches) -> Iterator[Tensor]:
    """Yield batches of training images, as they are, for the closed form."""
    n_batches = max(1, N_CORRECTION_IMAGES // batches.batch_size)
    for images, _ in islice(batches.epoch(augmented=False), n_batches):
        yield images


def _correct_biases(network: QuantisedNetwork, blocks: list[Block], batches: Batches) -> None:
    """Take the mean error of products off the biases of ``blocks``, which have no BatchNorm.

    Each layer sees what the layers before it give once they are corrected.
    """
    errors: dict[MultiplyingLayer, list[Tensor]] = {block.layer: [] for block in blocks}

    def correct(layer: nn.Module, inputs: tuple[Tensor], product: Tensor) -> Tensor:
        assert isinstance(layer, MultiplyingLayer)
        difference = product - layer.product(*inputs)
        dims = [dim for dim in range(product.ndim) if dim != 1]
        errors[layer].append(difference.mean(dims))
        return product - difference.mean(dims, keepdim=True)

    hooks = [block.layer.register_forward_hook(correct) for block in blocks]
    for images in _correction_images(batches):
        network(images)
    for hook in hooks:
        hook.remove()
    for block in blocks:
        assert block.bias is not None
        block.bias.sub_(torch.stack(errors[block.layer]).mean(0))
