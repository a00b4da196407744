"""The stages before the search: float training and quantisation-aware training."""

import logging

import torch
from qosnets.errors import InputError
from torch import nn

from ..quantised.network import QuantisedNetwork
from ..recipe import Schedule
from .loop import Batches, Progress, fit

__all__ = ["observe_ranges", "train_float", "train_quantised"]

_log = logging.getLogger(__name__)


def train_float(
    network: nn.Module, batches: Batches, schedule: Schedule, *, progress: Progress
) -> None:
    """Train without quantisation; leaves the network in evaluation mode."""
    network.train()
    fit(network, network.parameters(), batches, schedule, progress=progress)
    network.eval()


def observe_ranges(
    network: QuantisedNetwork, batches: Batches, schedule: Schedule, *, progress: Progress
) -> None:
    """Train on without quantisation while the observers find the ranges of all activations."""
    network.train()
    network.switch_quantisation(observing=True, quantising=False)
    fit(network, network.parameters(), batches, schedule, progress=progress)


def train_quantised(
    network: QuantisedNetwork, batches: Batches, schedule: Schedule, *, progress: Progress
) -> None:
    """Train with fake quantisation, then freeze all ranges; BatchNorm stays a layer of its own.

    Leaves the network in evaluation mode.

    Raises
    ------
    InputError
        If an activation is not finite.
    """
    network.train()
    network.switch_quantisation(observing=True, quantising=True)
    fit(network, network.parameters(), batches, schedule, progress=progress)
    network.switch_quantisation(observing=False, quantising=True)
    network.eval()
    _check_ranges(network)


def _check_ranges(network: QuantisedNetwork) -> None:
    """Refuse activations that are not finite, and tell of those that are always 0."""
    for tensor, quantiser in network.quantisers.items():
        bounds = torch.stack((quantiser.low.amin(), quantiser.high.amax()))
        if not bool(bounds.isfinite().all()):
            low, high = bounds.tolist()
            raise InputError(f"network: {tensor}: activations must be finite, not {low}..{high}")
        if not bool(bounds.any()):
            _log.warning("%s: activations are constant, always 0", tensor)
