"""``qosnets-hw search`` and ``network``."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from qosnets.errors import InputError

from .cli_output import print_json, print_table, report_progress
from .cli_recipe import (
    DEFAULT_LIBRARY,
    Bank,
    Data,
    DataDir,
    Device,
    Model,
    RecipeSource,
    Settings,
    floats,
    search_packages,
)
from .cli_store import estimated, load_library

if TYPE_CHECKING:
    from qosnets.geometry import Geometry
    from qosnets.library import Library
    from qosnets_search.recipe import Recipe

__all__ = ["network", "search"]


def search(
    out: Annotated[Path, typer.Option("--out", help="Output folder.", metavar="DIR")],
    recipe: RecipeSource = None,
    model: Model = None,
    data: Data = None,
    data_dir: DataDir = None,
    bank: Bank = None,
    library: Annotated[
        str | None,
        typer.Option(
            "--library",
            help="Library to choose multipliers from, or modes of its merged one.",
            show_default=DEFAULT_LIBRARY,
            metavar="NAME",
        ),
    ] = None,
    multipliers: Annotated[
        int | None, typer.Option(help="Multipliers to choose, 1..8.", show_default="4")
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(help="Error scale of each operating point, ascending.", metavar="S,S,…"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything that is drawn.", show_default="1")
    ] = None,
    settings: Settings = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run of the same options.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace earlier output, forget an interrupted run.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how layers are simulated, and why.")
    ] = False,
) -> None:
    """Train a network and assign multipliers to its layers: writes ops.json with its data.

    With --bank merged, one multiplier is made whose modes suit the layers: it is written to the
    folder `library` beside ops.json.

    Stages are kept beside the output folder until it is written: an interrupted run goes on with
    --resume. With torchrun, training is shared by several processes.
    """
    from qosnets.files import check_output_folder, publish
    from qosnets.library import Library
    from qosnets.ops import OpsFile

    from .cli_stages import (
        SEARCH_MANIFEST,
        explain_simulation,
        print_operating_points,
        search_files,
    )

    with search_packages():
        from qosnets_search.document import LIBRARY_FOLDER
        from qosnets_search.pipeline import Run
        from qosnets_search.recipe import choose_recipe, load_recipe
        from qosnets_search.training.distributed import is_first
    check_output_folder(out, force=force)
    changes = {
        "model": model,
        "data": data,
        "bank": bank,
        "n_multipliers": multipliers,
        "scales": None if scales is None else floats(scales, "--scales"),
        "seed": seed,
    }
    what = load_recipe(choose_recipe(recipe, model), changes, settings or ())
    state = out.absolute().parent / f".searching-{out.absolute().name}"
    if force and not resume and is_first():
        shutil.rmtree(state, ignore_errors=True)
    candidates = _candidates(what, library)
    run = Run(data_folder=data_dir, checkpoints=state, resume=resume, device=device)
    with report_progress(silent=not is_first()) as progress:
        files = search_files(candidates, progress, what, run)
    if not is_first():
        return
    publish(out, files, force=force, manifest=SEARCH_MANIFEST)
    shutil.rmtree(state, ignore_errors=True)
    file = OpsFile.load(out / "ops.json")
    print_operating_points(file)
    if explain:
        explain_simulation(file.ops, candidates or Library.open(out / LIBRARY_FOLDER))


def _candidates(recipe: "Recipe", library: str | None) -> "Library | None":
    """Return the library to choose from; None where multipliers are made for the network."""
    from qosnets_search.recipe import Bank

    if recipe.bank is Bank.MUX:
        (candidates,) = estimated([load_library(library or DEFAULT_LIBRARY)])
        return candidates
    if library is not None:
        raise InputError(
            "--library: must be absent with the bank merged, whose multiplier is made for the"
            f" network, not {library!r}"
        )
    return None


def network(
    name: Annotated[str, typer.Argument(help="Name of a network, or package.module:factory.")],
    input_shape: Annotated[
        str | None,
        typer.Option(help="Shape of the images, for a factory.", metavar="C,H,W"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the multiplying layers of a network and the multiplications for one image."""
    with search_packages():
        from qosnets_search.models.catalogue import MODELS, load_model
        from qosnets_search.quantised.trace import trace
    known = MODELS.get(name)
    shape = known.input_shape if known and input_shape is None else _shape(input_shape)
    module = load_model(name, input_shape=shape, n_classes=None)
    traced = trace(module, shape, where=f"model {name}")
    layers = [
        {
            "name": layer,
            "kind": _kind(part.geometry),
            "shape": list(part.module.weight.shape),
            "multiplications": part.geometry.multiplications,
        }
        for layer, part in traced.layers.items()
    ]
    total = sum(part.geometry.multiplications for part in traced.layers.values())
    n_parameters = sum(parameter.numel() for parameter in module.parameters())
    if json:
        print_json(
            {
                "name": name,
                "input_shape": list(shape),
                "parameters": n_parameters,
                "multiplications": total,
                "layers": layers,
            }
        )
        return
    rows = [
        (
            str(layer["name"]),
            str(layer["kind"]),
            "x".join(map(str, layer["shape"])),
            f"{layer['multiplications']:,}",
        )
        for layer in layers
    ]
    print_table(("layer", "kind", "weights", "multiplications"), rows, n_text=2)
    typer.echo(f"{len(layers)} layers, {total:,} multiplications, {n_parameters:,} parameters")


def _kind(geometry: "Geometry") -> str:
    """Return conv, depthwise or linear."""
    depthwise = geometry.groups > 1 and geometry.groups == geometry.in_channels
    return "depthwise" if depthwise else str(geometry.kind)


def _shape(text: str | None) -> tuple[int, int, int]:
    rule = "must be the channels, height and width of the images, separated by commas"
    try:
        channels, height, width = (int(item) for item in (text or "").split(","))
    except ValueError:
        raise InputError(f"--input-shape: {rule}, not {text!r}") from None
    if min(channels, height, width) < 1:
        raise InputError(f"--input-shape: {rule}, not {text!r}")
    return channels, height, width
