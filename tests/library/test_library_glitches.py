"""Power with glitches, against figures by hand, an event simulation, and power without delays."""

import numpy as np
import pytest
from liberties import GATES, library, netlist, write
from qosnets_library.energies import ToggleEnergies
from qosnets_library.families import embedded_library
from qosnets_library.gates import LOGIC_GATES, Gate, GateNetlist
from qosnets_library.glitches import estimate_glitch_power
from qosnets_library.liberty import generic, load_liberty
from qosnets_library.mapping import map_netlists
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.power import estimate_power
from qosnets_library.timing import static_timing
from qosnets_library.toggles import Delays, GateArrays, count_toggles

A0, B0, GATE = 2, 10, 18
UW_PER_FJ = 0.1  # at 100 million operations per second
N = 1 << 13


def values(circuit, n=N):
    pairs = UNIFORM.pairs()[: n + 1]
    return circuit.evaluate(pairs[:-1]), circuit.evaluate(pairs[1:])


def toggles(circuit, delays, n_groups=1):
    return count_toggles(GateArrays.of(circuit), *values(circuit), n_groups=n_groups, delays=delays)


def test_every_pulse_of_a_gate_that_is_constant_without_delays(tmp_path):
    """A AND NOT A: each rising edge of A makes a pulse, its end being caused by the inverter."""
    cells = load_liberty(write(tmp_path, library(GATES)))
    circuit = netlist(cells, [("INV", (A0,)), ("AND", (A0, GATE))])
    a = UNIFORM.pairs()[: N + 1].astype(int) >> 8 & 1
    n_edges, n_rising = np.count_nonzero(np.diff(a)), np.count_nonzero(np.diff(a) == 1)
    (counts,) = toggles(circuit, Delays.UNIT)
    assert counts.nets[[GATE, GATE + 1]].tolist() == [n_edges, 2 * n_rising]
    assert counts.inputs.tolist() == [[n_edges, 0], [n_edges, n_edges]]
    assert counts.together.tolist() == [[n_edges, 0], [n_rising, n_rising]]
    # 0.5·C·V² at 2 V: A drives both gates, the inverter one, the product an inverter.
    energy = 2 * (4 * n_edges + 2 * n_edges + 3 * 2 * n_rising)
    energy += 3 * n_edges  # the inverter
    energy += n_rising * (3 + 8)  # of AND by A: mean of 8 / 2 and (2 + 2) / 2; by B: 16 / 2
    energy += 0.375 * (n_edges - n_rising)
    result = estimate_glitch_power(circuit, cells, static_timing(circuit, cells), n_operations=N)
    # Bits 1..7 of A and all of B toggle, too, but drive nothing.
    assert result.power_uw == pytest.approx(UW_PER_FJ * energy / N + 0.5, rel=1e-12)
    (still,) = toggles(circuit, Delays.NONE)
    assert still.nets[GATE + 1] == still.together[1].sum() == 0


def event_simulation(circuit, before, after):
    """Return the toggles of each net for one operation: all gates, one unit after the other."""
    functions = {
        "$_NOT_": lambda x: 1 - x,
        "$_AND_": lambda x, y: x & y,
        "$_OR_": lambda x, y: x | y,
        "$_XOR_": lambda x, y: x ^ y,
        "$_XNOR_": lambda x, y: 1 - (x ^ y),
        "$_MUX_": lambda x, y, s: y if s else x,
    }
    state = list(before)
    counts = [0] * len(state)
    following = [*after[:GATE], *state[GATE:]]
    while following != state:
        counts = [n + (x != y) for n, x, y in zip(counts, state, following, strict=True)]
        state = following
        following = state[:GATE] + [
            functions[gate.type](*(state[net] for net in gate.inputs)) for gate in circuit.gates
        ]
    return counts


@pytest.mark.parametrize("seed", range(6))
def test_random_gates_equal_an_event_simulation(seed):
    rng = np.random.default_rng(seed)
    gates = []
    for index in range(60):
        gate_type = str(rng.choice(list(LOGIC_GATES)))
        n_pins = len(LOGIC_GATES[gate_type].inputs)
        nets = rng.integers(max(0, index - 12), GATE + index, n_pins).tolist()
        gates.append(Gate(gate_type, tuple(nets)))
    circuit = GateNetlist(tuple(gates), tuple(range(GATE + 44, GATE + 60)), LOGIC_GATES)
    before, after = (
        np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :64]
        for words in values(circuit, 64)
    )
    expected = np.sum(
        [event_simulation(circuit, *ends) for ends in zip(before.T, after.T, strict=True)], axis=0
    )
    (counts,) = count_toggles(
        GateArrays.of(circuit), *values(circuit, 64), n_groups=1, delays=Delays.UNIT
    )
    assert counts.nets.tolist() == expected.tolist()


def test_without_delays_it_is_the_power_without_glitches():
    cells = generic()
    families = embedded_library()
    texts = [families.netlist("mul8u_dadda_ripple"), families.netlist("mul8u_rec_m1_16")]
    for circuit in map_netlists(texts, cells):
        timing = static_timing(circuit, cells)
        pairs = UNIFORM.pairs()
        words = circuit.evaluate(pairs[:-1]), circuit.evaluate(pairs[1:])
        (counts,) = count_toggles(GateArrays.of(circuit), *words, n_groups=1, delays=Delays.NONE)
        energies = ToggleEnergies.of(circuit, cells, timing)
        power = UW_PER_FJ * energies.energy_fj(counts) / 65_536 + energies.leakage_uw
        expected = estimate_power(circuit, cells, timing, UNIFORM).power_uw
        assert power == pytest.approx(expected, rel=1e-12)
        glitching = estimate_glitch_power(circuit, cells, timing)
        assert glitching.power_uw > 1.5 * expected
        assert glitching.glitch_ratio > 1.5


def test_groups_add_up():
    circuit = map_netlists([embedded_library().netlist("mul8u_bam_h0_v8")], generic())[0]
    (whole,) = toggles(circuit, Delays.UNIT)
    parts = toggles(circuit, Delays.UNIT, n_groups=4)
    for field in ("nets", "inputs", "together"):
        assert np.array_equal(sum(getattr(part, field) for part in parts), getattr(whole, field))
    assert len({part.nets.sum() for part in parts}) == 4


def test_operands_that_stand_still_cost_leakage_alone(tmp_path):
    cells = load_liberty(write(tmp_path, library(GATES)))
    circuit = netlist(cells, [("INV", (A0,)), ("AND", (A0, GATE))])
    still = Operands("still", (0.0,) * 77 + (1.0,) + (0.0,) * 178, (1.0,) * 1 + (0.0,) * 255)
    result = estimate_glitch_power(circuit, cells, static_timing(circuit, cells), still)
    assert (result.power_uw, result.glitch_ratio) == (0.5, 1.0)
