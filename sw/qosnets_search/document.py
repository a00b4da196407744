"""``ops.json``, parameters and vectors out of the results of a search."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from qosnets.files import sha256
from qosnets.library import Library
from qosnets.lut import ActivationPort, Lut, oriented
from qosnets.ops import DataFile, Layer, Multiplier, OperatingPoint, Ops
from qosnets.parameters import Parameters, parameters_to_bytes, vectors_to_bytes
from torch import Tensor

from .datasets.digits import N_TEST, SPLIT_SEED
from .quantised.code_range import CodeRange
from .quantised.integer import IntegerLayer, LayerTrace
from .quantised.network import GRAPH
from .recipe import Recipe
from .selection.candidates import Candidate

__all__ = ["Chosen", "PointResult", "SearchResult", "to_files"]

OPS_FILE = "ops.json"
PARAMETERS_FILE = "parameters.safetensors"
VECTORS_FILE = "vectors.safetensors"


@dataclass(frozen=True)
class Chosen:
    """A chosen multiplier and the port that takes the activation."""

    candidate: Candidate
    port: ActivationPort

    @property
    def table(self) -> Lut:
        """``M[x, w]``."""
        return oriented(self.candidate.lut, self.port)


@dataclass(frozen=True)
class PointResult:
    """An operating point: its constants, and what it computes and costs."""

    assignment: list[int]
    """Select code of each layer."""
    layers: dict[str, IntegerLayer]
    traces: dict[str, LayerTrace]
    """Of the test images."""
    accuracy: float
    accuracy_untuned: float
    """With the constants of the network before its adaptation to the multipliers."""
    relative_power: float


@dataclass(frozen=True)
class SearchResult:
    """All that a search found."""

    multipliers: list[Chosen]
    """In the order of select codes."""
    points: list[PointResult]
    """Most accurate first."""
    code_range: CodeRange
    codes: Tensor
    """Input codes of the test images, uint8 ``[image, 1, 8, 8]``."""
    float_accuracy: float
    baseline_accuracy: float
    """Integer network with the exact multiplier in all layers."""
    sigmas: list[float]
    """Tolerated noise of each layer."""
    thresholds: list[float]
    """Tolerated error of each layer, in accumulator units."""


def to_files(result: SearchResult, recipe: Recipe, library: Library) -> dict[str, bytes]:
    """Return the content of the three files by name."""
    names = [f"o{index + 1}" for index in range(len(result.points))]
    layers = result.points[0].layers
    parameters = parameters_to_bytes(
        Parameters(
            {layer: values.weights for layer, values in layers.items()},
            {
                (name, layer): values.requantisation
                for name, point in zip(names, result.points, strict=True)
                for layer, values in point.layers.items()
            },
        ),
        {layer: values.geometry for layer, values in layers.items()},
    )
    vectors = vectors_to_bytes(_vectors(result, names, recipe.n_vector_images))
    ops = Ops(
        schema="qosnets-ops/1",
        multipliers=[_multiplier(chosen, library) for chosen in result.multipliers],
        layers=[Layer(name=name, **asdict(layer.geometry)) for name, layer in layers.items()],
        operating_points=[
            OperatingPoint(name=name, assignment=point.assignment)
            for name, point in zip(names, result.points, strict=True)
        ],
        graph=GRAPH,
        parameters=DataFile(file=PARAMETERS_FILE, sha256=sha256(parameters)),
        vectors=DataFile(file=VECTORS_FILE, sha256=sha256(vectors)),
        estimates=_estimates(result, names),
        provenance=_provenance(result, recipe, library),
    )
    return {OPS_FILE: ops.to_bytes(), PARAMETERS_FILE: parameters, VECTORS_FILE: vectors}


def _multiplier(chosen: Chosen, library: Library) -> Multiplier:
    entry = chosen.candidate.entry
    return Multiplier(
        name=entry.name,
        lut_sha256=entry.lut_sha256,
        activation_port=chosen.port,
        library=library.name,
        netlist_sha256=entry.netlist_sha256,
    )


def _vectors(result: SearchResult, names: Sequence[str], n_images: int) -> dict[str, Any]:
    vectors: dict[str, Any] = {"input": result.codes[:n_images].numpy()}
    for name, point in zip(names, result.points, strict=True):
        for layer, trace in point.traces.items():
            for field, values, dtype in (
                ("acc", trace.acc, np.int32),
                ("out", trace.out, np.uint8),
            ):
                array = np.ascontiguousarray(values[:n_images].numpy().astype(dtype))
                vectors[f"{name}.{layer}.{field}"] = array
    return vectors


def _estimates(result: SearchResult, names: Sequence[str]) -> dict[str, Any]:
    layers = result.points[0].layers
    estimates = result.multipliers[0].candidate.entry.estimates
    assert estimates is not None  # candidates have estimates, all of one flow
    return {
        "power": estimates.model_dump(
            include={"engine", "liberty", "liberty_sha256", "distribution"}
        ),
        "float_accuracy": result.float_accuracy,
        "baseline_accuracy": result.baseline_accuracy,
        "operating_points": [
            {
                "name": name,
                "accuracy": point.accuracy,
                "accuracy_untuned": point.accuracy_untuned,
                "relative_power": point.relative_power,
            }
            for name, point in zip(names, result.points, strict=True)
        ],
        "layers": [
            {
                "name": name,
                "multiplications": layer.geometry.multiplications,
                "sigma": sigma,
                "sigma_threshold": threshold,
            }
            for (name, layer), sigma, threshold in zip(
                layers.items(), result.sigmas, result.thresholds, strict=True
            )
        ],
    }


def _provenance(result: SearchResult, recipe: Recipe, library: Library) -> dict[str, Any]:
    return {
        "recipe": asdict(recipe),
        "library": library.name,
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "data": {"name": "scikit-learn digits", "n_test": N_TEST, "split_seed": SPLIT_SEED},
        "code_range": asdict(result.code_range),
    }
