"""Power as ALWANN's authors count it.

All 4,566 ResNet-8 individuals that they published (``data.json`` of mrazekv/alwann-demo) have the
power Σ n_l·P_l / Σ n_l where n_l are the multiplications of a convolution of stride 1 that has as
many outputs as its *padded* input has positions, and the classifier is left out. Strided layers
weigh 4.5 to 5.1 times too much: 5,326,848 and 5,971,968 instead of 1,179,648 each.
"""

import math
from collections.abc import Sequence

from qosnets.geometry import Geometry, LayerKind

__all__ = ["padded_multiplications", "padded_power"]


def padded_multiplications(geometry: Geometry) -> int:
    """Return the multiplications of a layer for one image as ALWANN counts them.

    Those of stride 1 are counted rightly.
    """
    if geometry.kind is LayerKind.LINEAR:
        return 0
    if geometry.stride == (1, 1):
        return geometry.multiplications
    top, left, bottom, right = geometry.padding
    height, width = geometry.input_size
    n_positions = (top + height + bottom) * (left + width + right)
    return n_positions * geometry.out_channels * geometry.reduction


def padded_power(geometries: Sequence[Geometry], powers: Sequence[float]) -> float:
    """Return the power that ALWANN's authors would state, for that of each layer's multiplier."""
    counts = [padded_multiplications(geometry) for geometry in geometries]
    return math.fsum(n * p for n, p in zip(counts, powers, strict=True)) / sum(counts)
