"""Verilator against our reader of canonical netlists."""

from pathlib import Path

import numpy as np
import pytest
from netlists import random_netlist
from qosnets.errors import ToolError
from qosnets.netlist import netlist_lut
from qosnets_sim.netlists import simulate_netlists

NETLISTS = {f"random{seed}": random_netlist(seed, 30 * seed) for seed in range(9)}


@pytest.fixture(scope="module")
def simulated(simulator):
    corrupted = NETLISTS["random8"].replace(" & ", " | ")
    assert corrupted != NETLISTS["random8"]
    return simulate_netlists(NETLISTS | {"corrupted": corrupted})


@pytest.mark.parametrize("name", NETLISTS)
def test_simulator_and_reader_agree(simulated, name):
    expected = netlist_lut(NETLISTS[name])
    assert (simulated[name].dtype, simulated[name].shape) == (np.uint16, (256, 256))
    np.testing.assert_array_equal(simulated[name], expected)
    assert name == "random0" or len(np.unique(expected)) > 3  # not constant


def test_a_corrupted_netlist_shows(simulated):
    assert (simulated["corrupted"] != netlist_lut(NETLISTS["random8"])).any()


@pytest.mark.usefixtures("simulator")
def test_one_netlist_and_none():
    (lut,) = simulate_netlists({"only": NETLISTS["random5"]}).values()
    np.testing.assert_array_equal(lut, netlist_lut(NETLISTS["random5"]))
    assert simulate_netlists({}) == {}


@pytest.mark.usefixtures("simulator")
def test_text_that_is_no_verilog_leaves_a_log():
    with pytest.raises(ToolError, match=r"simulation of the netlists failed, see .*log$") as error:
        simulate_netlists({"broken": NETLISTS["random1"].replace("assign", "asign")})
    assert "asign n0" in Path(str(error.value).split()[-1]).read_text()


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="not found"):
        simulate_netlists({"only": NETLISTS["random2"]})
