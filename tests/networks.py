"""A small network with parameters and vectors: a convolution, a maximum and a linear layer."""

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from qosnets.files import sha256
from qosnets.geometry import Geometry, LayerKind
from qosnets.ops import Ops, OpsFile
from qosnets.parameters import (
    LayerWeights,
    Parameters,
    Requantisation,
    parameters_to_bytes,
    vectors_to_bytes,
)

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=2,
    out_channels=6,
    kernel=(3, 2),
    stride=(1, 2),
    padding=(1, 0, 2, 1),
    dilation=(1, 1),
    groups=2,
    input_size=(4, 5),
    input_zero_point=131,
    output_zero_point=0,
    clamp=(0, 255),
)
LINEAR = Geometry(
    **vars(CONV)
    | {"kind": LayerKind.LINEAR, "kernel": (1, 1), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    | {"groups": 1, "input_size": (1, 1), "in_channels": 36, "out_channels": 3}
)
LAYERS = {"conv": CONV, "fc": LINEAR}


def random_weights(geometry: Geometry, rng: np.random.Generator) -> LayerWeights:
    """Return weights for a layer."""
    n = geometry.out_channels
    codes = rng.integers(0, 256, (n, geometry.reduction), np.uint8)
    return LayerWeights(codes, rng.integers(0, 256, n, np.uint8))


class Network(NamedTuple):
    """A network on disk."""

    file: OpsFile
    parameters: Parameters
    images: np.ndarray


def write_network(folder: Path, multipliers: list[dict[str, Any]]) -> Network:
    """Write a network; point ``o1`` uses the first of two multipliers, ``o2`` the second.

    Of its vectors only the images have a meaning.
    """
    rng = np.random.default_rng(2)
    weights = {name: random_weights(geometry, rng) for name, geometry in LAYERS.items()}
    values = {
        (point, name): Requantisation(
            rng.integers(0, 4000, geometry.out_channels, np.int32),
            np.full(geometry.out_channels, 2**14, np.int16),
            np.full(geometry.out_channels, 23, np.uint8),
            np.full(geometry.out_channels, 90, np.int16),
        )
        for point, (name, geometry) in product(("o1", "o2"), LAYERS.items())
    }
    parameters = Parameters(weights, values)
    images = rng.integers(0, 256, (2, 2, 4, 5), np.uint8)
    outputs = {"conv": (2, 6, *CONV.output_size), "fc": (2, 3)}
    vectors = {"input": images}
    for point, name in product(("o1", "o2"), LAYERS):
        vectors[f"{point}.{name}.acc"] = np.zeros(outputs[name], np.int32)
        vectors[f"{point}.{name}.out"] = np.zeros(outputs[name], np.uint8)
    files = {
        "parameters": parameters_to_bytes(parameters, LAYERS),
        "vectors": vectors_to_bytes(vectors),
    }
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": multipliers,
        "layers": [{"name": name} | vars(geometry) for name, geometry in LAYERS.items()],
        "operating_points": [
            {"name": "o1", "assignment": [0, 0]},
            {"name": "o2", "assignment": [1, 1]},
        ],
        "graph": [
            {"op": "layer", "layer": "conv", "inputs": ("input",), "output": "a"},
            {"op": "max_pool", "inputs": ("a",), "output": "pooled"}
            | {"kernel": (2, 1), "stride": (2, 1), "padding": (0, 0, 0, 0)},
            {"op": "flatten", "inputs": ("pooled",), "output": "features"},
            {"op": "layer", "layer": "fc", "inputs": ("features",), "output": "y"},
        ],
    } | {
        name: {"file": f"{name}.safetensors", "sha256": sha256(data)}
        for name, data in files.items()
    }
    path = folder / "ops.json"
    path.write_bytes(Ops.model_validate(content).to_bytes())
    return Network(OpsFile.load(path), parameters, images)
