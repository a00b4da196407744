"""Images of the procedural data set: a figure in clutter, unevenly lit and noisy.

All arithmetic is float32 addition, multiplication, division and square root, one operation at a
time, so that the bytes are the same on every machine.
"""

import numpy as np
from numpy.typing import NDArray

from .draws import Draws, Float32Array
from .figures import FIGURES

__all__ = ["SIZE", "render"]

SIZE = 32
"""Height and width of an image, pixels."""

# Pixels' coordinates relative to the centre of the image.
_X: Float32Array = np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)
_Y: Float32Array = _X[:, None]

# Ranges that numbers are drawn from. Lengths in pixels; colours and light in shares of white.
RADIUS = (7.0, 11.0)
OFFSET = (-5.0, 5.0)
"""Of the figure's centre from the image's, either way."""
STRETCH = (0.7, 1.0)
"""Ratio of the figure's two axes."""
WARP = 0.13
"""By how much the figure's outline is displaced, at most, in units of its radius."""
BACKGROUND = (0.2, 0.8)
CONTRAST = (0.2, 0.52)
"""Greatest difference of a channel to the background's colour."""
CHANNEL = (0.3, 1.0)
"""Share of it in each channel."""
TEXTURE = (0.05, 0.3)
N_SPOTS = 3
SPOT_AXIS = (0.8, 2.8)
N_BARS = 2
BAR_LENGTH = (3.0, 12.0)
"""Of half a bar, as is the width."""
BAR_WIDTH = (0.4, 1.3)
LIGHT = (0.7, 1.2)
GRADIENT = (-0.02, 0.02)
"""Change of the light per pixel, in each direction."""
NOISE = (0.02, 0.13)
"""Standard deviation, the same for all pixels of an image."""


def render(labels: NDArray[np.int64], draws: Draws) -> NDArray[np.uint8]:
    """Draw one image for each label.

    Background and figure have a texture each. Spots lie behind the figure, bars across it. The
    figure is brighter or darker than the background in all channels; spots and bars differ from it
    in any direction. The numbers drawn do not depend on the labels.

    Parameters
    ----------
    labels
        Classes, indices into :data:`.figures.FIGURES`, ``[image]``.
    draws
        Source of all numbers.

    Returns
    -------
    uint8 ``[image, 3, 32, 32]``.
    """
    n = len(labels)
    background = draws.uniform(*BACKGROUND, n, 3, 1, 1)
    image = background + _texture(draws, n)
    for _ in range(N_SPOTS):
        image = _over(
            image, _spot(draws, n), background + _signs(draws, n, 3) * _contrast(draws, n)
        )
    colour = background + _signs(draws, n, 1) * _contrast(draws, n)
    image = _over(image, _figure(labels, draws), colour + _texture(draws, n))
    for _ in range(N_BARS):
        image = _over(image, _bar(draws, n), background + _signs(draws, n, 3) * _contrast(draws, n))
    noise = draws.uniform(*NOISE, n, 1, 1, 1) * draws.bell(n, 3, SIZE, SIZE)
    levels = np.rint((image * _light(draws, n) + noise) * np.float32(255))
    pixels: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8)
    return pixels


def _over(image: Float32Array, coverage: Float32Array, colour: Float32Array) -> Float32Array:
    """Return ``image`` with a ``colour`` laid over it where ``[image, 32, 32]`` is covered."""
    blended: Float32Array = image + coverage[:, None] * (colour - image)
    return blended


def _coverage(distance: Float32Array) -> Float32Array:
    """Return the share of each pixel that is inside of a border at ``distance`` pixels."""
    coverage: Float32Array = np.clip(np.float32(0.5) - distance, 0, 1)
    return coverage


def _signs(draws: Draws, n: int, n_channels: int) -> Float32Array:
    return 1 - 2 * draws.integers(2, n, n_channels, 1, 1).astype(np.float32)


def _contrast(draws: Draws, n: int) -> Float32Array:
    return draws.uniform(*CONTRAST, n, 1, 1, 1) * draws.uniform(*CHANNEL, n, 3, 1, 1)


