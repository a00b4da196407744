"""Choice of multipliers: cases solved by hand, and optima against enumeration."""

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qosnets.errors import CheckError, InputError
from qosnets_search.selection import n_subset, optimum
from qosnets_search.selection.kmeans import cluster, reweight
from qosnets_search.selection.matching import cheapest_admissible, homogeneous, unconstrained
from qosnets_search.selection.n_subset import Solution, SubsetProblem, solve
from qosnets_search.selection.optimum import (
    MAX_RATIO,
    budget_optimum,
    least_loss,
    optimality_gap,
    threshold_optimum,
)
from qosnets_search.selection.problem import (
    Bool,
    Float,
    Int,
    SelectionProblem,
    n_distinct,
    relative_loss,
    relative_power,
)
from qosnets_search.selection.selectors import DEFAULT_SELECTOR, Selector, select

INF = math.inf


def problem(
    errors: Sequence[Sequence[float]],
    power: Sequence[float],
    *,
    scales: tuple[float, ...] = (1.0,),
    n: int = 1,
    multiplications: Sequence[int] | None = None,
    tolerances: Sequence[float] | None = None,
    seed: int = 0,
) -> SelectionProblem:
    unit = [1] * len(errors)
    return SelectionProblem(
        relative_errors=np.array(errors, np.float64),
        relative_power=np.array(power, np.float64),
        multiplications=np.array(multiplications or unit),
        tolerances=np.array(tolerances or unit, np.float64),
        scales=scales,
        n_multipliers=n,
        seed=seed,
    )


def random_problem(
    seed: int, *, n_layers: int = 4, n_candidates: int = 6, n: int = 2, exact: bool = True
) -> SelectionProblem:
    """Return a problem whose cheaper multipliers tend to be the less accurate ones."""
    rng = np.random.default_rng(seed)
    quality = np.sort(rng.uniform(-3, 2, n_candidates))
    errors = np.exp(quality + rng.normal(0, 0.7, (n_layers, n_candidates)))
    errors *= np.exp(rng.normal(0, 0.5, (n_layers, 1)))
    if exact:
        errors[:, 0] = 0
    return SelectionProblem(
        relative_errors=errors,
        relative_power=np.sort(rng.uniform(0.05, 1, n_candidates))[::-1].copy(),
        multiplications=rng.integers(100, 100_000, n_layers),
        tolerances=rng.uniform(0.01, 0.3, n_layers),
        scales=(0.3, 1.0),
        n_multipliers=n,
        seed=seed,
    )


# Preference vectors and k-means


def test_reweighting_is_the_identity_up_to_one_then_logarithmic() -> None:
    x = np.array([0.0, 0.5, 1.0, math.e, math.e**3])
    assert reweight(x) == pytest.approx([0, 0.5, 1, 2, 4])
    assert (np.diff(reweight(np.linspace(0.5, 2, 1000))) > 0).all()
    assert reweight(np.array([np.nextafter(1, 2)])) == pytest.approx(1)


@pytest.mark.parametrize("selector", Selector)
def test_small_scales_ask_for_accuracy(selector: Selector) -> None:
    # Divided by 0.1 and 10 the rows are [0, 4.5, 40], [0, 5, 50] and [0, .045, .4], [0, .05, .5].
    case = problem([[0, 0.45, 4], [0, 0.5, 5]], [1.0, 0.6, 0.3], scales=(0.1, 10.0), n=2)
    assert select(case, selector).members.tolist() == [[0, 0], [2, 2]]


def test_cluster_compromises_between_its_layers() -> None:
    def members(*errors: float) -> list[list[int]]:
        return cluster(problem([[0, error] for error in errors], [1.0, 0.5])).members.tolist()

    # f(1.2) = 1.182; its mean with 0.5 is 0.841, hence multiplier 1 is admissible for both layers.
    assert members(0.5, 1.2) == [[1, 1]]
    # The mean of 0.2 and 2 would exceed 1; with f(2) = 1.693 it is 0.947.
    assert members(0.2, 2) == [[1, 1]]
    # f(5) = 2.609; the mean 1.555 is not.
    assert members(0.5, 5) == [[0, 0]]


