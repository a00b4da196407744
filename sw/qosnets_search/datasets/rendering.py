"""Images of the procedural data set: a figure in clutter, badly lit and noisy."""

import numpy as np
from numpy.typing import NDArray

from .draws import Draws, Float32Array
from .figures import FIGURES

__all__ = ["SIZE", "render"]

SIZE = 32
"""Height and width of an image, pixels."""

RADIUS = (5.5, 11.0)
OFFSET = 5.5
STRETCH = (0.7, 1.0)
WARP = 0.16
DARK = np.float32(0.0)
CONTRAST = (0.18, 0.5)
TEXTURE = (0.05, 0.35)
N_SPOTS = 3
N_BARS = 2
GRADIENT = 0.02
NOISE = (0.03, 0.14)


def render(labels: NDArray[np.int64], draws: Draws) -> NDArray[np.uint8]:
    """Draw one image for each label.

    Parameters
    ----------
    labels
        Classes, indices into :data:`FIGURES`, ``[image]``.
    draws
        Source of all numbers.

    Returns
    -------
    uint8 ``[image, 3, 32, 32]``.
    """
    n = len(labels)
    background = draws.uniform(0.2, 0.8, n, 3, 1, 1)
    image = background + _texture(draws, n)
    for _ in range(N_SPOTS):
        image = _over(image, _spot(draws, n), _colour(draws, n, background))
    figure = _figure(labels, draws)
    colour = background + np.where(draws.uniform(0, 1, n, 1, 1, 1) < DARK, -1, 1) * draws.uniform(
        *CONTRAST, n, 1, 1, 1
    ) * draws.uniform(0.3, 1, n, 3, 1, 1)
    image = _over(image, figure, colour + _texture(draws, n))
    for _ in range(N_BARS):
        image = _over(image, _bar(draws, n), _colour(draws, n, background))
    image = image * _light(draws, n)
    noise = draws.uniform(*NOISE, n, 1, 1, 1) * draws.bell(n, 3, SIZE, SIZE)
    levels = np.rint((image + noise) * 255)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _over(image: Float32Array, coverage: Float32Array, colour: Float32Array) -> Float32Array:
    return image + coverage[:, None] * (colour - image)


def _colour(draws: Draws, n: int, background: Float32Array) -> Float32Array:
    """Return colours ``[image, 3, 1, 1]`` away from the background's in each channel."""
    sign = 1 - 2 * draws.integers(2, n, 3, 1, 1).astype(np.float32)
    return background + sign * draws.uniform(*CONTRAST, n, 1, 1, 1) * draws.uniform(
        0.3, 1, n, 3, 1, 1
    )


def _texture(draws: Draws, n: int) -> Float32Array:
    """Return smooth noise of two scales in a random colour, ``[image, 3, 32, 32]``."""
    strength = draws.uniform(*TEXTURE, n, 1, 1, 1) * draws.uniform(-1, 1, n, 3, 1, 1)
    share = draws.uniform(0, 1, n, 1, 1)
    waves = share * _smooth_noise(draws, n, 3) + (1 - share) * _smooth_noise(draws, n, 8)
    return strength * waves[:, None]


def _smooth_noise(draws: Draws, n: int, n_cells: int) -> Float32Array:
    """Return value noise within ±1, ``[image, 32, 32]``: a random lattice, interpolated."""
    lattice = draws.uniform(-1, 1, n, n_cells + 1, n_cells + 1)
    place = (np.arange(SIZE, dtype=np.float32) + np.float32(0.5)) * np.float32(n_cells / SIZE)
    cell = place.astype(np.int64)
    part = place - cell
    ease = part * part * (3 - 2 * part)
    rows = lattice[:, cell] + ease[:, None] * (lattice[:, cell + 1] - lattice[:, cell])
    return rows[:, :, cell] + ease * (rows[:, :, cell + 1] - rows[:, :, cell])


def _centred(x: Float32Array, y: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return the pixels' coordinates relative to the points ``[image, 1, 1]``, pixels."""
    pixel = np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)
    return pixel - x, pixel[:, None] - y


def _turned(
    dx: Float32Array, dy: Float32Array, draws: Draws, n: int
) -> tuple[Float32Array, Float32Array]:
    cosine, sine = draws.directions(n, 1, 1)
    return cosine * dx + sine * dy, cosine * dy - sine * dx


def _coverage(distance: Float32Array) -> Float32Array:
    """Return the share of each pixel inside a border at ``distance`` pixels."""
    return np.clip(np.float32(0.5) - distance, 0, 1)


def _figure(labels: NDArray[np.int64], draws: Draws) -> Float32Array:
    n = len(labels)
    radius = draws.uniform(*RADIUS, n, 1, 1)
    x, y = (draws.uniform(-OFFSET, OFFSET, n, 1, 1) for _ in range(2))
    u, v = _turned(*_centred(x, y), draws, n)
    u, v = u / radius, v / (radius * draws.uniform(*STRETCH, n, 1, 1))
    u = u + WARP * _smooth_noise(draws, n, 4)
    v = v + WARP * _smooth_noise(draws, n, 4)
    shape = draws.uniform(0, 1, n, 1, 1)
    field = np.empty((n, SIZE, SIZE), np.float32)
    for label, function in enumerate(FIGURES.values()):
        chosen = labels == label
        field[chosen] = function(u[chosen], v[chosen], shape[chosen])
    return _coverage(field * radius)


def _spot(draws: Draws, n: int) -> Float32Array:
    """Return the coverage of an ellipse anywhere in the image."""
    x, y = (draws.uniform(-SIZE / 2, SIZE / 2, n, 1, 1) for _ in range(2))
    u, v = _turned(*_centred(x, y), draws, n)
    a, b = (draws.uniform(0.8, 2.8, n, 1, 1) for _ in range(2))
    return _coverage((np.sqrt((u / a) ** 2 + (v / b) ** 2) - 1) * np.minimum(a, b))


def _bar(draws: Draws, n: int) -> Float32Array:
    """Return the coverage of a bar anywhere in the image."""
    x, y = (draws.uniform(-SIZE / 2, SIZE / 2, n, 1, 1) for _ in range(2))
    u, v = _turned(*_centred(x, y), draws, n)
    length, width = draws.uniform(3, 12, n, 1, 1), draws.uniform(0.4, 1.3, n, 1, 1)
    return _coverage(np.maximum(abs(u) - length, abs(v) - width))


def _light(draws: Draws, n: int) -> Float32Array:
    gx, gy = (draws.uniform(-GRADIENT, GRADIENT, n, 1, 1) for _ in range(2))
    dx, dy = _centred(np.float32(0), np.float32(0))
    return (draws.uniform(0.7, 1.2, n, 1, 1) + gx * dx + gy * dy)[:, None]
