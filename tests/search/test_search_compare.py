"""What is made of the runs of a comparison: figures, tables, pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

import matplotlib
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pydantic import TypeAdapter
from qosnets.files import canonical_json
from qosnets_search.compare import plots
from qosnets_search.compare.outcome import MethodResult, Outcome, RunResult
from qosnets_search.compare.summary import Recovery, Statistic, Summary, summarise
from qosnets_search.compare.tables import Table, markdown, tables
from qosnets_search.recipe import load_recipe
from qosnets_search.selection.error_model import ErrorModel

RECIPE = load_recipe("digits", {"n_multipliers": 3, "selector": "budget-optimum"})
OURS = "qosnets-budget-optimum"
BASELINES = {1: 0.90, 2: 0.80, 3: 0.85}
POWERS = {"exact": 1.0, "fine": 0.6, "coarse": 0.2}
LAYERS = [
    {"name": name, "multiplications": count, "sigma": 0.1}
    for name, count in (("conv1", 100), ("conv2", 300), ("linear", 100))
]
CIRCUITS = {"o1": ["exact", "exact", "fine"], "o2": ["exact", "coarse", "fine"]}
Points: TypeAlias = Sequence[tuple[float, float]]
"""Relative power and loss, in percentage points, of each operating point."""

GAP = {"power": 0.25, "max_power": 0.3, "loss": 0.0, "max_loss": 0.1}
AGREEMENT = {
    "n_pairs": 4,
    "spearman": 0.99,
    "low_ratio": 0.8,
    "median_ratio": 1.25,
    "high_ratio": 1.5,
}
PAIRS = [
    {
        "layer": "conv1",
        "multiplier": "fine",
        "predicted": dict.fromkeys(ErrorModel, predicted),
        "measured": dict.fromkeys(ErrorModel, measured),
    }
    for predicted, measured in ((1.0, 2.0), (30.0, 20.0), (400.0, 400.0), (0.0, 5.0), (0.0, 0.0))
]


def result(seed: int, method: str, points: Mapping[str, Points], **changes: Any) -> MethodResult:
    """Return what a method found, with the points of each adaptation."""
    outcomes = [
        Outcome(how, f"o{n}", power, power / 2, BASELINES[seed] - loss / 100, CIRCUITS[f"o{n}"])
        for how, figures in points.items()
        for n, (power, loss) in enumerate(figures, start=1)
    ]
    found = MethodResult(
        method=method,
        n_circuits=3,
        n_parameters={how: 1000 * n for n, how in enumerate(points, start=1)},
        shares_weights={how: how not in ("retraining", "weight-tuning") for how in points},
        outcomes=outcomes,
        seconds=1.5,
    )
    return replace(found, **changes)


def run(seed: int, *methods: MethodResult, **changes: Any) -> RunResult:
    errors = {"agreement": {model.value: AGREEMENT for model in ErrorModel}, "pairs": PAIRS}
    baseline = BASELINES[seed]
    found = RunResult(seed, {}, baseline + 0.01, baseline, 1000, LAYERS, GAP, errors, list(methods))
    return replace(found, **changes)


def ours(seed: int, *points: tuple[float, float]) -> MethodResult:
    """Return what our method found, with these points after tuning."""
    others = {
        how: [(power, loss) for power, _ in points]
        for how, loss in (("none", 50.0), ("retraining", 0.0))
    }
    return result(seed, OURS, {"tuning": points, **others})


def recovering(seed: int, none: float, closed_form: float, tuning: float, full: float) -> RunResult:
    """Return a run of our method with losses of its second point; it loses nothing at the first."""
    losses = {"none": none, "closed-form": closed_form, "tuning": tuning, "retraining": full}
    return run(seed, result(seed, OURS, {how: [(1, 0), (1, x)] for how, x in losses.items()}))


def recovery(summary: Summary, adaptation: str, point: str) -> Recovery:
    (found,) = (
        item for item in summary.recoveries if (item.adaptation, item.point) == (adaptation, point)
    )
    return found


def test_means_and_spreads_over_the_seeds() -> None:
    runs = [
        run(seed, result(seed, "tpm", {"none": [(power, loss), (0.2, 0)]}, n_circuits=n))
        for seed, power, loss, n in ((1, 0.5, 1.0, 2), (2, 0.6, 4.0, 4), (3, 0.7, 1.0, 3))
    ]
    summary = summarise(runs, RECIPE)
    (series,) = summary.series
    first = series.points[0]
    assert (series.method, series.adaptation, series.n_parameters) == ("tpm", "none", 1000)
    assert (series.mean_circuits, series.max_circuits) == (3, 4)
    assert (first.relative_power.mean, first.padded_power.mean) == pytest.approx((0.6, 0.3))
    assert first.relative_power.spread == pytest.approx(0.1)
    # The loss is against the baseline of the same seed: its spread is not that of the accuracy.
    assert (first.loss_pp.mean, first.loss_pp.spread) == pytest.approx((2, 3**0.5))
    assert first.accuracy.mean == pytest.approx(0.83)
    assert summary.baseline_accuracy == Statistic(pytest.approx(0.85), pytest.approx(0.05))
    assert summary.seeds == (1, 2, 3)


def test_one_seed_has_no_spread() -> None:
    summary = summarise([run(1, ours(1, (0.5, 1), (0.4, 2)))], RECIPE)
    statistics = [summary.baseline_accuracy, summary.series[0].points[0].loss_pp]
    assert [statistic.spread for statistic in statistics] == [None, None]
    assert "±" not in markdown(tables(summary))


DOMINATIONS: list[tuple[dict[str, Any], bool]] = [
    ({"power": 0.49}, True),
    ({"loss": 0.9}, True),
    ({"power": 0.1, "loss": 0.1}, True),
    ({}, False),  # a tie
    ({"power": 0.5 - 1e-15}, False),  # another order of summation
    ({"power": 0.51, "loss": 0.1}, False),
    ({"power": 0.1, "loss": 1.1}, False),
    ({"power": 0.1, "adaptation": "retraining"}, False),
    ({"power": 0.1, "adaptation": "weight-tuning"}, False),
    ({"power": 0.1, "n_circuits": 4}, False),
    ({"power": 0.1, "method": "qosnets-kmeans"}, False),
]


@pytest.mark.parametrize(("other", "dominates"), DOMINATIONS)
def test_who_dominates_an_operating_point_of_ours(other: dict[str, Any], dominates: bool) -> None:
    values = {"power": 0.5, "loss": 1.0, "adaptation": "none", "method": "tpm", "n_circuits": 3}
    values |= other
    points = [(1.0, 0.0), (values["power"], values["loss"])]
    circuits = values["n_circuits"]
    rival = result(1, values["method"], {values["adaptation"]: points}, n_circuits=circuits)
    summary = summarise([run(1, rival, ours(1, (0.5, 1.0), (0.05, 9.0)))], RECIPE)
    found = [(item.point, item.method, item.by_point) for item in summary.dominations]
    assert found == ([("o1", "tpm", "o2")] if dominates else [])


def test_domination_in_single_runs_and_in_the_mean() -> None:
    """TPM in the mean and with seed 1; PNAM with seed 2 only; LVRM in the mean only."""
    rivals = {
        "tpm": [[(0.4, 0.0)], [(0.4, 2.5)]],
        "pnam": [[(0.4, 9.0)], [(0.4, 2.0)]],
        "lvrm": [[(0.2, 2.5)], [(0.7, 0.0)]],
    }
    runs = [
        run(
            seed,
            *(result(seed, name, {"none": points[seed - 1]}) for name, points in rivals.items()),
            ours(seed, (0.5, float(seed)), (0.05, 5.0)),
        )
        for seed in (1, 2)
    ]
    found = summarise(runs, RECIPE).dominations
    assert [(item.method, item.seeds, item.in_mean) for item in found] == [
        ("tpm", (1,), True),
        ("pnam", (2,), False),
        ("lvrm", (), True),
    ]
    tpm, *others = runs[0].methods
    with_many = replace(runs[0], methods=[replace(tpm, n_circuits=4), *others])
    found = summarise([with_many, runs[1]], RECIPE).dominations
    assert [item.method for item in found] == ["pnam", "lvrm"]


def test_what_tuning_recovers() -> None:
    runs = [recovering(1, 50, 40, 14, 10), recovering(2, 30, 10, 10, 10)]
    summary = summarise(runs, RECIPE)
    tuning = recovery(summary, "tuning", "o2")
    assert tuning.by_seed == pytest.approx((0.9, 1.0))
    assert tuning.of_means == pytest.approx(56 / 60)
    assert tuning.retraining_pp == pytest.approx(30)
    assert recovery(summary, "closed-form", "o2").of_means == pytest.approx(30 / 60)
    assert recovery(summary, "tuning", "all").by_seed == pytest.approx((0.9, 1.0))
    assert recovery(summary, "tuning", "all").retraining_pp == pytest.approx(15)
    assert recovery(summary, "tuning", "o1").of_means is None


@pytest.mark.parametrize("full", [5.0, 6.0])
def test_recovery_is_not_defined_where_retraining_recovers_nothing(full: float) -> None:
    summary = summarise([recovering(1, 5, 4, 3, full)], RECIPE)
    assert recovery(summary, "tuning", "o2").by_seed == (None,)
    assert recovery(summary, "tuning", "o2").of_means is None
    table = table_of(summary, "Recovery of accuracy")
    assert table.rows[1] == ("QoS-Nets, budget optimum", "tuning", "-", "-", "-")
    assert "-: retraining recovers nothing." in table.notes[0]


def test_gap_and_error_models_with_their_worst_seed() -> None:
    worse = {"n_pairs": 3, "spearman": 0.9, "low_ratio": None, "median_ratio": 0.5}
    nothing = {"n_pairs": 0} | dict.fromkeys(list(AGREEMENT)[1:])
    agreement = {"global": AGREEMENT | worse, "local": AGREEMENT, "per-filter": nothing}
    runs = [
        run(1, errors={"agreement": agreement | {"per-filter": nothing}, "pairs": []}),
        run(
            2,
            gaps=GAP | {"power": 0.05},
            errors={"agreement": dict.fromkeys(agreement, AGREEMENT) | {"per-filter": nothing}},
        ),
    ]
    summary = summarise(runs, RECIPE)
    assert asdict(summary.gap.power) == pytest.approx({"mean": 0.15, "worst": 0.25})
    first, _, last = summary.errors
    assert first.spearman and first.median_ratio and first.low_ratio
    assert (first.n_pairs, first.spearman.worst, first.median_ratio.worst) == (3, 0.9, 0.5)
    assert first.spearman.mean == pytest.approx(0.945)
    assert (first.low_ratio.mean, first.low_ratio.worst) == (0.8, 0.8)
    assert (last.model, last.spearman, last.median_ratio) == ("per-filter", None, None)
    rows = table_of(summary, "Error models against measured errors").rows
    assert rows[0] == ("global", "3", "0.9450", "0.9000", "0.875", "0.500", "0.800", "1.500")
    assert rows[2] == ("per filter", "0", *"------")
    assert table_of(summary, "Optimality gap of k-means").rows[0][1:] == (
        "15.00%",
        "25.00%",
        "30.00%",
    )


def comparison() -> list[RunResult]:
    """Return two runs of three methods; the first dominates our first point with seed 1."""
    front = [{"relative_power": 0.3, "accuracy_on_sample": 0.5 + n / 100} for n in range(3)]
    front[0]["relative_power"] = 0.9
    return [
        run(
            seed,
            result(seed, "pnam", {"none": [(0.4, 3.0 * seed - 2)]}, figures={"limits": [0.005]}),
            result(
                seed,
                "alwann",
                {"weight-tuning": [(0.7, 1.0), (0.6, 5.0)]},
                n_circuits=seed,
                figures={"front": front},
            ),
            ours(seed, (0.5, 1.0), (0.25, -0.001)),
        )
        for seed in (1, 2)
    ]


def table_of(summary: Summary, title: str) -> Table:
    (found,) = (table for table in tables(summary) if table.title == title)
    return found


def test_summary_and_runs_survive_json() -> None:
    runs = comparison()
    summary = summarise(runs, RECIPE)
    assert TypeAdapter(Summary).validate_json(canonical_json(asdict(summary))) == summary
    text = canonical_json([asdict(item) for item in runs])
    assert TypeAdapter(list[RunResult]).validate_json(text) == runs


def test_table_of_methods_marks_what_is_dominated() -> None:
    table = table_of(summarise(comparison(), RECIPE), "Power and accuracy of all methods")
    assert table.header == ("Method", "Adaptation", "o1", "o2", "Circuits", "Parameters")
    assert table.rows[0][2:] == ("100.00 / 0.00", "100.00 / 0.00", "1", "1,000")
    spread = "± 0.00"
    assert table.rows[1:4] == (
        ("PNAM", "none", f"40.00 {spread} / 2.50 ± 2.12", "-", "3", "1,000"),
        (
            *("ALWANN", "weight tuning"),
            *(f"70.00 {spread} / 1.00 {spread}", f"60.00 {spread} / 5.00 {spread}"),
            *("1.5 (max 2)", "1,000"),
        ),
        (
            *("QoS-Nets, budget optimum", "tuning"),
            *(f"50.00 {spread} / 1.00 {spread} ‡", f"25.00 {spread} / 0.00 {spread}"),
            *("3", "1,000"),
        ),
    )
    marked = [row for row in table.rows if any("‡" in cell or "†" in cell for cell in row)]
    assert marked == [table.rows[3]]
    assert table.notes[-1] == "‡ o1 is dominated by PNAM, none, o1: with seed 1."
    assert "Points of PNAM: accuracy drops of at most 0.5 percentage points" in table.notes[-2]


def test_domination_in_the_mean_has_its_own_mark() -> None:
    rival = result(1, "homogeneous", {"tuning": [(0.5, 0.0), (0.4, 9.0)]})
    summary = summarise([run(1, rival, ours(1, (0.5, 1.0), (0.3, 2.0)))], RECIPE)
    table = tables(summary)[0]
    assert table.rows[2][2:4] == ("50.00 / 1.00 †", "30.00 / 2.00")
    assert table.notes[-1].startswith("† o1 is dominated by Homogeneous, tuning, o1: in the mean")


def test_both_counts_of_multiplications() -> None:
    table = table_of(summarise(comparison(), RECIPE), "Power by both counts of multiplications")
    assert table.rows == (
        ("PNAM", "40.00 / 20.00", "-"),
        ("ALWANN", "70.00 / 35.00", "60.00 / 30.00"),
        ("QoS-Nets, budget optimum", "50.00 / 25.00", "25.00 / 12.50"),
    )


def test_markdown_has_aligned_columns() -> None:
    text = markdown(tables(summarise(comparison(), RECIPE)))
    assert text.count("## ") == 5
    for part in text.split("## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len({len(line) for line in lines}) == 1
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) == set("|- :")


def test_comparison_without_methods_of_ours() -> None:
    summary = summarise([run(1, result(1, "tpm", {"none": [(0.5, 1.0)]}))], RECIPE)
    assert (summary.dominations, summary.recoveries) == ((), ())
    assert "Recovery" not in markdown(tables(summary))


Draw = Callable[[Callable[..., bytes]], Figure]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Return the figure that a function draws."""

    def draw(function: Callable[..., bytes], *arguments: Any) -> Figure:
        figures: list[Figure] = []
        monkeypatch.setattr(plots, "written", lambda figure, _: figures.append(figure) or b"")
        function(*arguments)
        return figures[0]

    return draw


