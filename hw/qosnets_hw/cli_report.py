"""``report``: the command, and how its figures are printed."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer
from qosnets.ops import OpsFile

from .cli_output import print_json, print_table, report_progress
from .cli_store import load_libraries

if TYPE_CHECKING:
    from .generate import Design
    from .power import Record

__all__ = ["power_recorder", "print_report", "run_report"]

MIN_CYCLES = 2000
"""Clock cycles that the power of an operating point is measured in, at least."""


def power_recorder(seed: int) -> "Record":
    """Return what simulates a mapped design for its power."""
    from qosnets_sim.activity import record

    def run(design: Path, file: OpsFile, sources: Sequence[Path], point: int, folder: Path) -> Path:
        return record(
            design,
            file,
            sources=sources,
            point=point,
            min_cycles=MIN_CYCLES,
            seed=seed,
            folder=folder,
        )

    return run


def run_report(
    file: OpsFile,
    design: "Design",
    *,
    sizes: Mapping[str, int],
    library: str | None,
    liberty: Path | None,
    power: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Run ``report``.

    Parameters
    ----------
    file, design
        The ``ops.json``, and what was generated from it.
    sizes
        Options that it was generated with, for the reference.
    library
        Name of the only library to search for the reference; None for all.
    liberty
        Liberty file; None for the one in force.
    power
        Whether to simulate the mapped design for its power.
    seed
        Of what is drawn for that.
    """
    from qosnets_library.liberty import load_liberty

    from .report import report

    make = partial(report, design, file, liberty=load_liberty(liberty))
    with report_progress() as progress, TemporaryDirectory(prefix="qosnets-report-") as folder:
        progress("Synthesising the array", 0, 1)
        if power:
            exact = _exact_only(file, library, sizes, Path(folder))
            progress("Synthesising and simulating the array, with an exact one", 0, 0)
            values = make(record=power_recorder(seed), exact=exact)
        else:
            values = make()
        progress("Synthesising the array", 1, 1)
    if as_json:
        print_json(values)
    else:
        print_report(values)


def _exact_only(
    file: OpsFile, library: str | None, sizes: Mapping[str, int], folder: Path
) -> "tuple[OpsFile, Design]":
    """Return the array that has an exact multiplier alone: there is nothing to isolate."""
    from .defaults import Isolation
    from .exact_only import exact_only
    from .generate import generate

    libraries = load_libraries(library)
    exact = exact_only(file, libraries, folder)
    return exact, generate(exact, libraries, isolation=Isolation.NONE, **sizes)


def print_report(values: Mapping[str, Any]) -> None:
    """Print a report."""
    typer.echo(f"{values['engine']}, cells {values['cells']}")
    rows = [
        (
            name.replace("_", " "),
            f"{block['area_ge']:.0f}",
            f"{block['area_um2']:.0f}",
            f"{block['share']:.1%}",
        )
        for name, block in values["blocks"].items()
    ]
    rows.append(("total", f"{values['area_ge']:.0f}", f"{values['area_um2']:.0f}", ""))
    print_table(("block", "area [GE]", "area [um2]", "share"), rows)
    typer.echo(f"and {values['memory_bits']} bits of memory")
    _print_clock(values["clock"])
    rows = [
        (point["name"], "-" if (p := point["relative_power"]) is None else f"{p:.3f}")
        for point in values["operating_points"]
    ]
    print_table(("operating point", "relative multiplication power"), rows)
    if "power" in values:
        _print_power(values["power"])


def _print_clock(clock: Mapping[str, Any]) -> None:
    """Print the longest paths by operating point, and those through the multipliers."""
    parts = ("register", "gate", "member", "join", "setup", "stage")
    print_table(
        ("multiplier", "alone [ns]", "register", "gate", "in place", "AND-OR", "setup", "stage"),
        [
            (member["name"], *(f"{member[f'{part}_ns']:.2f}" for part in ("alone", *parts)))
            for member in clock["multipliers"]
        ],
    )
    points = [{"name": "any select", **clock}, *clock["operating_points"]]
    names = list(clock["stages"])
    print_table(
        ("operating point", "period [ns]", *names),
        [
            (
                point["name"],
                f"{point['period_ns']:.2f}",
                *(f"{point['stages'][name]['time_ns']:.2f}" for name in names),
            )
            for point in points
        ],
    )


def _print_power(power: Mapping[str, Any]) -> None:
    """Print what the array takes at each operating point."""
    points = power["operating_points"]
    blocks = [name for name in points[0]["energy_pj"] if name != "total"]
    print_table(
        ("operating point", "pJ/cycle", *(name.replace("_", " ") for name in blocks), "to exact"),
        [
            (
                point["name"],
                f"{point['energy_pj']['total']:.1f}",
                *(f"{point['energy_pj'][name]:.1f}" for name in blocks),
                "-" if (p := point["relative_to_exact_only"]) is None else f"{p:.3f}",
            )
            for point in points
        ],
    )
    least = min(point["annotated"] for point in points)
    cycles = min(point["cycles"] for point in points)
    typer.echo(
        f"{power['engine']}: {cycles} cycles or more, {least:.1%} of the nets or more known;"
        f" without {', '.join(power['not_included'])}"
    )
