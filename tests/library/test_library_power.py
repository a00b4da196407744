"""Power, against figures by hand and a count pair by pair."""

import numpy as np
import pytest
from liberties import GATES, library, netlist, write
from qosnets_library.liberty import generic, load_liberty
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.power import estimate_power
from qosnets_library.timing import static_timing

A0, B0, GATE = 2, 10, 18
UW_PER_FJ = 0.1  # at 100 million operations per second


def power(circuit, cells, operands=UNIFORM):
    return estimate_power(circuit, cells, static_timing(circuit, cells), operands)


def test_one_generic_inverter():
    cells = generic()
    result = power(netlist(cells, [("INV", (A0,))]), cells)
    rate = result.toggles.a[0]
    assert rate == pytest.approx(0.5, rel=0.01)
    # The nets of A[0] and O[0], an inverter each, and the drains of the inverter: 0.3 fF at 1 V.
    assert result.power_uw == pytest.approx(UW_PER_FJ * rate * 3 * 0.15)
    assert result.leakage_uw == 0
    assert result.toggles.product == (rate, *(0,) * 15)


def test_every_energy_is_counted_where_it_belongs(tmp_path):
    cells = load_liberty(write(tmp_path, library(GATES)))
    result = power(netlist(cells, [("AND", (A0, B0)), ("INV", (GATE,))]), cells)
    pairs = UNIFORM.pairs().astype(int)
    a, b = pairs >> 8 & 1, pairs & 1
    a_edge, b_edge, y_edge = (np.diff(net) != 0 for net in (a, b, a & b))
    n_y = np.count_nonzero(y_edge)
    by_a, by_b = np.count_nonzero(y_edge & a_edge), np.count_nonzero(y_edge & b_edge)
    assert by_a + by_b > n_y  # some are caused by both
    energy = (
        0.5
        * 2.0**2
        * (1 * np.count_nonzero(a_edge) + 2 * np.count_nonzero(b_edge) + 3 * n_y + 3 * n_y)
    )
    # A: states of 8 / 2 and (2 + 2) / 2, B: 16 / 2; each weighted by its share of the causes.
    energy += n_y * (3 * by_a + 8 * by_b) / (by_a + by_b)
    energy += 0.375 * np.count_nonzero(a_edge & ~y_edge)
    energy += 3 * n_y  # the inverter
    assert result.leakage_uw == 0.5
    assert result.power_uw == pytest.approx(UW_PER_FJ * energy / 65_536 + 0.5, rel=1e-12)
    assert result.toggles.b[0] == np.count_nonzero(b_edge) / 65_536


def test_operands_that_stand_still_cost_leakage_alone(tmp_path):
    cells = load_liberty(write(tmp_path, library(GATES)))
    still = (0.0,) * 77 + (1.0,) + (0.0,) * 178
    circuit = netlist(cells, [("AND", (A0, B0)), ("INV", (GATE,))])
    result = power(circuit, cells, Operands("still", still, still))
    assert result.power_uw == result.leakage_uw == 0.5
    assert set(result.toggles.a + result.toggles.b + result.toggles.product) == {0.0}
