"""Masks of merged multipliers: what modes compute, what is refused, modes as masked products."""

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets_library.characterise import error_metrics, rank
from qosnets_library.merged.masks import MergedMasks
from qosnets_library.merged.moments import ErrorMoments
from qosnets_library.merged.terms import masked_products
from qosnets_library.operands import Operands

COLUMNS = np.add.outer(np.arange(8), np.arange(8))


def levels(n_modes, seed):
    """Return random kill and force levels."""
    rng = np.random.default_rng(seed)
    kill = rng.integers(1, n_modes + 1, (8, 8))
    force = np.where(rng.random((8, 8)) < 0.1, rng.integers(kill, n_modes + 1), n_modes)
    return kill.astype(np.uint8), force.astype(np.uint8)


def by_formula(masks, mode, a, b):
    total = 0
    for i in range(8):
        for j in range(8):
            bit = (a >> i & 1) & (b >> j & 1)
            bit = bit if masks.kill_level[i, j] > mode else 0
            total += 2 ** (i + j) * (1 if masks.force_level[i, j] <= mode else bit)
    return total


@pytest.mark.parametrize("n_modes", range(1, 9))
def test_tables_follow_the_formula(n_modes):
    masks = MergedMasks(n_modes, *levels(n_modes, n_modes))
    assert np.array_equal(masks.lut(0), exact_lut())
    rng = np.random.default_rng(1)
    for mode in range(n_modes):
        table = masks.lut(mode)
        for a, b in [(0, 0), (255, 255), *rng.integers(0, 256, (20, 2)).tolist()]:
            assert table[a, b] == by_formula(masks, mode, a, b)
        assert table[0, 0] == masks.constant(mode)


@pytest.mark.parametrize("n_modes", (1, 2, 5, 8))
def test_masked_products_make_up_the_table(n_modes):
    masks = MergedMasks(n_modes, *levels(n_modes, n_modes + 10))
    for mode in range(n_modes):
        products = masked_products(masks, mode)
        assert np.array_equal(products.lut(), masks.lut(mode))
        assert len(set(products.b_masks)) == len(products.b_masks) <= 8
        assert products.transposed().lut().T.tolist() == masks.lut(mode).tolist()


def test_equal_rows_or_columns_merge():
    cut = np.where(COLUMNS < 6, 1, 2).astype(np.uint8)
    cut[1] = cut[0]
    cut[3] = cut[2]
    products = masked_products(MergedMasks(2, cut), 1)
    assert sorted(products.a_masks) == [3, 12, 16, 32, 192]
    assert len(products.a_masks) == rank(MergedMasks(2, cut).lut(1)) == 5


def test_fewer_columns_than_rows_make_the_products():
    first, second = np.array([1, 1, 2, 2, 2, 1, 1, 1]), np.array([1, 1, 1, 2, 2, 2, 2, 2])
    kill = np.stack([first] * 3 + [second] * 5, axis=1).astype(np.uint8)
    products = masked_products(MergedMasks(2, kill), 1)
    assert products.b_masks == (0b00000111, 0b11111000)
    assert products.a_masks == (0b00011100, 0b11111000)
    assert np.array_equal(products.lut(), MergedMasks(2, kill).lut(1))


def test_select_words_are_a_thermometer_code():
    masks = MergedMasks(4, np.full((8, 8), 4, np.uint8))
    assert [masks.select_word(mode) for mode in range(4)] == [0b1111, 0b1110, 0b1100, 0b1000]
    assert masks.select_width == 4
    with pytest.raises(InputError, match=r"mode: must be 0\.\.3, not 4"):
        masks.select_word(4)


def changed(place, value, n=3):
    table = np.full((8, 8), n, np.uint8)
    table[place] = value
    return table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, np.ones((8, 8), np.uint8)), "modes: must be 1..8, not 9"),
        ((0, np.ones((8, 8), np.uint8)), "modes: must be 1..8, not 0"),
        ((3, np.ones((8, 8), np.int64)), r"kill_level: must be uint8\[8, 8\], not int64\[8, 8\]"),
        ((3, np.ones((7, 8), np.uint8)), r"kill_level: must be uint8\[8, 8\], not uint8\[7, 8\]"),
        ((3, changed((2, 5), 4)), r"kill_level\[2, 5\]: must be at most 3, not 4"),
        ((3, changed((2, 5), 0)), r"kill_level\[2, 5\]: mode 0 must be exact"),
        (
            (3, changed((2, 5), 2), changed((2, 5), 1)),
            r"force_level\[2, 5\]: must not be below the kill level 2, not 1",
        ),
    ],
)
def test_levels_that_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        MergedMasks(*arguments)


def kept(*columns):
    return [COLUMNS >= column for column in columns]


@pytest.mark.parametrize(
    ("masks", "forced", "message"),
    [
        (kept(0, 6, 5), None, r"nested, but mode 2 keeps the partial product \[0, 5\] and mode 1"),
        (kept(2, 3), None, r"kill_level\[0, 0\]: mode 0 must be exact"),
        (kept(*range(9)), None, "modes: must be 1..8, not 9"),
        (
            kept(0, 6, 7),
            [COLUMNS < 0, COLUMNS == 3, COLUMNS == 4],
            r"nested, but mode 2 does not force the partial product \[0, 3\] and mode 1 does",
        ),
        (kept(0, 6), [COLUMNS < 0], "forced: must have 2 masks, not 1"),
    ],
)
def test_masks_that_are_refused(masks, forced, message):
    with pytest.raises(InputError, match=message):
        MergedMasks.from_kept(masks, forced)


def test_masks_become_levels():
    forced = [COLUMNS < 0, COLUMNS < 0, (COLUMNS == 5) & (np.arange(8)[:, None] == 2)]
    masks = MergedMasks.from_kept(kept(0, 4, 7), forced)
    for mode, column in enumerate((0, 4, 7)):
        assert np.array_equal(masks.kept(mode), COLUMNS >= column)
        assert np.array_equal(masks.forced(mode), forced[mode])
    assert [masks.constant(mode) for mode in range(3)] == [0, 0, 32]


def test_closed_forms_equal_the_error_of_the_table():
    masks = MergedMasks(4, *levels(4, 3))
    codes = np.arange(256)
    skewed = Operands(
        "skewed", tuple((0.5 ** (codes / 60)).tolist()), tuple((1.0 + (codes % 7)).tolist())
    )
    a, b = (np.array(side) / sum(side) for side in (skewed.a, skewed.b))
    for mode in range(4):
        error = masks.lut(mode).astype(float) - exact_lut()
        metrics = error_metrics(masks.lut(mode))
        uniform = ErrorMoments.of()
        assert uniform.mse(~masks.kept(mode), masks.constant(mode)) == pytest.approx(metrics.mse)
        moments = ErrorMoments.of(skewed)
        killed, constant = ~masks.kept(mode), masks.constant(mode)
        assert moments.error_mean(killed, constant) == pytest.approx(a @ error @ b)
        assert moments.mse(killed, constant) == pytest.approx(a @ error**2 @ b)
