"""Tables of a comparison, in Markdown and for the terminal; the first as the paper's Table 4."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..adaptation import Adaptation
from .methods import METHODS
from .summary import (
    Domination,
    Extremes,
    PointSummary,
    Recovery,
    SeriesSummary,
    Statistic,
    Summary,
)

__all__ = ["Table", "markdown", "tables"]

IN_MEAN = "†"
IN_SEEDS = "‡"
NOTHING = "-"
"""Where there is no figure."""

_CIRCUITS_NOTE = (
    "Circuits: different ones over all operating points. Parameters: of the network with all"
    " operating points."
)
_RECOVERY_NOTE = (
    "Share of the accuracy that full retraining recovers, (accuracy - none) / (retraining - none),"
    " from the mean accuracies (of each seed); in the row of retraining, what it recovers, in"
    f" percentage points. {NOTHING}: retraining recovers nothing."
)
_GAP_NOTE = "Shares of the mean over the operating points; the bound holds for every seed."
_ERROR_NOTE = (
    "Over all pairs of layer and multiplier with a measured error: rank correlation of predicted"
    " and measured standard deviation, and median, 10 % and 90 % quantiles of predicted/measured;"
    " means over the seeds, and the worst seed."
)
_POWER_NOTE = (
    "Relative power in %, mean over the seeds: true / as ALWANN's authors count, who take strided"
    " convolutions for unstrided ones on padded input."
)


@dataclass(frozen=True)
class Table:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int
    """Columns before those of numbers."""
    notes: tuple[str, ...]
    """Paragraphs below the table."""


def tables(summary: Summary) -> list[Table]:
    """Return all tables of a comparison; that of recovery only where it has methods of ours."""
    recovery = [_recovery(summary)] if summary.recoveries else []
    return [_methods(summary), *recovery, _gap(summary), _errors(summary), _powers(summary)]


def markdown(tables: Sequence[Table]) -> str:
    """Return tables in Markdown whose source has aligned columns."""
    return "\n".join(map(_markdown, tables))


def _markdown(table: Table) -> str:
    rows = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    n_numbers = len(widths) - table.n_text
    rule = ["-" * width for width in widths[: table.n_text]]
    rule += [f"{'-' * (width - 1)}:" for width in widths[table.n_text :]]
    signs = ["<"] * table.n_text + [">"] * n_numbers
    text = ""
    for row in (table.header, rule, *table.rows):
        cells = [
            f"{cell:{sign}{width}}" for cell, sign, width in zip(row, signs, widths, strict=True)
        ]
        text += f"| {' | '.join(cells)} |\n"
    return f"## {table.title}\n\n{text}" + "".join(f"\n{note}\n" for note in table.notes)


def _methods(summary: Summary) -> Table:
    points = _point_names(summary)
    reference = ("Exact reference", "", *("100.00 / 0.00" for _ in points), "1")
    rows = [(*reference, f"{summary.n_parameters:,}")]
    for series in summary.series:
        figures = {point.point: _figures(point) for point in series.points}
        if (series.method, series.adaptation) == (summary.ours, Adaptation.TUNING):
            figures = {
                point: figure + _mark(summary.dominations, point)
                for point, figure in figures.items()
            }
        names = (_title(series.method), _text(series.adaptation))
        cells = _in_columns(figures, points)
        rows.append((*names, *cells, _circuits(series), f"{series.n_parameters:,}"))
    return Table(
        title="Power and accuracy of all methods",
        header=("Method", "Adaptation", *points, "Circuits", "Parameters"),
        rows=tuple(rows),
        n_text=2,
        notes=(
            *_legend(summary),
            _CIRCUITS_NOTE,
            *_limit_notes(summary),
            *map(_domination_note, summary.dominations),
        ),
    )


def _point_names(summary: Summary) -> list[str]:
    longest = max((series.points for series in summary.series), key=len, default=())
    return [point.point for point in longest]


def _in_columns(figures: dict[str, str], points: Iterable[str]) -> list[str]:
    return [figures.get(point, NOTHING) for point in points]


def _figures(point: PointSummary) -> str:
    return f"{_percent(point.relative_power)} / {_with_spread(point.loss_pp)}"


def _mark(dominations: Iterable[Domination], point: str) -> str:
    in_mean = [item.in_mean for item in dominations if item.point == point]
    return f" {IN_MEAN if any(in_mean) else IN_SEEDS}" if in_mean else ""


def _circuits(series: SeriesSummary) -> str:
    if series.mean_circuits == series.max_circuits:
        return str(series.max_circuits)
    return f"{series.mean_circuits:.1f} (max {series.max_circuits})"


def _legend(summary: Summary) -> tuple[str, str]:
    cells = (
        "Power of the multiplications in % of the exact reference / loss of top-1 accuracy in"
        " percentage points, on all test images, against the quantised network of the same seed"
        f" with an exact multiplier. {_seeds(summary.seeds).capitalize()}."
    )
    if len(summary.seeds) > 1:
        cells += " Mean ± sample standard deviation over the seeds."
    accuracies = (
        f"Accuracy with an exact multiplier: {_percent(summary.baseline_accuracy)} %;"
        f" in floating point: {_percent(summary.float_accuracy)} %."
    )
    return cells, accuracies


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _limit_notes(summary: Summary) -> list[str]:
    """Say what the points of methods stand for that know no operating points."""
    by_limits: dict[tuple[float, ...], dict[str, None]] = {}
    for series in summary.series:
        if series.limits:
            by_limits.setdefault(series.limits, {})[_title(series.method)] = None
    return [
        f"Points of {', '.join(methods)}: accuracy drops of at most"
        f" {', '.join(f'{100 * limit:g}' for limit in limits)} percentage points on the images"
        " that they search with."
        for limits, methods in by_limits.items()
    ]


def _domination_note(domination: Domination) -> str:
    places = ["in the mean"] if domination.in_mean else []
    if domination.seeds:
        places.append(f"with {_seeds(domination.seeds)}")
    return (
        f"{IN_MEAN if domination.in_mean else IN_SEEDS} {domination.point} is dominated by"
        f" {_title(domination.method)}, {_text(domination.adaptation)}, {domination.by_point}:"
        f" {', '.join(places)}."
    )


def _recovery(summary: Summary) -> Table:
    by_method: dict[str, dict[str, list[Recovery]]] = {}
    for item in summary.recoveries:
        by_method.setdefault(item.method, {}).setdefault(item.adaptation, []).append(item)
    rows: list[tuple[str, ...]] = []
    for method, by_adaptation in by_method.items():
        for adaptation, found in by_adaptation.items():
            rows.append((_title(method), _text(adaptation), *map(_shares, found)))
        amounts = [f"{_rounded(item.retraining_pp):+.2f} pp" for item in found]
        rows.append((_title(method), Adaptation.RETRAINING.value, *amounts))
    return Table(
        title="Recovery of accuracy",
        header=("Method", "Adaptation", *dict.fromkeys(item.point for item in summary.recoveries)),
        rows=tuple(rows),
        n_text=2,
        notes=(_RECOVERY_NOTE,),
    )


def _shares(recovery: Recovery) -> str:
    text = _share(recovery.of_means)
    if len(recovery.by_seed) > 1 and any(share is not None for share in recovery.by_seed):
        text += f" ({', '.join(map(_share, recovery.by_seed))})"
    return text


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _gap(summary: Summary) -> Table:
    gap = summary.gap
    rows = (
        ("power, at no greater loss", gap.power, gap.max_power),
        ("predicted loss, at no greater power", gap.loss, gap.max_loss),
    )
    return Table(
        title="Optimality gap of k-means",
        header=("What the exact optimum saves", "Mean", "Worst seed", "Proven bound"),
        rows=tuple(
            (name, f"{found.mean:.2%}", f"{found.worst:.2%}", f"{bound.worst:.2%}")
            for name, found, bound in rows
        ),
        n_text=1,
        notes=(_GAP_NOTE,),
    )


def _errors(summary: Summary) -> Table:
    rows = [
        (
            _text(errors.model),
            str(errors.n_pairs),
            *_extremes(errors.spearman, 4),
            *_extremes(errors.median_ratio, 3),
            _extremes(errors.low_ratio, 3)[0],
            _extremes(errors.high_ratio, 3)[0],
        )
        for errors in summary.errors
    ]
    return Table(
        title="Error models against measured errors",
        header=("Model", "Pairs", "Spearman", "Worst", "Median ratio", "Worst", "10 %", "90 %"),
        rows=tuple(rows),
        n_text=1,
        notes=(_ERROR_NOTE,),
    )


def _extremes(value: Extremes | None, digits: int) -> tuple[str, str]:
    if value is None:
        return NOTHING, NOTHING
    return f"{value.mean:.{digits}f}", f"{value.worst:.{digits}f}"


def _powers(summary: Summary) -> Table:
    points = _point_names(summary)
    by_method: dict[str, tuple[PointSummary, ...]] = {}
    for series in summary.series:
        # Adaptations change the network, not its circuits.
        by_method.setdefault(series.method, series.points)
    rows = []
    for method, found in by_method.items():
        figures = {
            item.point: f"{_mean(item.relative_power)} / {_mean(item.padded_power)}"
            for item in found
        }
        rows.append((_title(method), *_in_columns(figures, points)))
    return Table(
        title="Power by both counts of multiplications",
        header=("Method", *points),
        rows=tuple(rows),
        n_text=1,
        notes=(_POWER_NOTE,),
    )


def _mean(share: Statistic) -> str:
    return f"{100 * share.mean:.2f}"


def _percent(share: Statistic) -> str:
    spread = None if share.spread is None else 100 * share.spread
    return _with_spread(Statistic(100 * share.mean, spread))


def _with_spread(value: Statistic) -> str:
    mean = f"{_rounded(value.mean):.2f}"
    return mean if value.spread is None else f"{mean} ± {value.spread:.2f}"


def _rounded(value: float) -> float:
    """Return ``value`` to two digits, and 0 for −0."""
    return round(value, 2) + 0.0


def _title(method: str) -> str:
    return METHODS[method].title


def _text(name: str) -> str:
    return name.replace("-", " ")
