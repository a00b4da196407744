"""``qosnets-hw library merge``."""

from typing import TYPE_CHECKING, Annotated

import typer

from .cli_output import print_table, report_progress
from .cli_recipe import floats
from .cli_store import LibertyFile, OperandsFile

if TYPE_CHECKING:
    from qosnets_library.merge import Cost

__all__ = ["merge"]

_CIRCUIT = "mul8u_merged"

_HEADER = (
    *("name", "MSE", "area [µm²]", "delay [ns]"),
    *("power [µW]", "relative power", "with glitches [µW]", "relative"),
)


def merge(
    library: Annotated[
        str, typer.Option("--library", help="Name of the library to write.", metavar="NAME")
    ],
    bounds: Annotated[
        str,
        typer.Option(
            help="Bounds of the mean squared error, rising; a mode for each, beside the exact one.",
            metavar="A,B,…",
        ),
    ],
    row_pairs: Annotated[
        bool,
        typer.Option(
            "--row-pairs", help="Let pairs of bits share a mask: at most 4 masked products a mode."
        ),
    ] = False,
    exact_zero: Annotated[
        bool,
        typer.Option(
            "--exact-zero",
            help="No constants, so that a product with 0 is 0; the bounds are of the variance.",
        ),
    ] = False,
    operands: OperandsFile = None,
    liberty: LibertyFile = None,
    max_delay: Annotated[
        float | None,
        typer.Option(
            help="Bound of the delay in ns; slower wirings take less area and power.",
            show_default="that of the fastest wiring",
        ),
    ] = None,
    estimates: Annotated[
        int, typer.Option(min=1, help="Wirings judged by a quick estimate.")
    ] = 15_000,
    mappings: Annotated[int, typer.Option(min=1, help="Wirings mapped to cells.")] = 800,
    seed: Annotated[int, typer.Option(min=0, max=(1 << 63) - 1, help="Seed of chance.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the library.")] = False,
) -> None:
    """Make one multiplier with an exact and several approximate modes: least power and area."""
    from dataclasses import replace

    from qosnets.library import data_home
    from qosnets_library.liberty import load_liberty
    from qosnets_library.merge import merge_library, merged_costs
    from qosnets_library.merged.climb import Effort
    from qosnets_library.merged.goal import ErrorCriterion, mse_goal
    from qosnets_library.operands import UNIFORM, load_operands
    from qosnets_library.store import check_target

    check_target(library, force=force)
    distribution = UNIFORM if operands is None else load_operands(operands)
    cells = load_liberty(liberty)
    goal = mse_goal(floats(bounds, "--bounds"), operands=distribution, row_pairs=row_pairs)
    if exact_zero:
        goal = replace(goal, criterion=ErrorCriterion.VARIANCE)
    with report_progress() as progress:
        merged = merge_library(
            data_home() / library,
            library,
            {_CIRCUIT: goal},
            liberty=cells,
            operands=distribution,
            max_delay_ns=max_delay,
            effort=Effort(estimates, mappings),
            seed=seed,
            force=force,
            progress=lambda done, total, _: progress("Merging", done, total),
        )
    costs = merged_costs(merged, liberty=cells, operands=distribution)
    rows = [[cost.name, *_figures(cost)] for cost in costs]
    found = costs[0].estimates
    caption = f"Estimated with {found.liberty}; {found.engine}; {found.distribution} operands"
    print_table(_HEADER, rows, caption=caption, n_text=1)
    n_modes = len(merged.entries)
    typer.echo(f"{library}: {_CIRCUIT} with {n_modes} modes, all proven, in {merged.folder}")


def _figures(cost: "Cost") -> list[str]:
    found = cost.estimates
    figures = (
        *(cost.mse, found.area_um2, found.delay_ns, found.power_uw, found.relative_power),
        *(cost.glitching_uw, cost.relative_glitching),
    )
    return [f"{figure:.4g}" if figure < 1000 else f"{figure:.0f}" for figure in figures]
