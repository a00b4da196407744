"""Additive Gaussian noise on a layer's product, of learned strength."""

import torch
from torch import Tensor, nn

__all__ = ["GaussianNoise"]


class GaussianNoise(nn.Module):
    """Noise of standard deviation |σ|·std(y), in training mode only; y is a layer's product.

    std(y) is taken over the whole batch tensor, and gradients flow through it.

    Parameters
    ----------
    sigma
        Initial σ, relative to the spread of the output; its sign has no meaning.
    generator
        Source of the noise.
    """

    def __init__(self, sigma: float, generator: torch.Generator) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.tensor(sigma))
        self.generator = generator

    def forward(self, y: Tensor) -> Tensor:
        """Return ``y`` with noise."""
        if not self.training:
            return y
        noise = torch.randn(y.shape, generator=self.generator, dtype=y.dtype, device=y.device)
        return y + self.sigma.abs() * y.std() * noise