def test_cluster_without_an_admissible_multiplier_takes_the_most_accurate() -> None:
    found = cluster(problem([[3.0, 2.0, 4.0]], [0.3, 0.9, 0.1]))
    assert found.members.tolist() == [[1]]
    assert found.notes == ("clusters that admit no multiplier take the most accurate: 1 of 1",)


def test_multiplier_that_is_nowhere_admissible_is_not_clustered() -> None:
    # In the first row multiplier 1 would be the more accurate one.
    case = problem([[5.0, 3.0], [0.5, 3.0]], [0.5, 0.4], n=2)
    assert cluster(case).members.tolist() == [[0, 0]]
    # Scaling comes first: at scale 4 it is admissible, hence stays and serves the first row too.
    case = replace(case, scales=(1.0, 4.0), n_multipliers=4)
    assert cluster(case).members.tolist() == [[1, 0], [1, 1]]


def test_more_clusters_than_rows_is_no_error() -> None:
    found = cluster(problem([[0.0, 0.5], [0.0, 0.5]], [1.0, 0.5], n=8))
    assert found.members.tolist() == [[1, 1]]
    assert found.notes == ("different preference vectors: 1, fewer than 8",)


@pytest.mark.parametrize(
    ("ratios", "power", "member"),
    [
        ([0.0, 0.9, 1.0, 1.1], [4, 3, 2, 1], 2),
        ([0.4, 0.2, 0.3], [5, 5, 5], 1),
        ([3.0, 2.0, 4.0], [1, 2, 3], 1),
        ([2.0, 2.0], [2, 1], 1),
    ],
)
def test_cheapest_admissible_multiplier(
    ratios: list[float], power: list[float], member: int
) -> None:
    assert cheapest_admissible(np.array(ratios), np.array(power)) == member


# Layers that tolerate nothing


@pytest.mark.parametrize("selector", Selector)
@pytest.mark.parametrize(
    ("errors", "power", "n", "members"),
    [
        # the exact one although it would not pay elsewhere
        ([[0, INF, INF], [0, 0.5, 0.5]], [1.0, 0.5, 0.6], 2, [0, 1]),
        # one circuit only: it must be exact
        ([[0, INF], [0, 0.5]], [1.0, 0.5], 1, [0, 0]),
        # of two that are exact there, the one more accurate elsewhere
        ([[0, 0, INF], [0.9, 0.8, 0.7]], [0.5, 0.6, 0.1], 2, [1, 2]),
        # exact in each of two layers, but only one in both
        ([[0, 0, INF], [INF, 0, 0], [0, 0.5, 0.9]], [0.9, 0.8, 0.1], 2, [1, 1, 2]),
        # none is exact: the most accurate elsewhere
        ([[INF, INF], [0.9, 0.8]], [0.5, 0.6], 2, [1, 0]),
        # all happen to be exact there
        ([[0, 0, 0], [0.1, 0.3, 0.9]], [0.9, 0.8, 0.1], 2, [0, 2]),
        # nothing is tolerated at all
        ([[0, INF], [0, INF]], [1.0, 0.5], 2, [0, 0]),
    ],
)
def test_layer_without_tolerance_takes_the_safest(
    selector: Selector,
    errors: list[list[float]],
    power: list[float],
    n: int,
    members: list[int],
) -> None:
    tolerances = [0.0 if INF in row or not any(row) else 0.1 for row in errors]
    case = problem(errors, power, n=n, tolerances=tolerances)
    assert select(case, selector).members.tolist() == [members]
    if n > 1:
        assert unconstrained(case).members.tolist() == [members]
    # An output without spread leaves a layer no tolerance, either, whatever its σ.
    constant = np.where(np.isinf(case.relative_errors).any(axis=1), 1.0, case.tolerances)
    case = replace(case, tolerances=constant)
    assert select(case, selector).members.tolist() == [members]


def test_safest_multiplier_counts_among_the_n() -> None:
    # Two clusters would use 1 and 2, and the first layer 0.
    errors = [[0, INF, INF], [0, 0.5, 9], [0, 0.05, 0.5]]
    case = problem(errors, [1.0, 0.5, 0.2], n=2, tolerances=[0, 0.1, 0.1])
    found = cluster(case).members
    assert found[0, 0] == 0 and n_distinct(found) == 2
    assert cluster(replace(case, n_multipliers=3)).members.tolist() == [[0, 1, 2]]


