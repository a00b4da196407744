"""``qosnets-hw library import`` and ``fetch``."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_output import report_progress
from .cli_store import LibertyFile

if TYPE_CHECKING:
    from qosnets_library.store import Imported

__all__ = ["fetch", "import_circuits"]

Force = Annotated[bool, typer.Option("--force", help="Replace an existing library.")]


def import_circuits(
    path: Annotated[
        Path,
        typer.Argument(
            help="Checkout of EvoApproxLib, folder or file: .v, .sv, .blif, .npy, .bin.",
            metavar="PATH",
        ),
    ],
    library: Annotated[
        str | None,
        typer.Option(
            "--library",
            help="Name of the library to write.",
            show_default="made from PATH",
            metavar="NAME",
        ),
    ] = None,
    operand_width: Annotated[
        str,
        typer.Option(help="Width of the operands; narrow ones are extended.", metavar="NxM"),
    ] = "8x8",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import the others where some are refused.")
    ] = False,
    liberty: LibertyFile = None,
    force: Force = False,
) -> None:
    """Import unsigned multipliers as a library of your own."""
    from qosnets_library.store import import_library

    with report_progress() as progress, _refusals_in_lines():
        imported = import_library(
            path,
            library or _name_from(path),
            force=force,
            keep_going=keep_going,
            liberty=liberty,
            operand_width=_parsed_width(operand_width),
            progress=lambda done, total, phase: progress(phase, done, total),
        )
    _print_summary(imported)


@contextmanager
def _refusals_in_lines() -> Iterator[None]:
    """Print all lines of an error but the last, which the program prints."""
    from qosnets.errors import InputError

    try:
        yield
    except InputError as error:
        *lines, last = str(error).splitlines()
        for line in lines:
            typer.echo(f"qosnets-hw: {line}", err=True)
        raise InputError(last) from None


def _name_from(path: Path) -> str:
    """Return a name for the library in ``path``."""
    resolved = path.resolve()
    name = re.sub(r"[^A-Za-z0-9_.]", "_", resolved.name if path.is_dir() else resolved.stem)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def _parsed_width(text: str) -> tuple[int, int]:
    from qosnets.errors import InputError

    found = re.fullmatch(r"([1-8])x([1-8])", text)
    if found is None:
        raise InputError(f"--operand-width: must be NxM with N and M of 1..8, not {text!r}")
    return int(found[1]), int(found[2])


def _print_summary(imported: "Imported") -> None:
    library, published = imported.library, imported.published
    typer.echo(f"{library.name}: {len(library.entries)} multipliers imported, in {library.folder}")
    for kind, n_files in imported.skipped.items():
        typer.echo(f"skipped: {n_files} files: {kind}")
    for refusal in imported.refused:
        typer.echo(f"refused: {refusal.name}: {refusal.reason}")
    if published.n_equal or published.differing:
        typer.echo(
            f"{published.n_equal} of {published.n_published} LUT hashes equal those of"
            " EvoApproxLib v2022"
        )
    for name in published.differing:
        typer.echo(f"{name}: is not the circuit of this name in EvoApproxLib v2022")


def fetch(
    collection: Annotated[
        str, typer.Argument(help="What to fetch: evoapprox.", metavar="evoapprox")
    ],
    library: Annotated[
        str, typer.Option("--library", help="Name of the library to write.", metavar="NAME")
    ] = "evoapprox",
    liberty: LibertyFile = None,
    force: Force = False,
) -> None:
    """Fetch EvoApproxLib v2022 with git, check its hashes, and import its multipliers."""
    from qosnets.errors import InputError
    from qosnets_library.fetch import fetch_evoapprox

    if collection != "evoapprox":
        raise InputError(f"fetch: must be 'evoapprox', not {collection!r}")
    with report_progress() as progress, _refusals_in_lines():
        imported = fetch_evoapprox(
            library,
            force=force,
            liberty=liberty,
            progress=lambda done, total, phase: progress(phase, done, total),
        )
    _print_summary(imported)
