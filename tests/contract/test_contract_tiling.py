"""Layers on the array: a model of the array run on the beats must give the sums of the layer."""

import numpy as np
import pytest
from qosnets.cycles import fixed_cycles, job_cycles
from qosnets.geometry import Geometry, LayerKind
from qosnets.parameters import LayerWeights, Requantisation
from qosnets.tiling import LayerSizes, Tiling, tile_layers

ARRAYS = [(1, 1), (1, 5), (4, 1), (3, 2), (2, 5), (4, 4), (7, 3)]
SIZES = [(1, 1, 1), (5, 3, 1), (9, 8, 2), (12, 5, 1)]
DEPTHWISE = [(9, 1, 5, True), (4, 1, 2, True), (1, 1, 9, True), (25, 1, 3, True)]


def array_sums(tiling: Tiling, weight_beats, activation_beats, positions: int):
    """Return Σ x·w by beat of results and column, as the array computes it."""
    results = []
    weights = weight_beats.reshape(tiling.n_tiles, tiling.k_tiles, tiling.rows, tiling.cols)
    shape = (tiling.n_tiles, tiling.k_tiles, positions, tiling.rows)
    activations = activation_beats.reshape(shape).astype(np.int64)
    row, column = np.ogrid[: tiling.rows, : tiling.cols]
    used = np.full((tiling.rows, tiling.cols), True)
    if tiling.depthwise:
        used = (row % tiling.lanes == column) & (row < tiling.taps * tiling.lanes)
    for n_tile in range(tiling.n_tiles):
        total = 0
        for k_tile in range(tiling.k_tiles):
            rows = tiling.last_rows if k_tile == tiling.k_tiles - 1 else tiling.rows
            last_row_first = weights[n_tile, k_tile][::-1] * (used & (row < rows))
            total = total + activations[n_tile, k_tile] @ last_row_first
        results.append(total)
    return np.concatenate(results)


@pytest.mark.parametrize(("rows", "cols"), ARRAYS)
@pytest.mark.parametrize("sizes", [*SIZES, *DEPTHWISE])
def test_beats_make_the_sums_of_the_layer(rows, cols, sizes):
    rng = np.random.default_rng(1)
    layer = LayerSizes(*sizes)
    (tiling,) = tile_layers([layer], rows, cols)
    positions = 4
    shape = (positions, layer.reduction)
    if layer.depthwise:
        shape = (layer.groups, *shape)
    x = rng.integers(0, 256, shape, np.uint8)
    w = rng.integers(0, 256, (tiling.outputs, layer.reduction), np.uint8)
    found = array_sums(tiling, tiling.weight_beats(w), tiling.activation_beats(x, rng), positions)
    left, right = x.astype(np.int64), w.astype(np.int64)
    expected = left @ right.T
    if layer.depthwise:
        expected = np.einsum("nmk,nk->mn", left, right)
    np.testing.assert_array_equal(tiling.results(found), expected)


@pytest.mark.parametrize(("rows", "cols"), ARRAYS)
def test_parameters_of_all_layers_have_places_of_their_own(rows, cols):
    rng = np.random.default_rng(2)
    sizes = [LayerSizes(*values) for values in (*SIZES, *DEPTHWISE)]
    places = set()
    for layer, tiling in zip(sizes, tile_layers(sizes, rows, cols), strict=True):
        n = layer.groups * layer.outputs
        weights = LayerWeights(
            np.zeros((n, layer.reduction), np.uint8), rng.integers(0, 256, n, np.uint8)
        )
        ones = np.ones(n)
        values = Requantisation(
            np.arange(n, dtype=np.int32), ones.astype("i2"), ones.astype("u1"), ones.astype("i2")
        )
        words = list(tiling.parameter_words(weights, values))
        assert [word["bias"] for _, _, word in words] == list(range(n))
        zero_points = [word["weight_zero_point"] for _, _, word in words]
        assert zero_points == weights.zero_points.tolist()
        assert all(column < tiling.lanes for _, column, _ in words)
        fresh = {(tile, column) for tile, column, _ in words}
        assert len(fresh) == n and not fresh & places
        places |= fresh
        entry = tiling.table_entry((3, 200))
        assert entry["base"] == min(tile for tile, _, _ in words)
        assert entry["base"] + tiling.n_jobs * entry["n_tiles"] == 1 + max(t for t, _, _ in words)


def geometry(in_channels: int, out_channels: int, groups: int) -> Geometry:
    return Geometry(
        kind=LayerKind.CONV,
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=(3, 3),
        stride=(1, 1),
        padding=(1, 1, 1, 1),
        dilation=(1, 1),
        groups=groups,
        input_size=(8, 8),
        input_zero_point=0,
        output_zero_point=0,
        clamp=(0, 255),
    )


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((6, 6, 6), LayerSizes(9, 1, 6, True)),
        ((6, 12, 6), LayerSizes(9, 2, 6, False)),
        ((6, 6, 3), LayerSizes(18, 2, 3, False)),
        ((6, 4, 1), LayerSizes(54, 4, 1, False)),
        ((1, 1, 1), LayerSizes(9, 1, 1, False)),
    ],
)
def test_which_layers_are_depthwise(channels, expected):
    assert LayerSizes.of(geometry(*channels)) == expected


def test_cycles_of_a_job():
    """Positions hide the loading of weights only if there are more of them than rows."""
    tiling = Tiling(rows=8, cols=4, reduction=20, outputs=6, n_jobs=1, base=0)
    assert (tiling.k_tiles, tiling.n_tiles) == (3, 2)
    assert fixed_cycles(8, 4) == 38
    assert job_cycles(tiling, 100) == 38 + 6 * 100
    assert job_cycles(tiling, 9) == 38 + 6 * 9
    assert job_cycles(tiling, 1) == 38 + 5 * 9 + 1
