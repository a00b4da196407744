"""What the runs of a comparison say together: over seeds, of one method against another.

Losses of accuracy are in percentage points, against the network with the exact multiplier of the
same seed. A *series* is a method with one way to adapt the network: the outcomes of a row of the
table.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..adaptation import Adaptation
from ..recipe import Recipe
from ..selection.error_model import ErrorModel
from .outcome import MethodResult, RunResult

__all__ = [
    "ALL_POINTS",
    "OURS",
    "Domination",
    "ErrorSummary",
    "Extremes",
    "GapSummary",
    "PointSummary",
    "Recovery",
    "SeriesSummary",
    "Statistic",
    "Summary",
    "summarise",
]

OURS = "qosnets-"
"""How the names of our own methods begin."""

EQUAL = 1e-9
"""Figures that differ by no more are equal: what is left of different orders of summation."""

ALL_POINTS = "all"
"""Stands for an operating point where a figure is that of all together."""

_RECOVERING = (Adaptation.CLOSED_FORM, Adaptation.TUNING)

Float: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Statistic:
    """A figure over the seeds."""

    mean: float
    spread: float | None
    """Sample standard deviation; None with one seed."""


@dataclass(frozen=True)
class Extremes:
    """A figure over the seeds, and that of the seed where it is worst."""

    mean: float
    worst: float


@dataclass(frozen=True)
class PointSummary:
    """An operating point."""

    point: str
    relative_power: Statistic
    padded_power: Statistic
    """As ALWANN's authors count multiplications."""
    accuracy: Statistic
    """0..1."""
    loss_pp: Statistic
    """Percentage points, negative for a gain."""


@dataclass(frozen=True)
class SeriesSummary:
    """A method with one way to adapt the network."""

    method: str
    adaptation: str
    shares_weights: bool
    """Whether all operating points have the same weights."""
    mean_circuits: float
    """Different circuits over all operating points."""
    max_circuits: int
    n_parameters: int
    """Of the network with all operating points."""
    limits: tuple[float, ...]
    """Accuracy drops, as shares, that the points stand for; empty where they are operating
    points."""
    points: tuple[PointSummary, ...]


@dataclass(frozen=True)
class Domination:
    """An outcome of another method that dominates an operating point of ours.

    It needs no more power and loses no more accuracy, and is better in one of the two; its weights
    are shared by all its operating points, which have no more circuits than ours may have.
    """

    point: str
    """Of ours."""
    method: str
    adaptation: str
    by_point: str
    seeds: tuple[int, ...]
    """In whose runs it does so."""
    in_mean: bool
    """Whether it does so by its mean power and loss, with at most that many circuits in any run."""


@dataclass(frozen=True)
class Recovery:
    """What an adaptation recovers of the accuracy that full retraining recovers.

    ``(accuracy − that of no adaptation) / (that of retraining − that of no adaptation)``, None
    where retraining recovers nothing.
    """

    method: str
    adaptation: str
    point: str
    """Or :data:`ALL_POINTS`: from the mean accuracy over the operating points."""
    by_seed: tuple[float | None, ...]
    of_means: float | None
    """From the mean accuracies over the seeds."""
    retraining_pp: float
    """Mean of what retraining recovers, percentage points."""


@dataclass(frozen=True)
class GapSummary:
    """How far k-means is from the exact optimum: see :class:`..selection.optimum.OptimalityGap`."""

    power: Extremes
    max_power: Extremes
    loss: Extremes
    max_loss: Extremes


@dataclass(frozen=True)
class ErrorSummary:
    """How well an error model predicts: see :class:`..selection.validation.Agreement`.

    The worst rank correlation is the lowest, the worst ratio the one farthest from 1. None where
    too few errors were measured.
    """

    model: str
    n_pairs: int
    """Pairs of layer and multiplier, in the run with the fewest."""
    spearman: Extremes | None
    low_ratio: Extremes | None
    median_ratio: Extremes | None
    high_ratio: Extremes | None


@dataclass(frozen=True)
class Summary:
    """All that is printed of a comparison."""

    seeds: tuple[int, ...]
    ours: str
    """The method whose operating points with tuning are held against all others."""
    n_multipliers: int
    """Most circuits that it may use."""
    float_accuracy: Statistic
    """0..1."""
    baseline_accuracy: Statistic
    """0..1, with the exact multiplier."""
    n_parameters: int
    """Of the network with one operating point."""
    series: tuple[SeriesSummary, ...]
    dominations: tuple[Domination, ...]
    recoveries: tuple[Recovery, ...]
    gap: GapSummary
    errors: tuple[ErrorSummary, ...]


@dataclass(frozen=True, eq=False)
class _Series:
    """The figures of a method with one adaptation, arrays ``[point, run]``."""

    adaptation: str
    results: Sequence[MethodResult]
    """One per run."""
    points: tuple[str, ...]
    power: Float
    padded_power: Float
    accuracy: Float
    loss_pp: Float

    @property
    def method(self) -> str:
        return self.results[0].method

    @property
    def shares_weights(self) -> bool:
        return self.results[0].shares_weights[self.adaptation]


def summarise(runs: Sequence[RunResult], recipe: Recipe) -> Summary:
    """Summarise runs of the same methods that differ in their seed.

    Parameters
    ----------
    runs
        At least one.
    recipe
        Says which method is ours, by its selector, and how many multipliers that may use.
    """
    series = [
        _series(results, adaptation, runs)
        for results in zip(*(run.methods for run in runs), strict=True)
        for adaptation in results[0].n_parameters
    ]
    ours = f"{OURS}{recipe.selector.value}"
    return Summary(
        seeds=tuple(run.seed for run in runs),
        ours=ours,
        n_multipliers=recipe.n_multipliers,
        float_accuracy=_statistic([run.float_accuracy for run in runs]),
        baseline_accuracy=_statistic([run.baseline_accuracy for run in runs]),
        n_parameters=runs[0].n_parameters,
        series=tuple(map(_series_summary, series)),
        dominations=tuple(_dominations(series, ours, recipe.n_multipliers, runs)),
        recoveries=tuple(_recoveries(series)),
        gap=GapSummary(**{item.name: _gap(runs, item.name) for item in fields(GapSummary)}),
        errors=tuple(_error_summary(runs, model.value) for model in ErrorModel),
    )


