"""The ten classes of the procedural data set: plane figures given by signed fields.

A field maps coordinates in units of the figure's radius to a number that is negative inside and
about the distance to the border near it. ``shape`` in 0 .. 1, one for each figure, varies widths
within a class.
"""

from collections.abc import Callable
from functools import reduce
from itertools import combinations
from typing import TypeAlias

import numpy as np

from .draws import Float32Array

__all__ = ["FIGURES", "Field"]

Field: TypeAlias = Callable[[Float32Array, Float32Array, Float32Array], Float32Array]
"""``field(u, v, shape)``, all of them ``[figure, height, width]`` or broadcast to it."""

# Normals of the sides, as literals: the sine of the machine may differ in its last bit.
_TRIANGLE = ((0.0, 1.0), (-0.8660254, -0.5), (0.8660254, -0.5))
_PENTAGON = (
    (0.0, 1.0),
    (-0.95105652, 0.30901699),
    (-0.58778525, -0.80901699),
    (0.58778525, -0.80901699),
    (0.95105652, 0.30901699),
)


def _length(u: Float32Array, v: Float32Array) -> Float32Array:
    length: Float32Array = np.sqrt(u * u + v * v)
    return length


def _turns(u: Float32Array, v: Float32Array) -> Float32Array:
    """Return the angle in turns, within ±1/2, to 0.001: a quadratic in place of the arctangent."""
    small, large = np.minimum(abs(u), abs(v)), np.maximum(abs(u), abs(v))
    ratio = small / np.maximum(large, np.float32(1e-6))
    eighth = ratio * (np.float32(0.1685) - np.float32(0.0435) * ratio)
    quarter = np.where(abs(v) > abs(u), np.float32(0.25) - eighth, eighth)
    half = np.where(u < 0, np.float32(0.5) - quarter, quarter)
    turns: Float32Array = np.where(v < 0, -half, half)
    return turns


def _bands(x: Float32Array, per_unit: Float32Array) -> Float32Array:
    """Return the field of bands of equal width and distance, ``per_unit`` of them."""
    phase = x * per_unit
    return (abs(phase - np.floor(phase) - np.float32(0.5)) - np.float32(0.25)) / per_unit


def _disc(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return _length(u, v) - (0.75 + 0.1 * shape)


def _ring(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return abs(_length(u, v) - 0.7) - (0.12 + 0.12 * shape)


def _triangle(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    sides = (u * x + v * y for x, y in _TRIANGLE)
    return reduce(np.maximum, sides) - (0.48 + 0.06 * shape)


def _square(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return np.maximum(abs(u), abs(v)) - (0.65 + 0.1 * shape)


def _star(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    """Five points: inside of at least four of five sides."""
    sides = [u * x + v * y for x, y in _PENTAGON]
    second_largest = reduce(np.maximum, (np.minimum(a, b) for a, b in combinations(sides, 2)))
    return second_largest - (0.29 + 0.05 * shape)


def _cross(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    x, y, width = abs(u), abs(v), 0.16 + 0.12 * shape
    length = np.float32(0.95)
    bars = (np.maximum(x - length, y - width), np.maximum(x - width, y - length))
    return np.minimum(*bars)


def _stripes(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    return np.maximum(_length(u, v) - np.float32(0.9), _bands(u, 1.3 + 0.7 * shape))


def _checkerboard(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    per_unit = 1.0 + 0.6 * shape
    columns, rows = _bands(u, per_unit), _bands(v, per_unit)
    either_or = np.maximum(np.minimum(columns, rows), -np.maximum(columns, rows))
    return np.maximum(_length(u, v) - np.float32(0.9), either_or)


def _spiral(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    radius, per_unit = _length(u, v), 1.3 + 0.5 * shape
    winding = np.where(shape * 16 % 2 < 1, _turns(u, v), -_turns(u, v))
    return np.maximum(radius - np.float32(0.95), _bands(radius + winding / per_unit, per_unit))


def _pair(u: Float32Array, v: Float32Array, shape: Float32Array) -> Float32Array:
    small = 0.3 + 0.1 * shape
    left, right = _length(u - 0.52, v) - small, _length(u + 0.52, v) - (0.72 - small)
    return np.minimum(left, right)


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
