"""The libraries that commands work on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_output import report_progress

if TYPE_CHECKING:
    from qosnets.library import Library

__all__ = [
    "LibertyFile",
    "OnlyLibrary",
    "OperandsFile",
    "estimated",
    "libraries_with",
    "load_libraries",
    "load_library",
]

OnlyLibrary = Annotated[
    str | None,
    typer.Option("--library", help="Only this library.", show_default="all", metavar="NAME"),
]
LibertyFile = Annotated[
    Path | None,
    typer.Option(
        "--liberty",
        help="Liberty file to estimate with, .gz too; generic: our own cells.",
        show_default="see doctor",
        metavar="FILE",
    ),
]
OperandsFile = Annotated[
    Path | None,
    typer.Option(
        "--operands",
        help="Operand histograms to estimate with, from `ops operands`.",
        show_default="uniform",
        metavar="FILE",
    ),
]


def load_libraries(only: str | None = None, *, beside: Path | None = None) -> "list[Library]":
    """Return all libraries, the default one first, or the one named ``only``.

    The families are built at first use. Where a search has left a library beside its
    ``ops.json``, ``beside``, that one comes before all.

    Raises
    ------
    InputError
        If there is no library ``only``.
    """
    from qosnets.errors import InputError
    from qosnets_library.store import all_libraries

    with report_progress() as progress:
        found = all_libraries(
            only=only,
            progress=lambda done, total, _: progress(
                "Building the multiplier library", done, total
            ),
        )
    if not found:
        known = ", ".join(library.name for library in load_libraries())
        raise InputError(f"--library: must be one of {known}, not {only!r}")
    own = [] if beside is None else _left_beside(beside)
    return own + (found[:1] if only else found)


def _left_beside(ops: Path) -> "list[Library]":
    from qosnets.library import LIBRARY_FILE, Library

    folder = ops.parent / "library"
    return [Library.open(folder)] if (folder / LIBRARY_FILE).is_file() else []


def load_library(name: str) -> "Library":
    """Return the library ``name``; raises InputError if there is none."""
    (library,) = load_libraries(name)
    return library


def libraries_with(name: str, only: str | None, *, circuits: bool = False) -> "list[Library]":
    """Return the libraries, or the one named ``only``, that have a multiplier ``name``.

    Parameters
    ----------
    name, only
        What to look for, and where.
    circuits
        Count merged multipliers, which have no table themselves.

    Raises
    ------
    InputError
        If there is none.
    """
    from qosnets.errors import InputError

    searched = load_libraries(only)
    holding = [
        library
        for library in searched
        if name in library.entries or (circuits and name in library.circuits)
    ]
    if not holding:
        names = ", ".join(library.name for library in searched)
        raise InputError(f"multiplier: {name!r} is in no library; searched {names}")
    return holding


def estimated(
    libraries: "Sequence[Library]", *, liberty: Path | None = None, operands: Path | None = None
) -> "list[Library]":
    """Return views of ``libraries`` with the estimates of one cell library and distribution.

    Parameters
    ----------
    libraries
        The libraries.
    liberty
        Liberty file; None for the one in force.
    operands
        Operand histograms; None for the uniform distribution.
    """
    from qosnets_library.liberty import load_liberty
    from qosnets_library.operands import UNIFORM, load_operands
    from qosnets_library.store import with_estimates

    cells = load_liberty(liberty)
    distribution = UNIFORM if operands is None else load_operands(operands)
    with report_progress() as progress:
        return [
            with_estimates(
                library,
                cells,
                distribution,
                progress=lambda done, total, _, name=library.name: progress(
                    f"Estimating {name}", done, total
                ),
            )
            for library in libraries
        ]
