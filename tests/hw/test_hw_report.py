"""Report on a small design: nothing is left out, and the figures can be worked out by hand."""

import re
from pathlib import Path

import liberties
import pytest
from qosnets.errors import CheckError, InputError
from qosnets.files import canonical_json
from qosnets.library import Library
from qosnets.ops import OpsFile
from qosnets_hw import synthesis
from qosnets_hw.blocks import BLOCKS
from qosnets_hw.defaults import Isolation
from qosnets_hw.generate import Design, generate
from qosnets_hw.report import relative_powers, report
from qosnets_hw.synthesis import map_design
from qosnets_library.cells import CELLS
from qosnets_library.generic_liberty import liberty
from qosnets_library.liberty import load_liberty
from qosnets_library.members import Circuit, characterise_circuits, write_library
from qosnets_library.netlist import canonical_netlist

SIZE = {"rows": 2, "cols": 2, "k_max": 20, "psum_depth": 16}
ONE = {"rows": 1, "cols": 1, "k_max": 4, "psum_depth": 4}

GEOMETRY = {
    "stride": [1, 1],
    "dilation": [1, 1],
    "input_zero_point": 0,
    "output_zero_point": 0,
    "clamp": [0, 255],
}
CONV = GEOMETRY | {
    "kind": "conv",
    "in_channels": 4,
    "out_channels": 2,
    "kernel": [3, 3],
    "padding": [1, 0, 1, 0],
    "groups": 2,
    "input_size": [4, 6],
}
"""4x4 positions of 2 channels, 18 products each: 576 multiplications."""
LINEAR = GEOMETRY | {
    "kind": "linear",
    "in_channels": 32,
    "out_channels": 6,
    "kernel": [1, 1],
    "padding": [0, 0, 0, 0],
    "groups": 1,
    "input_size": [1, 1],
}
"""192 multiplications."""


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    """Estimated with the cells that the report is made with."""
    module = "module m(input [7:0] a, b, output [15:0] o); assign o = {}; endmodule"
    functions = {"exact": "a * b", "low": "a * (b & 8'hf0)"}
    circuits = [
        Circuit.from_netlist(
            name,
            canonical_netlist({"m.v": module.format(function).encode()}, where=name),
            origin="test",
        )
        for name, function in functions.items()
    ]
    folder = tmp_path_factory.mktemp("libraries")
    cells = folder / "cells.lib"
    cells.write_text(liberty())
    members = characterise_circuits(
        circuits, reference=circuits[0].netlist, liberty=load_liberty(cells)
    )
    return write_library(folder / "tiny", "tiny", members, force=False)


def write_ops(folder: Path, library: Library, *geometries: dict[str, object]) -> OpsFile:
    path = folder / "ops.json"
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": [
            {"name": name, "lut_sha256": entry.lut_sha256, "activation_port": "A"}
            for name, entry in library.entries.items()
        ],
        "layers": [
            {"name": name} | geometry
            for name, geometry in zip(("c1", "c2"), geometries, strict=True)
        ],
        "operating_points": [
            {"name": "o1", "assignment": [0, 0]},
            {"name": "o2", "assignment": [1, 0]},
            {"name": "o3", "assignment": [1, 1]},
        ],
    }
    path.write_bytes(canonical_json(content))
    return OpsFile.load(path)


@pytest.fixture(scope="module")
def file(library, tmp_path_factory) -> OpsFile:
    return write_ops(tmp_path_factory.mktemp("ops"), library, {}, {})


@pytest.fixture(scope="module")
def design(file, library) -> Design:
    return generate(file, [library], **SIZE)


@pytest.fixture(scope="module")
def result(design, file, library) -> dict:
    return report(design, file)


def test_every_module_of_the_design_is_counted(design, result):
    text = b"".join(data for name, data in design.files.items() if name.endswith(".v")).decode()
    modules = {name.strip("\\ ") for name in re.findall(r"^module (.*?)\(", text, re.M)}
    assert set(result["modules"]) == modules
    assert set(BLOCKS) <= modules  # none that was renamed counts as control


def test_instances(result):
    instances = {name: module["instances"] for name, module in result["modules"].items()}
    expected = {
        "processing_element": 4,
        "multiplier_bank": 4,
        "mul0_exact": 4,
        "mul1_low": 4,
        "operand_gate": 4 * 2 * 2,
        "column": 2,
        "requantiser": 2,
    }
    assert instances == dict.fromkeys(instances, 1) | expected


