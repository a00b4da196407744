"""Random layers for designs whose ``ops.json`` leaves geometry or parameters open."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qosnets.ops import Ops
from qosnets.parameters import LayerWeights, Parameters, Requantisation
from qosnets.tiling import LayerSizes, Tiling

from .design import Design

__all__ = ["draw_activations", "draw_clamps", "draw_parameters", "layer_sizes"]

MAX_POSITIONS = 16


def layer_sizes(ops: Ops, design: Design, random: np.random.Generator) -> list[LayerSizes]:
    """Return the sizes of all layers; without geometry K is 1..3·rows+1 and N 1..3·cols+1."""
    sizes = []
    for layer in ops.layers:
        if (geometry := layer.geometry) is not None:
            sizes.append(LayerSizes.of(geometry))
        else:
            k, n = random.integers(1, [3 * design.rows + 2, 3 * design.cols + 2])
            sizes.append(LayerSizes(min(int(k), design.k_max), int(n), 1))
    return sizes


def draw_clamps(ops: Ops, random: np.random.Generator) -> list[tuple[int, int]]:
    """Return the output range of every layer."""
    clamps = []
    for layer in ops.layers:
        low, high = sorted(int(code) for code in random.integers(0, 256, 2))
        clamps.append(layer.clamp or (low, high))
    return clamps


def draw_parameters(
    ops: Ops, sizes: Sequence[LayerSizes], random: np.random.Generator
) -> Parameters:
    """Return random weights, zero points and requantisation for all layers and points.

    The shift is drawn so that outputs spread over the codes and both clamps are met.
    """
    weights, requantisation = {}, {}
    for layer, size in zip(ops.layers, sizes, strict=True):
        k, channels = size.reduction, size.outputs * size.groups
        weights[layer.name] = LayerWeights(
            random.integers(0, 256, (channels, k), np.uint8),
            random.choice(np.array([0, 1, 127, 128, 254, 255], np.uint8), channels),
        )
        for point in ops.operating_points:
            spread = max(1, k * 128 * 128).bit_length()
            mult = random.integers(1 << 14, 1 << 15, channels) * random.choice([-1, 1], channels)
            mult[random.random(channels) < 0.1] = 0
            requantisation[point.name, layer.name] = Requantisation(
                random.integers(-(k << 14), k << 14, channels).astype(np.int32),
                mult.astype(np.int16),
                np.clip(spread + 7 + random.integers(-1, 3, channels), 1, 47).astype(np.uint8),
                random.integers(-64, 320, channels).astype(np.int16),
            )
    return Parameters(weights, requantisation)


def draw_activations(
    tiling: Tiling, psum_depth: int, random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return codes for a job, see :meth:`Tiling.activation_beats`.

    There are 1..16 positions, some of them all zero or all 255.
    """
    positions = int(random.integers(1, min(MAX_POSITIONS, psum_depth) + 1))
    channels = (tiling.outputs,) if tiling.depthwise else ()
    x = random.integers(0, 256, (*channels, positions, tiling.reduction), np.uint8)
    extreme = random.random(positions)
    x[..., extreme < 0.1, :] = 0
    x[..., extreme > 0.9, :] = 255
    return x
