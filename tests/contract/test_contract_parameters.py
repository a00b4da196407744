"""Parameters and vectors: round trips, and every way in which a file can be wrong."""

import json

import numpy as np
import pytest
import safetensors.numpy
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import ActivationPort
from qosnets.ops import DataFile, Ops, OpsFile
from qosnets.parameters import (
    check_data,
    load_parameters,
    load_vectors,
    parameters_to_bytes,
    vectors_to_bytes,
)

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=4,
    out_channels=6,
    kernel=(2, 3),
    stride=(1, 1),
    padding=(0, 0, 0, 0),
    dilation=(1, 1),
    groups=2,
    input_size=(3, 5),
    input_zero_point=0,
    output_zero_point=0,
    clamp=(0, 255),
)
LINEAR = Geometry(
    **vars(CONV)
    | {"kind": LayerKind.LINEAR, "kernel": (1, 1), "groups": 1, "input_size": (1, 1)}
    | {"in_channels": 36, "out_channels": 3}
)
LAYERS = {"conv": CONV, "fc": LINEAR}
POINTS = ("o1", "o2")


def parameter_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    tensors = {
        "conv.weight": rng.integers(0, 256, (6, 2, 2, 3), np.uint8),
        "conv.weight_zero_point": rng.integers(0, 256, 6, np.uint8),
        "fc.weight": rng.integers(0, 256, (3, 36), np.uint8),
        "fc.weight_zero_point": rng.integers(0, 256, 3, np.uint8),
    }
    for point in POINTS:
        for layer, n in (("conv", 6), ("fc", 3)):
            tensors[f"{point}.{layer}.bias"] = rng.integers(-(2**31), 2**31, n).astype(np.int32)
            tensors[f"{point}.{layer}.mult"] = np.resize([2**14, -(2**15), 0], n).astype(np.int16)
            tensors[f"{point}.{layer}.shift"] = np.resize([1, 47], n).astype(np.uint8)
            tensors[f"{point}.{layer}.offset"] = rng.integers(-(2**15), 2**15, n).astype(np.int16)
    return tensors


def vector_tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    tensors = {"input": rng.integers(0, 256, (2, 4, 3, 5), np.uint8)}
    for point in POINTS:
        for layer, shape in (("conv", (2, 6, 2, 3)), ("fc", (2, 3))):
            tensors[f"{point}.{layer}.acc"] = rng.integers(-(2**31), 2**31, shape).astype(np.int32)
            tensors[f"{point}.{layer}.out"] = rng.integers(0, 256, shape, np.uint8)
    return tensors


def ops_file(folder) -> OpsFile:
    ops = Ops.model_validate(
        {
            "schema": "qosnets-ops/1",
            "multipliers": [
                {"name": "m", "lut_sha256": "0" * 64, "activation_port": ActivationPort.A}
            ],
            "layers": [{"name": name} | vars(geometry) for name, geometry in LAYERS.items()],
            "operating_points": [{"name": name, "assignment": [0, 0]} for name in POINTS],
        }
    )
    return OpsFile(folder / "ops.json", "", ops)


def write(folder, data: bytes) -> DataFile:
    (folder / "data.safetensors").write_bytes(data)
    return DataFile(file="data.safetensors", sha256=sha256(data))


def load(folder, data: bytes, loader):
    return loader(ops_file(folder), write(folder, data))


def refusal(folder, data: bytes, loader) -> str:
    with pytest.raises(InputError) as error:
        load(folder, data, loader)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder / 'data.safetensors'}: ")


def test_parameters_round_trip(tmp_path):
    tensors = parameter_tensors()
    parameters = load(tmp_path, safetensors.numpy.save(tensors), load_parameters)
    conv = parameters.weights["conv"]
    assert conv.codes.tolist() == tensors["conv.weight"].reshape(6, 12).tolist()
    assert conv[2:4].zero_points.tolist() == tensors["conv.weight_zero_point"][2:4].tolist()
    assert set(parameters.requantisation) == {(p, layer) for p in POINTS for layer in LAYERS}
    values = parameters.requantisation["o2", "conv"][1:3]
    for field in ("bias", "mult", "shift", "offset"):
        assert getattr(values, field).tolist() == tensors[f"o2.conv.{field}"][1:3].tolist()
    data = parameters_to_bytes(parameters, LAYERS)
    assert parameters_to_bytes(load(tmp_path, data, load_parameters), LAYERS) == data
    written = safetensors.numpy.load(data)
    assert written.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert written[name].dtype == tensor.dtype
        np.testing.assert_array_equal(written[name], tensor)


def test_vectors_round_trip_whatever_their_order(tmp_path):
    tensors = vector_tensors()
    data = vectors_to_bytes(tensors)
    assert vectors_to_bytes(dict(reversed(tensors.items()))) == data
    vectors = load(tmp_path, data, load_vectors)
    assert vectors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(vectors[name], tensor)


BOTH = pytest.mark.parametrize(
    ("loader", "tensors"),
    [(load_parameters, parameter_tensors), (load_vectors, vector_tensors)],
    ids=["parameters", "vectors"],
)


