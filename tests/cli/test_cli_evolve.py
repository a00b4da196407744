"""``library evolve``: circuits of one's own, and what is refused."""

import json

import numpy as np
import pytest
from qosnets.library import Library
from qosnets.lut import exact_lut

TINY = ("--islands", 1, "--rounds", 1, "--evaluations", 200, "--jobs", 1)


@pytest.fixture
def operands(tmp_path):
    """Small operands of A only."""
    weights = np.where(np.arange(256) < 16, 1.0, 0.0).tolist()
    record = {"schema": "qosnets-operands/1", "name": "small", "a": weights, "b": [1.0] * 256}
    path = tmp_path / "operands.json"
    path.write_text(json.dumps(record))
    return path


def test_evolved_library_is_like_any_other(qosnets_hw, home):
    options = ("--library", "mine", "--bounds", "0.5,1000", *TINY)
    code, printed, _ = qosnets_hw("library", "evolve", *options)
    assert code == 0
    assert printed == f"mine: 2 multipliers evolved, in {home / 'mine'}\n"
    code, printed, _ = qosnets_hw("library", "list", "--library", "mine", "--json")
    small, large = json.loads(printed)
    assert (small["name"], large["name"]) == ("mul8u_mse0p5", "mul8u_mse1000")
    assert 0 < small["mse"] <= 0.5 < large["mse"] <= 1000
    assert large["relative_power"] < small["relative_power"] < 1
    assert [path.name for path in home.iterdir()] == ["mine"]


def test_evolving_for_the_operands_of_a_layer(qosnets_hw, home, operands):
    options = ("--library", "mine", "--bounds", 10, "--metric", "wce", "--operands", operands)
    effort = ("--islands", 1, "--rounds", 1, "--evaluations", 5000, "--jobs", 1)
    code, _, errors = qosnets_hw("library", "evolve", *options, *effort, "--seeds", "families")
    assert code == 0, errors
    error = np.abs(Library.open(home / "mine").lut("mul8u_wce10").astype(int) - exact_lut())
    assert 0 < error[:16].max() <= 10 < error.max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bounds", "a"), "--bounds: must be numbers separated by commas, not 'a'"),
        (("--bounds", "5,1"), "bounds: must rise strictly"),
        (("--bounds", "nan"), "bounds[0]: must be a finite number, not nan"),
        (("--bounds", "1", "--library", "evolved"), "library name: must be an identifier"),
        (("--bounds", "1", "--seeds", "none"), "--library: must be one of evolved, families"),
        (("--bounds", "1", "--seeds", "merged"), "--seeds: must be libraries with netlists"),
        (("--bounds", "1", "--resume"), ".evolving-mine: must be there to resume, is missing"),
        (("--bounds", "1", "--jobs", "0"), "'--jobs'"),
        (("--bounds", "1", "--operands", "nowhere.json"), "nowhere.json: cannot be read"),
        (("--bounds", "1", "--liberty", "nowhere.lib"), "nowhere.lib: cannot be read"),
    ],
)
def test_refused_options(qosnets_hw, home, options, message):
    code, printed, errors = qosnets_hw("library", "evolve", "--library", "mine", *options)
    assert (code, printed) == (2, "")
    assert len(errors) == 1 and message in errors[0]
    assert not home.exists() or not list(home.iterdir())