def test_the_blocks_make_up_the_total(result):
    blocks = result["blocks"].values()
    modules = result["modules"].values()
    assert sum(block["area_ge"] for block in blocks) == pytest.approx(result["area_ge"])
    assert sum(block["share"] for block in blocks) == pytest.approx(1)
    total = sum(module["instances"] * module["area_ge"] for module in modules)
    assert result["area_ge"] == pytest.approx(total)
    assert all(block["area_ge"] > 0 for block in blocks)
    netlists = 4 * sum(multiplier["area_ge"] for multiplier in result["multipliers"])
    assert result["blocks"]["multipliers"]["area_ge"] == pytest.approx(netlists)


def test_areas_that_are_known(result, library):
    flip_flop = CELLS["DFF"].area_ge
    modules = result["modules"]
    # Activation, its controls (select of two, swap, shift), two weights, product, sum.
    registers = 8 + 4 + 8 + 8 + 16 + 17
    assert (2 * 65_025).bit_length() == 17
    assert modules["processing_element"]["flip_flop_area_ge"] == registers * flip_flop
    # Three points: two bits active, two pending.
    assert modules["operating_point_register"]["flip_flop_area_ge"] == 4 * flip_flop
    for name in ("multiplier_bank", "operand_gate", "column", "mul0_exact"):
        assert modules[name]["flip_flop_area_ge"] == 0
    assert modules["operand_gate"]["area_ge"] == 8 * CELLS["AND2"].area_ge
    for multiplier, entry in zip(result["multipliers"], library.entries.values(), strict=True):
        assert multiplier["name"] == entry.name
        # Not mapped alike: the library maps a netlist by itself, without the script of synth.
        assert multiplier["area_ge"] == pytest.approx(entry.estimates.area_um2, rel=0.1)
        assert multiplier["relative_power"] == entry.estimates.relative_power


def test_memory_bits_follow_from_the_configuration(result, design):
    psum_width, sum_width = 21, 13  # of 20 products and of 20 activations
    assert (20 * 65_025).bit_length() == psum_width and (20 * 255).bit_length() == sum_width
    sums = 2 * psum_width + sum_width
    n_points, n_layers, n_tiles = 3, 2, 16 * 2
    array_latency = 2 + 2 + 2
    expected = {
        "psum_memory": 16 * sums,
        # One of the queue's entries is the output register.
        "accumulator_queue": (array_latency + 13 - 1) * sums,
        "parameter_memory": n_points * n_tiles * 2 * (32 + 16 + 6 + 16 + 8),
        # Row tiles (to 10), rows of the last, column tiles (to 32), base, clamp.
        "layer_table": n_layers * (4 + 2 + 6 + 5 + 16),
        # Layer, positions (to 16), tile, last.
        "job_queue_queue": 4 * (2 + 5 + 5 + 1),
    }
    bits = {name: m["memory_bits"] for name, m in result["modules"].items() if m["memory_bits"]}
    assert bits == expected
    assert result["memory_bits"] == sum(expected.values())
    assert design.manifest["psum_width"] == psum_width


def test_the_clock_follows_from_the_longest_paths(result, file):
    clock = result["clock"]
    assert set(clock["stages"]) == {"multiplier", "adder", "requantisation", "control"}
    exact, low = clock["multipliers"]
    assert (exact["name"], low["name"]) == ("exact", "low")
    for member in (exact, low):
        parts = ("register", "gate", "member", "join", "setup")
        assert sum(member[f"{part}_ns"] for part in parts) == pytest.approx(member["stage_ns"])
        assert all(member[f"{part}_ns"] > 0 for part in parts)
    assert low["stage_ns"] < exact["stage_ns"]
    by_code = {0: exact["stage_ns"], 1: low["stage_ns"]}
    for point, used in zip(clock["operating_points"], file.ops.operating_points, strict=True):
        slowest = max(by_code[code] for code in used.assignment)
        assert point["stages"]["multiplier"]["time_ns"] == slowest
        times = [stage["time_ns"] for stage in point["stages"].values()]
        assert point["period_ns"] == max(times) <= clock["period_ns"]


def test_a_multiplier_is_in_its_place_about_as_fast_as_alone(result, library):
    """So its stage takes what the multiplier takes, a gate, an AND-OR and the registers."""
    for member, entry in zip(result["clock"]["multipliers"], library.entries.values(), strict=True):
        assert member["member_ns"] == pytest.approx(member["alone_ns"], rel=0.05)
        assert member["alone_ns"] == pytest.approx(entry.estimates.delay_ns, rel=0.1)


