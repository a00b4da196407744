"""``qosnets-hw library evolve``."""

from typing import Annotated

import typer
from qosnets_library.evolution.goal import Cost, Metric

from .cli_output import report_progress
from .cli_recipe import floats
from .cli_store import LibertyFile, OperandsFile, load_library

__all__ = ["evolve"]


def evolve(
    library: Annotated[
        str, typer.Option("--library", help="Name of the library to write.", metavar="NAME")
    ],
    bounds: Annotated[
        str,
        typer.Option(
            help="Bounds of the error, rising; a circuit is evolved for each.", metavar="A,B,…"
        ),
    ],
    metric: Annotated[Metric, typer.Option(help="Error that is bounded.")] = Metric.MSE,
    cost: Annotated[Cost, typer.Option(help="What is minimised.")] = Cost.POWER,
    operands: OperandsFile = None,
    liberty: LibertyFile = None,
    seeds: Annotated[
        list[str] | None,
        typer.Option(
            help="Library to start from; may be repeated.", show_default="evolved", metavar="NAME"
        ),
    ] = None,
    islands: Annotated[int, typer.Option(min=1, help="Islands of each bound.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; circuits migrate after each.")] = 4,
    evaluations: Annotated[
        int, typer.Option(min=1, help="Evaluated circuits of an island in a round.")
    ] = 250_000,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per core")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of chance.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run of the same options.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the library, forget an interrupted run.")
    ] = False,
) -> None:
    """Evolve multipliers of your own: least power or area under bounds of the error."""
    from qosnets.errors import InputError
    from qosnets.library import Realisation, data_home
    from qosnets_library.default import default_library, reference_netlist
    from qosnets_library.evolution.library import Effort, evolve_library
    from qosnets_library.liberty import load_liberty
    from qosnets_library.operands import UNIFORM, load_operands
    from qosnets_library.store import check_target

    check_target(library, force=force)
    sources = [load_library(name) for name in seeds] if seeds else [default_library()]
    netlists = {
        f"{source.name}/{entry.name}": source.netlist(entry.name)
        for source in sources
        for entry in source.entries.values()
        if entry.realisation is Realisation.NETLIST
    }
    if not netlists:
        rule = "--seeds: must be libraries with netlists of their own"
        raise InputError(f"{rule}, not {', '.join(source.name for source in sources)}")
    with report_progress() as progress:
        evolved = evolve_library(
            data_home() / library,
            library,
            metric=metric,
            bounds=tuple(floats(bounds, "--bounds")),
            cost=cost,
            operands=UNIFORM if operands is None else load_operands(operands),
            liberty=load_liberty(liberty),
            seeds=netlists,
            reference=reference_netlist(),
            effort=Effort(islands, rounds, evaluations, n_jobs=jobs or -1),
            seed=seed,
            resume=resume,
            force=force,
            progress=lambda done, total, _: progress("Evolving", done, total),
        )
    typer.echo(f"{library}: {len(evolved.entries)} multipliers evolved, in {evolved.folder}")
