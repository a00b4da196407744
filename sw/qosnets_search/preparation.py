"""What every method of selection starts from: a quantised network and what it tolerates."""

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

import numpy as np
import torch
from qosnets.lut import exact_lut
from torch import Tensor, nn

from .checkpoints import Checkpoints
from .datasets.dataset import ImageDataset
from .evaluation import accuracy, float_accuracy, input_codes
from .quantised.code_range import CodeRange
from .quantised.export import integer_network
from .quantised.integer import IntegerNetwork, LayerTrace, layer_traces
from .quantised.network import QuantisedNetwork
from .quantised.trace import trace
from .recipe import Recipe
from .selection.candidates import Candidate
from .selection.error_model import layer_statistics
from .selection.preferences import Preferences, preferences
from .selection.problem import SelectionProblem
from .training.agn import search_noise
from .training.loop import Batches
from .training.pretraining import observe_ranges, train_float, train_quantised

__all__ = ["Prepared", "Report", "Session", "exact_traces", "prepare"]

Report = Callable[[str, int, int], None]
"""Called with a stage, the steps done and their total."""

_log = logging.getLogger(__name__)

N_STATISTICS_IMAGES = 128
"""Training images that the error model sees."""


@dataclass(frozen=True)
class Session:
    """What all stages of a run share."""

    recipe: Recipe
    dataset: ImageDataset
    module: nn.Module
    """The network in floating point, as its factory made it."""
    offered: list[Candidate]
    """The multipliers to choose from."""
    device: torch.device
    checkpoints: Checkpoints
    progress: Report

    def generator(self, stage: str) -> torch.Generator:
        """Return a stage's source of chance: a stage draws alike, whatever ran before it."""
        return self._seeded(stage, torch.device("cpu"))

    def device_generator(self, stage: str) -> torch.Generator:
        """Return a stage's source of chance on the device."""
        return self._seeded(stage, self.device)

    def _seeded(self, stage: str, device: torch.device) -> torch.Generator:
        seed = self.recipe.seed << 32 | crc32(stage.encode())
        return torch.Generator(device).manual_seed(seed)

    def batches(self, stage: str) -> Batches:
        """Return the training set, its order drawn for a stage."""
        recipe = self.recipe
        return Batches(self.dataset, recipe.batch_size, self.generator(stage), self.device)

    def report(self, stage: str) -> Callable[[int, int], None]:
        """Return what a stage reports its steps to."""
        return partial(self.progress, stage)


@dataclass(frozen=True)
class Prepared:
    """The quantised network, and what selection knows of it."""

    network: QuantisedNetwork
    """In evaluation mode, with frozen ranges and no tables."""
    integer: IntegerNetwork
    code_range: CodeRange
    test_codes: Tensor
    """Codes of the test images, uint8 ``[image, channel, height, width]``."""
    float_accuracy: float
    baseline_accuracy: float
    """Of the integer network with the exact multiplier in all layers, on the test images."""
    sigmas: list[float]
    """Noise that each layer tolerates, relative to its output."""
    preferences: Preferences
    problem: SelectionProblem


def prepare(session: Session) -> Prepared:
    """Train, quantise and probe the network of a run.

    Raises
    ------
    InputError
        If the module cannot be mapped, or does not fit the data set.
    """
    recipe, dataset = session.recipe, session.dataset
    widths = [candidate.entry.operand_width for candidate in session.offered]
    code_range = CodeRange.narrowest(widths)
    trained, before = _train_float(session)
    traced = trace(trained, dataset.input_shape, where=f"model {recipe.model}")
    network = QuantisedNetwork(traced, code_range).to(session.device)
    _train_quantised(session, network)
    sigmas = _search_noise(session, network)
    integer = integer_network(network)
    found = _preferences(session, network, integer, code_range, sigmas)
    codes = input_codes(network.input_quantiser.affine, dataset, dataset.test_images)
    exact = dict.fromkeys(integer.layers, exact_lut())
    baseline = accuracy(integer, exact, codes, dataset.test_labels)
    problem = SelectionProblem(
        relative_errors=found.relative_errors,
        relative_power=np.array([candidate.relative_power for candidate in session.offered]),
        multiplications=np.array(
            [layer.geometry.multiplications for layer in integer.layers.values()]
        ),
        tolerances=np.array(sigmas),
        scales=tuple(recipe.scales),
        n_multipliers=recipe.n_multipliers,
        seed=recipe.seed,
    )
    return Prepared(network, integer, code_range, codes, before, baseline, sigmas, found, problem)


