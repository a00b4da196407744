"""Streams of operands, and the files that describe them."""

import json

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets_library.operands import (
    N_OPERATIONS,
    OPERANDS_SCHEMA,
    UNIFORM,
    Operands,
    _drawn,
    load_operands,
)


def weights(**by_operand: float) -> list[float]:
    result = [0.0] * 256
    for name, weight in by_operand.items():
        result[int(name[1:])] = weight
    return result


CONTENT = {
    "schema": OPERANDS_SCHEMA,
    "name": "conv1",
    "a": weights(_0=3, _7=1),
    "b": weights(_255=0.5),
}


def written(path, **changes):
    content = {key: value for key, value in (CONTENT | changes).items() if value is not None}
    path.write_text(json.dumps(content))
    return path


def test_uniform_stream():
    pairs = UNIFORM.pairs()
    assert pairs.dtype == np.uint16 and len(pairs) == N_OPERATIONS + 1
    # The stream is part of every estimate: it must be the same everywhere.
    assert pairs[:4].tolist() == [33657, 62401, 9224, 62162]
    a, b = pairs >> 8, pairs & 255
    for operand in (a, b):
        counts = np.bincount(operand, minlength=256)
        assert counts.min() > 180 and counts.max() < 340  # 256 ± 16
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert abs(np.corrcoef(a[1:], a[:-1])[0, 1]) < 0.02


def test_operands_occur_as_often_as_their_weights(tmp_path):
    pairs = load_operands(written(tmp_path / "o.json")).pairs()
    assert set(pairs & 255) == {255}
    assert set(pairs >> 8) == {0, 7}
    assert np.count_nonzero(pairs >> 8 == 7) / len(pairs) == pytest.approx(0.25, abs=0.01)


def test_borders_between_operands():
    """An operand of weight 0 never occurs, not even for the first and the last number drawn."""
    limit = 2**30  # a quarter of all numbers
    numbers = np.array([0, limit - 1, limit, 2**32 - 1], dtype=np.uint64)
    drawn = _drawn(tuple(weights(_3=1, _9=3)), numbers)
    assert drawn.tolist() == [3, 3, 9, 9]


def test_names(tmp_path):
    first = load_operands(written(tmp_path / "o.json"))
    second = load_operands(written(tmp_path / "p.json", b=weights(_1=1)))
    assert first.name.startswith("conv1-") and len(first.name) == len("conv1-") + 8
    assert first.name != second.name
    assert first.sha256 != second.sha256 != UNIFORM.sha256
    assert UNIFORM.name == "uniform"
    assert Operands("x", UNIFORM.a, UNIFORM.b).sha256 != UNIFORM.sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "qosnets-operands/2"}, "schema: must be 'qosnets-operands/1', not 'qosnets-o"),
        ({"name": "1 x"}, "name: "),
        ({"a": None}, "a: is missing"),
        ({"a": [1.0] * 255}, "a: must have at least 256 entries, not "),
        ({"b": [1.0] * 257}, "b: must have at most 256 entries, not 257"),
        ({"b": weights(_3=-1)}, "b[3]: must be greater than or equal to 0, not -1"),
        ({"b": ["1"] * 256}, "b[0]: must be a valid number, not '1'"),
        ({"b": [True] * 256}, "b[0]: must be a valid number, not True"),
        ({"a": [0] * 256}, "a: weights must have a sum above 0, and a finite one"),
        ({"a": [1e308] * 256}, "a: weights must have a sum above 0, and a finite one"),
        ({"c": 1}, "c: unknown key"),
    ],
)
def test_refused_file(tmp_path, changes, message):
    path = written(tmp_path / "o.json", **changes)
    with pytest.raises(InputError) as error:
        load_operands(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_not_a_number(tmp_path):
    path = tmp_path / "o.json"
    path.write_text(json.dumps(CONTENT).replace("0.5", "NaN"))
    with pytest.raises(InputError, match="numbers must be finite, not NaN"):
        load_operands(path)
    with pytest.raises(InputError, match=r"absent\.json: cannot be read"):
        load_operands(tmp_path / "absent.json")
