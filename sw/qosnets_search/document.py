"""``ops.json``, parameters and vectors out of the results of a search."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import torch
from qosnets.files import sha256
from qosnets.lut import ActivationPort, Lut, oriented
from qosnets.ops import (
    DataFile,
    Layer,
    ModeRealisation,
    Multiplier,
    NetlistRealisation,
    OperatingPoint,
    Ops,
)
from qosnets.parameters import Parameters, parameters_to_bytes, vectors_to_bytes
from torch import Tensor

from .overhead import parameter_count
from .preparation import Prepared
from .quantised.integer import IntegerNetwork, LayerTrace
from .selection.candidates import Candidate
from .session import Session
from .training import distributed

__all__ = ["LIBRARY_FOLDER", "Chosen", "PointResult", "SearchResult", "to_files"]

OPS_FILE = "ops.json"
PARAMETERS_FILE = "parameters.safetensors"
VECTORS_FILE = "vectors.safetensors"
LIBRARY_FOLDER = "library"
"""Of a library that was made for the network; generators look for it beside ``ops.json``."""


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
    integer: IntegerNetwork
    codes: Tensor
    """Input codes of the images of the traces, uint8 ``[image, channel, height, width]``."""
    traces: dict[str, LayerTrace]
    accuracy: float
    """Of the integer network, on all test images."""
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
    prepared: Prepared


def to_files(result: SearchResult, session: Session) -> dict[str, bytes]:
    """Return the content of the three files by name, and of a library made for the network."""
    offer = result.prepared.offer
    named = {f"o{index}": point for index, point in enumerate(result.points, start=1)}
    first = result.points[0].integer
    parameters = parameters_to_bytes(
        Parameters(
            {layer: values.weights for layer, values in first.layers.items()},
            {
                (name, layer): values.requantisation
                for name, point in named.items()
                for layer, values in point.integer.layers.items()
            },
        ),
        {layer: values.geometry for layer, values in first.layers.items()},
    )
    vectors = vectors_to_bytes(_vectors(named))
    ops = Ops(
        schema="qosnets-ops/1",
        multipliers=[_multiplier(chosen, offer.library) for chosen in result.multipliers],
        layers=[Layer(name=name, **vars(layer.geometry)) for name, layer in first.layers.items()],
        operating_points=[
            OperatingPoint(name=name, assignment=point.assignment) for name, point in named.items()
        ],
        graph=list(first.graph),
        parameters=DataFile(file=PARAMETERS_FILE, sha256=sha256(parameters)),
        vectors=DataFile(file=VECTORS_FILE, sha256=sha256(vectors)),
        estimates=_estimates(result, named),
        provenance=_provenance(result, session),
    )
    files = {OPS_FILE: ops.to_bytes(), PARAMETERS_FILE: parameters, VECTORS_FILE: vectors}
    return files | {f"{LIBRARY_FOLDER}/{name}": data for name, data in offer.files.items()}


def _multiplier(chosen: Chosen, library: str) -> Multiplier:
    entry = chosen.candidate.entry
    return Multiplier(
        name=entry.name,
        lut_sha256=entry.lut_sha256,
        activation_port=chosen.port,
        library=library,
        netlist_sha256=entry.netlist_sha256,
        realisation=NetlistRealisation(kind="netlist")
        if entry.mode is None
        else ModeRealisation(kind="mode", circuit=entry.mode.circuit, index=entry.mode.index),
    )


def _vectors(points: Mapping[str, PointResult]) -> dict[str, Any]:
    vectors: dict[str, Any] = {"input": next(iter(points.values())).codes.cpu().numpy()}
    for name, point in points.items():
        for layer, trace in point.traces.items():
            vectors[f"{name}.{layer}.acc"] = trace.acc.cpu().contiguous().numpy()
            vectors[f"{name}.{layer}.out"] = trace.out.cpu().contiguous().numpy()
    return vectors


def _estimates(result: SearchResult, points: Mapping[str, PointResult]) -> dict[str, Any]:
    prepared = result.prepared
    estimates = result.multipliers[0].candidate.entry.estimates
    assert estimates is not None  # candidates have estimates, all of one flow
    return {
        "power": estimates.model_dump(
            include={"engine", "liberty", "liberty_sha256", "distribution"}
        ),
        "float_accuracy": prepared.float_accuracy,
        "baseline_accuracy": prepared.baseline_accuracy,
        "parameters": asdict(parameter_count(prepared.network, len(points))),
        "operating_points": [
            {
                "name": name,
                "accuracy": point.accuracy,
                "accuracy_untuned": point.accuracy_untuned,
                "relative_power": point.relative_power,
            }
            for name, point in points.items()
        ],
        "layers": [
            {
                "name": name,
                "multiplications": layer.geometry.multiplications,
                "sigma": sigma,
                "sigma_threshold": threshold,
            }
            for (name, layer), sigma, threshold in zip(
                prepared.integer.layers.items(),
                prepared.sigmas,
                prepared.preferences.thresholds,
                strict=True,
            )
        ],
    }


def _provenance(result: SearchResult, session: Session) -> dict[str, Any]:
    return {
        "recipe": session.recipe.model_dump(mode="json"),
        "library": result.prepared.offer.library,
        "versions": {
            name: version(name)
            for name in ("qosnets-hw", "torch", "numpy", "scipy", "scikit-learn")
        },
        "data": dict(session.dataset.provenance),
        "device": session.device.type,
        "threads": torch.get_num_threads(),
        "processes": distributed.world_size(),
        "code_range": asdict(result.prepared.code_range),
    }