def _texture(draws: Draws, n: int) -> Float32Array:
    """Return smooth noise of two scales in a random colour, ``[image, 3, 32, 32]``."""
    colour = draws.uniform(*TEXTURE, n, 1, 1, 1) * draws.uniform(-1, 1, n, 3, 1, 1)
    share = draws.uniform(0, 1, n, 1, 1)
    waves = share * _smooth_noise(draws, n, 3) + (1 - share) * _smooth_noise(draws, n, 8)
    texture: Float32Array = colour * waves[:, None]
    return texture


def _smooth_noise(draws: Draws, n: int, n_cells: int) -> Float32Array:
    """Return value noise within ±1, ``[image, 32, 32]``: a random lattice, interpolated."""
    lattice = draws.uniform(-1, 1, n, n_cells + 1, n_cells + 1)
    place = (_X + np.float32(SIZE / 2)) * np.float32(n_cells / SIZE)
    cell = place.astype(np.int64)
    part = place - cell.astype(np.float32)
    ease = part * part * (3 - 2 * part)
    rows = lattice[:, cell] + ease[:, None] * (lattice[:, cell + 1] - lattice[:, cell])
    noise: Float32Array = rows[:, :, cell] + ease * (rows[:, :, cell + 1] - rows[:, :, cell])
    return noise


def _placed(draws: Draws, n: int, offset: tuple[float, float]) -> tuple[Float32Array, Float32Array]:
    """Return the pixels' coordinates in frames displaced, turned and mirrored at random."""
    dx, dy = (axis - draws.uniform(*offset, n, 1, 1) for axis in (_X, _Y))
    cosine, sine = draws.directions(n, 1, 1)
    mirror = _signs(draws, n, 1)[:, 0]
    return cosine * dx + sine * dy, mirror * (cosine * dy - sine * dx)


def _figure(labels: NDArray[np.int64], draws: Draws) -> Float32Array:
    """Return the coverage of the figures."""
    n = len(labels)
    u, v = _placed(draws, n, OFFSET)
    radius = draws.uniform(*RADIUS, n, 1, 1)
    u = u / radius + WARP * _smooth_noise(draws, n, 4)
    v = v / (radius * draws.uniform(*STRETCH, n, 1, 1)) + WARP * _smooth_noise(draws, n, 4)
    shape = draws.uniform(0, 1, n, 1, 1)
    field = np.empty((n, SIZE, SIZE), np.float32)
    for label, function in enumerate(FIGURES.values()):
        chosen = labels == label
        field[chosen] = function(u[chosen], v[chosen], shape[chosen])
    return _coverage(field * radius)


def _spot(draws: Draws, n: int) -> Float32Array:
    """Return the coverage of ellipses anywhere in the images."""
    u, v = _placed(draws, n, (-SIZE / 2, SIZE / 2))
    a, b = (draws.uniform(*SPOT_AXIS, n, 1, 1) for _ in range(2))
    x, y = u / a, v / b
    return _coverage((np.sqrt(x * x + y * y) - 1) * np.minimum(a, b))


def _bar(draws: Draws, n: int) -> Float32Array:
    """Return the coverage of bars anywhere in the images."""
    u, v = _placed(draws, n, (-SIZE / 2, SIZE / 2))
    length, width = draws.uniform(*BAR_LENGTH, n, 1, 1), draws.uniform(*BAR_WIDTH, n, 1, 1)
    return _coverage(np.maximum(abs(u) - length, abs(v) - width))


def _light(draws: Draws, n: int) -> Float32Array:
    """Return a factor for each pixel, ``[image, 1, 32, 32]``, linear in both directions."""
    slopes = (draws.uniform(*GRADIENT, n, 1, 1, 1) for _ in range(2))
    x, y = (slope * axis for slope, axis in zip(slopes, (_X, _Y), strict=True))
    light: Float32Array = draws.uniform(*LIGHT, n, 1, 1, 1) + x + y
    return light
