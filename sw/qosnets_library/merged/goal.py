"""What is asked of the modes of a merged multiplier."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from qosnets.errors import InputError

from ..operands import UNIFORM, Operands
from .masks import MAX_MODES
from .moments import ErrorMoments

__all__ = ["Demand", "ErrorCriterion", "MaskGoal", "mse_goal"]


class ErrorCriterion(StrEnum):
    """Which error is bounded, and hence what the constant is for."""

    MSE = "mse"
    """Mean square. The constant makes up for the mean of what is left out."""
    VARIANCE = "variance"
    """Variance: the mean error is a matter of the layer's bias. There is no constant, so a product
    with 0 stays 0."""


@dataclass(frozen=True)
class Demand:
    """A bound of the error of one product, for one distribution of operands: that of a layer."""

    max_error: float
    """Largest mean square or variance, positive. For a layer that sums K products and tolerates
    the standard deviation T in an accumulator, T²/K."""
    operands: Operands = UNIFORM
    weight: float = 1.0
    """Multiplications, in any unit, positive: how much power in this mode matters."""

    def __post_init__(self) -> None:
        if not self.max_error > 0:
            raise InputError(
                "merged multiplier: error bound: must be positive, mode 0 being exact,"
                f" not {self.max_error:g}"
            )
        if not self.weight > 0:
            raise InputError(f"merged multiplier: weight: must be positive, not {self.weight:g}")

    @cached_property
    def moments(self) -> ErrorMoments:
        """Moments of the operands."""
        return ErrorMoments.of(self.operands)


@dataclass(frozen=True)
class MaskGoal:
    """The demands on each approximate mode, finest first; the exact mode comes on top.

    Raises
    ------
    InputError
        If there are too many modes, a mode without demands, or a bound below that of the mode
        before for the same operands.
    """

    modes: tuple[tuple[Demand, ...], ...]
    criterion: ErrorCriterion = ErrorCriterion.MSE
    exact_weight: float = 1.0
    """Multiplications in the exact mode, in the unit of the demands' weights, at least 0."""
    row_pairs: bool = False
    """Let bits 2i and 2i + 1 of A have equal masks: at most 4 masked products make a mode."""

    @property
    def mode_weights(self) -> tuple[float, ...]:
        """Multiplications in each mode, the exact one first."""
        demanded = (sum(demand.weight for demand in demands) for demands in self.modes)
        return (self.exact_weight, *demanded)

    def __post_init__(self) -> None:
        if not self.exact_weight >= 0:
            raise InputError(
                f"merged multiplier: exact weight: must be at least 0, not {self.exact_weight:g}"
            )
        if not 1 <= len(self.modes) < MAX_MODES:
            raise InputError(
                f"merged multiplier: modes beside the exact one: must be 1..{MAX_MODES - 1},"
                f" as many as the select can code, not {len(self.modes)}"
            )
        largest: dict[str, float] = {}
        for number, demands in enumerate(self.modes, 1):
            if not demands:
                raise InputError(f"merged multiplier: mode {number}: must have a demand, not none")
            for demand in demands:
                before = largest.get(demand.operands.sha256, 0.0)
                if demand.max_error < before:
                    raise InputError(
                        f"merged multiplier: error bounds: must rise from mode to mode; that of"
                        f" mode {number} must be at least {before:g}, not {demand.max_error:g}"
                    )
            for demand in demands:
                key = demand.operands.sha256
                largest[key] = max(largest.get(key, 0.0), demand.max_error)


def mse_goal(
    bounds: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    operands: Operands = UNIFORM,
    row_pairs: bool = False,
) -> MaskGoal:
    """Return the goal of modes with bounds of the mean squared error, strictly rising.

    ``weights`` are those of the approximate modes; None: 1 each, as the exact mode has.

    Raises
    ------
    InputError
        If the bounds do not rise, or one is not positive.
    """
    for finer, coarser in pairwise(bounds):
        if not coarser > finer:
            raise InputError(
                f"merged multiplier: error bounds: must rise from mode to mode, not {finer:g},"
                f" {coarser:g}"
            )
    weights = [1.0] * len(bounds) if weights is None else weights
    modes = tuple(
        (Demand(bound, operands, weight),) for bound, weight in zip(bounds, weights, strict=True)
    )
    return MaskGoal(modes, ErrorCriterion.MSE, row_pairs=row_pairs)
