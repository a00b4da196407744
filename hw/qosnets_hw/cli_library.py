"""``qosnets-hw library``: the multiplier libraries."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_output import print_json, print_table, report_progress

if TYPE_CHECKING:
    from qosnets.library import Entry, Library

__all__ = ["app", "load_libraries", "load_library"]

app = typer.Typer(help="Multiplier libraries.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnlyLibrary = Annotated[
    str | None, typer.Option("--library", help="Only this library.", metavar="NAME")
]


def load_libraries() -> "list[Library]":
    """Return all libraries, the default one first; builds the embedded one at first use."""
    from qosnets_library.store import all_libraries

    with report_progress() as progress:
        return all_libraries(
            progress=lambda done, total, _: progress("Building the multiplier library", done, total)
        )


def load_library(name: str) -> "Library":
    """Return the library ``name``; raises InputError if there is none."""
    from qosnets.errors import InputError

    libraries = load_libraries()
    for library in libraries:
        if library.name == name:
            return library
    known = ", ".join(library.name for library in libraries)
    raise InputError(f"--library: must be one of {known}, not {name!r}")


def _selected(name: str | None) -> "list[Library]":
    return load_libraries() if name is None else [load_library(name)]


def _describe(library: "Library", entry: "Entry") -> dict[str, Any]:
    record = entry.model_dump(mode="json")
    metrics, estimates = record.pop("metrics"), record.pop("estimates") or {}
    return {"name": record.pop("name"), "library": library.name} | record | metrics | estimates


@app.command("list")
def list_entries(library: OnlyLibrary = None, json: Json = False) -> None:
    """List the multipliers with their error and cost."""
    records = [
        _describe(found, entry) for found in _selected(library) for entry in found.entries.values()
    ]
    if json:
        print_json(records)
        return
    columns = ("name", "library", "mae", "wce", "mse", "mre", "area_ge", "relative_power")
    rows = [[_text(record.get(column)) for column in columns] for record in records]
    print_table([column.replace("_", " ") for column in columns], rows)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the multiplier.")],
    library: OnlyLibrary = None,
    json: Json = False,
) -> None:
    """Show everything known of a multiplier."""
    from qosnets.errors import InputError

    libraries = _selected(library)
    records = [
        _describe(found, found.entries[name]) for found in libraries if name in found.entries
    ]
    if not records:
        searched = ", ".join(found.name for found in libraries)
        raise InputError(f"multiplier: {name!r} is in no library; searched {searched}")
    if json:
        print_json(records)
        return
    for record in records:
        print_table(("field", "value"), [(key, _text(value)) for key, value in record.items()])


@app.command("import")
def import_circuits(
    path: Annotated[Path, typer.Argument(help="Verilog file, or folder of them.", metavar="PATH")],
    library: Annotated[
        str, typer.Option("--library", help="Name of the library to write.", metavar="NAME")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing library.")] = False,
) -> None:
    """Import Verilog of unsigned 8x8 multipliers as a library of your own."""
    from qosnets_library.store import import_library

    with report_progress() as progress:
        imported = import_library(
            path,
            library,
            force=force,
            progress=lambda done, total, _: progress("Importing", done, total),
        )
    typer.echo(f"{library}: {len(imported.entries)} multipliers in {imported.folder}")


@app.command()
def verify(library: OnlyLibrary = None, json: Json = False) -> None:
    """Evaluate every netlist anew and compare it with what its library says."""
    from dataclasses import asdict

    from qosnets_library.store import verify_library

    results = []
    with report_progress() as progress:
        libraries = _selected(library)
        for number, found in enumerate(libraries):
            progress("Verifying", number, len(libraries))
            for entry in verify_library(found):
                results.append({"library": found.name, "ok": entry.ok} | asdict(entry))
        progress("Verifying", len(libraries), len(libraries))
    wrong = [result for result in results if not result["ok"]]
    if json:
        print_json(results)
    else:
        for result in wrong:
            for problem in result["problems"]:
                typer.echo(f"{result['library']} {result['name']}: {problem}")
        typer.echo(f"{len(results) - len(wrong)} of {len(results)} multipliers verified")
    if wrong:
        raise typer.Exit(1)