def test_accuracy_is_drawn_for_every_outcome_and_front(drawn: Callable[..., Figure]) -> None:
    runs = comparison()
    summary = summarise(runs, RECIPE)
    figure = drawn(plots.plot_accuracy, runs, summary)
    for axes in figure.axes:
        assert len(axes.containers) == len(summary.series) == 5
        points = [container.lines[0].get_xydata().tolist() for container in axes.containers]
        assert sum(map(len, points)) == 1 + 2 + 3 * 2
        assert points[0] == [pytest.approx((0.4, 0.825))]
        fronts = [line for line in axes.lines if len(line.get_xdata()) == 3]
        assert [line.get_xdata().tolist() for line in fronts] == [[0.3, 0.3, 0.9]] * 2
        baseline = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert baseline[0].get_ydata() == pytest.approx([0.85, 0.85])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        *("PNAM", "ALWANN", "QoS-Nets, budget optimum"),
        *("none", "weight tuning", "tuning", "retraining"),
        *("exact multiplier: 85.00 %", "ALWANN: front, accuracy on its sample"),
    ]
    colours = [to_hex(container.lines[0].get_color()) for container in figure.axes[0].containers]
    assert len(set(colours)) == 3


def test_strips_show_the_circuit_of_every_layer(drawn: Callable[..., Figure]) -> None:
    figure = drawn(plots.plot_strips, comparison()[0], OURS, POWERS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["o1: 50.00 %", "o2: 25.00 %"]
    for axes, circuits in zip(figure.axes, CIRCUITS.values(), strict=True):
        (bars,) = axes.containers
        assert [bar.get_height() for bar in bars] == [POWERS[name] for name in circuits]
        assert len({bar.get_width() for bar in bars}) == 1
    first, second = ([to_hex(bar.get_facecolor()) for bar in axes.patches] for axes in figure.axes)
    assert first[0] == first[1] == second[0] and first[2] == second[2]
    assert len({*first, *second}) == 3
    assert figure.axes[1].lines[0].get_ydata() == [0.25, 0.25]
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == [
        layer["name"] for layer in LAYERS
    ]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["exact: 100.00 %", "fine: 60.00 %", "coarse: 20.00 %"]


def test_errors_are_drawn_by_model(drawn: Callable[..., Figure]) -> None:
    figure = drawn(plots.plot_errors, comparison()[0])
    assert len(figure.axes) == len(ErrorModel)
    for axes, model in zip(figure.axes, ErrorModel, strict=True):
        (points,) = (item for item in axes.collections if isinstance(item, PathCollection))
        assert points.get_offsets().tolist() == [[2, 1], [20, 30], [400, 400]]
        assert axes.get_title() == (
            f"{model.value.replace('-', ' ')} model\n"
            "Spearman 0.9900, median ratio 1.250; 2 pairs are 0"
        )
        assert axes.get_xscale() == axes.get_yscale() == "log"


def test_errors_of_exact_multipliers_alone(drawn: Callable[..., Figure]) -> None:
    agreement = {model.value: {"n_pairs": 0, "spearman": None} for model in ErrorModel}
    figure = drawn(plots.plot_errors, run(1, errors={"agreement": agreement, "pairs": PAIRS[-1:]}))
    assert figure.axes[0].get_title() == "global model\ntoo few pairs; 1 pairs are 0"


def test_same_comparison_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = comparison()
    summary = summarise(runs, RECIPE)

    def pictures() -> tuple[bytes, ...]:
        return (
            plots.plot_accuracy(runs, summary),
            plots.plot_strips(runs[0], OURS, POWERS),
            plots.plot_errors(runs[0]),
        )

    first = pictures()
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)  # as a user's settings would
    assert pictures() == first
    assert all(picture.startswith(b"<?xml") and b"Date" not in picture for picture in first)
