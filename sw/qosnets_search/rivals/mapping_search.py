"""What methods share that choose a multiplier, a *mode*, for every weight."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

from ..quantised.mapped import LayerArithmetic, MappedTables
from .evaluations import Accuracies, BudgetSpentError, Evaluations, Key, Request
from .problem import Multiplier, RivalLayer, RivalPoint, mean, relative_power

__all__ = [
    "Choice",
    "MappingSearch",
    "Margin",
    "ModeMapping",
    "largest_passing",
    "mean_margin",
    "points_within",
]

Choice: TypeAlias = npt.NDArray[np.uint8]
"""Mode of each weight of a layer, ``[O, K]``."""

Margin: TypeAlias = Callable[[Accuracies], float]
"""By how much accuracies keep what is asked of them; negative where they do not."""

ROUNDING = 1e-9
"""What sums of accuracies may be off: less than one image of a sample."""


@dataclass(frozen=True, eq=False)
class ModeMapping:
    """The mode of every weight of a network."""

    modes: tuple[Multiplier, ...]
    choices: tuple[Choice, ...]
    """Of each layer."""

    @cached_property
    def arithmetics(self) -> tuple[LayerArithmetic, ...]:
        """What each layer multiplies with."""
        return tuple(self._arithmetic(choice) for choice in self.choices)

    def _arithmetic(self, choice: Choice) -> LayerArithmetic:
        first = int(choice.flat[0])
        if (choice == first).all():
            return self.modes[first].table
        return MappedTables(tuple(mode.table for mode in self.modes), choice)

    @property
    def layer_powers(self) -> list[float]:
        """Mean relative power over the weights of each layer."""
        powers = [mode.relative_power for mode in self.modes]
        shares = [
            np.bincount(choice.ravel(), minlength=len(powers)) / choice.size
            for choice in self.choices
        ]
        return [float(share @ powers) for share in shares]

    @property
    def layer_circuits(self) -> list[tuple[str, ...]]:
        """Names of the modes that each layer uses."""
        return [tuple(self.modes[index].name for index in np.unique(c)) for c in self.choices]


class MappingSearch:
    """The mappings that a method has tried.

    Parameters
    ----------
    layers
        Of the network.
    realise
        Makes the mapping that a key names.
    evaluations
        Of this method.
    corrects_means
        Whether evaluations take off mean errors.
    """

    def __init__(
        self,
        layers: Sequence[RivalLayer],
        realise: Callable[[Key], ModeMapping],
        evaluations: Evaluations,
        *,
        corrects_means: bool,
    ) -> None:
        self.layers = layers
        self.evaluations = evaluations
        self.corrects_means = corrects_means
        self._realise = realise
        self._powers: dict[Key, float] = {}

    def accuracies(self, key: Key) -> Accuracies:
        """Return the accuracies of a mapping; raises BudgetSpentError if it may not be tried."""
        return self.evaluations.accuracies(
            key, lambda: Request(self._realise(key).arithmetics, self.corrects_means)
        )

    def power(self, key: Key) -> float:
        """Return the relative power of a mapping, whether it was tried or not."""
        if key not in self._powers:
            self._powers[key] = relative_power(self.layers, self._realise(key).layer_powers)
        return self._powers[key]

    def cheapest(self, margin: Margin, fallback: Key) -> Key:
        """Return the mapping of least power, of those tried with a margin of at least 0.

        Of equal ones the most accurate; ``fallback`` if there is none.
        """
        passing = [
            (self.power(key), -mean(found), key)
            for key, found in self.evaluations.asked.items()
            if margin(found) >= 0
        ]
        return min(passing)[2] if passing else fallback

    def point(self, key: Key, label: str) -> RivalPoint:
        """Return a mapping that was tried as a result."""
        mapping = self._realise(key)
        return RivalPoint(
            label=label,
            arithmetics=mapping.arithmetics,
            relative_power=self.power(key),
            accuracy_on_sample=mean(self.evaluations.asked[key]),
            layer_powers=tuple(mapping.layer_powers),
            layer_circuits=tuple(mapping.layer_circuits),
            corrects_means=self.corrects_means,
        )


def points_within(
    limits: Sequence[float],
    search: MappingSearch,
    *,
    exact: Key,
    margin_for: Callable[[float, Accuracies], Margin],
    explore: Callable[[Margin], None],
    label: str,
) -> list[RivalPoint]:
    """Return a point for each limit: the mapping of least power that was found to keep it.

    Every limit may use its share of the budget, and what those before it left. A point may be
    a mapping that was tried for another limit.

    Parameters
    ----------
    limits
        Largest drops of the accuracy, 0..1.
    search
        The mappings tried.
    exact
        Key of the mapping with the exact mode only, from which drops count.
    margin_for
        Returns the margin for a limit and the accuracies of ``exact``.
    explore
        Tries mappings; may end by BudgetSpentError.
    label
        Of the method.

    Raises
    ------
    InputError
        If a limit is negative.
    """
    for limit in limits:
        if limit < 0:
            raise InputError(f"{label}: an accuracy drop must be at least 0, not {limit}")
    baseline = search.accuracies(exact)
    budget, points = search.evaluations.budget, []
    for number, limit in enumerate(limits, start=1):
        search.evaluations.allowance = budget * number // len(limits)
        margin = margin_for(limit, baseline)
        with contextlib.suppress(BudgetSpentError):
            explore(margin)
        points.append(search.point(search.cheapest(margin, exact), label))
    return points


def mean_margin(limit: float, baseline: Accuracies) -> Margin:
    """Return the margin of a limit on the drop of the accuracy over all batches."""
    return lambda found: mean(found) - mean(baseline) + limit + ROUNDING


def largest_passing(n: int, passes: Callable[[int], bool]) -> int:
    """Return the largest of 0..n that passes, by bisection; 0 is taken to pass.

    Where passing is not monotone, one that passes.
    """
    low, high = 0, n
    while low < high:
        middle = (low + high + 1) // 2
        if passes(middle):
            low = middle
        else:
            high = middle - 1
    return low
