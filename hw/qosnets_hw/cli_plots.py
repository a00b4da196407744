"""``qosnets-hw library plot`` and ``heatmap``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from qosnets_library.figures import CostFigure, ErrorFigure

from .cli_output import check_output_file, write_output_file
from .cli_store import (
    LibertyFile,
    OnlyLibrary,
    OperandsFile,
    estimated,
    libraries_with,
    load_libraries,
    load_library,
)

if TYPE_CHECKING:
    from qosnets.library import Library

__all__ = ["heatmap", "plot", "use_own_cache"]

_SUFFIXES = (".svg", ".png", ".pdf")

Out = Annotated[
    Path, typer.Option("--out", help=f"Picture to write ({', '.join(_SUFFIXES)}).", metavar="FILE")
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file.")]


def plot(
    out: Out,
    library: Annotated[
        list[str] | None,
        typer.Option(
            "--library",
            help="Library to draw; may be repeated.",
            show_default="all",
            metavar="NAME",
        ),
    ] = None,
    metric: Annotated[ErrorFigure, typer.Option(help="Error to draw.")] = ErrorFigure.MSE,
    cost: Annotated[CostFigure, typer.Option(help="Cost to draw.")] = CostFigure.RELATIVE_POWER,
    liberty: LibertyFile = None,
    operands: OperandsFile = None,
    force: Force = False,
) -> None:
    """Draw error against cost of libraries, with the Pareto front of each."""
    check_output_file(out, suffixes=_SUFFIXES, force=force)
    if library:
        libraries = [load_library(name) for name in dict.fromkeys(library)]
    else:
        libraries = load_libraries()
    if cost is not CostFigure.PUBLISHED_POWER_MW:
        libraries = estimated(libraries, liberty=liberty, operands=operands)
    if not library:
        libraries = [found for found in libraries if _has(found, cost)]
    use_own_cache()
    from qosnets_library.plot import plot_libraries

    picture = plot_libraries(libraries, error=metric, cost=cost, file_format=out.suffix[1:])
    write_output_file(out, picture)


def _has(library: "Library", cost: CostFigure) -> bool:
    return any(cost.of(entry) is not None for entry in library.entries.values())


def heatmap(
    name: Annotated[str, typer.Argument(help="Name of the multiplier.")],
    out: Out,
    library: OnlyLibrary = None,
    force: Force = False,
) -> None:
    """Draw the error of a multiplier over both operands."""
    from qosnets.errors import InputError

    check_output_file(out, suffixes=_SUFFIXES, force=force)
    holding = libraries_with(name, library)
    hashes = {found.entries[name].lut_sha256 for found in holding}
    if len(hashes) > 1:
        names = " and ".join(found.name for found in holding)
        raise InputError(f"multiplier: {name!r} is not the same in {names}; choose by --library")
    use_own_cache()
    from qosnets_library.plot import plot_heatmap

    found = holding[0]
    picture = plot_heatmap(
        found.lut(name), title=f"{name}, library {found.name}", file_format=out.suffix[1:]
    )
    write_output_file(out, picture)


def use_own_cache() -> None:
    """Let Matplotlib keep its list of fonts in our cache; must run before it is imported."""
    import os

    from qosnets.library import cache_home

    os.environ.setdefault("MPLCONFIGDIR", str(cache_home() / "matplotlib"))
