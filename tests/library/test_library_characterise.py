import re

import numpy as np
import pytest
from qosnets.lut import exact_lut
from qosnets_library.cells import CELLS, liberty
from qosnets_library.characterise import error_metrics, estimate, map_netlist
from qosnets_library.evaluate import netlist_lut
from qosnets_library.gates import Gate, GateNetlist
from qosnets_library.netlist import canonical_netlist
from qosnets_library.yosys import run_yosys

FUNCTIONS = {
    "a * b": lambda a, b: a * b,
    "a[0] ? {a, b} : {b, a}": lambda a, b: np.where(a & 1, 256 * a + b, 256 * b + a),
    "{~(a ^ b), ~a | b}": lambda a, b: 256 * (255 - (a ^ b)) + (~a & 255 | b),
    "(a > b) ? a - b : a * 3": lambda a, b: np.where(a > b, a - b, a * 3),
}


def canonical(product: str) -> str:
    verilog = f"module m(input [7:0] a, b, output [15:0] o); assign o = {product}; endmodule"
    return canonical_netlist({"m.v": verilog.encode()}, where="m.v")


def interpret(text: str, a: int, b: int) -> int:
    """Evaluate a canonical netlist for one operand pair, statement by statement."""
    nets = {"1'b0": 0, "1'b1": 1}
    nets |= {f"{port}[{i}]": x >> i & 1 for port, x in (("A", a), ("B", b)) for i in range(8)}
    for net, expression in re.findall(r"assign (\S+) = (.+);", text):
        choice = re.fullmatch(r"(\S+) \? (\S+) : (\S+)", expression)
        if choice:
            nets[net] = nets[choice[2]] if nets[choice[1]] else nets[choice[3]]
        else:
            values = re.sub(r"1'b[01]|\w+\[\d+\]|n\d+", lambda x: str(nets[x[0]]), expression)
            nets[net] = eval(values) & 1
    return sum(nets[f"O[{i}]"] << i for i in range(16))


@pytest.mark.parametrize("product", FUNCTIONS)
def test_evaluation_and_mapping_keep_the_function(product):
    text = canonical(product)
    lut = netlist_lut(text)
    assert np.array_equal(lut, FUNCTIONS[product](*np.indices((256, 256))))
    assert np.array_equal(map_netlist(text).lut(), lut)
    for pair in np.random.default_rng(0).integers(65_536, size=20):
        assert interpret(text, *divmod(int(pair), 256)) == lut.flat[pair]


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if not cell.clock])
def test_cell_computes_what_yosys_reads_from_the_liberty_text(name):
    cell = CELLS[name]
    pins = ", ".join(f".{pin}(A[{index}])" for index, pin in enumerate(cell.inputs))
    verilog = (
        "module m(input [7:0] A, B, output [15:0] O);"
        f" {name} u({pins}, .{cell.output}(O[0])); assign O[15:1] = 0; endmodule"
    )
    script = (
        "read_liberty cells.lib",
        "read_verilog m.v",
        "hierarchy -check -top m",
        "flatten",
        "write_verilog -noattr flat.v",
    )
    run = run_yosys(script, {"cells.lib": liberty(), "m.v": verilog}, ("flat.v",))
    flat = canonical_netlist({"flat.v": run.outputs["flat.v"]}, top="m", where=name)
    inputs = tuple(range(2, 2 + len(cell.inputs)))
    single = GateNetlist((Gate(name, inputs),), (GateNetlist.FIRST_GATE,) + (0,) * 15)
    assert np.array_equal(netlist_lut(flat), single.lut())


def test_logical_effort_of_the_cells():
    """Capacitances relative to an inverter as Sutherland, Sproull and Harris tabulate them."""
    effort = {name: 3 * cell.capacitance("A") / 9 for name, cell in CELLS.items()}
    assert (effort["INV"], effort["NAND2"], effort["NAND3"]) == (1, 4 / 3, 5 / 3)
    assert (effort["NOR2"], effort["NOR3"], effort["AOI21"]) == (5 / 3, 7 / 3, 2)
    assert (CELLS["AOI21"].capacitance("C"), CELLS["OAI21"].capacitance("C")) == (5, 4)
    assert CELLS["NAND2"].area_ge == 1


def test_liberty_text_maps_flip_flops():
    verilog = "module m(input c, d, output reg q); always @(posedge c) q <= ~d; endmodule"
    script = (
        "read_verilog m.v",
        "synth -top m",
        "dfflibmap -liberty cells.lib",
        "abc -liberty cells.lib",
        "write_verilog -noattr mapped.v",
    )
    run = run_yosys(script, {"cells.lib": liberty(), "m.v": verilog}, ("mapped.v",))
    cells = re.findall(r"^  (\w+) _\d+_ \(", run.outputs["mapped.v"].decode(), re.MULTILINE)
    assert sorted(cells) == ["DFF", "INV"]


def test_metrics_equal_brute_force():
    lut = exact_lut()
    lut[3, 5], lut[0, 7], lut[255, 255] = 20, 9, 65_000
    metrics = error_metrics(lut)
    errors = [int(lut[a, b]) - a * b for a in range(256) for b in range(256)]
    n = len(errors)
    assert metrics.mae == sum(map(abs, errors)) / n == (5 + 9 + 25) / n
    assert metrics.wce == 25
    assert metrics.mse == sum(e * e for e in errors) / n
    assert metrics.error_probability == 3 / n
    assert metrics.mre == pytest.approx((5 / 15 + 9 / 1 + 25 / 65_025) / n, rel=1e-12)
    assert metrics.error_mean == sum(errors) / n
    assert metrics.error_std == pytest.approx(np.std(errors), rel=1e-12)
    assert metrics.max_product == 65_000


def test_metrics_of_the_exact_product_are_zero():
    metrics = error_metrics(exact_lut()).model_dump()
    assert metrics.pop("max_product") == 65_025
    assert set(metrics.values()) == {0}


def test_estimate_of_one_inverter():
    cost = estimate(GateNetlist((Gate("INV", (2,)),), (GateNetlist.FIRST_GATE,) + (0,) * 15))
    assert cost.area_ge == 3 / 8
    # A[0] drives the inverter and the inverter drives the load, 3 each; both toggle in half of
    # the operations of a uniform stream, always together.
    assert cost.switched_capacitance == pytest.approx(3, rel=0.02)
    assert cost.switched_capacitance * 65_536 % 6 == 0
