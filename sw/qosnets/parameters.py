"""Parameters and vectors: the safetensors files that belong to an ``ops.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from .errors import InputError
from .geometry import Geometry, LayerKind
from .ops import DataFile, OpsFile
from .shapes import input_shape

__all__ = [
    "LayerWeights",
    "Parameters",
    "Requantisation",
    "check_data",
    "load_parameters",
    "load_vectors",
    "parameters_to_bytes",
    "vectors_to_bytes",
]

Tensors = Mapping[str, npt.NDArray[Any]]
MULT_MIN = 1 << 14


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a layer, shared by all operating points."""

    codes: npt.NDArray[np.uint8]
    """[out_channels, K], K in the order input channel, kernel row, kernel column."""
    zero_points: npt.NDArray[np.uint8]
    """[out_channels]."""

    def __getitem__(self, channels: slice) -> "LayerWeights":
        """Return the weights of some output channels."""
        return LayerWeights(self.codes[channels], self.zero_points[channels])


@dataclass(frozen=True)
class Requantisation:
    """What turns an accumulator into an output code; per operating point and output channel.

    All arrays are ``[out_channels]``: ``bias`` int32 with the zero-point terms folded in,
    ``mult`` int16 (0 or at least 2¹⁴ in magnitude), ``shift`` uint8 (1..47), ``offset`` int16.
    """

    bias: npt.NDArray[np.int32]
    mult: npt.NDArray[np.int16]
    shift: npt.NDArray[np.uint8]
    offset: npt.NDArray[np.int16]

    def __getitem__(self, channels: slice) -> "Requantisation":
        """Return the values of some output channels."""
        return Requantisation(
            self.bias[channels], self.mult[channels], self.shift[channels], self.offset[channels]
        )


REQUANTISATION_DTYPES = {"bias": "int32", "mult": "int16", "shift": "uint8", "offset": "int16"}


@dataclass(frozen=True)
class Parameters:
    """All parameters of a network."""

    weights: Mapping[str, LayerWeights]
    """By layer."""
    requantisation: Mapping[tuple[str, str], Requantisation]
    """By operating point and layer."""


def weight_shape(geometry: Geometry) -> tuple[int, ...]:
    """Return the shape in which the weights of a layer are stored."""
    if geometry.kind is LayerKind.LINEAR:
        return geometry.out_channels, geometry.in_channels
    return geometry.out_channels, geometry.in_channels // geometry.groups, *geometry.kernel


def load_parameters(file: OpsFile, reference: DataFile) -> Parameters:
    """Read the parameters of every layer and operating point of ``file``.

    Raises
    ------
    InputError
        If the file is missing, has another hash, lacks a tensor, or a tensor has the wrong
        shape, type or range.
    """
    where, tensors = _load(file, reference)
    weights, requantisation = {}, {}
    for layer in file.ops.layers:
        geometry = layer.geometry
        assert geometry is not None  # the model demands geometry beside parameters
        n, name = geometry.out_channels, layer.name
        codes = _take(tensors, where, f"{name}.weight", "uint8", weight_shape(geometry))
        zero_points = _take(tensors, where, f"{name}.weight_zero_point", "uint8", (n,))
        weights[name] = LayerWeights(codes.reshape(n, -1), zero_points)
        for point in file.ops.operating_points:
            prefix = f"{point.name}.{name}"
            values = {
                field: _take(tensors, where, f"{prefix}.{field}", dtype, (n,))
                for field, dtype in REQUANTISATION_DTYPES.items()
            }
            _check_range(values, f"{where}: {prefix}")
            requantisation[point.name, name] = Requantisation(**values)
    return Parameters(weights, requantisation)


def _check_range(values: dict[str, npt.NDArray[Any]], where: str) -> None:
    mult, shift = values["mult"].astype(np.int64), values["shift"].astype(np.int64)
    if (bad := (mult != 0) & (np.abs(mult) < MULT_MIN)).any():
        raise InputError(f"{where}.mult: must be 0 or at least 2^14 in size, not {mult[bad][0]}")
    if (bad := (shift < 1) | (shift > 47)).any():
        raise InputError(f"{where}.shift: must be 1..47, not {shift[bad][0]}")


