"""How all charts look, and their files.

The same input gives the same bytes: whatever the user has set up for Matplotlib is ignored, and
files carry no date.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib import style
from matplotlib.figure import Figure

__all__ = ["GREY", "SERIES", "figure_of", "percent", "written"]

SERIES = (
    *(("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D")),
    *(("#e69f00", "v"), ("#56b4e9", "P"), ("#000000", "X")),
)
"""Colours of Okabe and Ito, which colour-blind people tell apart, each with a marker of its own."""

GREY = "#555555"

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": "#222222",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 160,
    "font.size": 10,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "qosnets-hw",
    "xtick.color": GREY,
    "ytick.color": GREY,
}

_UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
}


@contextmanager
def figure_of(width: float, height: float) -> Iterator[Figure]:
    """Provide an empty figure of a size in inches, under our style alone."""
    with style.context(["default", _STYLE]):
        yield Figure(figsize=(width, height), layout="constrained")


def written(figure: Figure, file_format: str) -> bytes:
    """Return a figure as a file: ``"svg"``, ``"png"`` or ``"pdf"``."""
    data = io.BytesIO()
    figure.savefig(data, format=file_format, metadata=_UNDATED[file_format])
    return data.getvalue()


def percent(share: float, _: object) -> str:
    """Return a share as the label of a tick."""
    return f"{100 * share:g} %"
