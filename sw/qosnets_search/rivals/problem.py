"""What the methods are given, and what they return."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError
from qosnets.lut import Lut, exact_lut

from ..quantised.mapped import LayerArithmetic
from .evaluations import Accuracies

__all__ = [
    "Multiplier",
    "RivalLayer",
    "RivalPoint",
    "cheapest_exact",
    "error_std",
    "mean",
    "relative_power",
    "useful_multipliers",
]

Codes: TypeAlias = npt.NDArray[np.uint8]
Float: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Multiplier:
    """A multiplier on offer."""

    name: str
    table: Lut
    """``M[x, w]``."""
    relative_power: float


@dataclass(frozen=True, eq=False)
class RivalLayer:
    """A multiplying layer of the network."""

    multiplications: int
    """For one image."""
    weights: Codes
    """Codes, uint8 ``[O, K]``; each is used once for every output position."""
    activation_histogram: Float | None = None
    """How often each activation code occurs, ``[256]``; None: all alike."""


@dataclass(frozen=True, eq=False)
class RivalPoint:
    """A network that a method found."""

    label: str
    arithmetics: tuple[LayerArithmetic, ...]
    """Of each layer."""
    relative_power: float
    """Σ c_l/C · P, c_l the multiplications of layer l and P the mean over its weights."""
    accuracy_on_sample: float
    """0..1, on the images that the search saw."""
    layer_powers: tuple[float, ...]
    """Mean relative power over the weights of each layer."""
    layer_circuits: tuple[tuple[str, ...], ...]
    """Names of the multipliers that each layer uses."""
    corrects_means: bool = False
    """Whether it was evaluated with constants that take off mean errors."""

    @property
    def circuits(self) -> tuple[str, ...]:
        """Names of the multipliers in use, in order of their first use."""
        return tuple(dict.fromkeys(chain.from_iterable(self.layer_circuits)))


def relative_power(layers: Sequence[RivalLayer], powers: Sequence[float]) -> float:
    """Return ``Σ c_l/C · P_l`` for the power of each layer's multipliers."""
    weighted = [layer.multiplications * p for layer, p in zip(layers, powers, strict=True)]
    return math.fsum(weighted) / sum(layer.multiplications for layer in layers)


def mean(accuracies: Accuracies) -> float:
    """Return the accuracy on all batches."""
    return math.fsum(accuracies) / len(accuracies)


def error_std(table: Lut) -> float:
    """Return the standard deviation of a table's error over all pairs of codes."""
    return float(np.std(table.astype(np.int64) - exact_lut()))


def cheapest_exact(multipliers: Sequence[Multiplier]) -> Multiplier:
    """Return the exact multiplier of least power.

    Raises
    ------
    InputError
        If there is none.
    """
    exact = [item for item in multipliers if np.array_equal(item.table, exact_lut())]
    if not exact:
        raise InputError("multipliers: one must be exact, none is")
    return min(exact, key=lambda item: item.relative_power)


def useful_multipliers(multipliers: Sequence[Multiplier]) -> list[Multiplier]:
    """Return those that no other one beats in both power and error spread, by falling power."""
    best = math.inf
    found = []
    for item in sorted(multipliers, key=lambda item: (item.relative_power, error_std(item.table))):
        if error_std(item.table) < best:
            best = error_std(item.table)
            found.append(item)
    return found[::-1]
