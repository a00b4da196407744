"""Flip-flops of Liberty files, and the generic one."""

import pytest
from liberties import GATES, energy, flip_flop, input_pin, library, output_pin, write
from qosnets.errors import InputError
from qosnets_library.cells import CELLS
from qosnets_library.generic_flip_flop import flip_flop_edges
from qosnets_library.liberty import generic, load_liberty
from qosnets_library.liberty_writer import write_liberty


def load(folder, *cells):
    return load_liberty(write(folder, library(GATES, *cells)))


def test_figures_of_a_flip_flop(tmp_path):
    (cell,) = load(tmp_path, flip_flop()).flip_flops
    assert (cell.name, cell.area_um2, cell.leakage_nw) == ("DFF", 7, 100)
    assert (cell.clock.name, cell.data.name, cell.output) == ("CK", "D", "Q")
    assert (cell.clock.capacitance_ff, cell.data.capacitance_ff) == (2, 1)
    assert (cell.rise.delay.at(0, 0), cell.fall.delay.at(0, 0)) == (30, 40)
    assert (cell.setup_rise.at(0, 0), cell.setup_fall.at(0, 0)) == (2, 5)
    assert [e.mean(0, 0) for e in (*cell.energies, *cell.clock.hidden, *cell.data.hidden)] == [
        8,
        1,
        0.5,
    ]


@pytest.mark.parametrize(
    "cell",
    {
        "reset": flip_flop("R", state='clocked_on : "CK"; next_state : "D"; clear : "!D";'),
        "falling edge": flip_flop("N", state='clocked_on : "!CK"; next_state : "D";'),
        "enable": flip_flop(
            "E", input_pin("E", 1), state='clocked_on : "CK"; next_state : "D & E";'
        ),
        "two outputs": flip_flop("Q2", output_pin("QN", "IQN")),
        "inverted output": flip_flop("QN").replace('function : "IQ"', 'function : "IQN"'),
        "no setup": flip_flop("S").replace("setup_rising", "hold_rising"),
        "no delay": flip_flop("D").replace("timing_type : rising_edge;", "timing_type : clear;"),
        "not to be used": flip_flop("U").replace("{ area", "{ dont_use : true; area"),
    }.values(),
)
def test_flip_flops_that_are_left_out(tmp_path, cell):
    assert [found.name for found in load(tmp_path, flip_flop(), cell).flip_flops] == ["DFF"]


def test_parentheses_around_the_clock(tmp_path):
    cell = flip_flop(state='clocked_on : "(CK)"; next_state : "( D )";')
    assert len(load(tmp_path, cell).flip_flops) == 1


def test_wrong_figures_are_refused(tmp_path):
    with pytest.raises(InputError, match="cell DFF: pin D: setup: must be a table"):
        load(
            tmp_path,
            flip_flop().replace(
                'rise_constraint (scalar) { values ("2")', 'rise_constraint (scalar) { values ("x")'
            ),
        )


def test_setup_by_both_slews(tmp_path):
    header = """
      lu_table_template (setup) {
        variable_1 : related_pin_transition;
        variable_2 : constrained_pin_transition;
        index_1 ("0, 10");
        index_2 ("0, 1");
      }
    """
    from liberties import HEADER

    cell = flip_flop().replace(
        'rise_constraint (scalar) { values ("2")',
        'rise_constraint (setup) { values ("0, 1", "20, 21")',
    )
    path = write(tmp_path, library(GATES, cell, header=HEADER + header))
    (found,) = load_liberty(path).flip_flops
    # By the slew of the data, then that of the clock.
    assert [found.setup_rise.at(d, c) for d, c in ((0, 0), (1, 0), (0, 10), (0.5, 5))] == [
        0,
        1,
        20,
        10.5,
    ]


def test_the_generic_flip_flop():
    """Six NANDs; times and energies are sums of widths of drains and gates."""
    edges = flip_flop_edges(CELLS["DFF"])
    # NAND2 has drains of 6 and inputs of 4, NAND3 of 9 and 5; s drives n, r and Q, Q drives q.
    s, r, k, n, out, q = 6 + 4 + 5 + 4, 9 + 4 + 4, 6 + 4 + 5, 6 + 4, 6 + 4, 6 + 4
    assert [found.times["Q"] for found in edges.clock_rise[True]] == [s + out]
    assert [found.times["Q"] for found in edges.clock_rise[False]] == [r + q + out]
    assert edges.setup == k + n
    (rise,) = edges.clock_rise[True]
    assert rise.width == s + out + q
    (cell,) = generic().flip_flops
    # 0.1 fF and 1 ps a unit of width; a load of 2 fF takes 20 ps.
    assert cell.rise.delay.at(0, 2) == pytest.approx((s + out + 20) * 1e-3)
    assert cell.setup_rise.at(0, 0) == pytest.approx((k + n) * 1e-3)
    assert cell.energies[0].rise.at(0, 0) == pytest.approx(0.5 * 0.1 * (s + out + q))
    assert cell.clock.capacitance_ff == pytest.approx(0.9)
    # Rising: only the side that holds the state answers; its level is seen by s or by r.
    assert cell.clock.hidden[0].rise.at(0, 0) == pytest.approx(0.5 * 0.1 * (s + r) / 2)


@pytest.mark.parametrize("make", [generic, None], ids=["generic", "small"])
def test_written_cells_are_the_same_cells(tmp_path, make):
    """But for power, and arcs and axes that synthesis wants doubled."""
    liberty = make() if make else load(tmp_path, flip_flop())
    path = tmp_path / "written.lib"
    path.write_text(write_liberty(liberty))
    written = load_liberty(path)
    assert [c.name for c in written.cells] == [c.name for c in liberty.cells]
    for found, cell in zip(written.cells, liberty.cells, strict=True):
        assert (found.area_um2, found.pins, found.output) == (cell.area_um2, cell.pins, cell.output)
        for one, other in zip(found.arcs, cell.arcs, strict=True):
            assert (one.pin, one.positive, one.negative) == (
                other.pin,
                other.positive,
                other.negative,
            )
            for slew, load_ff in ((0, 0), (0.3, 7), (2, 150)):
                assert one.rise.delay.at(slew, load_ff) == pytest.approx(
                    other.rise.delay.at(slew, load_ff)
                )
    for found, cell in zip(written.flip_flops, liberty.flip_flops, strict=True):
        assert found.clock.capacitance_ff == cell.clock.capacitance_ff
        assert found.setup_fall.at(0.1, 0.2) == pytest.approx(cell.setup_fall.at(0.1, 0.2))
        assert found.fall.delay.at(0.1, 3) == pytest.approx(cell.fall.delay.at(0.1, 3))


def test_energy_without_pin_name_is_that_of_the_output(tmp_path):
    cell = flip_flop().replace(energy(10, 6, "CK"), energy(10, 6))
    (found,) = load(tmp_path, cell).flip_flops
    assert [e.pin for e in found.energies] == [None]
