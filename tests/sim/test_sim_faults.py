"""The benches report what is wrong: in netlists, tables, parameters, streams and time."""

import copy

import pytest
import qosnets_sim.simulate
from designs import disguise, make_design, minimal_ops, points, run, write_ops
from qosnets.errors import CheckError, InputError
from qosnets_sim.multiplier_model import MultiplierModel, write_tables

pytestmark = pytest.mark.usefixtures("simulator")

SIZE = {"rows": 2, "cols": 2}


def test_one_changed_entry_of_a_multiplier_is_reported(tmp_path):
    file = write_ops(tmp_path, minimal_ops(2))
    folder = make_design(tmp_path / "design", file, **SIZE)
    path = folder / "rtl" / "mul1_mul8u_bam_h3_v8.v"
    text = path.read_text()
    assert text.count("module mul1_mul8u_bam_h3_v8(") == 1
    path.write_text(
        text.replace("module mul1_mul8u_bam_h3_v8(", "module genuine(")
        + "module mul1_mul8u_bam_h3_v8(input [7:0] A, B, output [15:0] O);\n"
        "  wire [15:0] product;\n"
        "  genuine inner (.A(A), .B(B), .O(product));\n"
        "  assign O = product ^ {15'd0, A == 8'd13 && B == 8'd200};\n"
        "endmodule\n"
    )
    result = run(folder, file)
    assert result.bank is not None
    assert result.bank.mismatches == 1
    assert "mul8u_bam_h3_v8[13, 200]: expected" in str(result.bank.first_mismatch)


def test_swapped_operand_ports_are_reported(tmp_path):
    content = minimal_ops(2)
    file = write_ops(tmp_path, content)
    swapped = copy.deepcopy(content)
    swapped["multipliers"][1]["activation_port"] = "B"
    folder = make_design(tmp_path / "design", write_ops(tmp_path, swapped, "swapped.json"), **SIZE)
    with pytest.raises(InputError, match="was not generated from"):
        run(folder, file)
    disguise(folder, file)
    result = run(folder, file)
    assert result.bank is not None
    assert result.bank.mismatches > 10_000
    assert sum(points(result)) > 0


def test_one_corrupted_bias_is_reported(tmp_path):
    file = write_ops(tmp_path, minimal_ops(2))
    folder = make_design(tmp_path / "design", file, **SIZE)
    result = run(folder, file, accelerator_bench="sim.corrupted_bias_bench")
    mismatches = points(result)
    assert mismatches[1] > 0
    assert [mismatches[0], mismatches[2]] == [0, 0]
    assert "point o2, layer layer0, group 0: acc[0, 0]" in str(
        result.points[1].comparison.first_mismatch
    )


def test_one_wrong_select_code_is_reported(tmp_path):
    content = minimal_ops(2)
    file = write_ops(tmp_path, content)
    wrong = copy.deepcopy(content)
    assignment = wrong["operating_points"][2]["assignment"]
    assignment[1] = 1 - assignment[1]
    folder = make_design(tmp_path / "design", write_ops(tmp_path, wrong, "wrong.json"), **SIZE)
    disguise(folder, file)
    result = run(folder, file)
    mismatches = points(result)
    assert mismatches[2] > 0
    assert mismatches[:2] == [0, 0]
    assert "point o3, layer layer1" in str(result.points[2].comparison.first_mismatch)


def test_a_stream_that_ends_too_early_is_reported_as_a_hang(tmp_path):
    file = write_ops(tmp_path, minimal_ops(2))
    folder = make_design(tmp_path / "design", file, **SIZE)
    with pytest.raises(CheckError, match=r"nothing moved for 4096 cycles; left: results \d+, core"):
        run(folder, file, accelerator_bench="sim.withholding_bench")


def test_a_job_that_takes_too_long_is_reported(tmp_path):
    file = write_ops(tmp_path, minimal_ops(2))
    folder = make_design(tmp_path / "design", file, **SIZE)
    result = run(folder, file, accelerator_bench="sim.late_weights_bench")
    for point in result.points:
        assert point.comparison.mismatches == point.jobs
        assert "cycles[0]: expected" in str(point.comparison.first_mismatch)


def test_wrong_products_of_the_look_up_model_are_reported(tmp_path, monkeypatch):
    def write(luts, path):
        changed = [lut.copy() for lut in luts]
        changed[0] ^= 1
        write_tables(changed, path)

    file = write_ops(tmp_path, minimal_ops(2))
    folder = make_design(tmp_path / "design", file, **SIZE)
    monkeypatch.setattr(qosnets_sim.simulate, "write_tables", write)
    result = run(folder, file, multiplier_model=MultiplierModel.LUT)
    assert result.bank is not None
    assert result.bank.mismatches == 0
    assert min(points(result)) > 0
