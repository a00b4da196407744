"""Mapped designs: hierarchy, timing, activity and power, followed by hand."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from liberties import GATES, cell, flip_flop, input_pin, library, output_pin, timing, write
from qosnets.errors import CheckError, InputError, ToolError
from qosnets_library.activity import Activity, read_activity
from qosnets_library.design_power import design_power
from qosnets_library.design_timing import TimingModel
from qosnets_library.fanout import MAX_FANOUT, buffer_nets
from qosnets_library.liberty import GENERIC, load_liberty
from qosnets_library.liberty_writer import write_liberty
from qosnets_library.mapped import flatten, read_modules
from qosnets_library.mapping import ABC_SCRIPT, map_netlists
from qosnets_library.netlist import canonical_netlist
from qosnets_library.operands import UNIFORM
from qosnets_library.power import estimate_power
from qosnets_library.timing import input_slew, static_timing
from qosnets_library.yosys import run_yosys


@pytest.fixture
def liberty(tmp_path):
    return load_liberty(write(tmp_path, library(GATES, flip_flop())))


def module(inputs, outputs, cells, names=None):
    """Return a module as JSON has it; ``cells``: name to type and nets by pin."""
    ports = {
        name: {"direction": direction, "bits": bits}
        for direction, found in (("input", inputs), ("output", outputs))
        for name, bits in found.items()
    }
    return {
        "ports": ports,
        "cells": {
            name: {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
            for name, (kind, pins) in cells.items()
        },
        "netnames": {
            name: {"bits": bits} for name, bits in (inputs | outputs | (names or {})).items()
        },
    }


INNER = module(
    {"clk": [2], "a": [3], "b": [4]},
    {"y": [6], "through": [3]},
    {
        "and": ("AND", {"A": 3, "B": 4, "Y": 5}),
        "register": ("DFF", {"CK": 2, "D": 5, "Q": 6}),
    },
    {"next": [5]},
)
"""y becomes a & b; through is a."""
OUTER = module(
    {"clk": [2], "a": [3], "b": [4]},
    {"out": [7]},
    {
        "left": ("inner", {"clk": 2, "a": 3, "b": 4, "y": 5, "through": 6}),
        "right": ("inner", {"clk": 2, "a": 5, "b": 6, "y": 8, "through": 9}),
        "inverter": ("INV", {"A": 8, "Y": 7}),
    },
)


@pytest.fixture
def design(liberty):
    return flatten(read_modules({"inner": INNER, "outer": OUTER}, liberty), "outer")


def net(design, path, name, bit=0):
    (scope,) = (scope for scope in design.scopes if scope.path == path)
    return int(scope.nets[scope.module.names[name][bit]])


def test_a_net_has_one_number_everywhere(design):
    assert [scope.path for scope in design.scopes] == [(), ("left",), ("right",)]
    # `through` of the left one is its input a, that of the top, and b of the right one.
    same = [((), "a"), (("left",), "a"), (("left",), "through"), (("right",), "b")]
    assert len({net(design, *place) for place in same}) == 1
    assert net(design, ("left",), "y") == net(design, ("right",), "a")
    # clk, a, b, two of next, two of y, out; and the constants.
    assert design.n_nets == 2 + 8
    assert {kind: len(group.scopes) for kind, group in design.cells.items()} == {
        "AND": 2,
        "DFF": 2,
        "INV": 1,
    }
    assert design.cells["DFF"].scopes.tolist() == [1, 2]
    assert len(design.instances("inner")) == 2


def test_registers_have_the_name_of_their_net(design):
    assert set(design.scopes[1].module.registers.values()) == {"y"}


def test_constants_and_undefined_bits(liberty):
    constant = module({}, {"y": [2]}, {"and": ("AND", {"A": "1", "B": "x", "Y": 2})})
    flat = flatten(read_modules({"m": constant}, liberty), "m")
    assert flat.cells["AND"].nets.tolist() == [[1, 0, 2]]


def test_cells_that_are_not_mapped_are_refused(liberty):
    unknown = module({}, {"y": [2]}, {"and": ("$_AND_", {"A": "1", "B": "0", "Y": 2})})
    with pytest.raises(ToolError, match=r"^m: and: must be mapped, not a cell of type \$_AND_$"):
        read_modules({"m": unknown}, liberty)


def test_loads_and_arrivals(design, liberty):
    model = TimingModel(design, liberty)
    y, out = net(design, ("left",), "y"), net(design, (), "out")
    # Pin A of the right AND; an inverter behind the design.
    assert (model.loads_ff[y], model.loads_ff[out]) == (1, 3)
    assert model.loads_ff[net(design, (), "clk")] == 2 * 2
    timing_ = model.analyse()
    # Of the register: 30 and 40; rising by 10 and falling by 1 through the AND.
    assert timing_.arrivals[y].tolist() == [30, 40]
    following = net(design, ("right",), "next")
    assert timing_.arrivals[following].tolist() == [30 + 10, 40 + 1]
    # The inverter: rising 7 after a falling edge, falling 3 after a rising one.
    assert timing_.arrivals[out].tolist() == [40 + 7, 30 + 3]
    # With setup times of 2 and 5. The left one has inputs of the design, which come at 0.
    assert timing_.endpoints["DFF"].tolist() == [max(10 + 2, 1 + 5), max(40 + 2, 41 + 5)]
    assert timing_.origins[following].tolist() == [y, y]
    assert timing_.latest(np.array([y, following])) == 41


def test_case_analysis(design, liberty):
    model = TimingModel(design, liberty)
    a, following = net(design, (), "a"), net(design, ("right",), "next")
    held = model.analyse({a: 0})
    # Both ANDs are closed: nothing moves at the data of the registers.
    assert held.endpoints["DFF"].tolist() == [-np.inf, -np.inf]
    assert not np.isfinite(held.arrivals[following]).any()
    opened = model.analyse({a: 1})
    assert opened.arrivals[following].tolist() == [40, 41]


def test_pins_that_cannot_matter(tmp_path):
    """A multiplexer whose select is constant: the other input does not count."""
    delays = {"A": 5, "B": 50, "S": 9}
    arcs = "".join(timing(pin, "non_unate", delay, delay) for pin, delay in delays.items())
    mux = cell(
        "MUX",
        *(input_pin(pin, 1) for pin in delays),
        output_pin("Y", "(!S & A) | (S & B)", arcs),
    )
    liberty = load_liberty(write(tmp_path, library(GATES, mux)))
    cells = {"mux": ("MUX", {"A": 2, "B": 3, "S": 4, "Y": 5})}
    flat = flatten(
        read_modules({"m": module({"a": [2], "b": [3], "s": [4]}, {"y": [5]}, cells)}, liberty),
        "m",
    )
    model = TimingModel(flat, liberty)
    y, s = net(flat, (), "y"), net(flat, (), "s")
    assert model.analyse().latest(np.array([y])) == 50
    assert model.analyse({s: 0}).latest(np.array([y])) == 5
    assert model.analyse({s: 1}).latest(np.array([y])) == 50


def test_loops_are_refused(liberty):
    loop = {
        "one": ("INV", {"A": 2, "Y": 3}),
        "two": ("INV", {"A": 3, "Y": 2}),
    }
    flat = flatten(read_modules({"m": module({}, {"y": [2]}, loop)}, liberty), "m")
    with pytest.raises(CheckError, match="must have no combinational loop"):
        TimingModel(flat, liberty).analyse()


@pytest.fixture(scope="module")
def product():
    text = b"module m(input [7:0] a, b, output [15:0] o); assign o = a * b; endmodule"
    return canonical_netlist({"m.v": text}, where="m")


def mapped_product(text, liberty):
    """Return the product as a netlist of the library and as a mapped design."""
    (gates,) = map_netlists([text], liberty)
    pins = {cell.name: (*cell.pins, cell.output) for cell in liberty.cells}
    cells = {
        f"g{number}": (gate.type, dict(zip(pins[gate.type], (*gate.inputs, number), strict=True)))
        for number, gate in enumerate(gates.gates, gates.FIRST_GATE)
    }
    ports = {"a": [*range(2, 10)], "b": [*range(10, 18)]}
    modules = {"m": module(ports, {"o": list(gates.outputs)}, cells)}
    return gates, flatten(read_modules(modules, liberty), "m")


def test_timing_of_a_multiplier_is_that_of_the_library(product):
    liberty = load_liberty(GENERIC)
    gates, flat = mapped_product(product, liberty)
    expected = static_timing(gates, liberty)
    model = TimingModel(flat, liberty)
    found = model.analyse()
    assert sorted(model.loads_ff[2:]) == pytest.approx(sorted(expected.loads_ff[2:]))
    outputs = flat.scopes[0].nets[flat.scopes[0].module.ports["o"]]
    assert found.latest(outputs) == pytest.approx(expected.delay_ns)


SAIF = """(SAIFILE (SAIFVERSION "2.0") (INSTANCE top (INSTANCE dut
  (NET (clk (T0 1) (T1 1) (TC 2000)) (a (T0 1) (T1 1) (TC 400)) (b (T0 1) (T1 1) (TC 100)) {out})
  (INSTANCE left (NET (next (T0 1) (T1 1) (TC 120)) (y (T0 1) (T1 1) (TC 110)) ))
  (INSTANCE right (NET (next (T0 1) (T1 1) (TC 60)) (y (T0 1) (T1 1) (TC 50)) ))
)))
"""
OUT = "(out (T0 1) (T1 1) (TC 50))"


def test_activity(design, tmp_path):
    path = tmp_path / "a.saif"
    path.write_text(SAIF.format(out=OUT))
    activity = read_activity(design, path, "clk")
    assert (activity.cycles, activity.annotated) == (1000, 1)
    assert activity.toggles[net(design, ("right",), "a")] == 110


def test_too_little_activity_is_refused(design, tmp_path):
    path = tmp_path / "a.saif"
    path.write_text(SAIF.format(out=""))
    rule = "must have the activity of 95% of the nets, not of 87.5%"
    with pytest.raises(CheckError, match=rule):
        read_activity(design, path, "clk")
    path.write_text(SAIF.format(out=OUT).replace("left", "west"))
    with pytest.raises(InputError, match="must be of outer"):
        read_activity(design, path, "clk")
    path.write_text(SAIF.format(out=OUT).replace("(TC 2000)", "(TC 0)"))
    with pytest.raises(CheckError, match="clk: must toggle"):
        read_activity(design, path, "clk")


def test_energies(design, liberty, tmp_path):
    path = tmp_path / "a.saif"
    path.write_text(SAIF.format(out=OUT))
    activity = read_activity(design, path, "clk")
    model = TimingModel(design, liberty)
    slews = model.analyse().slews.mean(axis=1)
    clock = design.scopes[0].nets[design.scopes[0].module.ports["clk"]]
    power = design_power(model, slews, activity, clock)
    half_v2 = 0.5 * 2.0**2
    # Right: the AND has pins that toggle 110 and 400 times. An output edge costs 3 by A, 8 by B
    # (means over edges and states); what is left of A's toggles costs 0.375.
    by_a, by_b = 60 * 110 / 510, 60 * 400 / 510
    energy = by_a * 3 + by_b * 8 + (110 - by_a) * 0.375
    # Its net has a pin of the flip-flop, whose output drives the inverter.
    energy += half_v2 * (60 * 1 + 50 * 3)
    # The flip-flop: output and data.
    energy += 50 * 8 + 60 * 0.5
    assert power.logic_fj[2] == pytest.approx(energy / 1000)
    # A clock that leaves the output as it is rises for 0.5; falling it always costs 1.5.
    clocked = (1000 - 50) * 0.5 + 1000 * 1.5 + 2 * half_v2 * 2 * 1000
    assert power.clock_fj[2] == pytest.approx(clocked / 1000)
    # The top: its inputs, with pins A and B, A and B of the ANDs, and the inverter.
    energy = half_v2 * (400 * (1 + 2) + 100 * 2 + 50 * 3) + 50 * 3
    assert power.logic_fj[0] == pytest.approx(energy / 1000)
    assert power.leakage_nw.tolist() == [500, 100, 100]


def test_power_of_a_multiplier_is_near_that_of_the_library(product):
    """Which pins toggle together with an output is not known here; that costs little."""
    liberty = load_liberty(GENERIC)
    gates, flat = mapped_product(product, liberty)
    timing_ = static_timing(gates, liberty)
    pairs = UNIFORM.pairs()
    toggled = gates.evaluate(pairs[:-1]) ^ gates.evaluate(pairs[1:])
    counts = np.bitwise_count(toggled).sum(axis=1, dtype=np.int64)
    model = TimingModel(flat, liberty)
    toggles = np.zeros(flat.n_nets, np.int64)
    top = flat.scopes[0]
    for port, first in (("a", 2), ("b", 10)):
        toggles[top.nets[top.module.ports[port]]] = counts[first : first + 8]
    drivers = {}
    for kind, group in flat.cells.items():
        for row in group.nets.tolist():
            drivers[row[-1]] = (kind, tuple(row[:-1]))
    # Nets of the design by those of the netlist, which are numbered in topological order.
    known = {0: 0, 1: 1} | {
        first + bit: int(top.nets[top.module.ports[port][bit]])
        for port, first in (("a", 2), ("b", 10))
        for bit in range(8)
    }
    by_inputs = {value: key for key, value in drivers.items()}
    for number, gate in enumerate(gates.gates, gates.FIRST_GATE):
        known[number] = by_inputs[gate.type, tuple(known[source] for source in gate.inputs)]
        toggles[known[number]] = counts[number]
    slews = model.analyse().slews.mean(axis=1)
    found = design_power(model, slews, Activity(toggles, 1.0, 65536), np.zeros(0, int))
    expected = estimate_power(gates, liberty, timing_, UNIFORM)
    assert found.logic_fj.sum() * 0.1 == pytest.approx(expected.power_uw, rel=0.002)


def test_buffers_for_many_loads(liberty):
    n = 3 * MAX_FANOUT + 1
    cells = {f"i{k}": ("INV", {"A": 2, "Y": 10 + k}) for k in range(n)}
    cells["few"] = ("INV", {"A": 3, "Y": 4})
    modules = {"m": module({"a": [2], "b": [3]}, {"y": [4]}, cells)}
    buffer_nets(modules, liberty)
    flat = flatten(read_modules(modules, liberty), "m")
    # Four of them for the inverters, one for the four.
    assert len(flat.cells["BUF"].scopes) == 4 + 1
    loads = np.bincount(np.concatenate([g.nets[:, :-1].ravel() for g in flat.cells.values()]))
    assert loads.max() <= MAX_FANOUT
    assert loads[net(flat, (), "a")] == loads[net(flat, (), "b")] == 1


def test_pins_inside_other_modules_count(liberty):
    """Six pins in each of three modules: no port needs a buffer, the net around them does."""
    cells = {f"i{k}": ("INV", {"A": 2, "Y": 10 + k}) for k in range(6)}
    parts = {f"part{k}": ("inner", {"a": 2, "y": 10 + k}) for k in range(3)}
    modules = {
        "outer": module({"a": [2]}, {"y": [10]}, parts),
        "inner": module({"a": [2]}, {"y": [10]}, cells),
    }
    buffer_nets(modules, liberty)
    flat = flatten(read_modules(modules, liberty), "outer")
    # One in front of each of them, and one for the three.
    assert flat.cells["BUF"].scopes.tolist() == [0] * 4
    loads = np.bincount(np.concatenate([g.nets[:, :-1].ravel() for g in flat.cells.values()]))
    assert loads[net(flat, (), "a")] == 1 and loads.max() == 6


def test_clocks_are_not_buffered(liberty):
    cells = {f"r{k}": ("DFF", {"CK": 2, "D": 3, "Q": 10 + k}) for k in range(20)}
    modules = {"m": module({"clk": [2], "d": [3]}, {"q": [10]}, cells)}
    buffer_nets(modules, liberty)
    flat = flatten(read_modules(modules, liberty), "m")
    clock, data = net(flat, (), "clk"), net(flat, (), "d")
    assert (flat.cells["DFF"].nets[:, 0] == clock).all()
    assert (flat.cells["DFF"].nets[:, 1] != data).all()


REGISTERED = """
module m(input clk, input [7:0] a, b, output reg [15:0] o);
  reg [7:0] x, y;
  always @(posedge clk) begin x <= a; y <= b; o <= x * y; end
