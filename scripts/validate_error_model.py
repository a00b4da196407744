"""Predicted against measured errors of all multipliers in all layers of a network.

Trains the network as a search would, unless a folder of checkpoints has it already, runs it on
training images with the exact multiplier, and compares what each error model predicts with the
errors that the multipliers of the default library make on these images.

    python scripts/validate_error_model.py --recipe resnet8 --checkpoints build/resnet8
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from qosnets.lut import oriented
from qosnets_library.default import default_library
from qosnets_search.models.catalogue import load_model
from qosnets_search.pipeline import Run, open_run
from qosnets_search.preparation import exact_traces, prepare
from qosnets_search.recipe import choose_recipe, load_recipe
from qosnets_search.selection.error_model import ErrorModel
from qosnets_search.selection.validation import ErrorRecord, agreement, validate


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="digits", help="name or TOML file")
    parser.add_argument("--data-folder", type=Path, help="of the data set, where it needs files")
    parser.add_argument("--checkpoints", type=Path, help="folder of a run to continue")
    arguments = parser.parse_args()
    recipe = load_recipe(choose_recipe(arguments.recipe, None))
    run = Run(arguments.data_folder, arguments.checkpoints, resume=True)
    with open_run(recipe, default_library(), run=run, progress=_progress) as session:
        shape, n_classes = session.dataset.input_shape, session.dataset.n_classes
        module = load_model(recipe.model, input_shape=shape, n_classes=n_classes)
        prepared = prepare(session, module)
        tables = {
            candidate.entry.name: oriented(candidate.lut, port)
            for candidate, port in zip(session.offered, prepared.preferences.ports, strict=True)
        }
        traces = exact_traces(session, prepared.network, prepared.integer)
        generator = session.generator("error validation")
        records = validate(prepared.integer.layers, traces, tables, generator)
    print(f"\n{recipe.model} on {recipe.data}: {len(tables)} multipliers")
    _print_layers(records)
    _print_models(records)


def _progress(stage: str, done: int, total: int) -> None:
    if done == total:
        print(f"{stage}: done", file=sys.stderr, flush=True)


def _print_layers(records: Sequence[ErrorRecord]) -> None:
    """Print the median of predicted/measured of each layer."""
    print(f"\n{'predicted/measured, median':28}" + "".join(f"{model:>12}" for model in ErrorModel))
    for layer in dict.fromkeys(record.layer for record in records):
        own = [record for record in records if record.layer == layer]
        ratios = [agreement(own, model).median_ratio for model in ErrorModel]
        print(f"{layer:28}" + "".join(f"{ratio:12.3f}" for ratio in ratios))


def _print_models(records: Sequence[ErrorRecord]) -> None:
    """Print how well each model predicts over all pairs."""
    print(f"\n{'all pairs':12}{'pairs':>8}{'Spearman':>10}{'10 %':>8}{'median':>8}{'90 %':>8}")
    for model in ErrorModel:
        found = agreement(records, model)
        ratios = (found.low_ratio, found.median_ratio, found.high_ratio)
        quantiles = "".join(f"{ratio:8.3f}" for ratio in ratios)
        print(f"{model:12}{found.n_pairs:8}{found.spearman:10.4f}{quantiles}")


if __name__ == "__main__":
    main()
