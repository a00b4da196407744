"""Pictures of multipliers: error against cost, and the error of each operand pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.ticker import MaxNLocator
from qosnets.errors import InputError
from qosnets.library import Library
from qosnets.lut import Lut, exact_lut

from .charts import GREY, SERIES, figure_of, percent, written
from .figures import CostFigure, ErrorFigure

__all__ = ["pareto_front", "plot_heatmap", "plot_libraries"]

_LABELS = {
    ErrorFigure.MSE: "mean squared error",
    ErrorFigure.MAE: "mean absolute error",
    ErrorFigure.WCE: "worst-case error",
    ErrorFigure.MRE: "mean relative error",
    ErrorFigure.ERROR_STD: "standard deviation of the error",
    CostFigure.POWER_UW: "estimated power at 100 MHz [µW]",
    CostFigure.RELATIVE_POWER: "estimated power relative to the exact reference",
    CostFigure.AREA_UM2: "cell area [µm²]",
    CostFigure.DELAY_NS: "delay [ns]",
    CostFigure.PUBLISHED_POWER_MW: "published power [mW]",
}

_OPERAND_TICKS = (0, 64, 128, 192, 255)


@dataclass(frozen=True)
class _Series:
    """The multipliers of a library that have both figures."""

    library: str
    error: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]


def pareto_front(
    error: npt.NDArray[np.float64], cost: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return which points, both arrays ``[n]``, no other point beats.

    A point beats another if neither of its figures is larger and one is smaller.
    """
    no_larger = (error[:, None] <= error) & (cost[:, None] <= cost)
    smaller = (error[:, None] < error) | (cost[:, None] < cost)
    return np.logical_not((no_larger & smaller).any(axis=0))


def plot_libraries(
    libraries: Sequence[Library], *, error: ErrorFigure, cost: CostFigure, file_format: str
) -> bytes:
    """Draw the multipliers of several libraries with the Pareto front of each.

    The error axis is logarithmic, and linear below the smallest error, so that exact multipliers
    have their place. Multipliers without the figure of the cost axis are left out.

    Parameters
    ----------
    libraries
        At most seven, each in a colour of its own; the last is drawn on top.
    error, cost
        What the axes show.
    file_format
        ``"svg"``, ``"png"`` or ``"pdf"``.

    Raises
    ------
    InputError
        If there are no libraries or more than colours, or one has no multiplier to draw.
    """
    if not 1 <= len(libraries) <= len(SERIES):
        raise InputError(f"plot: must be of 1..{len(SERIES)} libraries, not {len(libraries)}")
    series = [_series(library, error, cost) for library in libraries]
    with figure_of(7.6, 5.0) as figure:
        axes = figure.subplots()
        for item, (colour, marker) in zip(series, SERIES, strict=False):
            _draw(axes, item, colour, marker)
        errors = np.concatenate([item.error for item in series])
        _scale_error_axis(axes, errors[errors > 0])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(_LABELS[error])
        axes.set_ylabel(_LABELS[cost])
        if error is ErrorFigure.MRE:
            axes.xaxis.set_major_formatter(percent)
        if cost is CostFigure.RELATIVE_POWER:
            axes.yaxis.set_major_formatter(percent)
        figure.legend(loc="outside upper left", ncols=2)
        caption = _caption(libraries, cost)
        figure.supxlabel(caption, x=0.99, ha="right", size=7.5, color=GREY)
        return written(figure, file_format)


def _series(library: Library, error: ErrorFigure, cost: CostFigure) -> _Series:
    points = [
        (error.of(entry), figure)
        for entry in library.entries.values()
        if (figure := cost.of(entry)) is not None
    ]
    if not points:
        raise InputError(f"plot: library {library.name} has no multiplier with {cost.value}")
    errors, costs = np.array(points, dtype=np.float64).T
    return _Series(library.name, errors, costs)


def _draw(axes: Axes, series: _Series, colour: str, marker: str) -> None:
    front = pareto_front(series.error, series.cost)
    order = np.lexsort((series.cost[front], series.error[front]))
    axes.plot(
        series.error[front][order],
        series.cost[front][order],
        drawstyle="steps-post",
        color=colour,
        linewidth=1.3,
        alpha=0.75,
    )
    n_points = f"{np.count_nonzero(front)} of {len(front)} on the front"
    for points, filling, label in (
        (~front, "white", None),
        (front, colour, f"{series.library}: {n_points}"),
    ):
        axes.scatter(
            series.error[points],
            series.cost[points],
            s=26,
            marker=marker,
            facecolors=filling,
            edgecolors=colour,
            linewidths=1.0,
            label=label,
            zorder=3,
            clip_on=False,
        )


def _scale_error_axis(axes: Axes, errors: npt.NDArray[np.float64]) -> None:
    """Scale the axis for ``errors``, the ones above 0."""
    if not errors.size:
        return
    smallest = 10.0 ** np.floor(np.log10(errors.min()))
    axes.set_xscale("symlog", linthresh=smallest, linscale=0.6, subs=list(range(2, 10)))
    axes.set_xlim(0, errors.max() * 1.3)


def _caption(libraries: Sequence[Library], cost: CostFigure) -> str:
    """Return what the figures of the cost axis were made with."""
    entries = [entry for library in libraries for entry in library.entries.values()]
    if cost is CostFigure.PUBLISHED_POWER_MW:
        sources = {entry.published.source for entry in entries if entry.published}
        return ", ".join(sorted(sources))
    found = {
        f"{e.liberty}; {e.engine}; {e.distribution} operands"
        for entry in entries
        if (e := entry.estimates)
    }
    return "\n".join(sorted(found))


def plot_heatmap(lut: Lut, *, title: str, file_format: str) -> bytes:
    """Draw the error of a multiplier over both operands, its product less the exact one.

    Parameters
    ----------
    lut
        uint16 ``[256, 256]``.
    title
        Name of the multiplier.
    file_format
        ``"svg"``, ``"png"`` or ``"pdf"``.
    """
    error = lut.astype(np.int64) - exact_lut()
    largest = int(np.abs(error).max())
    with figure_of(6.2, 5.2) as figure:
        axes = figure.subplots()
        image = axes.imshow(
            error.T,
            origin="lower",
            cmap="RdBu_r",
            norm=CenteredNorm(0, max(largest, 1)),
            interpolation="nearest",
        )
        axes.grid(False)
        axes.set_xlabel("a, operand on port A")
        axes.set_ylabel("b, operand on port B")
        axes.set_xticks(_OPERAND_TICKS)
        axes.set_yticks(_OPERAND_TICKS)
        bias = f"{error.mean():.4g}".replace("-", "−")
        figures = f"absolute error: mean {np.abs(error).mean():.4g}, worst {largest}; bias {bias}"
        axes.set_title(f"{title}\n{figures}", size=10)
        ticks = MaxNLocator(integer=True)
        label = "error M(a, b) − a·b"
        bar = figure.colorbar(image, ax=axes, label=label, shrink=0.9, ticks=ticks)
        bar.outline.set_visible(False)
        return written(figure, file_format)
