"""The search as a whole: from a library to ``ops.json`` with parameters and vectors."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from qosnets.library import Library
from qosnets.lut import Lut, exact_lut
from torch import Tensor

from .datasets.digits import DigitsSplit, load_split
from .document import Chosen, PointResult, SearchResult, to_files
from .quantised.code_range import CodeRange
from .quantised.export import check_accumulators, integer_layers
from .quantised.integer import IntegerLayer, LayerTrace, accuracy, infer
from .quantised.network import GRAPH, DigitsNetwork
from .recipe import Recipe
from .selection.candidates import Candidate, load_candidates
from .selection.error_model import LayerStatistics, layer_statistics
from .selection.kmeans import select
from .selection.preferences import preferences
from .training.agn import search_noise
from .training.loop import Batches
from .training.pretraining import observe_ranges, train_float, train_quantised
from .training.tuning import tune

__all__ = ["Recipe", "search"]

N_STATISTICS_IMAGES = 128
"""Training images that the error model sees."""


def search(
    recipe: Recipe, library: Library, *, progress: Callable[[str, int, int], None]
) -> dict[str, bytes]:
    """Train the network, choose multipliers for every operating point, adapt and export.

    The stages, in order: float training, quantisation-aware training, search for the noise that
    each layer tolerates, error model of every multiplier, clustering, and for each operating
    point the tuning of BatchNorm and the integer export. Same recipe, same bytes.

    From quantisation on, activations and weights have only codes that all candidates read in full
    (:meth:`.CodeRange.narrowest`): one circuit with 7-bit operands makes the network a 7-bit one.

    Parameters
    ----------
    recipe
        What to do.
    library
        Its entries with a netlist are the candidates.
    progress
        Called at least once a second or so with a stage, the steps done and their total.

    Returns
    -------
    dict
        Content of ``ops.json``, ``parameters.safetensors`` and ``vectors.safetensors``.

    Raises
    ------
    InputError
        If the library has no netlist, or one without estimates.
    CheckError
        If an exported constant or accumulator does not fit its format.
    """
    offered = load_candidates(library)
    with _deterministic():
        result = _search(recipe, offered, progress)
    return to_files(result, recipe, library)


@contextlib.contextmanager
def _deterministic() -> Iterator[None]:
    """Make torch reproducible: one thread, deterministic algorithms; restore both afterwards."""
    n_threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
        torch.use_deterministic_algorithms(deterministic)


def _search(
    recipe: Recipe, offered: list[Candidate], progress: Callable[[str, int, int], None]
) -> SearchResult:
    generator = torch.Generator().manual_seed(recipe.seed)
    code_range = CodeRange.narrowest(candidate.entry.operand_width for candidate in offered)
    split = load_split()
    batches = Batches(split.train_images, split.train_labels, recipe.batch_size, generator)
    network, float_accuracy = _train(recipe, code_range, split, batches, progress)
    sigmas = search_noise(
        network,
        batches,
        sigma_init=recipe.sigma_init,
        sigma_max=recipe.sigma_max,
        noise_weight=recipe.noise_weight,
        n_epochs=recipe.noise_epochs,
        lr=recipe.noise_lr,
        generator=generator,
        progress=partial(progress, "sensitivity search"),
    )
    layers = integer_layers(network)
    statistics = _statistics(network, layers, split.train_images, generator)
    luts = [candidate.lut for candidate in offered]
    ports = [code_range.activation_ports(candidate.entry.operand_width) for candidate in offered]
    found = preferences(luts, ports, statistics, sigmas)
    power = np.array([candidate.relative_power for candidate in offered])
    members = select(found.relative_errors, power, recipe.scales, recipe.n_multipliers, recipe.seed)
    used = sorted(set(members.ravel().tolist()), key=lambda index: (-power[index], index))
    multipliers = [Chosen(offered[index], found.ports[index]) for index in used]
    codes = network.input_quantiser.affine.to_int(split.test_images)
    baseline, _ = _evaluate(layers, dict.fromkeys(layers, exact_lut()), codes, split.test_labels)
    points = []
    for number, row in enumerate(members.tolist(), start=1):
        assignment = [used.index(index) for index in row]
        chosen = [multipliers[select_code] for select_code in assignment]
        tables = {name: item.table for name, item in zip(layers, chosen, strict=True)}
        point = f"operating point {number}"
        untuned, _ = _evaluate(layers, tables, codes, split.test_labels)
        progress(f"evaluation of {point}", 1, 2)
        tuned = tune(
            network,
            tables,
            batches,
            n_epochs=recipe.tuning_epochs,
            lr=recipe.tuning_lr,
            progress=partial(progress, f"tuning of {point}"),
        )
        tuned_layers = integer_layers(tuned)
        check_accumulators(tuned_layers, tables, max_activation=code_range.max_activation)
        share, traces = _evaluate(tuned_layers, tables, codes, split.test_labels)
        progress(f"evaluation of {point}", 2, 2)
        points.append(
            PointResult(assignment, tuned_layers, traces, share, untuned, _power(chosen, layers))
        )
    return SearchResult(
        multipliers=multipliers,
        points=points,
        code_range=code_range,
        codes=codes,
        float_accuracy=float_accuracy,
        baseline_accuracy=baseline,
        sigmas=sigmas,
        thresholds=found.thresholds,
    )


def _train(
    recipe: Recipe,
    code_range: CodeRange,
    split: DigitsSplit,
    batches: Batches,
    progress: Callable[[str, int, int], None],
) -> tuple[DigitsNetwork, float]:
    """Return the quantised network, and its accuracy on the test images before quantisation."""
    network = DigitsNetwork(batches.generator, code_range)
    train_float(
        network,
        batches,
        n_epochs=recipe.float_epochs,
        lr=recipe.float_lr,
        progress=partial(progress, "float training"),
    )
    with torch.no_grad():
        float_accuracy = accuracy(network(split.test_images), split.test_labels)
    observe_ranges(
        network,
        batches,
        n_epochs=recipe.observer_epochs,
        lr=recipe.quantised_lr,
        progress=partial(progress, "range observation"),
    )
    train_quantised(
        network,
        batches,
        n_epochs=recipe.quantised_epochs,
        lr=recipe.quantised_lr,
        progress=partial(progress, "quantisation-aware training"),
    )
    return network, float_accuracy


def _statistics(
    network: DigitsNetwork,
    layers: Mapping[str, IntegerLayer],
    images: Tensor,
    generator: torch.Generator,
) -> list[LayerStatistics]:
    """Return the statistics of each layer on training images drawn by ``generator``."""
    sample = images[torch.randperm(len(images), generator=generator)[:N_STATISTICS_IMAGES]]
    codes = network.input_quantiser.affine.to_int(sample)
    traces = infer(GRAPH, layers, dict.fromkeys(layers, exact_lut()), codes)
    return [layer_statistics(layer, traces[name], generator) for name, layer in layers.items()]


def _evaluate(
    layers: Mapping[str, IntegerLayer], tables: Mapping[str, Lut], codes: Tensor, labels: Tensor
) -> tuple[float, dict[str, LayerTrace]]:
    """Return the accuracy of the integer network, and the traces that it was read from."""
    traces = infer(GRAPH, layers, tables, codes)
    return accuracy(next(reversed(traces.values())).out, labels), traces


def _power(chosen: Sequence[Chosen], layers: Mapping[str, IntegerLayer]) -> float:
    """Return the relative power of the multipliers, weighted by each layer's multiplications."""
    weights = [layer.geometry.multiplications for layer in layers.values()]
    powers = [item.candidate.relative_power for item in chosen]
    return float(np.average(powers, weights=weights))
