"""What a choice of multipliers is made from, and what every choice has to answer.

A multiplier's error in a layer is a standard deviation relative to what the layer tolerates. Its
*ratio* at an operating point divides that by the point's scale: at most 1 is accurate enough.

**Predicted loss.** The search for tolerances minimises CE − λ·Σ_l (c_l/C)·σ_l, where c_l of the C
multiplications are in layer l. Where σ_l is not saturated, ∂CE/∂σ_l = λ·c_l/C at its optimum. With
small independent disturbances CE grows by Σ_l k_l·σ_l², hence k_l = λ·c_l / (2·C·σ_l), and noise
of r_l·σ_l in each layer costs λ/2·Σ_l (c_l/C)·σ_l·r_l². The *relative loss* of an assignment at a
point of scale s compares that with the cost of r_l = s, every layer just at its threshold::

    relative loss = Σ_l w_l·(r_l/s)² / Σ_l w_l        w_l = c_l·σ_l

It weighs layers against each other, which thresholds for each layer cannot. A saturated layer
tolerates more than its σ says; the formula then overestimates its loss.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

__all__ = [
    "Bool",
    "Float",
    "Int",
    "Selection",
    "SelectionProblem",
    "n_distinct",
    "relative_loss",
    "relative_power",
]

Bool: TypeAlias = npt.NDArray[np.bool_]
Float: TypeAlias = npt.NDArray[np.float64]
Int: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SelectionProblem:
    """Which of many multipliers serve which layer at which operating point?

    Raises
    ------
    InputError
        If shapes differ, a value is out of range, or no layer tolerates an error while no
        multiplier is exact in all of them.
    """

    relative_errors: Float
    """σ_e/T, ``[layer, multiplier]``: error of a multiplier relative to the threshold of a layer.

    At least 0 and finite; a layer that tolerates nothing (T = 0) has 0 for a multiplier that is
    exact there, +inf for any other.
    """
    relative_power: Float
    """P, ``[multiplier]``, finite, at least 0."""
    multiplications: Int
    """c_l, ``[layer]``, for one image, positive."""
    tolerances: Float
    """σ_l, ``[layer]``: tolerated noise relative to the spread of the output, at least 0."""
    scales: tuple[float, ...]
    """One per operating point, positive, ascending: thresholds are multiplied by it."""
    n_multipliers: int
    """Largest number of different multipliers, at least 1."""
    seed: int
    """Of a method that draws, at least 0."""

    def __post_init__(self) -> None:
        errors = self.relative_errors
        if errors.ndim != 2 or not errors.size:
            shape = list(errors.shape)
            raise InputError(
                f"selection: relative errors: must be [layer, multiplier], not {shape}"
            )
        n_layers, n_candidates = errors.shape
        _check_vector("relative power", self.relative_power, n_candidates)
        _check_vector("multiplications", self.multiplications, n_layers)
        _check_vector("tolerances", self.tolerances, n_layers)
        if not (self.multiplications > 0).all():
            raise InputError(
                f"selection: multiplications: must be positive, not {self.multiplications.min()}"
            )
        if not (errors >= 0).all():
            raise InputError(
                f"selection: relative errors: must be at least 0, not {_first(errors, errors < 0)}"
            )
        rigid = np.isinf(errors).any(axis=1) | (self.tolerances == 0)
        mixed = rigid[:, None] & np.isfinite(errors) & (errors != 0)
        if mixed.any():
            layer = int(np.flatnonzero(mixed.any(axis=1))[0])
            raise InputError(
                f"selection: relative errors of layer {layer}: must be 0 or inf where"
                f" another one is inf or the tolerance 0, not {errors[mixed][0]}"
            )
        if not self.tolerant.any() and (errors[:, self.safest] > 0).any():
            raise InputError(
                "selection: tolerances: must be positive somewhere,"
                " or a multiplier exact in all layers, not neither"
            )
        if not self.scales:
            raise InputError("selection: scales: must have at least 1 entry, not 0")
        scales = np.array(self.scales, np.float64)
        if not (np.isfinite(scales) & (scales > 0)).all() or (np.diff(scales) <= 0).any():
            raise InputError(
                f"selection: scales: must be positive and ascending, not {list(self.scales)}"
            )
        for name, value, low in (
            ("n_multipliers", self.n_multipliers, 1),
            ("seed", self.seed, 0),
        ):
            if value < low:
                raise InputError(f"selection: {name}: must be at least {low}, not {value}")

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.relative_errors)

    @property
    def n_points(self) -> int:
        """Number of operating points."""
        return len(self.scales)

    @property
    def n_candidates(self) -> int:
        """Number of multipliers to choose from."""
        return len(self.relative_power)

    @cached_property
    def tolerant(self) -> Bool:
        """Whether a layer tolerates any error, ``[layer]``."""
        return np.isfinite(self.relative_errors).all(axis=1) & (self.tolerances > 0)

    @cached_property
    def safest(self) -> int:
        """The multiplier of every layer that tolerates no error.

        Of those exact in all such layers, or of all if there is none, the one with the smallest
        sum of relative errors over the other layers; of equal ones that of least power.
        """
        exact = (self.relative_errors[~self.tolerant] == 0).all(axis=0)
        errors = self.relative_errors[self.tolerant].sum(axis=0)
        return int(np.lexsort((self.relative_power, errors, ~exact))[0])

    @cached_property
    def ratios(self) -> Float:
        """Error over scaled threshold, ``[point, layer, multiplier]``."""
        ratios: Float = self.relative_errors / np.array(self.scales)[:, None, None]
        return ratios

    @cached_property
    def shares(self) -> Float:
        """c_l/C, ``[layer]``, sum 1."""
        shares: Float = self.multiplications / self.multiplications.sum()
        return shares

    @cached_property
    def loss_weights(self) -> Float:
        """w_l of the relative loss, ``[layer]``, sum 1; 0 where nothing is tolerated."""
        weights = np.where(self.tolerant, self.shares * self.tolerances, 0.0)
        return weights / weights.sum() if self.tolerant.any() else weights


@dataclass(frozen=True, eq=False)
class Selection:
    """The multipliers of all layers at all operating points."""

    members: Int
    """Index of a multiplier, ``[point, layer]``."""
    notes: tuple[str, ...] = ()
    """What a user should know: every fallback that was taken."""


def relative_power(problem: SelectionProblem, members: Int) -> Float:
    """Return Σ_l (c_l/C)·P of each row of multipliers ``members [point, layer]``, ``[point]``."""
    counts = problem.multiplications
    power: Float = problem.relative_power[members] @ counts / counts.sum()
    return power


def relative_loss(problem: SelectionProblem, members: Int) -> Float:
    """Return the relative loss of ``members [point, layer]`` at each point, ``[point]``.

    1 is what all layers cost at their thresholds. Layers that tolerate nothing are left out.
    """
    layers = np.flatnonzero(problem.tolerant)
    ratios = problem.ratios[np.arange(problem.n_points)[:, None], layers, members[:, layers]]
    loss: Float = ratios**2 @ problem.loss_weights[layers]
    return loss


def n_distinct(members: Int) -> int:
    """Return how many different multipliers an assignment uses."""
    return len(np.unique(members))


def _check_vector(name: str, values: Float | Int, length: int) -> None:
    if values.shape != (length,):
        raise InputError(f"selection: {name}: must be [{length}], not {list(values.shape)}")
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise InputError(f"selection: {name}: must be finite and at least 0, not {values[bad][0]}")


def _first(values: Float, negative: Bool) -> float:
    bad = values[negative | np.isnan(values)]
    return float(bad[0])
