"""Pictures of a comparison; the same input gives the same bytes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from qosnets_library.charts import GREY, SERIES, figure_of, percent, written

from ..selection.error_model import ErrorModel
from .methods import METHODS
from .outcome import Outcome, RunResult
from .summary import SeriesSummary, Summary

__all__ = ["plot_accuracy", "plot_errors", "plot_strips"]

_COLOURS = (*(colour for colour, _ in SERIES), "#8c6d31", "#999999")
"""Of circuits from the first, of methods from the last, for ours are the last of those."""

_MARKERS = {
    "none": "x",
    "closed-form": "^",
    "tuning": "o",
    "retraining": "s",
    "weight-tuning": "D",
}

CLOSE_UP = 0.05
"""Loss of accuracy down to which the second panel shows outcomes."""


def plot_accuracy(
    runs: Sequence[RunResult], summary: Summary, *, file_format: str = "svg"
) -> bytes:
    """Draw accuracy against relative power of all methods: all outcomes, and those of small loss.

    Means over the seeds, with the sample standard deviations of power and loss. Colours tell
    methods apart, markers adaptations. ALWANN's front is drawn for each run as its search saw it.

    Parameters
    ----------
    runs, summary
        The comparison.
    file_format
        ``"svg"``, ``"png"`` or ``"pdf"``.
    """
    baseline = summary.baseline_accuracy.mean
    with figure_of(12.0, 5.0) as figure:
        whole, close = figure.subplots(1, 2)
        for axes in (whole, close):
            for series in summary.series:
                _draw_series(axes, series)
            for run in runs:
                _draw_front(axes, run)
            axes.axhline(baseline, color=GREY, linestyle="--", linewidth=1.0)
            axes.xaxis.set_major_formatter(percent)
            axes.yaxis.set_major_formatter(percent)
            axes.set_xlabel("power of multiplications, relative to the exact reference")
            axes.set_xlim(left=0)
        whole.set_ylabel("accuracy on the test images")
        whole.set_ylim(0, 1.03)
        whole.set_title("all outcomes", size=10)
        close.set_ylim(baseline - CLOSE_UP, baseline + CLOSE_UP / 8)
        close.set_title(f"losses of at most {100 * CLOSE_UP:g} percentage points", size=10)
        figure.legend(handles=_handles(runs, summary), loc="outside right upper", fontsize=8)
        n_seeds = len(summary.seeds)
        if n_seeds > 1:
            caption = f"means over {n_seeds} seeds; bars: standard deviation of power and of loss"
            figure.supxlabel(caption, x=0.99, ha="right", size=7.5, color=GREY)
        return written(figure, file_format)


def _handles(runs: Sequence[RunResult], summary: Summary) -> list[Artist]:
    """Return what the legend explains: methods, adaptations, lines."""
    methods = dict.fromkeys(series.method for series in summary.series)
    adaptations = dict.fromkeys(series.adaptation for series in summary.series)
    handles: list[Artist] = [
        Patch(color=_colour(method), label=METHODS[method].title) for method in methods
    ]
    for adaptation in adaptations:
        label, marker = adaptation.replace("-", " "), _MARKERS[adaptation]
        handles.append(Line2D([], [], color=GREY, marker=marker, linestyle="", label=label))
    label = f"exact multiplier: {_exact_percent(summary.baseline_accuracy.mean)}"
    handles.append(Line2D([], [], color=GREY, linestyle="--", label=label))
    if any(_front(run) for run in runs):
        label = "ALWANN: front, accuracy on its sample"
        handles.append(Line2D([], [], color=_colour("alwann"), linewidth=0.8, label=label))
    return handles


def _colour(method: str) -> str:
    """Return the colour of a method, the same whichever others are compared."""
    return _COLOURS[-1 - list(METHODS).index(method) % len(_COLOURS)]


def _exact_percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _draw_series(axes: Axes, series: SeriesSummary) -> None:
    powers = [point.relative_power for point in series.points]
    axes.errorbar(
        [power.mean for power in powers],
        [point.accuracy.mean for point in series.points],
        xerr=[power.spread or 0.0 for power in powers],
        # Of the loss: the accuracy of a seed depends on its baseline first of all.
        yerr=[(point.loss_pp.spread or 0.0) / 100 for point in series.points],
        color=_colour(series.method),
        marker=_MARKERS[series.adaptation],
        markersize=5,
        markerfacecolor="none",
        linestyle="",
        elinewidth=0.6,
    )


def _draw_front(axes: Axes, run: RunResult) -> None:
    front = _front(run)
    if front:
        axes.plot(*zip(*front, strict=True), color=_colour("alwann"), linewidth=0.8)


def _front(run: RunResult) -> list[tuple[float, float]]:
    """Return power and accuracy of ALWANN's front, by growing power; empty without ALWANN."""
    return sorted(
        (point["relative_power"], point["accuracy_on_sample"])
        for result in run.methods
        for point in result.figures.get("front", ())
    )


