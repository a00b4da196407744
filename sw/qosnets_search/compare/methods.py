"""The methods of the comparison, by name."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from qosnets.errors import InputError

from ..adaptation import Adaptation
from ..overhead import parameter_count
from ..rivals import alwann, lvrm, pnam, tpm
from ..rivals.forced import forced_pairs
from ..rivals.padded_count import padded_power
from ..rivals.problem import RivalPoint, cheapest_exact
from ..selection.matching import homogeneous, unconstrained
from ..selection.problem import Selection, n_distinct
from ..selection.selectors import Selector, select
from .contest import Contest
from .outcome import MethodResult, Outcome

__all__ = ["METHODS", "Method", "named_methods", "run_method"]

ALL = (Adaptation.NONE, Adaptation.CLOSED_FORM, Adaptation.TUNING, Adaptation.RETRAINING)
WEIGHT_TUNING = "weight-tuning"
"""ALWANN's replacement of weights, which trains nothing."""


@dataclass(frozen=True)
class _Found:
    """What a method returns."""

    outcomes: list[Outcome]
    n_circuits: int
    figures: dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A method of the comparison."""

    title: str
    """For tables."""
    run: Callable[[Contest, Callable[[int, int], None]], _Found]
    """Called with the contest and what progress is reported to."""


def run_method(name: str, contest: Contest) -> MethodResult:
    """Run a method, or take its results from the checkpoints of the run."""
    session = contest.session

    def compute() -> dict[str, Any]:
        start = time.monotonic()
        found = METHODS[name].run(contest, session.report(name))
        adaptations = list(dict.fromkeys(outcome.adaptation for outcome in found.outcomes))
        result = MethodResult(
            method=name,
            n_circuits=found.n_circuits,
            n_parameters={how: _n_parameters(contest, how) for how in adaptations},
            shares_weights={how: _shares_weights(how) for how in adaptations},
            outcomes=found.outcomes,
            # Of this process; what an interrupted one did is not in it.
            seconds=time.monotonic() - start,
            figures=found.figures,
        )
        return asdict(result)

    kept = session.checkpoints.stage(f"method {name}", compute)
    return MethodResult(**kept | {"outcomes": [Outcome(**item) for item in kept["outcomes"]]})


def named_methods(names: Sequence[str]) -> list[str]:
    """Return ``names``, each known and given once.

    Raises
    ------
    InputError
        If one is unknown.
    """
    for name in names:
        if name not in METHODS:
            raise InputError(f"--methods: must be of {', '.join(METHODS)}, not {name!r}")
    return list(dict.fromkeys(names))


def _shares_weights(adaptation: str) -> bool:
    return adaptation not in (Adaptation.RETRAINING, WEIGHT_TUNING)


def _n_parameters(contest: Contest, adaptation: str) -> int:
    """Return the parameters of the network with all operating points."""
    n_points = len(contest.session.recipe.scales)
    count = parameter_count(contest.prepared.network, n_points)
    if adaptation == Adaptation.NONE:
        return count.network
    if _shares_weights(adaptation):
        return count.network + count.batch_norm + count.biases
    return n_points * count.network


def _selected(
    method: str,
    choose: Callable[[Contest], Selection],
    adaptations: Sequence[Adaptation],
) -> Callable[[Contest, Callable[[int, int], None]], _Found]:
    """Return how a method runs that assigns a circuit to each layer at each operating point."""

    def run(contest: Contest, report: Callable[[int, int], None]) -> _Found:
        selection = choose(contest)
        outcomes = contest.outcomes(method, selection, adaptations)
        return _Found(outcomes, n_distinct(selection.members), {"notes": list(selection.notes)})

    return run


def _of_selector(selector: Selector) -> Callable[[Contest], Selection]:
    return lambda contest: select(contest.prepared.problem, selector)


def _homogeneous(contest: Contest) -> Selection:
    """Take, for each operating point, the circuit whose power is nearest to the selection's."""
    problem = contest.prepared.problem
    distances = np.abs(np.subtract.outer(contest.wanted_powers, problem.relative_power))
    return Selection(homogeneous(problem)[distances.argmin(axis=1)])


