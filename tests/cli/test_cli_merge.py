"""``library merge``, modes in the other commands, and what is refused."""

import json

import numpy as np
import pytest
from qosnets.library import Library

TINY = ("--estimates", 20, "--mappings", 2)
RULE = "merged multiplier: error bounds: must rise from mode to mode, not"


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A home with a library that the command wrote, and what it printed."""
    from qosnets_hw.cli import app
    from typer.testing import CliRunner

    home = tmp_path_factory.mktemp("data")
    options = ["--library", "mine", "--bounds", "3000,40000", "--row-pairs", "--exact-zero"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(home))
        result = CliRunner().invoke(app, ["library", "merge", *options, *map(str, TINY)])
    assert result.exit_code == 0, result.output
    return home, result.stdout


@pytest.fixture
def home(merged, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(merged[0]))
    return merged[0] / "qosnets-hw"


def test_merge_prints_the_costs(merged, home):
    lines = [line.split() for line in merged[1].splitlines() if line.strip()]
    rows = {line[0]: list(map(float, line[1:])) for line in lines if len(line) == 8}
    assert list(rows) == ["exact", *(f"mul8u_merged_mode{mode}" for mode in range(3))]
    mse, area, delay, power, relative, glitching, relative_glitching = zip(
        *rows.values(), strict=True
    )
    assert mse[:2] == (0, 0) and mse[2] < mse[3]
    assert relative[0] == relative_glitching[0] == 1
    assert len(set(area)) == len(set(delay)) == 2  # one circuit
    for figures in (power, relative, glitching, relative_glitching):
        assert figures[1] > figures[2] > figures[3]
    end = f"mine: mul8u_merged with 3 modes, all proven, in {home / 'mine'}"
    assert " ".join(lines[-1]) == end
    lut = Library.open(home / "mine").lut("mul8u_merged_mode2")
    assert not lut[0].any() and not lut[:, 0].any()


def records(qosnets_hw, *arguments):
    code, printed, errors = qosnets_hw("library", *arguments, "--json")
    assert code == 0, errors
    return json.loads(printed)


def test_list_and_show_know_modes(qosnets_hw, home):
    found = records(qosnets_hw, "list", "--library", "mine")
    assert [record["mode"]["index"] for record in found] == [0, 1, 2]
    assert {record["realisation"] for record in found} == {"mode"}
    assert len({record["area_um2"] for record in found}) == 1
    code, printed, _ = qosnets_hw("library", "show", "mul8u_merged_mode1", "--library", "mine")
    assert code == 0 and "circuit: mul8u_merged" in printed


def test_show_knows_the_circuit(qosnets_hw, home):
    (found,) = records(qosnets_hw, "show", "mul8u_merged", "--library", "mine")
    assert (found["n_modes"], found["select_words"]) == (3, [7, 6, 4])
    assert found["modes"] == [f"mul8u_merged_mode{mode}" for mode in range(3)]
    code, printed, _ = qosnets_hw("library", "show", "mul8u_merged", "--library", "mine")
    assert code == 0 and "3, 3, 3, 3, 3, 3, 3, 3" in printed
    code, _, errors = qosnets_hw("library", "heatmap", "mul8u_merged", "--out", "x.svg")
    assert code == 2 and "'mul8u_merged' is in no library" in errors[-1]


def test_modes_are_drawn(qosnets_hw, home, tmp_path):
    out = tmp_path / "x.svg"
    assert qosnets_hw("library", "plot", "--library", "mine", "--out", out)[0] == 0
    assert "mine: 3 of 3 on the front" in out.read_text()
    options = ("mul8u_merged_mode1", "--library", "mine", "--out", tmp_path / "y.svg")
    assert qosnets_hw("library", "heatmap", *options)[0] == 0


@pytest.mark.usefixtures("simulator")
def test_verify(qosnets_hw, home):
    code, printed, _ = qosnets_hw("library", "verify", "--library", "mine")
    assert (code, printed) == (0, "3 of 3 multipliers verified\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bounds", "a"), "--bounds: must be numbers separated by commas, not 'a'"),
        (("--bounds", "5,1"), f"{RULE} 5, 1"),
        (("--bounds", "5,5"), f"{RULE} 5, 5"),
        (("--bounds", "0,5"), "error bound: must be positive, mode 0 being exact, not 0"),
        (("--bounds", "-1"), "error bound: must be positive"),
        (("--bounds", "nan"), "error bound: must be positive"),
        (("--bounds", "inf"), "error bound: must be finite, not inf"),
        (("--bounds", "1,2,3,4,5,6,7,8"), "must be 1..7, as many as the select can code, not 8"),
        (("--bounds", "1", "--library", "merged"), "library name: must be an identifier other"),
        (("--bounds", "1", "--library", "mine"), "mine: exists already (--force replaces it)"),
        (("--bounds", "1", "--seed", 1 << 64), "'--seed'"),
        (("--bounds", "1", "--mappings", 0), "'--mappings'"),
        (("--bounds", "1", "--exact-zero", "--max-delay", 0.1), "delay bound: must be at least 0."),
        (("--bounds", "1", "--max-delay", "nan"), "delay bound: must be finite, not nan"),
        (("--bounds", "1", "--operands", "nowhere.json"), "nowhere.json: cannot be read"),
        (("--bounds", "1", "--liberty", "nowhere.lib"), "nowhere.lib: cannot be read"),
    ],
)
def test_refused_options(qosnets_hw, home, options, message):
    code, printed, errors = qosnets_hw("library", "merge", "--library", "other", *options)
    assert (code, printed) == (2, "")
    assert len(errors) == 1 and message in errors[0]
    assert [path.name for path in home.iterdir()] == ["mine"]


def test_merging_for_the_operands_of_a_layer(qosnets_hw, home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    weights = np.where(np.arange(256) < 16, 1.0, 0.0).tolist()
    record = {"schema": "qosnets-operands/1", "name": "small", "a": weights, "b": [1.0] * 256}
    operands = tmp_path / "operands.json"
    operands.write_text(json.dumps(record))
    options = ("--bounds", 100, "--exact-zero", "--operands", operands, "--max-delay", 1, *TINY)
    code, printed, errors = qosnets_hw("library", "merge", "--library", "small", *options)
    assert code == 0, errors
    assert "small-" in printed
    lut = Library.open(tmp_path / "qosnets-hw" / "small").lut("mul8u_merged_mode1")
    error = lut - np.outer(np.arange(256), np.arange(256))
    assert 0 < error[:16].var() <= 100 < error.var()