endmodule
"""
OPENSTA = """
read_liberty cells.lib
read_verilog m.v
link_design m
create_clock -name clk -period 100 [get_ports clk]
set_clock_transition {slew} [get_clocks clk]
report_checks -digits 6 -from [all_registers -clock_pins] -to [all_registers -data_pins]
"""
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.mark.skipif(shutil.which("sta") is None, reason="not found: sta (OpenSTA)")
@pytest.mark.parametrize("cells", [GENERIC, OSU018], ids=["generic", "osu018"])
def test_timing_is_that_of_opensta(cells, tmp_path):
    if cells != GENERIC and not cells.is_file():
        pytest.skip(f"not found: {cells}")
    liberty = load_liberty(cells)
    text = write_liberty(liberty)
    script = (
        "read_verilog m.v",
        "synth -run :fine",
        "techmap",
        "dfflibmap -liberty cells.lib",
        f"abc -liberty cells.lib -script {ABC_SCRIPT}",
        "opt_clean -purge",
        "write_json m.json",
        "write_verilog -noattr -noexpr -simple-lhs mapped.v",
    )
    outputs = run_yosys(script, {"m.v": REGISTERED, "cells.lib": text}, ("m.json", "mapped.v"))
    modules = json.loads(outputs.outputs["m.json"])["modules"]
    flat = flatten(read_modules(modules, liberty), "m")
    (times,) = TimingModel(flat, liberty).analyse().endpoints.values()

    (tmp_path / "m.v").write_bytes(outputs.outputs["mapped.v"])
    (tmp_path / "cells.lib").write_text(text)
    (tmp_path / "m.tcl").write_text(OPENSTA.format(slew=input_slew(liberty)))
    command = ["sta", "-exit", "m.tcl"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    (slack,) = (line.split()[0] for line in run.stdout.splitlines() if "slack" in line)
    assert times.max() == pytest.approx(100 - float(slack), rel=0.005)