def _alwann(contest: Contest, report: Callable[[int, int], None]) -> _Found:
    recipe = contest.session.recipe
    front = alwann.search(
        contest.layers,
        contest.multipliers,
        contest.evaluations("alwann", report),
        n_tiles=recipe.n_multipliers,
        seed=recipe.seed,
        max_activation=contest.prepared.code_range.max_activation,
    )
    chosen = [_most_accurate(front, limit) for limit in contest.wanted_powers.tolist()]
    figures = {
        "front": [
            {"relative_power": point.relative_power, "accuracy_on_sample": point.accuracy_on_sample}
            for point in front
        ]
    }
    outcomes = _rival_outcomes(contest, chosen, WEIGHT_TUNING)
    return _Found(outcomes, max(len(point.circuits) for point in chosen), figures)


def _most_accurate(front: Sequence[RivalPoint], limit: float) -> RivalPoint:
    """Return the most accurate point of no more power than ``limit``; else that of least power."""
    affordable = [point for point in front if point.relative_power <= limit]
    if not affordable:
        return min(front, key=lambda point: point.relative_power)
    return max(affordable, key=lambda point: (point.accuracy_on_sample, -point.relative_power))


def _lvrm(contest: Contest, report: Callable[[int, int], None]) -> _Found:
    points = lvrm.search(
        contest.layers,
        lvrm.low_variance_modes(contest.multipliers),
        contest.evaluations("lvrm", report),
        limits=contest.effort.limits,
    )
    return _value_level(contest, points)


def _pnam(contest: Contest, report: Callable[[int, int], None]) -> _Found:
    candidates = contest.prepared.offer.candidates
    exact = cheapest_exact(contest.multipliers)
    index = [item.entry.name for item in candidates].index(exact.name)
    points = pnam.search(
        contest.layers,
        exact,
        forced_pairs(candidates[index].netlist, contest.liberty),
        contest.evaluations("pnam", report),
        limits=contest.effort.limits,
    )
    return _value_level(contest, points)


def _tpm(contest: Contest, report: Callable[[int, int], None]) -> _Found:
    points = tpm.search(
        contest.layers,
        contest.multipliers,
        contest.evaluations("tpm", report),
        limits=contest.effort.limits,
        seed=contest.session.recipe.seed,
    )
    return _value_level(contest, points)


def _value_level(contest: Contest, points: Sequence[RivalPoint]) -> _Found:
    adaptation = Adaptation.CLOSED_FORM if points[0].corrects_means else Adaptation.NONE
    figures = {"limits": list(contest.effort.limits)}
    used = {circuit for point in points for circuit in point.circuits}
    return _Found(_rival_outcomes(contest, points, adaptation.value), len(used), figures)


def _rival_outcomes(
    contest: Contest, points: Sequence[RivalPoint], adaptation: str
) -> list[Outcome]:
    """Evaluate what a rival found on the test images."""
    return [
        Outcome(
            adaptation=adaptation,
            point=f"o{number}",
            relative_power=point.relative_power,
            padded_power=padded_power(contest.geometries, point.layer_powers),
            accuracy=contest.test(point.arithmetics, corrects_means=point.corrects_means),
            circuits=["+".join(names) for names in point.layer_circuits],
        )
        for number, point in enumerate(points, start=1)
    ]


_TITLES = {
    Selector.KMEANS: "k-means",
    Selector.THRESHOLD_OPTIMUM: "threshold optimum",
    Selector.BUDGET_OPTIMUM: "budget optimum",
}

METHODS: Mapping[str, Method] = {
    "homogeneous": Method(
        "Homogeneous",
        _selected(
            "homogeneous",
            _homogeneous,
            (Adaptation.NONE, Adaptation.TUNING, Adaptation.RETRAINING),
        ),
    ),
    "gradient-search": Method(
        "Gradient search",
        _selected(
            "gradient-search",
            lambda contest: unconstrained(contest.prepared.problem),
            (Adaptation.TUNING, Adaptation.RETRAINING),
        ),
    ),
    "alwann": Method("ALWANN", _alwann),
    "lvrm": Method("LVRM", _lvrm),
    "pnam": Method("PNAM", _pnam),
    "tpm": Method("TPM", _tpm),
    **{
        f"qosnets-{selector.value}": Method(
            f"QoS-Nets, {_TITLES[selector]}",
            _selected(f"qosnets-{selector.value}", _of_selector(selector), ALL),
        )
        for selector in Selector
    },
}