def test_no_other_stage_limits_the_exact_multiplier(result):
    stages = result["clock"]["operating_points"][0]["stages"]
    assert max(stages, key=lambda name: stages[name]["time_ns"]) == "multiplier"
    assert stages["multiplier"]["end"] == "processing_element.product"


@pytest.mark.parametrize(
    ("isolation", "gates"), [(Isolation.NONE, 0), (Isolation.ACTIVATION, 1), (Isolation.BOTH, 2)]
)
def test_operand_gates_survive(file, library, isolation, gates):
    liberty = load_liberty(None)
    mapped = map_design(generate(file, [library], isolation=isolation, **ONE), liberty)
    found = mapped.flat.instances("operand_gate")
    assert len(found) == 2 * gates
    assert ("operand_gate" in mapped.areas) is (gates > 0)
    for scope in found:
        (cells,) = scope.module.cells.values()
        assert len(cells.nets) == 8
    kinds = {kind for scope in found for kind in scope.module.cells}
    assert kinds <= {"AND2"}


def test_a_module_that_synthesis_dissolves_is_named(file, library, monkeypatch):
    real = synthesis.run_yosys

    def dissolving(script, files, outputs):
        # A careless script: the multipliers become part of the banks.
        flatten = ["setattr -mod -set keep_hierarchy 0 operand_gate", "flatten multiplier_bank"]
        changed = [
            line
            for command in script
            for line in (flatten if command.startswith("select") else []) + [command]
        ]
        return real(changed, files, outputs)

    monkeypatch.setattr(synthesis, "run_yosys", dissolving)
    rule = "^synthesis of qosnets_accelerator: must keep 1 instances of mul0_exact, not 0$"
    with pytest.raises(CheckError, match=rule):
        map_design(generate(file, [library], **ONE), load_liberty(None))


def test_what_the_accelerator_does_not_use_is_not_there(file, library):
    """The raw accumulators, which leave the array but not the accelerator."""
    mapped = map_design(generate(file, [library], **ONE), load_liberty(None))
    (requantiser,) = mapped.flat.instances("requantiser")
    registers = set(requantiser.module.registers.values())
    assert {"scaled", "code"} <= registers
    assert not {name for name in registers if name.startswith("acc_") and name != "acc_2"}


def test_cells_without_flip_flops_are_refused(design, tmp_path):
    path = tmp_path / "small.lib"
    path.write_text(liberties.library(liberties.GATES))
    with pytest.raises(InputError, match=r"^small: must have a rising-edge flip-flop"):
        map_design(design, load_liberty(path))


def test_report_is_json_and_names_its_inputs(result, file):
    assert canonical_json(result)
    assert (result["rows"], result["cols"], result["ops_sha256"]) == (2, 2, file.sha256)
    powers = [point["relative_power"] for point in result["operating_points"]]
    assert powers == [None] * 3  # without geometry nothing is known


def estimated(library: Library, *powers: float | None):
    """Return the entries with other powers, None for an entry without estimates."""
    return [
        entry.model_copy(
            update={"estimates": p and entry.estimates.model_copy(update={"relative_power": p})}
        )
        for entry, p in zip(library.entries.values(), powers, strict=True)
    ]


def test_relative_power_weighs_layers_by_their_multiplications(library, tmp_path):
    file = write_ops(tmp_path, library, CONV, LINEAR)
    counts = [layer.geometry.multiplications for layer in file.ops.layers]
    assert counts == [576, 192]
    powers = relative_powers(file, estimated(library, 1.0, 0.5))
    assert powers == [1.0, (576 * 0.5 + 192) / 768, 0.5]


def test_relative_power_without_estimates(library, tmp_path):
    file = write_ops(tmp_path, library, CONV, LINEAR)
    assert relative_powers(file, estimated(library, 1.0, None)) == [1.0, None, None]


def test_relative_power_of_nothing(library, tmp_path):
    """A multiplier that never toggles has power 0, which is not the same as unknown."""
    file = write_ops(tmp_path, library, CONV, LINEAR)
    entries = estimated(library, 1.0, 1.0)
    free = entries[1].estimates.model_copy(update={"relative_power": 0.0})
    entries[1] = entries[1].model_copy(update={"estimates": free})
    assert relative_powers(file, entries) == [1.0, 192 / 768, 0.0]