def plot_strips(
    run: RunResult, method: str, powers: Mapping[str, float], *, file_format: str = "svg"
) -> bytes:
    """Draw the circuit of each layer at each operating point, as Figure 3 of the paper.

    A bar for each layer, in the order of the network: its colour tells the circuit, its height the
    circuit's relative power. The horizontal line is the combined power of the operating point.

    Parameters
    ----------
    run, method
        What to draw; the method gives each layer one circuit.
    powers
        Relative power of each circuit, by name.
    file_format
        ``"svg"``, ``"png"`` or ``"pdf"``.
    """
    points = _points(run, method)
    used = {name for outcome in points for name in outcome.circuits}
    circuits = sorted(used, key=lambda name: (-powers[name], name))
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(circuits)}
    layers = [layer["name"] for layer in run.layers]
    top = 1.1 * max(1.0, *(powers[name] for name in circuits))
    with figure_of(max(7.0, 4.0 + 0.16 * len(layers)), 1.0 + 1.5 * len(points)) as figure:
        rows = figure.subplots(len(points), 1, sharex=True, squeeze=False)[:, 0]
        for axes, outcome in zip(rows, points, strict=True):
            axes.bar(
                range(len(layers)),
                [powers[name] for name in outcome.circuits],
                color=[colours[name] for name in outcome.circuits],
                width=0.85,
            )
            axes.axhline(outcome.relative_power, color="#222222", linewidth=1.2)
            title = f"{outcome.point}: {_exact_percent(outcome.relative_power)}"
            axes.set_title(title, size=9, loc="left")
            axes.set_ylim(0, top)
            axes.set_xlim(-0.7, len(layers) - 0.3)
            axes.yaxis.set_major_formatter(percent)
            axes.grid(False, axis="x")
        rows[-1].set_xticks(range(len(layers)), layers, rotation=90, fontsize=6)
        figure.supylabel("relative power", size=10)
        handles = [
            Patch(color=colours[name], label=f"{name}: {_exact_percent(powers[name])}")
            for name in circuits
        ]
        figure.legend(handles=handles, loc="outside right upper", fontsize=8)
        return written(figure, file_format)


def _points(run: RunResult, method: str) -> list[Outcome]:
    """Return an outcome for each operating point; adaptations do not change its circuits."""
    (result,) = (result for result in run.methods if result.method == method)
    return list({outcome.point: outcome for outcome in result.outcomes}.values())


def plot_errors(run: RunResult, *, file_format: str = "svg") -> bytes:
    """Draw predicted against measured standard deviation of the error, a panel for each model.

    A point for each pair of layer and multiplier; both axes are logarithmic, so that pairs with
    a standard deviation of 0, predicted or measured, are counted only.
    """
    with figure_of(12.0, 4.6) as figure:
        panels = figure.subplots(1, len(ErrorModel))
        for axes, model in zip(panels, ErrorModel, strict=True):
            _draw_errors(axes, run, model.value)
        panels[0].set_ylabel("predicted standard deviation")
        figure.supxlabel("measured standard deviation of the error, in accumulator units", size=10)
        return written(figure, file_format)


def _draw_errors(axes: Axes, run: RunResult, model: str) -> None:
    pairs = np.array(
        [(pair["measured"][model], pair["predicted"][model]) for pair in run.errors["pairs"]]
    ).reshape(-1, 2)
    shown = pairs[(pairs > 0).all(axis=1)]
    found = run.errors["agreement"][model]
    figures = "too few pairs"
    if found["spearman"] is not None:
        figures = f"Spearman {found['spearman']:.4f}, median ratio {found['median_ratio']:.3f}"
    hidden = f"; {len(pairs) - len(shown)} pairs are 0" if len(shown) < len(pairs) else ""
    axes.set_title(f"{model.replace('-', ' ')} model\n{figures}{hidden}", size=9)
    if not len(shown):
        return
    axes.scatter(shown[:, 0], shown[:, 1], s=8, linewidths=0, alpha=0.5, color=_COLOURS[0])
    low = 10.0 ** math.floor(math.log10(shown.min()))
    high = 10.0 ** (math.floor(math.log10(shown.max())) + 1)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
