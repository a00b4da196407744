"""Report on a small design: nothing is left out, and the figures can be worked out by hand."""

import re
from pathlib import Path

import pytest
from qosnets.files import canonical_json
from qosnets.library import Library
from qosnets.ops import OpsFile
from qosnets_hw.generate import Design, generate
from qosnets_hw.report import BLOCKS, relative_powers, report
from qosnets_library.cells import CELLS
from qosnets_library.generic_liberty import liberty
from qosnets_library.liberty import load_liberty
from qosnets_library.members import Circuit, characterise_circuits, write_library
from qosnets_library.netlist import canonical_netlist

SIZE = {"rows": 2, "cols": 2, "k_max": 20, "psum_depth": 16}

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
    # Activation, its controls (select, active, swap, shift), two weights, product, sum.
    registers = 8 + 4 + 8 + 8 + 16 + 17
    assert (2 * 65_025).bit_length() == 17
    assert modules["processing_element"]["flip_flop_area_ge"] == registers * flip_flop
    # Three points: two bits active, two pending, error.
    assert modules["operating_point_register"]["flip_flop_area_ge"] == 5 * flip_flop
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
        "accumulator": 16 * sums,
        # One of the queue's entries is the output register.
        "accumulator_queue": (array_latency + 10 - 1) * sums,
        "output_stage": n_points * n_tiles * 2 * (32 + 16 + 6 + 16 + 8),
        # Row tiles (to 10), rows of the last, column tiles (to 32), base, clamp.
        "sequencer": n_layers * (4 + 2 + 6 + 5 + 16),
    }
    bits = {name: m["memory_bits"] for name, m in result["modules"].items() if m["memory_bits"]}
    assert bits == expected
    assert result["memory_bits"] == sum(expected.values())
    assert design.manifest["psum_width"] == psum_width


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
