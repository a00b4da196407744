"""Mean and spread of what a layer computes, per output channel."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["ChannelMoments", "channel_moments"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ChannelMoments:
    """Mean and variance of each channel over all images and positions, ``[channel]``."""

    means: Float
    variances: Float

    @property
    def std(self) -> float:
        """Standard deviation over everything."""
        return float(np.sqrt(self.variances.mean() + self.means.var()))

    @property
    def residual_std(self) -> float:
        """Standard deviation that remains once each channel's mean is taken off."""
        return float(np.sqrt(self.variances.mean()))


def channel_moments(chunks: Iterable[Tensor]) -> ChannelMoments:
    """Return the moments of integers ``[image, channel(, height, width)]``, given in chunks.

    Sums are in float64, exact up to 2⁵³; what enters is never held in more than one chunk.
    """
    count, sums = 0, torch.zeros(())
    for chunk in chunks:
        values = chunk.to(torch.float64).flatten(2) if chunk.ndim > 2 else chunk[..., None].double()
        count += values.shape[0] * values.shape[2]
        sums = sums.to(values) + torch.stack([values.sum((0, 2)), values.square().sum((0, 2))])
    means, squares = (sums / count).cpu().numpy()
    return ChannelMoments(means, np.maximum(squares - means**2, 0.0))
