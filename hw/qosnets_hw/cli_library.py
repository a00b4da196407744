"""``qosnets-hw library``: what the libraries hold."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_evolve import evolve
from .cli_import import fetch, import_circuits
from .cli_merge import merge
from .cli_output import print_json, print_table, report_progress
from .cli_plots import heatmap, plot
from .cli_store import (
    LibertyFile,
    OnlyLibrary,
    OperandsFile,
    estimated,
    libraries_with,
    load_libraries,
)

if TYPE_CHECKING:
    from qosnets.library import Circuit, Entry, Library

__all__ = ["app"]

app = typer.Typer(help="Multiplier libraries.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_COLUMNS = {
    "name": "name",
    "library": "library",
    "mae": "MAE",
    "wce": "WCE",
    "mse": "MSE",
    "mre": "MRE [%]",
    "area_um2": "area [µm²]",
    "delay_ns": "delay [ns]",
    "power_uw": "power [µW]",
    "relative_power": "relative power",
    "published_power_mw": "published [mW]",
}
"""Fields of the table, with their headings."""


@app.command("list")
def list_entries(
    library: OnlyLibrary = None,
    liberty: LibertyFile = None,
    operands: OperandsFile = None,
    json: Json = False,
) -> None:
    """List the multipliers with their error and cost."""
    records = [
        _describe(found, entry)
        for found in estimated(load_libraries(library), liberty=liberty, operands=operands)
        for entry in found.entries.values()
    ]
    if json:
        print_json(records)
        return
    rows = [[_text(_in_percent(record, field)) for field in _COLUMNS] for record in records]
    print_table([*_COLUMNS.values()], rows, caption=_caption(records), n_text=2)


def _describe(library: "Library", entry: "Entry") -> dict[str, Any]:
    """Return all that is known of a multiplier as a flat record with the same keys for all."""
    from qosnets.library import Estimates, Published

    record = entry.model_dump(mode="json")
    metrics, estimates, published = map(record.pop, ("metrics", "estimates", "published"))
    estimates = estimates or dict.fromkeys(Estimates.model_fields)
    published = published or dict.fromkeys(Published.model_fields)
    published = {f"published_{field}": value for field, value in published.items()}
    head = {"name": record.pop("name"), "library": library.name}
    return head | record | metrics | estimates | published


def _describe_circuit(library: "Library", circuit: "Circuit") -> dict[str, Any]:
    """Return all that is known of a merged multiplier as a record, with the names of its modes."""
    record = circuit.model_dump(mode="json")
    modes = [entry.name for entry in library.modes(circuit.name)]
    return {"name": record.pop("name"), "library": library.name} | record | {"modes": modes}


def _in_percent(record: dict[str, Any], field: str) -> Any:
    return 100 * record[field] if field == "mre" else record[field]


def _text(value: Any) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
        case [[*_], *_]:
            return "\n".join(map(_text, value))
        case list():
            return ", ".join(map(_text, value))
        case dict():
            return "\n".join(f"{key}: {_text(item)}" for key, item in value.items())
    return str(value)


def _caption(records: list[dict[str, Any]]) -> str:
    """Return what the estimates were made with."""
    return "\n".join(
        dict.fromkeys(
            f"Estimated with {r['liberty']}; {r['engine']}; {r['distribution']} operands"
            for r in records
            if r["liberty"] is not None
        )
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the multiplier.")],
    library: OnlyLibrary = None,
    liberty: LibertyFile = None,
    operands: OperandsFile = None,
    json: Json = False,
) -> None:
    """Show everything known of a multiplier, of a mode of a merged one, or of that itself."""
    holding = libraries_with(name, library, circuits=True)
    records = [
        _describe_circuit(found, found.circuits[name])
        if name in found.circuits
        else _describe(found, found.entries[name])
        for found in estimated(holding, liberty=liberty, operands=operands)
    ]
    if json:
        print_json(records)
        return
    for record in records:
        print_table(("field", "value"), [(key, _text(value)) for key, value in record.items()])


@app.command()
def verify(library: OnlyLibrary = None, json: Json = False) -> None:
    """Compare every record with its netlist, for all operand pairs, also in Verilator."""
    from dataclasses import asdict

    from qosnets_library.verify import verify_library
    from qosnets_sim.netlists import simulate_netlists

    results = []
    libraries = load_libraries(library)
    with report_progress() as progress:
        for number, found in enumerate(libraries):
            progress("Verifying", number, len(libraries))
            for entry in verify_library(found, simulate_netlists):
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


app.command("import")(import_circuits)
app.command()(fetch)
app.command()(evolve)
app.command()(merge)
app.command()(plot)
app.command()(heatmap)
