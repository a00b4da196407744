"""Static timing, worked out by hand."""

import pytest
from liberties import GATES, cell, input_pin, library, netlist, output_pin, timing, write
from qosnets_library.liberty import generic as generic_cells
from qosnets_library.liberty import load_liberty
from qosnets_library.timing import input_slew, static_timing

A0, B0, GATE = 2, 10, 18


@pytest.fixture
def generic():
    return generic_cells()


def test_linear_delays_add_up(generic):
    circuit = netlist(generic, [("INV", (A0,)), ("NAND2", (GATE, B0))])
    result = static_timing(circuit, generic)
    # The inverter drives a pin of 0.4 fF, the NAND an inverter.
    assert result.loads_ff[A0] == pytest.approx(0.3)
    assert result.loads_ff[B0] == result.loads_ff[GATE] == pytest.approx(0.4)
    assert result.loads_ff[GATE + 1] == pytest.approx(0.3)
    assert result.delay_ns == pytest.approx(10e-3 * ((0.3 + 0.4) + (0.6 + 0.3)))
    assert result.slews_ns[GATE] == pytest.approx([2 * 10e-3 * (0.3 + 0.4)] * 2)
    # An inverter with four like it: 2·R·(0.3 + 4·0.3) fF.
    assert input_slew(generic) == pytest.approx(30e-3)
    assert result.slews_ns[A0] == pytest.approx([30e-3] * 2)


def test_the_slowest_path_counts(generic):
    two = [("INV", (A0,)), ("INV", (GATE,)), ("NOR2", (GATE + 1, B0))]
    slow = static_timing(netlist(generic, two), generic)
    one = [("NOR2", (A0, B0))]
    fast = static_timing(netlist(generic, one), generic)
    assert fast.delay_ns == pytest.approx(10e-3 * 0.9)
    assert slow.delay_ns == pytest.approx(10e-3 * (0.6 + 0.8 + 0.9))


@pytest.mark.parametrize(
    ("sense", "delay"),
    {
        "negative_unate": 3 + 10,  # rises behind the falling inverter
        "positive_unate": 7 + 10,
        "non_unate": 7 + 10,
    }.items(),
)
def test_edges_follow_the_sense_of_an_arc(tmp_path, sense, delay):
    gate = cell("GATE", input_pin("A", 1), output_pin("Y", "!A", timing("A", sense, 10, 1)))
    cells = load_liberty(write(tmp_path, library(GATES, gate)))
    circuit = netlist(cells, [("INV", (A0,)), ("GATE", (GATE,))])
    assert static_timing(circuit, cells).delay_ns == delay


def test_slews_are_carried_on(tmp_path):
    """The delay of the second gate is the slew at its input, edge by edge."""
    arc = timing("A", "negative_unate", 1, 1)
    arc = arc.replace(
        'rise_transition (scalar) { values ("0.0")', 'rise_transition (scalar) { values ("5")'
    )
    for edge in ("rise", "fall"):
        arc = arc.replace(
            f'cell_{edge} (scalar) {{ values ("1")', f'cell_{edge} (slew) {{ values ("0, 10")'
        )
    gate = cell("GATE", input_pin("A", 1), output_pin("Y", "!A", arc))
    cells = load_liberty(write(tmp_path, library(GATES, gate)))
    circuit = netlist(cells, [("INV", (A0,)), ("GATE", (GATE,)), ("GATE", (GATE + 1,))])
    result = static_timing(circuit, cells)
    assert result.slews_ns[GATE:] == ((0, 0), (5, 0), (5, 0))
    # Third gate: falls 5 after the second one rose, which it did 3 (+ 0) after the operand.
    assert result.delay_ns == 3 + 0 + 5


def test_the_largest_slew_counts(tmp_path):
    arcs = timing("A", "positive_unate", 1, 1, slew=9) + timing("B", "positive_unate", 5, 5, slew=2)
    gate = cell("GATE", input_pin("A", 1), input_pin("B", 1), output_pin("Y", "A & B", arcs))
    cells = load_liberty(write(tmp_path, library(GATES, gate)))
    result = static_timing(netlist(cells, [("GATE", (A0, B0))]), cells)
    assert (result.delay_ns, result.slews_ns[GATE]) == (5, (9, 9))


def test_constants_never_change(generic):
    circuit = netlist(generic, [("NAND2", (0, 1))])
    assert static_timing(circuit, generic).delay_ns == 0
    mixed = netlist(generic, [("NAND2", (1, B0))])
    assert static_timing(mixed, generic).delay_ns == pytest.approx(10e-3 * 0.9)
