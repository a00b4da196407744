"""The stages of the chain as commands call them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from qosnets.errors import InputError, shorten
from qosnets.files import canonical_json, publish, sha256
from qosnets.library import Library, cache_home
from qosnets.ops import OperatingPoint, Ops, OpsFile

from .cli_output import Progress, print_json, print_table, report_progress
from .cli_recipe import search_packages
from .cli_store import estimated, load_libraries
from .defaults import BankKind, Isolation

if TYPE_CHECKING:
    from qosnets_search.pipeline import Run
    from qosnets_search.recipe import Recipe
    from qosnets_sim.results import SimulationResult

    from .generate import Design

__all__ = [
    "SEARCH_MANIFEST",
    "demo_recipe",
    "explain_simulation",
    "make_design",
    "print_operating_points",
    "run_sim",
    "search_files",
    "simulate_design",
    "used_multipliers",
]


SEARCH_MANIFEST: Mapping[str, Any] = {"schema": "qosnets-search/1"}
EXPLAINED_IMAGES = 32
"""Size of the batch that simulation is explained for."""


def search_files(
    library: Library | None, progress: Progress, recipe: "Recipe", run: "Run | None" = None
) -> dict[str, bytes]:
    """Run the search; returns its files.

    Raises
    ------
    ToolError
        If torch or another package of the search is not installed.
    """
    with search_packages():
        from qosnets_search.pipeline import Run, search
    return search(recipe, library, run=run or Run(), progress=progress)


def demo_recipe(seed: int) -> "Recipe":
    """Return what the demonstration searches."""
    with search_packages():
        from qosnets_search.recipe import DEMONSTRATION, load_recipe
    return load_recipe(DEMONSTRATION, {"seed": seed})


def used_multipliers(ops: Ops, point: OperatingPoint) -> str:
    """Return the names of the multipliers that an operating point uses."""
    return ", ".join(dict.fromkeys(ops.multipliers[select].name for select in point.assignment))


def print_operating_points(file: OpsFile) -> None:
    """Print the operating points of a search and what it estimates of them."""
    estimates = file.ops.estimates or {}
    rows = [
        (
            point.name,
            used_multipliers(file.ops, point),
            f"{estimates['float_accuracy']:.2%}",
            f"{estimates['baseline_accuracy']:.2%}",
            f"{estimate['accuracy_untuned']:.2%}",
            f"{estimate['accuracy']:.2%}",
            f"{estimate['relative_power']:.3f}",
        )
        for point, estimate in zip(
            file.ops.operating_points, estimates["operating_points"], strict=True
        )
    ]
    print_table(
        ("point", "multipliers", "float", "quantised", "untuned", "tuned", "relative power"), rows
    )
    count = estimates["parameters"]
    typer.echo(
        f"{count['network']} parameters, and {count['batch_norm']} for the further operating"
        f" points ({count['overhead']:.2%})"
    )


def explain_simulation(ops: Ops, library: Library) -> None:
    """Print how the layers of the first operating point are simulated, fastest way first."""
    import torch
    from qosnets.lut import oriented
    from qosnets_search.quantised.approximate import explain_layer

    for layer, select in zip(ops.layers, ops.operating_points[0].assignment, strict=True):
        multiplier, geometry = ops.multipliers[select], layer.geometry
        assert geometry is not None  # the search writes it
        table = oriented(library.lut(multiplier.name), multiplier.activation_port)
        typer.echo(f"{layer.name}, {multiplier.name}, {EXPLAINED_IMAGES} images:")
        for candidate in explain_layer(geometry, torch.from_numpy(table), EXPLAINED_IMAGES):
            typer.echo(f"  {candidate}")


def make_design(
    ops: Path,
    sizes: Mapping[str, int],
    *,
    bank: BankKind | None,
    isolation: Isolation,
    library: str | None,
    with_estimates: bool = False,
    liberty: Path | None = None,
    documents: bool = False,
) -> "tuple[OpsFile, Design]":
    """Load and check ``ops`` with its data, and generate the accelerator.

    Parameters
    ----------
    ops
        The ``ops.json``.
    sizes
        Options of :func:`.generate.generate`.
    bank, isolation
        Options as well.
    library
        Name of the only library to search; None for all.
    with_estimates
        Whether the entries of the design are to have estimates.
    liberty
        Liberty file of the estimates; None for the one in force.
    documents
        Whether to make the documents of the registers.

    Raises
    ------
    InputError
        If ``ops`` is wrong, or the accelerator cannot be generated.
    """
    from qosnets.parameters import check_data

    from .generate import generate

    file = OpsFile.load(ops)
    check_data(file)
    libraries = load_libraries(library, beside=ops)
    if with_estimates:
        libraries = estimated(libraries, liberty=liberty)
    options = {"bank": bank, "isolation": isolation, "documents": documents}
    return file, generate(file, libraries, **options, **sizes)


def _cached_folder(design: "Design") -> Path:
    """Return a folder of the cache that holds ``design``."""
    listing = [canonical_json(design.manifest), *map(sha256, design.files.values())]
    key = sha256(repr(listing).encode())[:32]
    folder = cache_home() / "designs" / key
    publish(folder, design.files, force=True, manifest=design.manifest)
    return folder


def run_sim(
    file: OpsFile,
    design: "Design",
    *,
    n_images: int | None,
    stalls: float,
    multiplier_model: str,
    seed: int,
    as_json: bool,
) -> None:
    """Run ``sim``; ends with exit code 1 on mismatches."""
    from qosnets_sim.multiplier_model import MultiplierModel

    if multiplier_model not in list(MultiplierModel):
        rule = f"--multiplier-model: must be one of {', '.join(MultiplierModel)}"
        raise InputError(f"{rule}, not {shorten(multiplier_model)}")
    with report_progress() as progress:
        result = simulate_design(
            _cached_folder(design),
            file,
            progress,
            n_images=n_images,
            stalls=stalls,
            multiplier_model=MultiplierModel(multiplier_model),
            seed=seed,
        )
    if as_json:
        print_json(result.to_json() | {"mismatches": result.mismatches})
    else:
        _print_simulation(result)
    if result.mismatches:
        raise typer.Exit(1)


def simulate_design(
    folder: Path, file: OpsFile, progress: Progress, **options: Any
) -> "SimulationResult":
    """Simulate the design in ``folder``."""
    from qosnets_sim.simulate import simulate

    return simulate(folder, file, progress=progress, **options)


def _print_simulation(result: "SimulationResult") -> None:
    """Print what was compared and what differed."""
    parts = [("multiplier bank", None, result.bank), ("rules", None, result.rules)]
    parts += [(point.name, point, point.comparison) for point in result.points]
    rows, first = [], None
    for name, point, comparison in parts:
        images, jobs, cycles = (
            (str(point.images), str(point.jobs), str(point.cycles)) if point else ("", "", "")
        )
        if comparison is None:
            continue
        rows.append(
            (name, images, jobs, cycles, str(comparison.compared), str(comparison.mismatches))
        )
        first = first or comparison.first_mismatch
    print_table(("compared", "images", "jobs", "cycles", "values", "mismatches"), rows)
    _print_layers(result)
    typer.echo(f"seed {result.seed}: {result.mismatches} mismatches")
    if first:
        typer.echo(f"first mismatch: {first}")


def _print_layers(result: "SimulationResult") -> None:
    """Print what each layer took, at all operating points together."""
    rows = []
    for layers in zip(*(point.layers for point in result.points), strict=True):
        cycles = sum(layer.cycles for layer in layers)
        predicted = sum(layer.predicted_cycles for layer in layers)
        busy = sum(layer.utilisation * layer.cycles for layer in layers)
        jobs = sum(layer.jobs for layer in layers)
        rows.append(
            (layers[0].name, str(jobs), str(cycles), str(predicted), f"{busy / cycles:.1%}")
        )
    print_table(("layer", "jobs", "cycles", "predicted", "utilisation"), rows)
