"""The climb of the wiring: deterministic, within its bounds, and by an estimate that ranks well."""

from dataclasses import replace

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets_library.glitches import estimate_glitch_power
from qosnets_library.liberty import generic
from qosnets_library.merged.climb import Effort, climb_wiring, exchanged
from qosnets_library.merged.estimate import TreeStimuli, estimate_tree
from qosnets_library.merged.evaluate import mapped_cost
from qosnets_library.merged.goal import Demand, ErrorCriterion, MaskGoal, mse_goal
from qosnets_library.merged.mapper import CellMapper
from qosnets_library.merged.masks import MergedMasks
from qosnets_library.merged.multiplier import (
    MergedMultiplier,
    cheapest_masks,
    make_merged,
    prove_modes,
)
from qosnets_library.merged.search import search_masks
from qosnets_library.merged.tree import earliest_first_tree
from qosnets_library.merged.verilog import merged_verilog
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.power import estimate_power
from qosnets_library.timing import static_timing

COLUMNS = np.add.outer(np.arange(8), np.arange(8))
MASKS = MergedMasks(3, np.select([COLUMNS < 5, COLUMNS < 8], [1, 2], 3).astype(np.uint8))
SKEWED = Operands("skewed", (9.0,) * 8 + (1.0,) * 248, (1.0,) * 256)
EFFORT = Effort(n_estimates=150, n_mappings=8, n_operations=512)


def climbed(seed=1, **options):
    return climb_wiring(MASKS, liberty=generic(), seed=seed, **{"effort": EFFORT, **options})


def test_a_short_climb_saves_power_and_stays_right():
    steps = []
    result = climbed(streams=(UNIFORM, SKEWED), progress=lambda *step: steps.append(step))
    assert steps[0] == (1, 158) and steps[-1] == (158, 158)
    assert result.cost.delay_ns <= result.start.delay_ns
    assert len(result.cost.power) == 3 and len(result.cost.power[0]) == 2
    before, after = (
        sum(power.glitching_uw for mode in cost.power for power in mode)
        for cost in (result.start, result.cost)
    )
    assert after < before
    with CellMapper(generic()) as mapper:
        mapped = mapper.map(result.text)
        prove_modes(MergedMultiplier(MASKS, result.text), mapped)
    assert result.text == merged_verilog(MASKS, result.tree)
    again = mapped_cost(mapped, MASKS, generic(), (UNIFORM, SKEWED), n_operations=512)
    assert again == result.cost


def test_the_seed_alone_decides():
    quick = replace(EFFORT, n_estimates=40, n_mappings=3)
    first, same, other = (climbed(seed, effort=quick).text for seed in (1, 1, 2))
    assert first == same != other


def test_an_exact_multiplier_climbs_without_a_select():
    exact = MergedMasks(1, np.ones((8, 8), np.uint8))
    result = climb_wiring(exact, liberty=generic(), seed=1, select=False, effort=Effort(20, 2, 128))
    assert "S[" not in result.text


def test_an_impossible_delay_is_refused():
    with pytest.raises(InputError, match=r"delay bound: must be at least 0\.\d+ ns, .* not 0\.1"):
        climbed(max_delay_ns=0.1)


def test_costs_are_those_of_the_engines():
    cells = generic()
    with CellMapper(cells) as mapper:
        mapped = mapper.map(merged_verilog(MASKS, earliest_first_tree()))
    cost = mapped_cost(mapped, MASKS, cells, (SKEWED, UNIFORM), n_operations=1 << 16)
    for mode in range(3):
        netlist = mapped.of_word(MASKS.select_word(mode))
        timing = static_timing(netlist, cells)
        for found, stream in zip(cost.power[mode], (SKEWED, UNIFORM), strict=True):
            settled = estimate_power(netlist, cells, timing, stream).power_uw
            glitching = estimate_glitch_power(
                netlist, cells, timing, stream, n_operations=1 << 16
            ).power_uw
            assert found.settled_uw == pytest.approx(settled, rel=1e-9)
            assert found.glitching_uw == pytest.approx(glitching, rel=1e-9)
    assert cost.delay_ns == timing.delay_ns
    settled = [mode[1].settled_uw for mode in cost.power]
    assert settled == sorted(settled, reverse=True)


def test_the_estimate_ranks_wirings_as_mapping_does():
    cells, random = generic(), np.random.default_rng(5)
    stimuli = TreeStimuli.of(MASKS, [UNIFORM], 512)
    figures = []
    with CellMapper(cells) as mapper:
        for n_moves in (0, 2, 4, 8, 16, 32, 64):
            tree = earliest_first_tree()
            for _ in range(n_moves):
                tree = exchanged(tree, random)
            estimate = estimate_tree(tree, stimuli)
            cost = mapped_cost(
                mapper.map(merged_verilog(MASKS, tree)), MASKS, cells, [UNIFORM], n_operations=512
            )
            power = [mode[0].glitching_uw for mode in cost.power]
            figures.append((*estimate.glitching, *power, estimate.depth, cost.delay_ns))
    found = np.corrcoef(np.array(figures).T)
    assert all(found[mode, 3 + mode] > 0.97 for mode in range(3))
    assert found[6, 7] > 0.97


def test_the_cheapest_of_several_masks_is_taken():
    candidates = search_masks(mse_goal((20000.0,)), seed=1, n_steps=20_000)
    wasteful = MergedMasks(2, np.full((8, 8), 2, np.uint8))
    chosen = cheapest_masks([wasteful, *candidates], liberty=generic(), mode_weights=(1.0, 3.0))
    assert chosen is not wasteful


def test_a_merged_multiplier_is_made_from_demands():
    demands = tuple((Demand(bound, SKEWED),) for bound in (2000.0, 60000.0))
    steps = []
    made = make_merged(
        MaskGoal(demands, ErrorCriterion.VARIANCE, row_pairs=True),
        liberty=generic(),
        seed=1,
        streams=(SKEWED,),
        effort=Effort(30, 3, 128),
        progress=lambda *step: steps.append(step),
    )
    assert made.masks.n_modes == 3 and steps[-1] == (33, 33)
    prove_modes(made)
    for mode, (demand,) in enumerate(demands, 1):
        error = demand.moments.error_variance(~made.masks.kept(mode))
        assert error <= demand.max_error * (1 + 1e-6)