def parameters_to_bytes(parameters: Parameters, geometries: Mapping[str, Geometry]) -> bytes:
    """Serialise ``parameters``; ``geometries`` by layer gives the stored weight shapes."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    for layer, weights in parameters.weights.items():
        shape = weight_shape(geometries[layer])
        tensors[f"{layer}.weight"] = weights.codes.reshape(shape)
        tensors[f"{layer}.weight_zero_point"] = weights.zero_points
    for (point, layer), values in parameters.requantisation.items():
        for field in REQUANTISATION_DTYPES:
            tensors[f"{point}.{layer}.{field}"] = getattr(values, field)
    return _to_bytes(tensors)


def load_vectors(file: OpsFile, reference: DataFile) -> dict[str, npt.NDArray[Any]]:
    """Read the vectors of ``file``: ``input`` and, per point and layer, ``acc`` and ``out``.

    ``input`` is uint8 ``[image, channel, height, width]``; ``<point>.<layer>.acc`` int32 and
    ``<point>.<layer>.out`` uint8 are ``[image, out_channels, height, width]``, or
    ``[image, out_channels]`` for a linear layer.

    Raises
    ------
    InputError
        As :func:`load_parameters`.
    """
    where, tensors = _load(file, reference)
    if "input" not in tensors or tensors["input"].ndim != 4 or not tensors["input"].size:
        raise InputError(f"{where}: input: must be uint8 [image, channel, height, width]")
    n_images = tensors["input"].shape[0]
    geometries = {layer.name: layer.geometry for layer in file.ops.layers}
    expected = input_shape(file.ops.graph or [], geometries)
    if expected is not None and tensors["input"].shape[1:] != expected:
        found = list(tensors["input"].shape[1:])
        raise InputError(f"{where}: input: images must be {list(expected)}, not {found}")
    vectors = {"input": _take(tensors, where, "input", "uint8", tensors["input"].shape)}
    for layer in file.ops.layers:
        geometry = layer.geometry
        assert geometry is not None  # the model demands geometry beside vectors
        size = () if geometry.kind is LayerKind.LINEAR else geometry.output_size
        shape = (n_images, geometry.out_channels, *size)
        for point in file.ops.operating_points:
            for field, dtype in (("acc", "int32"), ("out", "uint8")):
                name = f"{point.name}.{layer.name}.{field}"
                vectors[name] = _take(tensors, where, name, dtype, shape)
    return vectors


def check_data(file: OpsFile) -> None:
    """Check the parameters and vectors that ``file`` refers to, raising as their loaders do."""
    if file.ops.parameters is not None:
        load_parameters(file, file.ops.parameters)
    if file.ops.vectors is not None:
        load_vectors(file, file.ops.vectors)


def vectors_to_bytes(vectors: Tensors) -> bytes:
    """Serialise vectors, named as :func:`load_vectors` expects."""
    return _to_bytes(vectors)


def _to_bytes(tensors: Tensors) -> bytes:
    # safetensors writes the memory of an array as it lies there, so it must lie in C order.
    ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    return safetensors.numpy.save(ordered)


def _load(file: OpsFile, reference: DataFile) -> tuple[str, Tensors]:
    where = str(file.path.parent / reference.file)
    try:
        return where, safetensors.numpy.load(file.read_data(reference))
    except (safetensors.SafetensorError, KeyError) as error:
        raise InputError(f"{where}: must be a safetensors file: {error}") from None


def _take(
    tensors: Tensors, where: str, name: str, dtype: str, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    if name not in tensors:
        raise InputError(f"{where}: {name}: is missing")
    value = tensors[name]
    if value.dtype != np.dtype(dtype) or value.shape != shape:
        rule = f"must be {dtype}{list(shape)}"
        raise InputError(f"{where}: {name}: {rule}, not {value.dtype}{list(value.shape)}")
    return value
