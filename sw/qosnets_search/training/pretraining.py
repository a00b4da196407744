"""The stages before the search: float training and quantisation-aware training."""

from ..quantised.network import DigitsNetwork
from .loop import Batches, Progress, fit

__all__ = ["observe_ranges", "train_float", "train_quantised"]

WEIGHT_DECAY = 1e-4


def train_float(
    network: DigitsNetwork, batches: Batches, *, n_epochs: int, lr: float, progress: Progress
) -> None:
    """Train without quantisation; leaves the network in evaluation mode."""
    network.train()
    fit(
        network,
        network.parameters(),
        batches,
        n_epochs=n_epochs,
        lr=lr,
        progress=progress,
        weight_decay=WEIGHT_DECAY,
    )
    network.eval()


def observe_ranges(
    network: DigitsNetwork, batches: Batches, *, n_epochs: int, lr: float, progress: Progress
) -> None:
    """Train on without quantisation while the observers find the ranges of all activations."""
    network.train()
    network.switch_quantisation(observing=True, quantising=False)
    fit(network, network.parameters(), batches, n_epochs=n_epochs, lr=lr, progress=progress)


def train_quantised(
    network: DigitsNetwork, batches: Batches, *, n_epochs: int, lr: float, progress: Progress
) -> None:
    """Train with fake quantisation, then freeze all ranges; BatchNorm stays a layer of its own.

    Leaves the network in evaluation mode.
    """
    network.train()
    network.switch_quantisation(observing=True, quantising=True)
    fit(network, network.parameters(), batches, n_epochs=n_epochs, lr=lr, progress=progress)
    network.switch_quantisation(observing=False, quantising=True)
    network.eval()
