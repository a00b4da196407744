"""Error metrics, mapping and estimates."""

import re
from pathlib import Path

import numpy as np
import pytest
import qosnets_library.characterise as characterise
from liberties import GATES, library, write
from qosnets.library import cache_home
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut
from qosnets_library.boolean import compile_function
from qosnets_library.cells import CELLS
from qosnets_library.characterise import error_metrics, estimate_netlists, rank
from qosnets_library.generic_liberty import liberty
from qosnets_library.liberty import Liberty, load_liberty
from qosnets_library.liberty import generic as generic_cells
from qosnets_library.mapping import map_netlists
from qosnets_library.netlist import canonical_netlist
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.yosys import run_yosys, yosys_version

FUNCTIONS = {
    "a * b": lambda a, b: a * b,
    "a[0] ? {a, b} : {b, a}": lambda a, b: np.where(a & 1, 256 * a + b, 256 * b + a),
    "{~(a ^ b), ~a | b}": lambda a, b: 256 * (255 - (a ^ b)) + (~a & 255 | b),
    "{a > b, 14'b0, a[3]}": lambda a, b: 32_768 * (a > b) + (a >> 3 & 1),
    "16'd77": lambda a, b: 77 + 0 * a,
}


def canonical(product: str) -> str:
    verilog = f"module m(input [7:0] a, b, output [15:0] o); assign o = {product}; endmodule"
    return canonical_netlist({"m.v": verilog.encode()}, where="m.v")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {product: canonical(product) for product in FUNCTIONS}


@pytest.fixture(scope="module")
def generic() -> Liberty:
    return generic_cells()


def test_mapping_keeps_the_functions(texts, generic):
    mapped = map_netlists(list(texts.values()), generic)
    for function, text, netlist in zip(FUNCTIONS.values(), texts.values(), mapped, strict=True):
        lut = netlist_lut(text)
        assert np.array_equal(lut, function(*np.indices((256, 256))))
        assert np.array_equal(netlist.lut(), lut)
        assert {gate.type for gate in netlist.gates} <= set(CELLS)


def test_mapping_does_not_depend_on_the_company(texts, generic):
    together = map_netlists(list(texts.values()), generic)
    alone = [map_netlists([text], generic)[0] for text in texts.values()]
    assert together == alone
    assert map_netlists([], generic) == []


def test_precedence_is_that_of_liberty_for_all_tools(tmp_path):
    """ABC would read ``A ^ B C`` as ``A ^ (B C)`` and swap cells that differ."""
    text = liberty().replace('function : "(S & B) | (!S & A)"', 'function : "A ^ B S"')
    cells = load_liberty(write(tmp_path, text))
    assert "A ^ B S" in text
    product = "{15'b0, (a[0] ^ a[1]) & a[2]}"
    (netlist,) = map_netlists([canonical(product)], cells)
    assert [gate.type for gate in netlist.gates] == ["MUX2"]
    a = np.indices((256, 256))[0]
    assert np.array_equal(netlist.lut(), (a ^ a >> 1) & a >> 2 & 1)


def test_the_fewest_cells_that_are_accepted_suffice(texts, tmp_path):
    cells = load_liberty(write(tmp_path, library(GATES)))
    mapped = map_netlists(list(texts.values()), cells)
    for text, netlist in zip(texts.values(), mapped, strict=True):
        assert np.array_equal(netlist.lut(), netlist_lut(text))


@pytest.mark.parametrize("name", [name for name, cell in CELLS.items() if not cell.clock])
def test_cell_computes_what_yosys_reads_from_the_liberty_text(name, generic):
    cell = generic.by_name[name]
    pins = ", ".join(f".{pin}(A[{index}])" for index, pin in enumerate(cell.pins))
    verilog = (
        "module m(input [7:0] A, B, output [15:0] O);"
        f" {name} u({pins}, .{cell.output}(O[0])); assign O[15:1] = 0; endmodule"
    )
    script = (
        "read_liberty cells.lib",
        "read_verilog m.v",
        "hierarchy -top m",
        "flatten",
        "write_verilog -noattr flat.v",
    )
    run = run_yosys(script, {"cells.lib": liberty(), "m.v": verilog}, ("flat.v",))
    flat = canonical_netlist({"flat.v": run.outputs["flat.v"]}, top="m", where=name)
    states = np.indices((256, 256))[0]
    operands = [states >> bit & 1 for bit in range(len(cell.pins))]
    expected = compile_function(cell.function, cell.pins)(operands) & 1
    assert np.array_equal(netlist_lut(flat), expected)


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
    # The error at 0·7 has no relative size.
    assert metrics.mre == pytest.approx((5 / 15 + 25 / 65_025) / 255**2, rel=1e-12)
    assert metrics.error_mean == sum(errors) / n
    assert metrics.error_std == pytest.approx(np.std(errors), rel=1e-12)
    assert metrics.max_product == 65_000
    assert metrics.rank == 4


