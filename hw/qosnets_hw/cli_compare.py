"""``qosnets-hw compare``."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from qosnets.errors import InputError
from qosnets.files import canonical_json, check_output_folder, publish

from .cli_output import print_json, print_table, report_progress
from .cli_plots import use_own_cache
from .cli_recipe import (
    DEFAULT_LIBRARY,
    CandidateLibrary,
    Data,
    DataDir,
    Device,
    Model,
    RecipeSource,
    Settings,
    floats,
    search_packages,
)
from .cli_store import LibertyFile, estimated, load_library

if TYPE_CHECKING:
    from qosnets.library import Library
    from qosnets_library.liberty import Liberty
    from qosnets_search.compare.contest import Effort
    from qosnets_search.compare.outcome import RunResult
    from qosnets_search.compare.summary import Summary
    from qosnets_search.compare.tables import Table
    from qosnets_search.recipe import Recipe

__all__ = ["compare"]

COMPARE_MANIFEST: Mapping[str, Any] = {"schema": "qosnets-compare/1"}
CHECKPOINTS = "checkpoints"
"""Folder in the output folder, with one for each seed."""
RIVALS = ("homogeneous", "gradient-search", "alwann", "lvrm", "pnam", "tpm")
VERSIONS = ("qosnets-hw", "torch", "numpy", "scipy", "scikit-learn", "pymoo")
MAX_SEED = 2**31 - 1


def compare(
    out: Annotated[Path, typer.Option("--out", help="Output folder.", metavar="DIR")],
    recipe: RecipeSource = None,
    model: Model = None,
    data: Data = None,
    data_dir: DataDir = None,
    library: CandidateLibrary = DEFAULT_LIBRARY,
    liberty: LibertyFile = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help=f"Methods: {', '.join(RIVALS)}, qosnets-SELECTOR.",
            show_default="all, with kmeans and the selector of the recipe",
            metavar="NAME,NAME,…",
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="Seeds; everything runs once for each.", metavar="N,N,…")
    ] = "1,2,3",
    evaluations: Annotated[
        int, typer.Option(min=1, help="Candidate networks that a search may evaluate.")
    ] = 300,
    images: Annotated[
        int, typer.Option(min=1, help="Training images of such an evaluation.")
    ] = 500,
    limits: Annotated[
        str,
        typer.Option(
            help="Accuracy drops, in percentage points, to run LVRM, PNAM and TPM for.",
            metavar="PP,PP,…",
        ),
    ] = "0.5,1,2",
    settings: Settings = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue or extend what is in the output folder.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace earlier output, forget its checkpoints.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Compare methods on one network, library and data set: table, plots and compare.json.

    The output folder keeps a checkpoint of every stage: --resume continues an interrupted run, and
    takes further seeds and methods. With torchrun, training is shared by several processes.
    """
    with search_packages():
        from qosnets_library.liberty import load_liberty
        from qosnets_search.compare import runner
        from qosnets_search.compare.contest import Effort
        from qosnets_search.compare.methods import named_methods
        from qosnets_search.compare.summary import summarise
        from qosnets_search.compare.tables import tables
        from qosnets_search.pipeline import Run
        from qosnets_search.recipe import choose_recipe, load_recipe
        from qosnets_search.training.distributed import is_first
    checkpoints = out / CHECKPOINTS
    _check_folder(out, resume=resume, force=force)
    what = load_recipe(choose_recipe(recipe, model), {"model": model, "data": data}, settings or ())
    ours = ("qosnets-kmeans", f"qosnets-{what.selector.value}")
    names = named_methods([*RIVALS, *ours] if methods is None else _names(methods))
    numbers, effort = _seeds(seeds), Effort(evaluations, images, _limits(limits))
    cells = load_liberty(liberty)
    (candidates,) = estimated([load_library(library)], liberty=liberty)
    if force and not resume and is_first():
        _forget(checkpoints)
    run = Run(data_folder=data_dir, checkpoints=checkpoints, resume=resume, device=device)
    try:
        with search_packages(), report_progress(silent=not is_first()) as progress:
            runs = runner.compare(
                what, candidates, cells, names, numbers, effort=effort, run=run, progress=progress
            )
    except KeyboardInterrupt:
        if is_first():
            typer.echo(f"{out}: --resume with the same options continues", err=True)
        raise
    if not is_first():
        return
    summary = summarise(runs, what)
    files = _files(runs, summary, _head(what, candidates, cells, effort))
    # The folder holds the checkpoints by now.
    publish(out, files, force=True, manifest=COMPARE_MANIFEST)
    if json:
        print_json(asdict(summary))
    else:
        _print_tables(tables(summary))