# Choices without a limit


def test_unconstrained_choice_is_made_layer_by_layer() -> None:
    errors = [[0, 0.2, 0.6, 3], [0.1, 0.4, 2.0, 0.9], [5, 4, 3, 2]]
    case = problem(errors, [1.0, 0.7, 0.5, 0.3], scales=(0.5, 1.0), n=1)
    found = unconstrained(case)
    assert found.members.tolist() == [[1, 1, 3], [2, 3, 3]]
    assert found.notes == ("thresholds that no multiplier keeps: 2 of 6",)
    assert homogeneous(case).tolist() == [[0] * 3, [1] * 3, [2] * 3, [3] * 3]


@pytest.mark.parametrize("seed", range(5))
def test_no_choice_within_thresholds_beats_the_unconstrained_one(seed: int) -> None:
    case = random_problem(seed, n=6)
    free, best = unconstrained(case), threshold_optimum(case)
    assert free.notes == best.notes == ()
    assert relative_power(case, best.members) == pytest.approx(relative_power(case, free.members))


# Power and loss


@pytest.mark.parametrize("seed", range(10))
def test_relative_power_is_exactly_the_weighted_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_problem(seed, n_layers=53)
    members = rng.integers(0, case.n_candidates, (case.n_points, case.n_layers))
    counts = [int(count) for count in case.multiplications]
    for row, found in zip(members.tolist(), relative_power(case, members), strict=True):
        terms = (
            count * Fraction(case.relative_power[m]) for count, m in zip(counts, row, strict=True)
        )
        assert found == pytest.approx(float(sum(terms) / sum(counts)), rel=1e-14)
    exact = replace(case, relative_power=np.ones(case.n_candidates))
    assert relative_power(exact, members).tolist() == [1.0, 1.0]


def test_relative_loss_weighs_layers_by_multiplications_and_tolerance() -> None:
    case = problem(
        [[0.5, 2], [1, 3]],
        [1, 0.5],
        scales=(1.0, 2.0),
        multiplications=[100, 300],
        tolerances=[0.3, 0.2],
    )
    # w = (30, 60) / 90
    members = np.array([[0, 1], [1, 1]])
    expected = [(0.25 + 2 * 9) / 3, (1 + 2 * 2.25) / 3]
    assert relative_loss(case, members) == pytest.approx(expected)
    # Every layer just at its threshold costs the budget.
    at_threshold = replace(case, relative_errors=np.ones((2, 2)), scales=(1.0,))
    assert relative_loss(at_threshold, np.array([[0, 1]])) == pytest.approx([1.0])


# Optima, against enumeration


