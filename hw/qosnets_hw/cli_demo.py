"""``qosnets-hw demo``: the whole chain on a small network."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from qosnets.files import canonical_json, check_output_folder, publish
from qosnets.ops import OpsFile

from .cli_output import print_json, print_table, report_progress
from .cli_report import print_report
from .cli_stages import (
    SEARCH_MANIFEST,
    demo_recipe,
    search_files,
    simulate_design,
    used_multipliers,
)
from .cli_store import estimated, load_library

if TYPE_CHECKING:
    from qosnets_sim.results import SimulationResult

__all__ = ["run_demo"]

DESIGN_FOLDER = "design"


def run_demo(out: Path, *, force: bool, seed: int, library: str, as_json: bool) -> None:
    """Run the chain; ends with exit code 1 if hardware and model differ anywhere.

    ``out`` gets what ``search`` writes, the design in ``design``, ``report.json`` and
    ``summary.json``.
    """
    from qosnets_sim.verilator import verilator_root

    from .generate import generate
    from .report import report

    start = time.monotonic()
    for folder in (out, out / DESIGN_FOLDER):
        check_output_folder(folder, force=force)
    verilator_root()  # fail before the training, not after it
    (candidates,) = estimated([load_library(library)])
    with report_progress() as progress:
        files = search_files(candidates, progress, demo_recipe(seed))
        publish(out, files, force=force, manifest=SEARCH_MANIFEST)
        file = OpsFile.load(out / "ops.json")
        progress("Generating the array", 0, 1)
        design = generate(file, [candidates], documents=True)
        folder = out / DESIGN_FOLDER
        publish(folder, design.files, force=force, manifest=design.manifest)
        progress("Generating the array", 1, 1)
        result = simulate_design(folder, file, progress, seed=seed)
        progress("Synthesising the array", 0, 1)
        area = report(design, file)
        progress("Synthesising the array", 1, 1)
    summary = _summary(file, result, time.monotonic() - start)
    files |= {"report.json": canonical_json(area), "summary.json": canonical_json(summary)}
    publish(out, files, force=True, manifest=SEARCH_MANIFEST)
    if as_json:
        print_json(summary)
    else:
        _print_summary(file, summary)
        print_report(area)
        typer.echo(f"seed {seed}, {summary['seconds']:.0f} s; results in {out}")
    if result.mismatches:
        raise typer.Exit(1)


def _summary(file: OpsFile, result: "SimulationResult", seconds: float) -> dict[str, Any]:
    estimates = file.ops.estimates or {}
    assert result.bank is not None and result.rules is not None  # both benches have run
    return {
        "schema": "qosnets-summary/1",
        "operating_points": [
            {
                "name": estimate["name"],
                "accuracy": estimate["accuracy"],
                "accuracy_untuned": estimate["accuracy_untuned"],
                "relative_power": estimate["relative_power"],
                "rtl_images": point.images,
                "rtl_values": point.comparison.compared,
                "rtl_mismatches": point.comparison.mismatches,
            }
            for estimate, point in zip(estimates["operating_points"], result.points, strict=True)
        ],
        "baseline_accuracy": estimates["baseline_accuracy"],
        "float_accuracy": estimates["float_accuracy"],
        "bank_products": result.bank.compared,
        "bank_mismatches": result.bank.mismatches,
        "rule_mismatches": result.rules.mismatches,
        "seconds": round(seconds, 1),
    }


def _print_summary(file: OpsFile, summary: Mapping[str, Any]) -> None:
    header = (
        "operating point",
        "multipliers",
        "float",
        "quantised",
        "untuned",
        "tuned",
        "relative power",
        "RTL images",
        "mismatches",
    )
    rows = []
    for point, record in zip(file.ops.operating_points, summary["operating_points"], strict=True):
        accuracies = (
            summary["float_accuracy"],
            summary["baseline_accuracy"],
            record["accuracy_untuned"],
            record["accuracy"],
        )
        rows.append(
            (
                point.name,
                used_multipliers(file.ops, point),
                *(f"{accuracy:.2%}" for accuracy in accuracies),
                f"{record['relative_power']:.3f}",
                str(record["rtl_images"]),
                str(record["rtl_mismatches"]),
            )
        )
    print_table(header, rows)
