"""The ten classes of the procedural data set: plane figures given by signed fields.

A field maps coordinates, in units of the figure's radius, to a number that is negative inside and
about the distance to the border near it. Of two fields, the larger belongs to what is inside both
and the smaller to what is inside either.
"""

from collections.abc import Callable
from functools import reduce
from itertools import combinations
from typing import TypeAlias

import numpy as np

from .draws import Float32Array

__all__ = ["FIGURES", "Field"]

Field: TypeAlias = Callable[[Float32Array, Float32Array, Float32Array], Float32Array]
"""``field(u, v, shape)`` for coordinates ``[figure, height, width]``.

``shape``, ``[figure, 1, 1]`` in 0 .. 1, sets widths within the range of the class.
"""

# Normals of the sides, as literals: the sine of the machine may differ in its last bit.
_TRIANGLE = ((0.0, 1.0), (-0.8660254, -0.5), (0.8660254, -0.5))
_PENTAGON = (
    (0.0, 1.0),
    (-0.95105652, 0.30901699),
    (-0.58778525, -0.80901699),
    (0.58778525, -0.80901699),
    (0.95105652, 0.30901699),
)


def _both(first: Float32Array, second: Float32Array) -> Float32Array:
    inside: Float32Array = np.maximum(first, second)
    return inside


def _either(first: Float32Array, second: Float32Array) -> Float32Array:
    inside: Float32Array = np.minimum(first, second)
    return inside


def _within(low: float, high: float, shape: Float32Array) -> Float32Array:
    width: Float32Array = np.float32(low) + np.float32(high - low) * shape
    return width


def _length(u: Float32Array, v: Float32Array) -> Float32Array:
    length: Float32Array = np.sqrt(u * u + v * v)
    return length


def _turns(u: Float32Array, v: Float32Array) -> Float32Array:
    """Return the angle in turns, within ±1/2, to 0.001: a quadratic in place of the arctangent."""
    ratio = _either(abs(u), abs(v)) / np.maximum(_both(abs(u), abs(v)), np.float32(1e-6))
    eighth = ratio * (np.float32(0.1685) - np.float32(0.0435) * ratio)
    quarter = np.where(abs(v) > abs(u), np.float32(0.25) - eighth, eighth)
    half = np.where(u < 0, np.float32(0.5) - quarter, quarter)
    turns: Float32Array = np.where(v < 0, -half, half)
    return turns


def _bands(x: Float32Array, per_unit: Float32Array) -> Float32Array:
    """Return the field of bands as wide as the gaps between them."""
    phase = x * per_unit
    from_middle = abs(phase - np.floor(phase) - np.float32(0.5))
    bands: Float32Array = (from_middle - np.float32(0.25)) / per_unit
    return bands


def _disc(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return _length(u, v) - _within(0.75, 0.85, shape)


def _ring(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return abs(_length(u, v) - np.float32(0.7)) - _within(0.12, 0.24, shape)


def _triangle(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    sides = (u * np.float32(x) + v * np.float32(y) for x, y in _TRIANGLE)
    return reduce(_both, sides) - _within(0.48, 0.54, shape)


def _square(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return _both(abs(u), abs(v)) - _within(0.65, 0.75, shape)


def _star(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    """Five points: inside at least four of five sides, hence the second largest of the fields."""
    sides = [u * np.float32(x) + v * np.float32(y) for x, y in _PENTAGON]
    four = reduce(_both, (_either(*two) for two in combinations(sides, 2)))
    return four - _within(0.29, 0.34, shape)


def _cross(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    width, length = _within(0.16, 0.28, shape), np.float32(0.95)
    flat = _both(abs(u) - length, abs(v) - width)
    upright = _both(abs(u) - width, abs(v) - length)
    return _either(flat, upright)


def _stripes(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return _both(_length(u, v) - np.float32(0.9), _bands(u, _within(1.3, 2.0, shape)))


def _checkerboard(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    per_unit = _within(1.0, 1.6, shape)
    columns, rows = _bands(u, per_unit), _bands(v, per_unit)
    just_one = _both(_either(columns, rows), -_both(columns, rows))
    return _both(_length(u, v) - np.float32(0.9), just_one)


def _spiral(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    radius, per_unit = _length(u, v), _within(1.3, 1.8, shape)
    arm = _bands(radius + _turns(u, v) / per_unit, per_unit)
    return _both(radius - np.float32(0.95), arm)


def _pair(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    """Two discs, the smaller the one the larger the other."""
    radius, distance = _within(0.3, 0.4, shape), np.float32(0.52)
    left = _length(u - distance, v) - radius
    right = _length(u + distance, v) - (np.float32(0.72) - radius)
    return _either(left, right)


FIGURES: dict[str, Field] = {
    "disc": _disc,
    "ring": _ring,
    "triangle": _triangle,
    "square": _square,
    "star": _star,
    "cross": _cross,
    "stripes": _stripes,
    "checkerboard": _checkerboard,
    "spiral": _spiral,
    "pair": _pair,
}
"""Fields of the classes, in the order of their labels."""
