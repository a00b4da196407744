"""What every method of selection starts from: a quantised network and what it tolerates."""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from qosnets.lut import exact_lut
from torch import Tensor, nn

from .codesign import codesign
from .evaluation import accuracy, float_accuracy, input_codes
from .quantised.code_range import FULL_CODE_RANGE, CodeRange
from .quantised.export import integer_network
from .quantised.integer import IntegerNetwork, LayerTrace, layer_traces
from .quantised.network import QuantisedNetwork
from .quantised.trace import trace
from .recipe import Recipe
from .selection.candidates import Offer
from .selection.error_model import LayerStatistics, layer_statistics
from .selection.preferences import Preferences, layer_thresholds, preferences
from .selection.problem import SelectionProblem
from .selection.selectors import least_power
from .session import Session
from .training.agn import search_noise
from .training.pretraining import observe_ranges, train_float, train_quantised

__all__ = ["Prepared", "exact_traces", "prepare"]

_log = logging.getLogger(__name__)

N_STATISTICS_IMAGES = 128
"""Training images that the error model sees."""


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
    offer: Offer
    """The multipliers to choose from."""
    preferences: Preferences
    problem: SelectionProblem


def prepare(session: Session) -> Prepared:
    """Train, quantise and probe the network of a run.

    Raises
    ------
    InputError
        If the module cannot be mapped, does not fit the data set, or tolerates no errors for which
        a merged multiplier could be made.
    """
    recipe, dataset = session.recipe, session.dataset
    code_range = _code_range(session.offers)
    trained, before = _train_float(session)
    traced = trace(trained, dataset.input_shape, where=f"model {recipe.model}")
    network = QuantisedNetwork(traced, code_range).to(session.device)
    _train_quantised(session, network)
    sigmas = _search_noise(session, network)
    integer = integer_network(network)
    statistics = _statistics(session, network, integer)
    thresholds = layer_thresholds(statistics, sigmas)

    def judged(offers: Sequence[Offer]) -> tuple[int, list[Preferences], list[SelectionProblem]]:
        """Return the number of the offer with which least power is needed, and why."""
        found = [
            _preferences(session, offer, code_range, statistics, thresholds) for offer in offers
        ]
        problems = [
            _problem(recipe, integer, offer, own, sigmas)
            for offer, own in zip(offers, found, strict=True)
        ]
        return least_power(problems, recipe.selector), found, problems

    offers = session.offers or [
        codesign(session, integer, statistics, thresholds, lambda tried: judged(tried)[0])
    ]
    best, found, problems = judged(offers)
    codes = input_codes(network.input_quantiser.affine, dataset, dataset.test_images)
    exact = dict.fromkeys(integer.layers, exact_lut())
    baseline = accuracy(integer, exact, codes, dataset.test_labels)
    return Prepared(
        network,
        integer,
        code_range,
        codes,
        before,
        baseline,
        sigmas,
        offers[best],
        found[best],
        problems[best],
    )


def _code_range(offers: Sequence[Offer]) -> CodeRange:
    widths = [item.entry.operand_width for offer in offers for item in offer.candidates]
    return CodeRange.narrowest(widths) if widths else FULL_CODE_RANGE


def _problem(
    recipe: Recipe,
    integer: IntegerNetwork,
    offer: Offer,
    found: Preferences,
    sigmas: Sequence[float],
) -> SelectionProblem:
    return SelectionProblem(
        relative_errors=found.relative_errors,
        relative_power=np.array([candidate.relative_power for candidate in offer.candidates]),
        multiplications=np.array(
            [layer.geometry.multiplications for layer in integer.layers.values()]
        ),
        tolerances=np.array(sigmas),
        scales=tuple(recipe.scales),
        n_multipliers=recipe.n_multipliers,
        seed=recipe.seed,
    )


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


def _statistics(
    session: Session, network: QuantisedNetwork, integer: IntegerNetwork
) -> dict[str, LayerStatistics]:
    """Return what the error model knows of the layers, from training images."""
    generator = session.generator("error model")
    return {
        name: layer_statistics(integer.layers[name], trace, generator)
        for name, trace in exact_traces(session, network, integer)
    }


def _preferences(
    session: Session,
    offer: Offer,
    code_range: CodeRange,
    statistics: Mapping[str, LayerStatistics],
    thresholds: list[float],
) -> Preferences:
    """Return what the layers think of the multipliers."""
    ports = [
        code_range.activation_ports(candidate.entry.operand_width)
        if offer.port is None
        else (offer.port,)
        for candidate in offer.candidates
    ]
    return preferences(
        [candidate.lut for candidate in offer.candidates],
        ports,
        statistics,
        thresholds,
        session.recipe.error_model,
        one_port=offer.are_modes,
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