def assignments(allowed: Bool, chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the multipliers of all layers of a point, ``allowed [layer, multiplier]``."""
    yield from itertools.product(*([m for m in chosen if row[m]] for row in allowed))


def enumerated(case: SubsetProblem) -> float | None:
    """Return the least cost, or None if there is no assignment."""
    n_points, n_layers, n_columns = case.cost.shape
    layers, totals = np.arange(n_layers), []
    for chosen in itertools.combinations(range(n_columns), min(case.n_multipliers, n_columns)):
        by_point = []
        for p in range(n_points):
            costs = [
                case.cost[p, layers, row].sum()
                for row in assignments(case.allowed[p], chosen)
                if case.use[p, layers, row].sum() <= 1
            ]
            by_point.append(min(costs, default=INF))
        totals.append(sum(by_point))
    least = float(min(totals))
    return None if math.isinf(least) else least


def random_subset_problem(seed: int) -> SubsetProblem:
    rng = np.random.default_rng(seed)
    shape = (2, 4, 5)
    cost = rng.uniform(0, 1, shape)
    use = rng.choice([0.0, 1.0]) * rng.uniform(0, 1, shape) * rng.uniform(0.3, 1.2)
    return SubsetProblem(cost, use, rng.random(shape) < 0.8, int(rng.integers(1, 4)))


def test_solution_is_that_of_enumeration() -> None:
    outcomes = set()
    for seed in range(40):
        case = random_subset_problem(seed)
        found, least = solve(case), enumerated(case)
        outcomes.add(found is None)
        if found is None or least is None:
            assert found is None and least is None
            continue
        assert least == pytest.approx(found.cost, rel=1.01 * n_subset.GAP)
        assert found.bound <= least * (1 + 1e-9) and 0 <= found.gap <= n_subset.GAP
        assert n_distinct(found.members) <= case.n_multipliers
        points, layers = np.indices(found.members.shape)
        assert case.allowed[points, layers, found.members].all()
        assert (case.use[points, layers, found.members].sum(axis=1) <= 1 + 1e-6).all()
        assert case.cost[points, layers, found.members].sum() == pytest.approx(found.cost)
    assert outcomes == {False, True}


def losses(case: SelectionProblem) -> Float:
    """Return what each choice adds to the relative loss of its point, written out."""
    w = case.multiplications * case.tolerances
    ratios = case.relative_errors[None] / np.array(case.scales)[:, None, None]
    found: Float = (w / w.sum())[:, None] * ratios**2
    return found


def powers(case: SelectionProblem) -> Float:
    """Return what each choice adds to the mean power, written out."""
    share = case.multiplications / case.multiplications.sum()
    found: Float = np.repeat(np.outer(share, case.relative_power)[None], case.n_points, axis=0)
    return found / case.n_points


@pytest.mark.parametrize("seed", range(12))
def test_optima_are_those_of_enumeration(seed: int) -> None:
    case = random_problem(seed, n=1 + seed % 3)
    power, loss = powers(case), losses(case)
    everything = np.ones(loss.shape, np.bool_)
    thresholds = SubsetProblem(power, np.zeros_like(loss), case.ratios <= 1, case.n_multipliers)
    budget = SubsetProblem(power, loss, case.ratios <= MAX_RATIO, case.n_multipliers)
    for selector, subset_problem in (
        (Selector.THRESHOLD_OPTIMUM, thresholds),
        (Selector.BUDGET_OPTIMUM, budget),
    ):
        found = select(case, selector)
        least = relative_power(case, found.members).mean()
        assert least == pytest.approx(enumerated(subset_problem), rel=2e-4)
        assert n_distinct(found.members) <= case.n_multipliers
        assert found.notes == ()
    assert (np.take_along_axis(case.ratios, threshold_members(case), axis=2) <= 1).all()
    assert (relative_loss(case, budget_optimum(case).members) <= 1 + 1e-6).all()

    given = cluster(case).members
    given_power, given_loss = relative_power(case, given), relative_loss(case, given)
    gap = optimality_gap(case, given)
    use = loss / np.maximum(given_loss, 1e-12)[:, None, None] / (1 + 1e-9)
    least_power = enumerated(SubsetProblem(power, use, everything, case.n_multipliers))
    assert least_power is not None
    assert gap.power == pytest.approx(1 - least_power / given_power.mean(), abs=2e-4)
    assert gap.power <= gap.max_power + 1e-9 <= gap.power + 2e-4
    use = power * case.n_points / given_power[:, None, None] / (1 + 1e-9)
    least = enumerated(SubsetProblem(loss / 2, use, everything, case.n_multipliers))
    assert least is not None
    expected = 1 - least / given_loss.mean() if given_loss.any() else 0.0
    assert gap.loss == pytest.approx(expected, abs=2e-4)
    assert gap.loss <= gap.max_loss + 1e-9


def threshold_members(case: SelectionProblem) -> Int:
    return threshold_optimum(case).members[:, :, None]


def test_kmeans_leaves_a_gap_that_the_optimum_closes() -> None:
    gaps = [
        optimality_gap(case, cluster(case).members)
        for case in (random_problem(seed, n=3) for seed in range(12))
    ]
    assert max(gap.power for gap in gaps) > 0.02
    case = random_problem(3, n=2)
    best = optimality_gap(case, budget_optimum(case).members)
    assert best.power <= 2e-4


def test_budget_trades_errors_between_layers() -> None:
    # Thresholds of 1 forbid multiplier 1 in layer 0; the budget pays for it by what layer 1 leaves.
    case = problem([[0, 1.2], [0, 0.6]], [1.0, 0.5], n=2)
    assert threshold_optimum(case).members.tolist() == [[0, 1]]
    assert budget_optimum(case).members.tolist() == [[1, 1]]  # (1.44 + 0.36) / 2 = 0.9
    # However small its weight, no layer goes beyond the largest ratio.
    case = problem([[0, 1.01 * MAX_RATIO], [0, 0.6]], [1.0, 0.5], n=2, multiplications=[1, 10**6])
    assert budget_optimum(case).members.tolist() == [[0, 1]]


@pytest.mark.parametrize("seed", range(6))
def test_least_loss_is_that_of_enumeration(seed: int) -> None:
    case = random_problem(seed, exact=False)
    loss = losses(case)
    everything = np.ones(loss.shape, np.bool_)
    wanted = enumerated(SubsetProblem(loss, np.zeros_like(loss), everything, 2))
    found = least_loss(case)
    assert relative_loss(case, found).sum() == pytest.approx(wanted, rel=2e-4)
    assert (found[0] == found[1]).all()


def test_limits_that_cannot_be_kept_are_widened() -> None:
    # Multiplier 0 suits layer 0, multiplier 2 layer 1, and one alone must serve both.
    case = problem([[0.5, 1.5, 9], [9, 1.5, 0.5]], [0.5, 0.6, 0.5], scales=(1.0, 2.0))
    found = threshold_optimum(case)
    assert found.members.tolist() == [[1, 1], [1, 1]]
    assert found.notes == (
        "n = 1 cannot keep all thresholds: widened as far as least loss needs, 2 of 4",
    )
    found = budget_optimum(case)
    assert found.members.tolist() == [[1, 1], [1, 1]]
    (note,) = found.notes
    assert note == (
        "n = 1 cannot keep all losses and ratios within their limits:"
        " budgets widened by factors of 2.25, 1"
    )
    # With both, every limit holds.
    case = replace(case, n_multipliers=2)
    for selection in (threshold_optimum(case), budget_optimum(case)):
        assert selection.notes == ()
        assert n_distinct(selection.members) == 2


def test_limits_are_widened_only_where_they_must_be() -> None:
    # Layer 0 finds nothing accurate enough; layer 1 need not be as accurate as it can be.
    case = problem([[1.5, 9], [0.1, 0.8]], [1.0, 0.5], scales=(1.0, 3.0), n=2)
    assert threshold_optimum(case).members.tolist() == [[0, 1], [0, 1]]
    # The budget of the first point, (2.25 + 0.01) / 2, has nothing left for layer 1.
    assert budget_optimum(case).members.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("selector", Selector)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_library_without_an_exact_multiplier(selector: Selector, n: int) -> None:
    for seed in range(4):
        case = random_problem(seed, exact=False, n=n)
        case = replace(case, scales=(0.001, 1.0))
        found = select(case, selector)
        assert found.notes and n_distinct(found.members) <= n


@pytest.mark.parametrize("selector", Selector)
def test_same_problem_gives_the_same_selection(selector: Selector) -> None:
    case = random_problem(1, n_layers=12, n_candidates=20, n=4)
    members = [select(case, selector).members.tolist() for _ in range(3)]
    assert members[0] == members[1] == members[2]


# Notes, logs and errors


def test_notes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    case = problem([[0, INF], [0, 0.5]], [1.0, 0.5], n=3, tolerances=[0, 0.1])
    with caplog.at_level(logging.WARNING, "qosnets_search"):
        found = select(case, Selector.BUDGET_OPTIMUM)
    assert found.notes == (
        "multipliers that differ in error or power: 2, fewer than 3",
        "layers that tolerate no error take the exact multiplier: 1 of 2",
    )
    assert [record.message for record in caplog.records] == [
        f"selection (budget-optimum): {note}" for note in found.notes
    ]
    case = problem([[INF, INF], [0.4, 0.5]], [1.0, 0.5], n=2, tolerances=[0, 0.1])
    (note,) = select(case, DEFAULT_SELECTOR).notes
    assert note == "layers that tolerate no error take the most accurate multiplier: 1 of 2"


def test_bound_is_the_solvers(monkeypatch: pytest.MonkeyPatch) -> None:
    case = SubsetProblem(np.array([[[0.5]]]), np.zeros((1, 1, 1)), np.full((1, 1, 1), True), 1)
    result = SimpleNamespace(status=1, x=np.ones(2), mip_dual_bound=0.4)
    monkeypatch.setattr(n_subset, "milp", lambda *_, **__: result)
    found = solve(case)
    assert found is not None
    assert (found.cost, found.bound, found.gap) == (0.5, 0.4, pytest.approx(0.2))


def test_optimum_that_is_not_proven_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    members = np.zeros((1, 1), np.int64)
    monkeypatch.setattr(optimum, "solve", lambda _: Solution(members, 0.5, 0.49))
    found = threshold_optimum(problem([[0.5]], [0.5]))
    assert found.notes == ("the optimum is proven only within 2.00% of the power",)


@pytest.mark.parametrize(
    ("solve", "message"),
    [
        (lambda _: None, "selection: the solver must confirm a known assignment, not reject it"),
        (None, "selection: the solver must find an assignment, not hard"),
    ],
)
def test_solver_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, solve: Any, message: str
) -> None:
    gave_up = SimpleNamespace(status=1, x=None, message="hard")
    monkeypatch.setattr(n_subset, "milp", lambda *_, **__: gave_up)
    if solve is not None:
        monkeypatch.setattr(optimum, "solve", solve)
    with pytest.raises(CheckError, match=message):
        threshold_optimum(problem([[0.5]], [0.5]))


def test_gap_is_defined_for_n_multipliers_only() -> None:
    case = problem([[0, 0.5], [0, 0.5]], [1.0, 0.5], n=1)
    with pytest.raises(InputError, match="members: must be at most 1 different ones, not 2"):
        optimality_gap(case, np.array([[0, 1]]))


VALID: dict[str, Any] = {
    "relative_errors": np.array([[0, 0.5], [0, 1.5]]),
    "relative_power": np.array([1.0, 0.5]),
    "multiplications": np.array([10, 20]),
    "tolerances": np.array([0.1, 0.2]),
    "scales": (0.1, 1.0),
    "n_multipliers": 2,
    "seed": 0,
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("relative_errors", np.zeros(2), r"relative errors: must be \[layer, multiplier\], not"),
        ("relative_errors", np.zeros((0, 2)), r"relative errors: must be .*, not \[0, 2\]"),
        ("relative_errors", np.array([[0, math.nan], [0, 1]]), "must be at least 0, not nan"),
        ("relative_errors", np.array([[0, -0.5], [0, 1]]), r"must be at least 0, not -0\.5"),
        (
            "relative_errors",
            np.array([[0, 1], [0.5, INF]]),
            r"layer 1: must be 0 or inf .* not 0\.5",
        ),
        ("tolerances", np.array([0.1, 0.0]), r"layer 1: must be 0 or inf .*, not 1\.5"),
        ("relative_errors", np.array([[INF, INF], [0, INF]]), "must be positive somewhere, or"),
        ("relative_power", np.ones(3), r"relative power: must be \[2\], not \[3\]"),
        ("relative_power", np.array([1, math.nan]), "relative power: must be finite.*, not nan"),
        ("relative_power", np.array([1, -1.0]), r"relative power: .* at least 0, not -1\.0"),
        ("multiplications", np.ones(3, np.int64), r"multiplications: must be \[2\], not \[3\]"),
        ("multiplications", np.array([0, 1]), "multiplications: must be positive, not 0"),
        ("tolerances", np.ones(1), r"tolerances: must be \[2\], not \[1\]"),
        ("tolerances", np.array([0.1, INF]), "tolerances: must be finite and at least 0, not inf"),
        ("tolerances", np.array([0.1, -1]), r"tolerances: must be finite .*, not -1\.0"),
        ("scales", (), "scales: must have at least 1 entry, not 0"),
        ("scales", (1.0, 0.5), r"scales: must be positive and ascending, not \[1\.0, 0\.5\]"),
        ("scales", (0.0, 0.5), "scales: must be positive and ascending, not"),
        ("scales", (1.0, 1.0), "scales: must be positive and ascending, not"),
        ("scales", (1.0, INF), "scales: must be positive and ascending, not"),
        ("scales", (math.nan,), "scales: must be positive and ascending, not"),
        ("n_multipliers", 0, "n_multipliers: must be at least 1, not 0"),
        ("seed", -1, "seed: must be at least 0, not -1"),
    ],
)
def test_malformed_problem_is_refused(field: str, value: object, message: str) -> None:
    SelectionProblem(**VALID)
    with pytest.raises(InputError, match=f"^selection: .*{message}"):
        SelectionProblem(**{**VALID, field: value})
