"""Rival methods: weight tuning, power, balanced filters, and searches under a budget."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut
from qosnets_library.default import default_library, reference_netlist
from qosnets_library.liberty import GENERIC, load_liberty
from qosnets_search.quantised.mapped import LayerArithmetic, MappedTables, expected_errors
from qosnets_search.rivals import alwann, lvrm, pnam, tpm
from qosnets_search.rivals.balance import balanced_signs
from qosnets_search.rivals.evaluations import (
    Accuracies,
    BudgetSpentError,
    Evaluations,
    Key,
    Request,
)
from qosnets_search.rivals.forced import ForcedPair, forced_netlist, forced_pairs, forced_table
from qosnets_search.rivals.intervals import AGGRESSIVE, EXACT, MEDIUM, N_STEPS, nested_choice
from qosnets_search.rivals.mapping_search import (
    MappingSearch,
    Margin,
    ModeMapping,
    largest_passing,
    mean_margin,
    points_within,
)
from qosnets_search.rivals.padded_count import padded_multiplications, padded_power
from qosnets_search.rivals.problem import (
    Multiplier,
    RivalLayer,
    RivalPoint,
    cheapest_exact,
    relative_power,
    useful_multipliers,
)
from qosnets_search.rivals.weight_tuning import tuned_table, tuned_weights

RANDOM = np.random.default_rng(11)

# ---- weight tuning and power ---------------------------------------------------------------------


@pytest.mark.parametrize("max_activation", [255, 127])
def test_tuned_weights_have_the_least_error(max_activation: int) -> None:
    table = default_library().lut("mul8u_mse5450000")
    tuned = tuned_weights(table, max_activation=max_activation)
    assert (tuned != np.arange(256)).any()
    for w in (0, 1, 17, 128, 200, 255):
        errors = [
            sum(abs(a * w - int(table[a, v])) for a in range(max_activation + 1))
            for v in range(256)
        ]
        best = [v for v in range(256) if errors[v] == min(errors)]
        assert tuned[w] == (w if w in best else best[0])
    assert np.array_equal(tuned_table(table, max_activation=max_activation), table[:, tuned])


def test_weights_of_the_exact_multiplier_stay() -> None:
    assert np.array_equal(tuned_weights(exact_lut()), np.arange(256))
    # Where all codes are equally bad, none moves.
    assert np.array_equal(tuned_weights(np.zeros((256, 256), np.uint16)), np.arange(256))


def conv(n_in: int, n_out: int, size: int, stride: int) -> Geometry:
    return Geometry(
        kind=LayerKind.CONV,
        in_channels=n_in,
        out_channels=n_out,
        kernel=(3, 3),
        stride=(stride, stride),
        padding=(1, 1, 1, 1),
        dilation=(1, 1),
        groups=1,
        input_size=(size, size),
        input_zero_point=0,
        output_zero_point=0,
        clamp=(0, 255),
    )


def resnet8() -> list[Geometry]:
    convs = [conv(3, 16, 32, 1), conv(16, 16, 32, 1), conv(16, 16, 32, 1), conv(16, 32, 32, 2)]
    convs += [conv(32, 32, 16, 1), conv(32, 64, 16, 2), conv(64, 64, 8, 1)]
    linear = replace(conv(64, 10, 1, 1), kind=LayerKind.LINEAR, kernel=(1, 1), padding=(0, 0, 0, 0))
    return [*convs, linear]


def test_alwann_counts_strided_layers_on_the_padded_input() -> None:
    layers = resnet8()
    counts = [padded_multiplications(geometry) for geometry in layers]
    assert counts[3] == 5_326_848 and counts[5] == 5_971_968
    assert layers[3].multiplications == layers[5].multiplications == 1_179_648
    assert sum(counts) == 21_178_368
    assert sum(geometry.multiplications for geometry in layers) == 12_238_848 + 640


@pytest.mark.parametrize(
    ("tiles", "layers", "published", "true"),
    [
        ((0.345, 0.206, 0.344, 0.195), (1, 0, 0, 1, 0, 3, 2), 0.26472584856396864, 0.3119),
        ((0.344, 0.311, 0.254), (2, 0, 0, 2, 0, 2, 1), 0.2904281984334203, 0.3170),
        ((0.344, 0.345, 0.206), (2, 1, 0, 1, 1, 2, 1), 0.3027893820713664, 0.3264),
    ],
)
def test_published_powers_are_met_by_the_authors_count_only(
    tiles: Sequence[float], layers: Sequence[int], published: float, true: float
) -> None:
    # Individuals of ResNet-8 in alwann-demo's data.json, with powers in mW as there.
    convs = resnet8()[:-1]
    powers = [tiles[tile] for tile in layers]
    assert padded_power(convs, powers) == pytest.approx(published, rel=1e-12)
    weights = [RivalLayer(item.multiplications, np.zeros((1, 1), np.uint8)) for item in convs]
    assert relative_power(weights, powers) == pytest.approx(true, abs=5e-5)


# ---- balanced filters ----------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0, 0.2])
@pytest.mark.parametrize("n_weights", [9, 27, 144, 576])
def test_positive_and_negative_errors_cancel(n_weights: int, share: float) -> None:
    weights = RANDOM.normal(128, 40, n_weights).clip(0, 255).astype(np.uint8)
    signs = balanced_signs(weights, share)
    total = weights.astype(int)
    positive, negative, left = (int(total[signs == sign].sum()) for sign in (1, -1, 0))
    surplus = (2 * share - 1) * total.sum()
    # What weights left over cannot mend is less than half of the lightest of the heavier set.
    assert abs(positive - negative - surplus) <= weights.max() / 2
    if n_weights >= 27:
        assert abs(positive - negative - surplus) <= 0.01 * total.sum()
        assert left <= 0.05 * total.sum()


def test_partition_by_differencing() -> None:
    # 8, 7, 6, 5, 4: the method's textbook example ends with a difference of 2.
    signs = balanced_signs(np.array([8, 7, 6, 5, 4], np.uint8), 0.5)
    assert sorted(signs.tolist()) == [-1, -1, 1, 1, 1] or 0 in signs
    weights = np.array([8, 7, 6, 5, 4, 2], np.uint8)
    assert abs(int(weights @ balanced_signs(weights, 0.5).astype(int))) == 0
    assert balanced_signs(np.array([200], np.uint8), 0.5).tolist() == [0]
    assert balanced_signs(np.zeros(4, np.uint8), 0.5).size == 4


@pytest.mark.parametrize("sparse", [False, True])
def test_errors_of_a_filter_have_no_mean(sparse: bool) -> None:
    weights = RANDOM.normal(120, 30, (4, 288)).clip(0, 255).astype(np.uint8)
    x = RANDOM.integers(0, 256, (500, 288), dtype=np.uint8)
    if sparse:
        x[RANDOM.random(x.shape) < 0.6] = 0
    histogram = np.bincount(x.ravel(), minlength=256).astype(np.float64)
    layer = RivalLayer(1, weights, histogram if sparse else None)
    for n_bits in (1, 3):
        choice = pnam.balanced_choice(layer, n_bits)
        tables = (
            exact_lut(),
            forced_table(n_bits, ones=False),
            forced_table(n_bits, ones=True),
        )
        means = expected_errors(MappedTables(tables, choice), weights, histogram)
        one_sided = expected_errors(tables[1], weights, histogram)
        assert np.abs(means).max() < 0.03 * np.abs(one_sided).min()


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("n_bits", [1, 3])
def test_forced_netlists_compute_forced_tables(n_bits: int, ones: bool) -> None:
    text = forced_netlist(reference_netlist(), n_bits, ones=ones)
    table = forced_table(n_bits, ones=ones)
    assert np.array_equal(netlist_lut(text), table)
    for x, w in ((0, 9), (7, 255), (200, 13), (255, 255)):
        bits = (1 << n_bits) - 1
        assert table[x, w] == (x | bits if ones else x & ~bits) * w


def test_forced_multipliers_have_the_power_of_their_netlists() -> None:
    liberty, netlist = load_liberty(GENERIC), reference_netlist()
    pairs = forced_pairs(netlist, liberty)
    assert [pair.n_bits for pair in pairs] == [1, 2, 3]
    for fewer, more in pairwise(pairs):
        assert 1 > fewer.zeros.relative_power > more.zeros.relative_power > 0
    # Bits forced to 1 save none: their rows still are added.
    assert all(0.9 < pair.ones.relative_power < 1.1 for pair in pairs)
    other = default_library().netlist("mul8u_mse0p25")
    of_both, of_other = (
        forced_pairs(other, liberty, alternatives=[netlist]),
        forced_pairs(other, liberty),
    )
    for best, *candidates in zip(of_both, pairs, of_other, strict=True):
        powers = [candidate.ones.relative_power for candidate in candidates]
        assert best.ones.relative_power == min(powers) < max(powers)


# ---- mappings by intervals -----------------------------------------------------------------------


def test_nested_intervals_surround_the_median() -> None:
    weights = RANDOM.integers(0, 256, (8, 64), dtype=np.uint8)
    choice = nested_choice(weights, 4, 10)
    median = np.median(weights)
    for mode, others in ((AGGRESSIVE, (MEDIUM, EXACT)), (MEDIUM, (EXACT,))):
        inner = np.abs(weights[choice == mode] - median).max()
        for other in others:
            assert np.abs(weights[choice == other] - median).max() > inner
    shares = [float((choice == mode).mean()) for mode in (AGGRESSIVE, MEDIUM, EXACT)]
    assert shares == pytest.approx([4 / 16, 6 / 16, 6 / 16], abs=0.02)
    by_code = {(int(w), int(mode)) for w, mode in zip(weights.ravel(), choice.ravel(), strict=True)}
    assert len(by_code) == len(np.unique(weights))
    assert (nested_choice(weights, 0, 0) == EXACT).all()
    assert (nested_choice(weights, N_STEPS, N_STEPS) == AGGRESSIVE).all()
    assert (nested_choice(weights, 0, N_STEPS) == MEDIUM).all()


@pytest.mark.parametrize("limit", range(8))
def test_bisection_finds_the_largest(limit: int) -> None:
    assert largest_passing(7, lambda n: n <= limit) == limit


def test_power_of_a_mapping_is_that_of_its_weights() -> None:
    modes = tuple(Multiplier(str(p), exact_lut(), p) for p in (1.0, 0.5, 0.2))
    choices = (np.array([[0, 1], [1, 2]], np.uint8), np.full((1, 4), 2, np.uint8))
    mapping = ModeMapping(modes, choices)
    layers = [RivalLayer(300, np.zeros((2, 2), np.uint8)), RivalLayer(100, choices[1])]
    assert mapping.layer_powers == pytest.approx([0.55, 0.2])
    assert relative_power(layers, mapping.layer_powers) == pytest.approx(0.75 * 0.55 + 0.25 * 0.2)
    assert isinstance(mapping.arithmetics[0], MappedTables)
    assert mapping.arithmetics[1] is modes[2].table
    assert mapping.layer_circuits == [("1.0", "0.5", "0.2"), ("0.2",)]


# ---- searches ------------------------------------------------------------------------------------

NAMES = ("exact", "mul8u_mse212", "mul8u_mse2000", "mul8u_mse12600", "mul8u_mse100000")


def offered() -> list[Multiplier]:
    library = default_library()
    found = []
    for name in NAMES:
        estimates = library.entries[name].estimates
        assert estimates is not None
        found.append(Multiplier(name, library.lut(name), estimates.relative_power))
    return found


LAYERS = [
    RivalLayer(n, np.random.default_rng(n).normal(128, 40, (8, k)).clip(0, 255).astype(np.uint8))
    for n, k in ((400, 27), (2000, 72), (1000, 72), (3000, 144), (10, 64))
]
SENSITIVITIES = (3e-4, 2e-5, 1e-4, 5e-6, 2e-3)
N_BATCHES = 5
PAIRS = [
    ForcedPair(
        n,
        Multiplier(f"zeros{n}", forced_table(n, ones=False), 1 - 0.1 * n),
        Multiplier(f"ones{n}", forced_table(n, ones=True), 1 - 0.08 * n),
    )
    for n in (1, 2, 3)
]


def spread(arithmetic: LayerArithmetic, layer: RivalLayer) -> float:
    """Return the root mean square of the error over the weights of a layer."""
    codes = np.arange(256)
    if not isinstance(arithmetic, MappedTables):
        arithmetic = MappedTables((arithmetic,), np.zeros_like(layer.weights))
    squares = np.stack(
        [
            ((table - np.outer(codes, codes).astype(float)) ** 2).mean(axis=0)
            for table in arithmetic.tables
        ]
    )
    return float(np.sqrt(squares[arithmetic.choice, layer.weights].mean()))


class Network:
    """Accuracies that fall with the error of each layer; counts how often it is asked."""

    def __init__(self) -> None:
        self.n_evaluated = 0
        self.corrected: set[bool] = set()

    def __call__(self, request: Request) -> list[float]:
        self.n_evaluated += 1
        self.corrected.add(request.corrects_means)
        loss = sum(
            sensitivity * spread(arithmetic, layer)
            for sensitivity, arithmetic, layer in zip(
                SENSITIVITIES, request.arithmetics, LAYERS, strict=True
            )
        )
        # Images are counted, and batches differ.
        return [
            round(100 * (0.9 - 0.8 * min(loss * (1 + 0.2 * b), 1))) / 100 for b in range(N_BATCHES)
        ]


Search: TypeAlias = Callable[[Evaluations], list[RivalPoint]]

LIMITS = (0.005, 0.02, 0.1)
SEARCHES: Mapping[str, Search] = {
    "alwann": lambda e: alwann.search(LAYERS, offered(), e, n_tiles=3, seed=5),
    "lvrm": lambda e: lvrm.search(LAYERS, lvrm.low_variance_modes(offered()), e, limits=LIMITS),
    "pnam": lambda e: pnam.search(LAYERS, offered()[0], PAIRS, e, limits=LIMITS),
    "tpm": lambda e: tpm.search(LAYERS, offered(), e, limits=LIMITS, seed=5),
}


def described(points: Sequence[RivalPoint]) -> list[tuple[float, float, tuple[str, ...]]]:
    return [(item.relative_power, item.accuracy_on_sample, item.circuits) for item in points]


@pytest.mark.parametrize("method", SEARCHES)
def test_budget_holds_and_results_repeat(method: str) -> None:
    first, second, steps = Network(), Network(), []
    evaluations = Evaluations(first, 60, progress=lambda *step: steps.append(step))
    points = SEARCHES[method](evaluations)
    assert 0 < first.n_evaluated == evaluations.n_used <= 60
    assert steps == [(n + 1, 60) for n in range(first.n_evaluated)]
    assert described(SEARCHES[method](Evaluations(second, 60))) == described(points)


@pytest.mark.parametrize("method", SEARCHES)
def test_an_interrupted_search_goes_on_where_it_was(method: str) -> None:
    whole = Network()
    points = SEARCHES[method](Evaluations(whole, 50))
    kept: dict[Key, Accuracies] = {}

    def record(key: Key, found: Accuracies) -> None:
        kept[key] = found
        if len(kept) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SEARCHES[method](Evaluations(Network(), 50, record=record))
    rest = Network()
    again = SEARCHES[method](Evaluations(rest, 50, known=kept))
    assert described(again) == described(points)
    assert rest.n_evaluated == whole.n_evaluated - 20
    full: dict[Key, Accuracies] = {}
    SEARCHES[method](Evaluations(Network(), 50, record=full.__setitem__))
    nothing = Network()
    assert described(SEARCHES[method](Evaluations(nothing, 50, known=full))) == described(points)
    assert nothing.n_evaluated == 0


@pytest.mark.parametrize("method", ["lvrm", "pnam", "tpm"])
def test_limits_are_kept_and_wider_ones_save_more(method: str) -> None:
    network = Network()
    points = SEARCHES[method](Evaluations(network, 300))
    baseline = float(np.mean(network(Request((exact_lut(),) * len(LAYERS)))))
    powers = [point.relative_power for point in points]
    assert powers == sorted(powers, reverse=True) and powers[-1] < powers[0] < 1
    for limit, point in zip(LIMITS, points, strict=True):
        found = np.array(network(Request(point.arithmetics)))
        assert found.mean() == pytest.approx(point.accuracy_on_sample)
        assert found.mean() >= baseline - limit - 1e-9
        assert point.corrects_means == (method == "lvrm")
        assert len(point.circuits) <= (7 if method == "pnam" else 3)
        power = relative_power(LAYERS, point.layer_powers)
        assert point.relative_power == pytest.approx(power)


def test_only_lvrm_has_its_means_corrected() -> None:
    for method, search in SEARCHES.items():
        network = Network()
        search(Evaluations(network, 30))
        assert network.corrected == {method == "lvrm"}


@pytest.mark.parametrize("method", ["lvrm", "pnam", "tpm"])
def test_the_smallest_budget_leaves_the_exact_network(method: str) -> None:
    points = SEARCHES[method](Evaluations(Network(), 1))
    assert [(point.relative_power, point.circuits) for point in points] == [(1.0, ("exact",))] * 3


def test_each_limit_may_use_its_share_of_the_budget() -> None:
    layer = RivalLayer(1, np.zeros((1, 1), np.uint8))

    def realise(key: Key) -> ModeMapping:
        return ModeMapping((Multiplier("m", exact_lut(), 1.0),), (np.zeros((1, 1), np.uint8),))

    tried = MappingSearch([layer], realise, Evaluations(lambda _: 0.5, 60), corrects_means=False)
    used: list[int] = []

    def explore(margin: Margin) -> None:
        first = used[-1] if used else 1
        n = 5 if len(used) == 1 else 1000  # the second limit leaves most of its share
        try:
            for number in range(first, first + n):
                assert margin(tried.accuracies((number,))) > 0
        finally:
            used.append(tried.evaluations.n_used)

    points_within(LIMITS, tried, exact=(0,), margin_for=mean_margin, explore=explore, label="test")
    assert used == [20, 25, 60]


def test_formula_has_two_clauses() -> None:
    baseline = (0.9,) * 5
    assert tpm.robustness(0.01, baseline, baseline) == pytest.approx(0.01, abs=1e-6)
    # The mean falls by 1.2 points; the fourth of five batches by 2.
    assert tpm.robustness(0.01, baseline, (0.9, 0.9, 0.88, 0.88, 0.88)) == pytest.approx(
        -0.002, abs=1e-6
    )
    # The mean does not fall; a fifth of the batches may do as it likes, two may not.
    assert tpm.robustness(0.01, baseline, (1, 1, 1, 0.9, 0.6)) == pytest.approx(0.01, abs=1e-6)
    assert tpm.robustness(0.01, baseline, (1, 1, 1, 0.8, 0.8)) == pytest.approx(-0.07, abs=1e-6)


def test_front_is_not_dominated_and_contains_the_cheapest_and_the_best() -> None:
    network = Network()
    evaluations = Evaluations(network, 200)
    points = alwann.search(LAYERS, offered(), evaluations, n_tiles=2, seed=1)
    assert network.n_evaluated <= 200
    powers = [point.relative_power for point in points]
    accuracies = [point.accuracy_on_sample for point in points]
    assert len(points) > 4
    assert powers == sorted(powers) and accuracies == sorted(accuracies)
    assert len(set(powers)) == len(set(accuracies)) == len(points)
    everything = [float(np.mean(found)) for found in evaluations.asked.values()]
    assert accuracies[-1] == pytest.approx(max(everything))
    assert powers[0] == pytest.approx(min(item.relative_power for item in offered()))
    assert all(len(point.circuits) <= 2 for point in points)
    # Homogeneous solutions come first, each once, with tuned weights.
    first = list(evaluations.asked)[: len(NAMES)]
    assert sorted(first) == [(index,) * len(LAYERS) for index in range(len(NAMES))]
    tuned = tuned_table(offered()[-1].table)
    assert np.array_equal(points[0].arithmetics[0], tuned)


def test_genetic_search_beats_homogeneous_solutions() -> None:
    points = alwann.search(LAYERS, offered(), Evaluations(Network(), 300), n_tiles=3, seed=2)
    network = Network()
    exact = float(np.mean(network(Request((exact_lut(),) * len(LAYERS)))))
    homogeneous = [
        item.relative_power
        for item in offered()
        if np.mean(network(Request((tuned_table(item.table),) * len(LAYERS)))) >= exact - 0.02
    ]
    found = [p.relative_power for p in points if p.accuracy_on_sample >= exact - 0.02]
    assert min(found) < min(homogeneous)


def test_one_multiplier_leaves_nothing_to_evolve() -> None:
    network = Network()
    points = alwann.search(LAYERS, offered()[:1], Evaluations(network, 300), n_tiles=1, seed=0)
    assert [point.circuits for point in points] == [("exact",)]
    assert network.n_evaluated == 1


def test_modes_of_low_variance_save_enough() -> None:
    exact, medium, aggressive = lvrm.low_variance_modes(offered())
    assert (exact.name, medium.name, aggressive.name) == NAMES[:3]


def test_dominated_multipliers_are_of_no_use() -> None:
    worse = Multiplier("worse", offered()[-1].table, 0.99)
    assert [item.name for item in useful_multipliers([worse, *offered()])] == list(NAMES)
    costly = Multiplier("costly", exact_lut(), 1.2)
    assert cheapest_exact([costly, *offered()]).name == "exact"


def test_bad_input() -> None:
    approximate = offered()[1:]
    one_layer = LAYERS[:1]

    def evaluations() -> Evaluations:
        return Evaluations(lambda _: 0.5, 10)

    with pytest.raises(InputError, match=r"^evaluations: budget must be at least 1, not 0$"):
        Evaluations(lambda _: 0.5, 0)
    with pytest.raises(InputError, match=r"^multipliers: one must be exact, none is$"):
        lvrm.low_variance_modes(approximate)
    with pytest.raises(
        InputError, match=r"^multipliers: one must save 15% of the power, none does$"
    ):
        lvrm.low_variance_modes(offered()[:1])
    with pytest.raises(InputError, match=r"one must be exact"):
        tpm.search(one_layer, approximate, evaluations(), limits=[0.1], seed=0)
    with pytest.raises(InputError, match=r"two must be cheaper than the exact one, not 1$"):
        tpm.search(one_layer, offered()[:2], evaluations(), limits=[0.1], seed=0)
    with pytest.raises(InputError, match=r"^PNAM: an accuracy drop must be at least 0, not -0.1$"):
        pnam.search(one_layer, offered()[0], PAIRS, evaluations(), limits=[-0.1])
    with pytest.raises(InputError, match=r"^ALWANN: must have at least 1 tile, not 0$"):
        alwann.search(one_layer, offered(), evaluations(), n_tiles=0, seed=0)
    with pytest.raises(InputError, match=r"^ALWANN: must have a multiplier, has none$"):
        alwann.search(one_layer, [], evaluations(), n_tiles=1, seed=0)


def test_evaluations_are_counted_once_each() -> None:
    seen: list[Key] = []
    evaluations = Evaluations(
        lambda _: np.float32(0.5),
        3,
        known={(1,): (0.25, 0.75)},
        record=lambda key, _: seen.append(key),
    )
    request = Request((exact_lut(),))
    assert evaluations.accuracies((1,), lambda: request) == (0.25, 0.75)
    assert evaluations.accuracies((2,), lambda: request) == (0.5,)
    assert evaluations.accuracies((2,), lambda: request) == (0.5,)
    evaluations.allowance = 2
    with pytest.raises(BudgetSpentError):
        evaluations.accuracies((3,), lambda: request)
    evaluations.allowance = 3
    evaluations.accuracies((3,), lambda: request)
    assert seen == [(2,), (3,)] and evaluations.n_used == 3


def test_import_does_not_load_pymoo() -> None:
    tree = ast.parse(Path(alwann.__file__).read_text())
    imported = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imported and not any("pymoo" in ast.unparse(node) for node in imported)