@BOTH
def test_missing_file_and_wrong_hash(tmp_path, loader, tensors):
    path, file = tmp_path / "data.safetensors", ops_file(tmp_path)
    reference = DataFile(file=path.name, sha256="0" * 64)
    with pytest.raises(InputError) as error:
        loader(file, reference)
    assert str(error.value) == f"{path}: cannot be read: No such file or directory"
    data = safetensors.numpy.save(tensors())
    path.write_bytes(data)
    with pytest.raises(InputError) as error:
        loader(file, reference)
    assert str(error.value) == f"{path}: SHA-256 must be {'0' * 64}, not {sha256(data)}"


@BOTH
def test_not_safetensors(tmp_path, loader, tensors):
    data = safetensors.numpy.save(tensors())
    broken = [b"", b"PK", np.random.default_rng(3).bytes(500), data[:-1], data[:100], data + b"\0"]
    broken.append(data.replace(b'"I32"', b'"X32"').replace(b'"U8"', b'"X8"'))
    for item in broken:
        assert refusal(tmp_path, item, loader).startswith("must be a safetensors file: ")


WRONG_PARAMETERS = [
    # (tensor, value or None for none, message)
    ("conv.weight", None, "conv.weight: is missing"),
    ("fc.weight_zero_point", None, "fc.weight_zero_point: is missing"),
    ("o2.fc.shift", None, "o2.fc.shift: is missing"),
    (
        "conv.weight",
        np.zeros((6, 4, 2, 3), np.uint8),
        "conv.weight: must be uint8[6, 2, 2, 3], not uint8[6, 4, 2, 3]",
    ),
    (
        "fc.weight",
        np.zeros((3, 36, 1, 1), np.uint8),
        "fc.weight: must be uint8[3, 36], not uint8[3, 36, 1, 1]",
    ),
    ("fc.weight", np.zeros((3, 36), np.int8), "fc.weight: must be uint8[3, 36], not int8[3, 36]"),
    ("o1.conv.bias", np.zeros(6, np.int64), "o1.conv.bias: must be int32[6], not int64[6]"),
    ("o1.conv.bias", np.zeros(5, np.int32), "o1.conv.bias: must be int32[6], not int32[5]"),
    ("o1.conv.bias", np.zeros((), np.int32), "o1.conv.bias: must be int32[6], not int32[]"),
    ("o1.fc.offset", np.zeros(3, np.float32), "o1.fc.offset: must be int16[3], not float32[3]"),
    *(
        (
            "o2.fc.mult",
            np.array([0, 2**14, mult], np.int16),
            f"o2.fc.mult: must be 0 or at least 2^14 in size, not {mult}",
        )
        for mult in (5, -1, 2**14 - 1, 1 - 2**14)
    ),
    *(
        (
            "o1.conv.shift",
            np.array([1, 47, shift, 1, 1, 1], np.uint8),
            f"o1.conv.shift: must be 1..47, not {shift}",
        )
        for shift in (0, 48, 255)
    ),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG_PARAMETERS)
def test_wrong_parameters(tmp_path, name, value, message):
    tensors = parameter_tensors()
    tensors[name] = value
    data = safetensors.numpy.save({k: v for k, v in tensors.items() if v is not None})
    assert refusal(tmp_path, data, load_parameters) == message


INPUT = "input: must be uint8 [image, channel, height, width]"

WRONG_VECTORS = [
    ("input", None, INPUT),
    ("input", np.zeros((4, 3, 5), np.uint8), INPUT),
    ("input", np.zeros((0, 4, 3, 5), np.uint8), INPUT),
    (
        "input",
        np.zeros((2, 4, 3, 5), np.int8),
        "input: must be uint8[2, 4, 3, 5], not int8[2, 4, 3, 5]",
    ),
    (
        "input",
        np.zeros((1, 4, 3, 5), np.uint8),
        "o1.conv.acc: must be int32[1, 6, 2, 3], not int32[2, 6, 2, 3]",
    ),
    ("o2.conv.out", None, "o2.conv.out: is missing"),
    (
        "o2.conv.out",
        np.zeros((2, 6, 3, 2), np.uint8),
        "o2.conv.out: must be uint8[2, 6, 2, 3], not uint8[2, 6, 3, 2]",
    ),
    ("o1.fc.acc", np.zeros((2, 3), np.int64), "o1.fc.acc: must be int32[2, 3], not int64[2, 3]"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG_VECTORS)
def test_wrong_vectors(tmp_path, name, value, message):
    tensors = vector_tensors()
    tensors[name] = value
    data = safetensors.numpy.save({k: v for k, v in tensors.items() if v is not None})
    assert refusal(tmp_path, data, load_vectors) == message


def test_check_data_reads_both_files(tmp_path):
    graph = [
        {"op": "layer", "layer": "conv", "inputs": ["input"], "output": "a"},
        {"op": "flatten", "inputs": ["a"], "output": "b"},
        {"op": "layer", "layer": "fc", "inputs": ["b"], "output": "y"},
    ]
    files = {
        "parameters": safetensors.numpy.save(parameter_tensors()),
        "vectors": safetensors.numpy.save(vector_tensors()),
    }
    content = ops_file(tmp_path).ops.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["graph"] = graph
    content |= {name: {"file": name, "sha256": sha256(data)} for name, data in files.items()}
    (tmp_path / "ops.json").write_bytes(json.dumps(content).encode())
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    file = OpsFile.load(tmp_path / "ops.json")
    check_data(file)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data + b"\0")
        with pytest.raises(InputError, match=rf"{name}: SHA-256 must be"):
            check_data(file)
        (tmp_path / name).write_bytes(data)
