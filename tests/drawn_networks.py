"""Networks with random parameters and the vectors of the golden model: no training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from designs import minimal_ops, write_ops
from qosnets.files import sha256
from qosnets.golden import infer
from qosnets.ops import Ops, OpsFile
from qosnets.parameters import (
    LayerWeights,
    Parameters,
    Requantisation,
    parameters_to_bytes,
    vectors_to_bytes,
)
from qosnets_library.families import embedded_library

ZERO_POINT = 7
RANGE = {"output_zero_point": ZERO_POINT, "clamp": [0, 255]}


def conv(name: str, channels: Sequence[int], size: Sequence[int], **changes: Any) -> dict[str, Any]:
    """Return a 3x3 convolution of ``channels`` (in, out) and an input size, but for ``changes``."""
    return {
        "name": name,
        "kind": "conv",
        "in_channels": channels[0],
        "out_channels": channels[1],
        "kernel": [3, 3],
        "stride": [1, 1],
        "padding": [1, 1, 1, 1],
        "dilation": [1, 1],
        "groups": 1,
        "input_size": list(size),
        "input_zero_point": ZERO_POINT,
        "output_zero_point": ZERO_POINT,
        "clamp": [ZERO_POINT, 250],
    } | changes


def pointwise(
    name: str, channels: Sequence[int], size: Sequence[int], **changes: Any
) -> dict[str, Any]:
    """Return a 1x1 convolution."""
    return conv(name, channels, size, kernel=[1, 1], padding=[0, 0, 0, 0], **changes)


def linear(name: str, channels: Sequence[int]) -> dict[str, Any]:
    """Return a linear layer."""
    return pointwise(name, channels, [1, 1], kind="linear")


def run_layer(name: str, inputs: str, output: str) -> dict[str, Any]:
    """Return the node of a layer."""
    return {"op": "layer", "layer": name, "inputs": [inputs], "output": output}


def add(first: str, second: str, output: str, mult: Sequence[int]) -> dict[str, Any]:
    """Return the node of a sum of two tensors, each times ``mult`` / 2^15."""
    scale = {"mult": list(mult), "shift": 15, "input_zero_points": [ZERO_POINT] * 2}
    return {"op": "add", "inputs": [first, second], "output": output} | scale | RANGE


def draw(ops: Ops, seed: int) -> Parameters:
    """Return parameters with which most codes stay inside the range."""
    random = np.random.default_rng(seed)
    weights, requantisation = {}, {}
    for item in ops.layers:
        geometry = item.geometry
        assert geometry is not None
        n, k = geometry.out_channels, geometry.reduction
        weights[item.name] = LayerWeights(
            random.integers(0, 256, (n, k), np.uint8), random.integers(100, 156, n, np.uint8)
        )
        for point in ops.operating_points:
            requantisation[point.name, item.name] = Requantisation(
                random.integers(-k * 2000, k * 2000, n).astype(np.int32),
                random.integers(1 << 14, 1 << 15, n).astype(np.int16),
                np.full(n, (k * 60).bit_length() + 14, np.uint8),
                random.integers(90, 150, n).astype(np.int16),
            )
    return Parameters(weights, requantisation)


def write_drawn_network(
    folder: Path,
    layers: Sequence[dict[str, Any]],
    graph: Sequence[dict[str, Any]],
    *,
    input_shape: Sequence[int],
    n_images: int,
    n_multipliers: int,
    n_points: int,
    change_vectors: Callable[[dict[str, np.ndarray]], None] = lambda vectors: None,
    largest: bool = False,
) -> OpsFile:
    """Write an ops.json of ``layers`` and ``graph`` with parameters and vectors.

    ``largest`` makes all weights and all codes of the images 255.
    """
    content = minimal_ops(n_multipliers, n_layers=len(layers), n_points=n_points)
    content |= {"layers": list(layers), "graph": list(graph)}
    ops = write_ops(folder, content).ops
    parameters = draw(ops, 5)
    if largest:
        for weights in parameters.weights.values():
            weights.codes[:] = 255
    library = embedded_library()
    luts = [library.lut(item.name) for item in ops.multipliers]
    images = np.random.default_rng(6).integers(0, 256, (n_images, *input_shape), np.uint8)
    if largest:
        images[:] = 255
    vectors = {"input": images}
    for number, point in enumerate(ops.operating_points):
        for name, trace in infer(ops, parameters, luts, number, images).items():
            assert largest or len(np.unique(trace.out)) > 3, name  # not all clamped
            vectors |= {
                f"{point.name}.{name}.acc": trace.acc,
                f"{point.name}.{name}.out": trace.out,
            }
    change_vectors(vectors)
    geometries = {item.name: item.geometry for item in ops.layers}
    for key, data in (
        ("parameters", parameters_to_bytes(parameters, geometries)),
        ("vectors", vectors_to_bytes(vectors)),
    ):
        (folder / f"{key}.safetensors").write_bytes(data)
        content[key] = {"file": f"{key}.safetensors", "sha256": sha256(data)}
    return write_ops(folder, content)
