"""The search for masks: bounds hold, more is saved where more is allowed, bad goals are refused."""

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets_library.characterise import error_metrics
from qosnets_library.merged.goal import Demand, ErrorCriterion, MaskGoal, mse_goal
from qosnets_library.merged.layers import modes_of_layers
from qosnets_library.merged.search import search_masks
from qosnets_library.merged.terms import masked_products
from qosnets_library.operands import UNIFORM, Operands

BOUNDS = (2764.0, 21037.0, 209723.0)
CODES = np.arange(256)
STEPS = 40_000


def operands(name, a, b):
    return Operands(name, tuple(a.tolist()), tuple(b.tolist()))


LAYER = operands(
    "layer",
    np.where(CODES == 0, 60.0, np.exp(-((CODES / 60) ** 2) / 2)),
    np.exp(-(((CODES - 128) / 30) ** 2) / 2),
)


def kept(masks):
    return [int(masks.kept(mode).sum()) for mode in range(masks.n_modes)]


@pytest.mark.parametrize("row_pairs", (False, True))
def test_the_bounds_of_the_mean_square_hold(row_pairs):
    found = search_masks(mse_goal(BOUNDS, row_pairs=row_pairs), seed=1, n_steps=STEPS)
    assert len(found) > 3
    for masks in found:
        errors = [error_metrics(masks.lut(mode)) for mode in range(4)]
        assert errors[0].mse == 0
        for mode, bound in enumerate(BOUNDS, 1):
            assert 0.5 * bound < errors[mode].mse <= bound
            assert errors[mode].mse <= Demand(1).moments.mse(~masks.kept(mode))
        assert Demand(1).moments.mse(~masks.kept(3)) > BOUNDS[2]
        assert kept(masks)[1] <= 52 and kept(masks)[2] <= 44 and kept(masks)[3] <= 32
        ranks = [len(masked_products(masks, mode).a_masks) for mode in range(4)]
        assert max(ranks) <= (4 if row_pairs else 8)
        assert all(errors[mode].rank <= ranks[mode] + 1 for mode in range(4))


def test_the_seed_alone_decides():
    goal = mse_goal(BOUNDS[:2])
    first, same, other = (search_masks(goal, seed=seed, n_steps=STEPS) for seed in (1, 1, 2))

    def levels(found):
        return [(m.kill_level.tolist(), m.force_level.tolist()) for m in found]

    assert levels(first) == levels(same) != levels(other)


@pytest.mark.parametrize("demanded", (UNIFORM, LAYER))
def test_bounded_variance_needs_no_constant(demanded):
    bounds = (300.0, 3000.0, 30000.0)
    modes = tuple((Demand(bound, demanded),) for bound in bounds)
    goal = MaskGoal(modes, ErrorCriterion.VARIANCE)
    for masks in search_masks(goal, seed=3, n_steps=STEPS):
        for mode, bound in enumerate(bounds, 1):
            assert masks.constant(mode) == masks.lut(mode)[0, 0] == 0
            variance = Demand(1, demanded).moments.error_variance(~masks.kept(mode))
            assert 0.4 * bound < variance <= bound * (1 + 1e-6)


def test_masks_suit_the_operands_that_they_are_made_for():
    bound = (3000.0,)
    uniform, layer = (
        search_masks(mse_goal(bound, operands=demanded), seed=1, n_steps=STEPS)[0]
        for demanded in (UNIFORM, LAYER)
    )
    moments = Demand(1, LAYER).moments

    def mse(masks):
        return moments.mse(~masks.kept(1), masks.constant(1))

    assert kept(layer)[1] <= kept(uniform)[1]
    assert mse(layer) <= 3000 < error_metrics(layer.lut(1)).mse


def test_every_layer_of_a_mode_is_served():
    layers = [
        Demand(400.0, LAYER, weight=3),
        Demand(900.0, UNIFORM),
        Demand(6000.0, UNIFORM, weight=2),
        Demand(9000.0, LAYER),
        Demand(1e-3, UNIFORM),
        Demand(90000.0, LAYER, weight=5),
    ]
    modes = modes_of_layers(layers, 4)
    assert modes.mode_of[4] == 0 < modes.mode_of[0] <= modes.mode_of[3] < modes.mode_of[5] == 3
    assert modes.goal.mode_weights == tuple(
        sum(layer.weight for layer, own in zip(layers, modes.mode_of, strict=True) if own == mode)
        for mode in range(4)
    )
    for masks in search_masks(modes.goal, seed=1, n_steps=STEPS):
        for layer, mode in zip(layers, modes.mode_of, strict=True):
            variance = layer.moments.error_variance(~masks.kept(mode))
            assert variance <= layer.max_error * (1 + 1e-6)


def test_no_more_modes_than_layers_need():
    modes = modes_of_layers([Demand(500.0), Demand(500.0, weight=2)], 8)
    assert modes.mode_of == (1, 1)
    assert len(modes.goal.modes) == 1


def test_more_modes_save_more():
    layers = [Demand(10.0**k, UNIFORM) for k in range(1, 7)]
    two, three = (modes_of_layers(layers, n) for n in (2, 3))
    assert set(two.mode_of) <= {0, 1} and set(three.mode_of) <= {0, 1, 2}
    assert sorted(three.mode_of) == list(three.mode_of)
    assert three.mode_of[-1] == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mse_goal([100, 50]), "must rise from mode to mode, not 100, 50"),
        (lambda: mse_goal([100, 100]), "must rise from mode to mode, not 100, 100"),
        (lambda: mse_goal([0, 100]), "error bound: must be positive, mode 0 being exact, not 0"),
        (lambda: mse_goal([-1]), "error bound: must be positive, mode 0 being exact, not -1"),
        (lambda: mse_goal([float("nan")]), "error bound: must be positive, .* not nan"),
        (lambda: mse_goal([]), r"must be 1\.\.7, as many as the select can code, not 0"),
        (lambda: mse_goal(range(1, 9)), r"must be 1\.\.7, as many as the select can code, not 8"),
        (lambda: mse_goal([5], weights=[0]), "weight: must be positive, not 0"),
        (
            lambda: MaskGoal(((Demand(9.0), Demand(90.0)), (Demand(50.0),))),
            "that of mode 2 must be at least 90, not 50",
        ),
        (lambda: MaskGoal(((Demand(9.0),), ())), "mode 2: must have a demand, not none"),
        (
            lambda: MaskGoal(((Demand(9.0),),), exact_weight=-1),
            "exact weight: must be at least 0, not -1",
        ),
        (lambda: modes_of_layers([], 3), "layers: must be at least 1, not none"),
        (lambda: modes_of_layers([Demand(1.0)], 9), r"modes: must be 2\.\.8, not 9"),
        (lambda: modes_of_layers([Demand(1.0)], 1), r"modes: must be 2\.\.8, not 1"),
    ],
)
def test_goals_that_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_operands_that_no_constant_suits():
    ones = operands("ones", 1.0 * (CODES == 255), 1.0 * (CODES == 255))
    zeros = operands("zeros", 1.0 * (CODES == 0), 1.0 * (CODES == 0))
    # Without variance, everything would be killed; then the means are worlds apart.
    goal = MaskGoal(((Demand(10.0, ones), Demand(10.0, zeros)),))
    with pytest.raises(InputError, match="bound the variance instead"):
        search_masks(goal, seed=1, n_steps=STEPS)