def _train_float(session: Session) -> tuple[nn.Module, float]:
    """Return the trained module and its accuracy on the test images."""
    module = copy.deepcopy(session.module)

    def compute() -> dict[str, Any]:
        stage = "float training"
        trained = module.to(session.device)
        if session.recipe.float_training.epochs:
            train_float(
                trained,
                session.batches(stage),
                session.recipe.float_training,
                progress=session.report(stage),
            )
        share = float_accuracy(trained.eval(), session.dataset, session.device)
        if not session.recipe.float_training.epochs:
            _warn_if_untrained(share, session)
        return {"state": trained.cpu().state_dict(), "accuracy": share}

    result = session.checkpoints.stage("float training", compute)
    module.load_state_dict(result["state"])
    return module.cpu().eval(), result["accuracy"]


def _warn_if_untrained(share: float, session: Session) -> None:
    """Tell that a network which is taken as trained guesses no better than chance."""
    if share < 1.5 / session.dataset.n_classes:
        _log.warning(
            "model %s: classifies %.1f %% of the test images correctly, as by chance; the recipe"
            " does not train it (float_training.epochs is 0)",
            session.recipe.model,
            100 * share,
        )


def _train_quantised(session: Session, network: QuantisedNetwork) -> None:
    """Train with quantisation; leaves the network in evaluation mode with frozen ranges."""
    recipe = session.recipe

    def compute() -> dict[str, Any]:
        for stage, run, schedule in (
            ("range observation", observe_ranges, recipe.range_observation),
            ("quantisation-aware training", train_quantised, recipe.quantised_training),
        ):
            run(network, session.batches(stage), schedule, progress=session.report(stage))
        return {"state": network.state_dict()}

    result = session.checkpoints.stage("quantised training", compute)
    network.load_state_dict(result["state"])
    network.switch_quantisation(observing=False, quantising=True)
    network.eval()


def _search_noise(session: Session, network: QuantisedNetwork) -> list[float]:
    stage = "sensitivity search"

    def compute() -> dict[str, Any]:
        sigmas = search_noise(
            network,
            session.batches(stage),
            session.recipe.noise_search,
            generator=session.device_generator(f"{stage}: noise"),
            progress=session.report(stage),
        )
        return {"sigmas": sigmas}

    sigmas: list[float] = session.checkpoints.stage(stage, compute)["sigmas"]
    return sigmas


def _preferences(
    session: Session,
    network: QuantisedNetwork,
    integer: IntegerNetwork,
    code_range: CodeRange,
    sigmas: list[float],
) -> Preferences:
    """Return what the layers think of the multipliers, from training images."""
    offered = session.offered
    generator = session.generator("error model")
    statistics = {
        name: layer_statistics(integer.layers[name], trace, generator)
        for name, trace in exact_traces(session, network, integer)
    }
    return preferences(
        [candidate.lut for candidate in offered],
        [code_range.activation_ports(candidate.entry.operand_width) for candidate in offered],
        statistics,
        sigmas,
        session.recipe.error_model,
    )


def exact_traces(
    session: Session, network: QuantisedNetwork, integer: IntegerNetwork
) -> Iterator[tuple[str, LayerTrace]]:
    """Yield each layer's trace of training images, drawn at random, with the exact multiplier."""
    dataset = session.dataset
    order = torch.randperm(len(dataset.train_images), generator=session.generator("statistics"))
    images = dataset.train_images[order[:N_STATISTICS_IMAGES]]
    codes = input_codes(network.input_quantiser.affine, dataset, images)
    return layer_traces(integer, dict.fromkeys(integer.layers, exact_lut()), codes)
