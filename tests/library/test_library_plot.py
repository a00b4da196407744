"""Pictures: what they show, and that the same input gives the same bytes."""

import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from qosnets.errors import InputError
from qosnets.library import Entry, Estimates, Library, LibraryData, Metrics, Published, Toggles
from qosnets.lut import exact_lut
from qosnets_library.figures import CostFigure, ErrorFigure
from qosnets_library.plot import pareto_front, plot_heatmap, plot_libraries

SHA256 = "0" * 64


def entry(name: str, error: int, cost: float | None, *, published: bool = False) -> Entry:
    """Return a multiplier whose error figures are all ``error``, and its costs ``cost``."""
    metrics = Metrics(
        mae=error,
        wce=error,
        mse=error,
        error_probability=0.5,
        mre=error,
        error_mean=0,
        error_std=error,
        max_product=65_025,
        rank=1,
    )
    estimates = cost and Estimates(
        area_um2=cost,
        delay_ns=cost,
        power_uw=cost,
        leakage_uw=0,
        relative_power=cost,
        toggles=Toggles(a=(0.5,) * 8, b=(0.5,) * 8, product=(0.5,) * 16),
        engine="toggles",
        liberty="cells",
        liberty_sha256=SHA256,
        distribution="uniform",
    )
    return Entry(
        name=name,
        realisation="netlist" if cost else "table",
        lut_sha256=SHA256,
        netlist_sha256=SHA256 if cost else None,
        origin="test",
        metrics=metrics,
        estimates=estimates or None,
        published=Published(source="a paper", power_mw=0.5, area_um2=1, delay_ns=1)
        if published
        else None,
    )


def library(name: str, *entries: Entry) -> Library:
    records = [item.model_dump(mode="json") for item in entries]
    content = {"schema": "qosnets-library/2", "name": name, "entries": records}
    return Library(Path(name), LibraryData.model_validate(content))


FIRST = library("first", entry("a", 0, 1.0), entry("b", 30, 0.5), entry("c", 40, 0.6))
SECOND = library("second", entry("x", 2, 0.9, published=True), entry("table", 5, None))
MSE, POWER = ErrorFigure.MSE, CostFigure.RELATIVE_POWER


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(0, 1)], [True]),
        ([(0, 1), (1, 0)], [True, True]),
        ([(0, 1), (1, 1), (0, 2), (1, 2)], [True, False, False, False]),
        ([(3, 3), (3, 3), (2, 4)], [True, True, True]),  # equal ones do not beat each other
        ([(5, 0), (3, 3), (4, 4), (0, 5)], [True, True, False, True]),
        ([], []),
    ],
)
def test_pareto_front(points, front):
    error, cost = np.array(points, dtype=float).reshape(-1, 2).T
    assert pareto_front(error, cost).tolist() == front


def svg(*libraries: Library, error: ErrorFigure = MSE, cost: CostFigure = POWER) -> str:
    return plot_libraries(libraries, error=error, cost=cost, file_format="svg").decode()


def words(text: str) -> list[str]:
    """Return the texts of a picture; Matplotlib writes them as comments beside their outlines."""
    return re.findall(r"<!-- (.*) -->", text)


def test_libraries_with_their_fronts():
    shown = words(svg(FIRST, SECOND))
    assert "first: 2 of 3 on the front" in shown
    assert "second: 1 of 1 on the front" in shown  # a table has no cost
    assert "mean squared error" in shown
    assert "estimated power relative to the exact reference" in shown
    assert "cells; toggles; uniform operands" in shown


@pytest.mark.parametrize("error", ErrorFigure)
@pytest.mark.parametrize("cost", list(CostFigure)[:4])
def test_every_pair_of_figures(error, cost):
    shown = words(svg(FIRST, error=error, cost=cost))
    assert "first: 2 of 3 on the front" in shown
    assert ("0 %" in shown) is (cost is POWER or error is ErrorFigure.MRE)


def test_published_figures_name_their_source():
    shown = words(svg(SECOND, cost=CostFigure.PUBLISHED_POWER_MW))
    assert {"a paper", "published power [mW]", "second: 1 of 1 on the front"} <= set(shown)


def test_exact_multipliers_alone():
    assert "exact: 1 of 1 on the front" in words(svg(library("exact", entry("a", 0, 1.0))))


@pytest.mark.parametrize(
    ("libraries", "cost", "message"),
    [
        ([FIRST], CostFigure.PUBLISHED_POWER_MW, "library first has no multiplier with published_"),
        ([FIRST, library("empty")], POWER, "library empty has no multiplier with relative_power"),
        ([FIRST] * 8, POWER, "must be of 1..7 libraries, not 8"),
        ([], POWER, "must be of 1..7 libraries, not 0"),
    ],
)
def test_nothing_to_draw(libraries, cost, message):
    with pytest.raises(InputError) as error:
        svg(*libraries, cost=cost)
    assert str(error.value).startswith(f"plot: {message}")


@pytest.mark.parametrize("file_format", ["svg", "png", "pdf"])
def test_same_input_same_bytes(file_format, monkeypatch):
    def pictures() -> tuple[bytes, bytes]:
        return (
            plot_libraries([FIRST, SECOND], error=MSE, cost=POWER, file_format=file_format),
            plot_heatmap(exact_lut() >> 1, title="half", file_format=file_format),
        )

    first = pictures()
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)  # as a user's settings would
    assert pictures() == first
    assert not any(b"Date" in picture for picture in first)
    assert first[0] != plot_libraries([FIRST], error=MSE, cost=POWER, file_format=file_format)


@pytest.mark.parametrize(("sign", "strong"), [(1, 0), (-1, 2)])
def test_heatmap_shows_where_products_are_wrong(sign, strong):
    """Too large in red, too small in blue; a to the right, b upwards."""
    lut = exact_lut()
    lut[192:, 32:64] += np.uint16(sign * 400 % 65_536)  # a large, b small
    picture = imread(io.BytesIO(plot_heatmap(lut, title="wrong", file_format="png")))
    picture = picture[:, : picture.shape[1] * 3 // 4]  # without the colour bar
    coloured = picture[:, :, strong] - picture[:, :, 2 - strong] > 0.2
    rows, columns = np.nonzero(coloured)
    height, width = coloured.shape
    assert rows.size > 1000
    assert 0.6 < np.median(rows) / height < 0.85
    assert 0.75 < np.median(columns) / width


def test_heatmap_states_its_figures():
    lut = exact_lut()
    lut[0] -= np.minimum(lut[0], 1)
    lut[255, 255] -= 256
    shown = words(plot_heatmap(lut, title="one error", file_format="svg").decode())
    assert {"one error", "absolute error: mean 0.003906, worst 256; bias −0.003906"} <= set(shown)