def _series(results: Sequence[MethodResult], adaptation: str, runs: Sequence[RunResult]) -> _Series:
    outcomes = [
        [outcome for outcome in result.outcomes if outcome.adaptation == adaptation]
        for result in results
    ]

    def figures(name: str) -> Float:
        return np.array([[getattr(item, name) for item in row] for row in outcomes]).T

    accuracy = figures("accuracy")
    baseline = np.array([run.baseline_accuracy for run in runs])
    return _Series(
        adaptation=adaptation,
        results=results,
        points=tuple(outcome.point for outcome in outcomes[0]),
        power=figures("relative_power"),
        padded_power=figures("padded_power"),
        accuracy=accuracy,
        loss_pp=100 * (baseline - accuracy),
    )


def _statistic(values: Sequence[float]) -> Statistic:
    spread = statistics.stdev(values) if len(values) > 1 else None
    return Statistic(statistics.fmean(values), spread)


def _series_summary(series: _Series) -> SeriesSummary:
    circuits = [result.n_circuits for result in series.results]
    first = series.results[0]
    return SeriesSummary(
        method=series.method,
        adaptation=series.adaptation,
        shares_weights=series.shares_weights,
        mean_circuits=statistics.fmean(circuits),
        max_circuits=max(circuits),
        n_parameters=first.n_parameters[series.adaptation],
        limits=tuple(first.figures.get("limits", ())),
        points=tuple(
            PointSummary(
                point=point,
                relative_power=_statistic(series.power[index].tolist()),
                padded_power=_statistic(series.padded_power[index].tolist()),
                accuracy=_statistic(series.accuracy[index].tolist()),
                loss_pp=_statistic(series.loss_pp[index].tolist()),
            )
            for index, point in enumerate(series.points)
        ),
    )


def _dominations(
    series: Sequence[_Series], ours: str, n_circuits: int, runs: Sequence[RunResult]
) -> Iterator[Domination]:
    mine = next((s for s in series if (s.method, s.adaptation) == (ours, Adaptation.TUNING)), None)
    if mine is None:
        return
    others = [item for item in series if not item.method.startswith(OURS) and item.shares_weights]
    places = [(other, place) for other in others for place in range(len(other.points))]
    for own_place, point in enumerate(mine.points):
        for other, place in places:
            allowed = [result.n_circuits <= n_circuits for result in other.results]
            found = _dominates(other, place, mine, own_place)
            seeds = [
                run.seed
                for run, wins, may in zip(runs, found[:-1], allowed, strict=True)
                if wins and may
            ]
            in_mean = found[-1] and all(allowed)
            if seeds or in_mean:
                by = (other.method, other.adaptation, other.points[place])
                yield Domination(point, *by, seeds=tuple(seeds), in_mean=in_mean)


def _dominates(other: _Series, place: int, mine: _Series, own_place: int) -> list[bool]:
    """Return whether a point of ``other`` dominates one of ours: in each run, then in the mean."""
    excess = np.stack(
        [
            other.power[place] - mine.power[own_place],
            other.loss_pp[place] - mine.loss_pp[own_place],
        ],
        axis=1,
    )
    excess = np.vstack([excess, excess.mean(axis=0)])
    return [max(pair) <= EQUAL and min(pair) < -EQUAL for pair in excess.tolist()]


def _recoveries(series: Sequence[_Series]) -> Iterator[Recovery]:
    by_name = {(item.method, item.adaptation): item for item in series}
    for (method, adaptation), item in by_name.items():
        if method.startswith(OURS) and adaptation in _RECOVERING:
            none = by_name[method, Adaptation.NONE].accuracy
            gained = item.accuracy - none
            possible = by_name[method, Adaptation.RETRAINING].accuracy - none
            rows = zip(item.points, gained, possible, strict=True)
            for point, some, full in (*rows, (ALL_POINTS, gained.mean(0), possible.mean(0))):
                yield Recovery(
                    method=method,
                    adaptation=adaptation,
                    point=point,
                    by_seed=tuple(map(_share, some.tolist(), full.tolist())),
                    of_means=_share(float(some.mean()), float(full.mean())),
                    retraining_pp=100 * float(full.mean()),
                )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > EQUAL else None


def _gap(runs: Sequence[RunResult], name: str) -> Extremes:
    values = [float(run.gaps[name]) for run in runs]
    return Extremes(statistics.fmean(values), max(values))


def _error_summary(runs: Sequence[RunResult], model: str) -> ErrorSummary:
    agreements = [run.errors["agreement"][model] for run in runs]

    def extremes(name: str, badness: Callable[[float], float]) -> Extremes | None:
        values = [item[name] for item in agreements if item[name] is not None]
        return Extremes(statistics.fmean(values), max(values, key=badness)) if values else None

    return ErrorSummary(
        model=model,
        n_pairs=min(item["n_pairs"] for item in agreements),
        spearman=extremes("spearman", lambda value: -value),
        low_ratio=extremes("low_ratio", _distance_from_1),
        median_ratio=extremes("median_ratio", _distance_from_1),
        high_ratio=extremes("high_ratio", _distance_from_1),
    )


def _distance_from_1(ratio: float) -> float:
    return abs(math.log(ratio)) if ratio > 0 else math.inf