def _check_folder(out: Path, *, resume: bool, force: bool) -> None:
    """Refuse a folder that holds something else, or a comparison that nobody wants to replace."""
    has_checkpoints = (out / CHECKPOINTS).is_dir()
    if has_checkpoints and not resume and not force:
        raise InputError(f"{out}: holds a comparison (--resume continues, --force forgets it)")
    check_output_folder(out, force=force or (resume and has_checkpoints))


def _forget(checkpoints: Path) -> None:
    """Remove the checkpoints of all seeds, and nothing else."""
    from qosnets_search.checkpoints import IDENTITY

    for identity in checkpoints.glob(f"seed*/{IDENTITY}"):
        shutil.rmtree(identity.parent)
    with suppress(OSError):  # there is none, or it holds something of somebody else's
        checkpoints.rmdir()


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _seeds(text: str) -> list[int]:
    rule = f"must be different whole numbers 0..{MAX_SEED}, separated by commas"
    try:
        seeds = [int(item) for item in text.split(",")]
    except ValueError:
        raise InputError(f"--seeds: {rule}, not {text!r}") from None
    if len(set(seeds)) < len(seeds) or not all(0 <= seed <= MAX_SEED for seed in seeds):
        raise InputError(f"--seeds: {rule}, not {text!r}")
    return seeds


def _limits(text: str) -> tuple[float, ...]:
    """Return accuracy drops as shares."""
    points = floats(text, "--limits")
    # Written so that NaN is refused.
    rises = all(low < high for low, high in pairwise(points))
    if not rises or not 0 <= points[0] <= points[-1] <= 100:
        rule = "must be percentage points 0..100, rising"
        raise InputError(f"--limits: {rule}, not {text!r}")
    return tuple(point / 100 for point in points)


def _files(
    runs: "Sequence[RunResult]",
    summary: "Summary",
    head: Mapping[str, Any],
) -> dict[str, bytes]:
    """Return the files of a comparison; ``head`` is what it was made from."""
    use_own_cache()
    from qosnets_search.compare.plots import plot_accuracy, plot_errors, plot_strips
    from qosnets_search.compare.summary import OURS
    from qosnets_search.compare.tables import markdown, tables

    document = {**head, "summary": asdict(summary), "runs": [asdict(run) for run in runs]}
    first = runs[0]
    own = [result.method for result in first.methods if result.method.startswith(OURS)]
    powers = head["library"]["relative_power"]
    strips = {f"strips_{name}.svg": plot_strips(first, name, powers) for name in own}
    return {
        "compare.json": canonical_json(document),
        "table.md": markdown(tables(summary)).encode(),
        "accuracy_power.svg": plot_accuracy(runs, summary),
        "errors.svg": plot_errors(first),
        **strips,
    }


def _head(
    recipe: "Recipe", library: "Library", liberty: "Liberty", effort: "Effort"
) -> dict[str, Any]:
    """Return what a comparison was made from."""
    entries = library.entries
    return {
        **COMPARE_MANIFEST,
        "recipe": recipe.model_dump(mode="json", exclude={"seed"}),
        "library": {
            "name": library.name,
            "lut_sha256": {name: entry.lut_sha256 for name, entry in entries.items()},
            "relative_power": {
                name: entry.estimates.relative_power
                for name, entry in entries.items()
                if entry.estimates is not None
            },
        },
        "liberty": {"name": liberty.name, "sha256": liberty.sha256},
        "effort": asdict(effort),
        "versions": {name: _version(name) for name in VERSIONS},
    }


def _version(name: str) -> str | None:
    """Return the version of a package; None if it is missing, for not all methods need all."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print_tables(found: "Sequence[Table]") -> None:
    for table in found:
        typer.echo(table.title)
        caption = "\n".join(table.notes)
        print_table(table.header, table.rows, caption=caption, n_text=table.n_text)
