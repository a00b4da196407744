"""The benches report what is wrong: a wrong entry, swapped ports, a wrong bias, a wrong select."""

import copy

import pytest
from designs import disguise, make_design, minimal_ops, points, run, write_ops
from qosnets.errors import InputError

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
    result = run(folder, file, array_bench="sim.corrupted_bias_bench")
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
