"""Additive Gaussian noise (AGN): how much disturbance does each layer tolerate?

After Trommer et al. [16 in the QoS-Nets paper]: the standard deviation of noise on each layer's
output is a parameter, optimised jointly with the weights. The loss rewards noise in proportion
to the multiplications that a layer could do inexactly.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from ..quantised.network import QuantisedNetwork
from ..quantised.noise import GaussianNoise
from ..recipe import NoiseSchedule
from .loop import Batches, Progress, fit

__all__ = ["noise_reward", "search_noise"]


def noise_reward(
    sigmas: Sequence[Tensor], n_multiplications: Sequence[int], sigma_max: float
) -> Tensor:
    """Return ``Σ_l c_l/C·min(|σ_l|, σ_max)`` for c_l multiplications per image in layer l."""
    stacked = torch.stack(list(sigmas))
    total = sum(n_multiplications)
    shares = torch.tensor([count / total for count in n_multiplications], device=stacked.device)
    return (shares * stacked.abs().clamp(max=sigma_max)).sum()


def search_noise(
    network: QuantisedNetwork,
    batches: Batches,
    schedule: NoiseSchedule,
    *,
    generator: torch.Generator,
    progress: Progress,
) -> list[float]:
    """Return the noise |σ| that each layer of a quantised network tolerates, in layer order.

    Weights and noise of a copy are trained jointly on cross-entropy − λ·reward; ``network``
    itself stays as it is. ``generator``, the source of the noise, is on the network's device.
    """
    network = copy.deepcopy(network).train()
    network.switch_quantisation(observing=True, quantising=True)
    layers = [block.layer for block in network.named_blocks.values()]
    noises = [GaussianNoise(schedule.sigma_init, generator).to(batches.device) for _ in layers]
    for layer, noise in zip(layers, noises, strict=True):
        layer.noise = noise
    sigmas = [noise.sigma for noise in noises]
    n_multiplications = [layer.multiplications for layer in layers]
    fit(
        network,
        network.parameters(),
        batches,
        schedule,
        progress=progress,
        penalty=lambda: (
            -schedule.noise_weight * noise_reward(sigmas, n_multiplications, schedule.sigma_max)
        ),
    )
    return [abs(sigma.item()) for sigma in sigmas]
