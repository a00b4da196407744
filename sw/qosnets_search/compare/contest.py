"""What all methods of a comparison are given: the same network, multipliers, images and effort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from qosnets.lut import Lut, oriented
from qosnets_library.liberty import Liberty

from ..adaptation import Adaptation, adapt
from ..evaluation import accuracy, correct_predictions, input_codes
from ..preparation import Prepared, exact_traces
from ..quantised.integer import IntegerNetwork
from ..quantised.mapped import LayerArithmetic, expected_errors
from ..rivals.evaluations import Evaluations, Request
from ..rivals.padded_count import padded_power
from ..rivals.problem import Multiplier, RivalLayer
from ..selection.problem import Selection, relative_power
from ..selection.selectors import select
from ..session import Session
from .outcome import Outcome

__all__ = ["Contest", "Effort"]

N_BATCHES = 10
"""Parts of the sample, at most, whose accuracies TPM's formulas speak of; all of one size."""


@dataclass(frozen=True)
class Effort:
    """How much a method that evaluates candidates may do."""

    n_evaluations: int = 300
    n_images: int = 500
    """Training images of an evaluation; test images are for the final accuracy alone."""
    limits: tuple[float, ...] = (0.005, 0.01, 0.02)
    """Accuracy drops, on these images, that value-level methods are run for."""


class Contest:
    """A prepared network, and services for methods.

    Parameters
    ----------
    session, prepared
        The run, and the network that all methods start from.
    effort
        Of methods that evaluate candidates.
    liberty
        Cells that the library's power was estimated with.
    """

    def __init__(
        self, session: Session, prepared: Prepared, effort: Effort, liberty: Liberty
    ) -> None:
        self.session = session
        self.prepared = prepared
        self.effort = effort
        self.liberty = liberty
        self.geometries = [layer.geometry for layer in prepared.integer.layers.values()]
        self._histograms = _activation_histograms(session, prepared)
        dataset = session.dataset
        order = torch.randperm(len(dataset.train_images), generator=session.generator("sample"))
        sample = order[: effort.n_images]
        affine = prepared.network.input_quantiser.affine
        self._sample = input_codes(affine, dataset, dataset.train_images[sample])
        self._sample_labels = dataset.train_labels[sample]

    @cached_property
    def wanted_powers(self) -> npt.NDArray[np.float64]:
        """Relative power of each operating point with the recipe's selector, ``[point]``.

        Methods that have no operating points of their own are held against these.
        """
        problem = self.prepared.problem
        return relative_power(problem, select(problem, self.session.recipe.selector).members)

    @cached_property
    def multipliers(self) -> list[Multiplier]:
        """The candidates as rivals see them, with the ports that our error model chose."""
        offered, ports = self.prepared.offer.candidates, self.prepared.preferences.ports
        return [
            Multiplier(item.entry.name, oriented(item.lut, port), item.relative_power)
            for item, port in zip(offered, ports, strict=True)
        ]

    @property
    def layers(self) -> list[RivalLayer]:
        """The layers as rivals see them."""
        layers = self.prepared.integer.layers.items()
        return [
            RivalLayer(layer.geometry.multiplications, layer.weights.codes, self._histograms[name])
            for name, layer in layers
        ]

    def evaluations(self, method: str, report: Callable[[int, int], None]) -> Evaluations:
        """Return the counted evaluations of a method, which an interruption does not lose."""
        journal = self.session.checkpoints.journal(method)
        return Evaluations(
            self._evaluate,
            self.effort.n_evaluations,
            known=journal.known,
            record=journal.keep,
            progress=report,
        )

    def _evaluate(self, request: Request) -> Sequence[float]:
        """Return the accuracies of a request on the parts of the sample."""
        network, arithmetic = self._realised(request.arithmetics, request.corrects_means)
        hits = correct_predictions(network, arithmetic, self._sample, self._sample_labels)
        n_parts = max(n for n in range(1, N_BATCHES + 1) if len(hits) % n == 0)
        return [float(part.mean()) for part in np.split(hits, n_parts)]

    def _realised(
        self, arithmetics: Sequence[LayerArithmetic], corrects_means: bool
    ) -> tuple[IntegerNetwork, dict[str, LayerArithmetic]]:
        integer = self.prepared.integer
        arithmetic = dict(zip(integer.layers, arithmetics, strict=True))
        if corrects_means:
            integer = _with_corrected_means(integer, arithmetic, self._histograms)
        return integer, arithmetic

    def test(self, arithmetics: Sequence[LayerArithmetic], *, corrects_means: bool) -> float:
        """Return the accuracy on the test images without any training."""
        network, arithmetic = self._realised(arithmetics, corrects_means)
        return accuracy(
            network, arithmetic, self.prepared.test_codes, self.session.dataset.test_labels
        )

    def outcomes(
        self, method: str, selection: Selection, adaptations: Sequence[Adaptation]
    ) -> list[Outcome]:
        """Return the outcomes of a selection of one circuit per layer, for each adaptation."""
        return [
            self._outcome(method, selection.members[point], f"o{point + 1}", how)
            for how in adaptations
            for point in range(len(selection.members))
        ]

    def _outcome(
        self, method: str, members: npt.NDArray[np.int64], point: str, how: Adaptation
    ) -> Outcome:
        multipliers, prepared = self.multipliers, self.prepared
        tables: dict[str, Lut] = {
            name: multipliers[member].table
            for name, member in zip(prepared.integer.layers, members, strict=True)
        }
        name = f"{method} {how.value} {point}"
        integer = adapt(self.session, prepared, tables, how, name=name)
        powers = [multipliers[member].relative_power for member in members]
        return Outcome(
            adaptation=how.value,
            point=point,
            relative_power=float(relative_power(prepared.problem, members[None])[0]),
            padded_power=padded_power(self.geometries, powers),
            accuracy=accuracy(
                integer, tables, prepared.test_codes, self.session.dataset.test_labels
            ),
            circuits=[multipliers[member].name for member in members],
        )


def _activation_histograms(
    session: Session, prepared: Prepared
) -> dict[str, npt.NDArray[np.float64]]:
    """Return how often each code enters each layer, ``[256]``."""
    return {
        name: np.bincount(trace.x.cpu().numpy().ravel(), minlength=256).astype(np.float64)
        for name, trace in exact_traces(session, prepared.network, prepared.integer)
    }


def _with_corrected_means(
    network: IntegerNetwork,
    arithmetic: dict[str, LayerArithmetic],
    histograms: dict[str, npt.NDArray[np.float64]],
) -> IntegerNetwork:
    """Return the network with the mean error of each channel taken off its bias."""
    layers = {}
    for name, layer in network.layers.items():
        errors = expected_errors(arithmetic[name], layer.weights.codes, histograms[name])
        values = layer.requantisation
        # A channel that is constant has no use for a bias.
        bias = np.where(values.mult == 0, values.bias, values.bias - np.rint(errors))
        info = np.iinfo(np.int32)
        bias = np.clip(bias, info.min, info.max).astype(np.int32)
        layers[name] = replace(layer, requantisation=replace(values, bias=bias))
    return IntegerNetwork(network.graph, layers)