def test_metrics_of_the_exact_product():
    metrics = error_metrics(exact_lut()).model_dump()
    assert (metrics.pop("max_product"), metrics.pop("rank")) == (65_025, 1)
    assert set(metrics.values()) == {0}


def test_metrics_of_a_corner():
    lut = exact_lut()[:16, :8]
    lut[15, 7] += 2
    metrics = error_metrics(lut)
    assert (metrics.mae, metrics.wce, metrics.max_product) == (2 / 128, 2, 107)


@pytest.mark.parametrize("n", [0, 1, 5, 200, 256])
def test_rank_of_products_of_random_matrices(n):
    random = np.random.default_rng(n)
    left, right = random.integers(-20, 20, (256, n)), random.integers(-20, 20, (n, 256))
    assert rank(left @ right) == n == np.linalg.matrix_rank((left @ right).astype(float))


def test_rank_beyond_floating_point():
    """Rows that differ by one part in 65 535² still count."""
    assert rank(np.array([[65_535, 65_534], [65_534, 65_533]])) == 2
    assert rank(np.array([[0, 0, 3], [0, 0, 0], [0, 2, 1]])) == 2


@pytest.fixture
def cold(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_estimates(texts, generic, cold):
    seen = []
    names = {"exact": "a * b", "constant": "16'd77", "again": "a * b"}
    estimates = estimate_netlists(
        {name: texts[product] for name, product in names.items()},
        reference=texts["a * b"],
        liberty=generic,
        progress=lambda *step: seen.append(step),
    )
    assert seen == [(1, 3, "exact"), (2, 3, "constant"), (3, 3, "again")]
    exact, constant = estimates["exact"], estimates["constant"]
    assert estimates["again"] == exact
    assert exact.relative_power == 1 and constant.relative_power == constant.power_uw == 0
    assert constant.area_um2 == constant.delay_ns == 0
    assert constant.toggles.product == (0,) * 16 and constant.toggles.a == exact.toggles.a
    (netlist,) = map_netlists([texts["a * b"]], generic)
    areas = [CELLS[gate.type].area_ge for gate in netlist.gates]
    assert exact.area_um2 == pytest.approx(sum(areas), rel=1e-5)
    assert 0.3 < exact.delay_ns < 1.2 and exact.leakage_uw == 0 < exact.power_uw
    # Bit 0 of the product is a[0] & b[0]: 1 in a quarter of the operations.
    assert exact.toggles.product[0] == pytest.approx(2 * 1 / 4 * 3 / 4, rel=0.02)
    assert yosys_version() in exact.engine
    assert (exact.liberty, exact.liberty_sha256) == (generic.name, generic.sha256)
    assert exact.distribution == "uniform"


def test_what_an_estimate_depends_on(texts, generic, cold, monkeypatch, tmp_path):
    """Kept results are used for the same netlist, cells and operands only."""
    mapped = []

    def counted(missing, liberty):
        mapped.append(len(missing))
        return map_netlists(missing, liberty)

    monkeypatch.setattr(characterise, "map_netlists", counted)
    product, logic = texts["a * b"], texts["{~(a ^ b), ~a | b}"]
    wide = load_liberty(
        write(tmp_path, liberty().replace("capacitance : 0.3;", "capacitance : 3;"))
    )
    narrow = Operands("narrow", (1.0,) * 16 + (0.0,) * 240, UNIFORM.b)

    def power(text: str, liberty: Liberty, operands: Operands) -> tuple[float, int]:
        mapped.clear()
        result = estimate_netlists(
            {"x": text}, reference=product, liberty=liberty, operands=operands
        )
        return result["x"].power_uw, sum(mapped)

    uniform = power(product, generic, UNIFORM)
    assert uniform[1] == 1
    assert power(product, generic, UNIFORM) == (uniform[0], 0)
    other = power(logic, generic, UNIFORM)
    assert other[1] == 1 and other[0] < uniform[0]
    assert power(product, wide, UNIFORM)[0] > uniform[0]
    low = power(product, generic, narrow)
    assert low[1] == 1 and low[0] < 0.8 * uniform[0]
    for kept in Path(cache_home(), "estimates").iterdir():
        kept.write_bytes(kept.read_bytes()[:20])
    assert power(product, generic, UNIFORM) == uniform
