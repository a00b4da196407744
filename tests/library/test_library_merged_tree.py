"""Trees and netlists of merged multipliers: every mode of every wiring is what it must be."""

import numpy as np
import pytest
from qosnets.errors import CheckError
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut, netlist_of_word
from qosnets_library.liberty import generic
from qosnets_library.mapping import map_netlists
from qosnets_library.merged.climb import exchanged
from qosnets_library.merged.mapper import CellMapper
from qosnets_library.merged.masks import MergedMasks
from qosnets_library.merged.multiplier import MergedMultiplier, prove_modes
from qosnets_library.merged.tree import Tree, earliest_first_tree
from qosnets_library.merged.verilog import Gating, merged_verilog
from qosnets_library.yosys import YosysError

COLUMNS = np.add.outer(np.arange(8), np.arange(8))
EXACT = MergedMasks(1, np.ones((8, 8), np.uint8))


def random_masks(n_modes, seed):
    rng = np.random.default_rng(seed)
    kill = rng.integers(1, n_modes + 1, (8, 8))
    force = np.where(rng.random((8, 8)) < 0.1, rng.integers(kill, n_modes + 1), n_modes)
    return MergedMasks(n_modes, kill.astype(np.uint8), force.astype(np.uint8))


def shuffled(n_moves, seed):
    tree, random = earliest_first_tree(), np.random.default_rng(seed)
    for _ in range(n_moves):
        tree = exchanged(tree, random)
    return tree


def test_the_tree_has_the_fewest_adders():
    tree = earliest_first_tree()
    n_half = int((tree.inputs[:, 2] < 0).sum())
    assert (len(tree.columns) - n_half, n_half) == (48, 8)
    columns = tree.bit_columns()
    taken = [*tree.inputs[tree.inputs >= 0].tolist(), *tree.product.tolist()]
    assert len(set(taken)) == len(taken)
    for adder, bits in enumerate(tree.inputs.tolist()):
        assert {columns[bit] for bit in bits if bit >= 0} == {tree.columns[adder]}


@pytest.mark.parametrize("seed", range(8))
def test_any_wiring_is_exact(seed):
    tree = shuffled(300, seed)
    text = merged_verilog(EXACT, tree, select=False)
    assert np.array_equal(netlist_lut(text), exact_lut())
    assert text != merged_verilog(EXACT, earliest_first_tree(), select=False)


def test_a_tree_that_waits_for_itself_is_refused():
    tree = earliest_first_tree()
    inputs = tree.inputs.copy()
    adder = int(np.flatnonzero(inputs[:, 0] >= 64)[0])
    inputs[adder, 0] = 64 + 2 * adder
    cyclic = Tree(tree.columns, inputs, tree.product)
    assert tree.is_acyclic() and not cyclic.is_acyclic()
    with pytest.raises(ValueError, match="must not wait for itself"):
        cyclic.order()


@pytest.mark.parametrize("gating", Gating)
@pytest.mark.parametrize("n_modes", (1, 2, 5, 8))
def test_all_modes_are_proven_also_when_mapped(gating, n_modes):
    masks = random_masks(n_modes, n_modes)
    text = merged_verilog(masks, shuffled(40, n_modes), gating=gating)
    with CellMapper(generic()) as mapper:
        mapped = mapper.map(text)
    made = MergedMultiplier(masks, text)
    prove_modes(made, mapped)
    for mode in range(n_modes):
        assert np.array_equal(mapped.of_word(masks.select_word(mode)).lut(), masks.lut(mode))
    assert not mapped.of_word(0).lut().any()


def test_the_mapper_maps_as_the_library_does():
    cells = generic()
    texts = [merged_verilog(EXACT, shuffled(20, seed), select=False) for seed in range(2)]
    with CellMapper(cells) as mapper:
        for text, expected in zip(texts, map_netlists(texts, cells), strict=True):
            mapped = mapper.map(text).of_word(0)
            assert (mapped.gates, mapped.outputs) == (expected.gates, expected.outputs)


def test_tying_the_select_leaves_the_circuit():
    masks = random_masks(4, 1)
    with CellMapper(generic()) as mapper:
        mapped = mapper.map(merged_verilog(masks, earliest_first_tree()))
    netlists = [mapped.of_word(masks.select_word(mode)) for mode in range(4)]
    assert len({tuple(gate.type for gate in netlist.gates) for netlist in netlists}) == 1
    inputs = [sum(net in (0, 1) for g in netlist.gates for net in g.inputs) for netlist in netlists]
    assert len(set(inputs)) == 1 and inputs[0] > 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("A[3] & S[1]", "A[3] & S[0]", "mode 1: netlist: all 65536 products must be those"),
        ("A[7] & S[3]", "A[7] | S[3]", "mode 0: netlist"),
        ("& S[3];", "& 1'b1;", "select 0: netlist"),
    ],
)
def test_a_wrong_netlist_is_found(old, new, message):
    cut = np.select([COLUMNS < 5, COLUMNS < 7, COLUMNS < 9], [1, 2, 3], 4).astype(np.uint8)
    masks = MergedMasks(4, cut)
    text = merged_verilog(masks, earliest_first_tree())
    prove_modes(MergedMultiplier(masks, text))
    assert old in text
    with pytest.raises(CheckError, match=message):
        prove_modes(MergedMultiplier(masks, text.replace(old, new)))


def test_the_netlist_of_a_word_is_canonical_in_form():
    masks = random_masks(3, 2)
    text = netlist_of_word(merged_verilog(masks, earliest_first_tree()), 0b110)
    assert text.startswith("module multiplier(A, B, O);\n  input [7:0] A;\n  input [7:0] B;\n  out")
    assert "S[" not in text


def test_several_modes_need_a_select():
    with pytest.raises(ValueError, match="several modes need a select"):
        merged_verilog(random_masks(2, 1), earliest_first_tree(), select=False)


def test_what_yosys_refuses_is_an_error():
    with CellMapper(generic()) as mapper, pytest.raises(YosysError, match="Yosys ended"):
        mapper.map("module multiplier(A, B, O); what\n")
