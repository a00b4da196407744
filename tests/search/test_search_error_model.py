"""The error model against exhaustive enumeration, simulation and measured errors."""

import itertools
import logging
import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from qosnets import golden
from qosnets.errors import CheckError
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import ActivationPort, Lut, exact_lut
from qosnets.parameters import LayerWeights, Requantisation
from qosnets_search.quantised.integer import IntegerLayer, run_layer
from qosnets_search.selection import channel_moments, measured_error, validation
from qosnets_search.selection.error_model import (
    ErrorModel,
    LayerStatistics,
    error_covariance,
    error_std,
    layer_statistics,
)
from qosnets_search.selection.fields import receptive_fields, sample_fields
from qosnets_search.selection.preferences import layer_thresholds, preferences

CODES = np.arange(256, dtype=np.uint16)
TRUNCATED: Lut = np.outer(CODES & 0xF0, CODES & 0xFC)
"""Differs between its ports."""
ERROR = TRUNCATED.astype(np.int64) - exact_lut()

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=6,
    out_channels=12,
    kernel=(3, 3),
    stride=(1, 1),
    padding=(1, 1, 1, 1),
    dilation=(1, 1),
    groups=1,
    input_size=(8, 8),
    input_zero_point=60,
    output_zero_point=0,
    clamp=(0, 255),
)
GEOMETRIES = {
    "conv": CONV,
    "strided": replace(CONV, kernel=(3, 2), stride=(2, 1), padding=(1, 0, 2, 3), input_size=(5, 6)),
    "dilated": replace(CONV, dilation=(2, 3), padding=(2, 0, 1, 3)),
    "grouped": replace(CONV, groups=2),
    "depthwise": replace(CONV, out_channels=6, groups=6),
    "multiplied depthwise": replace(CONV, groups=6),
    "linear": replace(
        CONV,
        kind=LayerKind.LINEAR,
        in_channels=30,
        kernel=(1, 1),
        padding=(0, 0, 0, 0),
        input_size=(1, 1),
    ),
}
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def random_layer(geometry: Geometry = CONV) -> tuple[IntegerLayer, torch.Tensor]:
    """Return a layer and images whose brightness varies, so that fields differ."""
    random = np.random.default_rng(2)
    n = geometry.out_channels
    codes = random.normal(130, 30, (n, geometry.reduction)).clip(0, 255).astype(np.uint8)
    values = Requantisation(
        random.integers(-9999, 9999, n, dtype=np.int32),
        np.full(n, 2**14, np.int16),
        np.full(n, 16, np.uint8),
        np.zeros(n, np.int16),
    )
    zero_points = random.integers(100, 150, n, dtype=np.uint8)
    size = () if geometry.kind is LayerKind.LINEAR else geometry.input_size
    brightness = random.uniform(20, 200, (64, *[1] * (len(size) + 1)))
    images = random.normal(brightness, 25, (64, geometry.in_channels, *size))
    x = torch.from_numpy(images.clip(0, 255).astype(np.uint8))
    return IntegerLayer(geometry, LayerWeights(codes, zero_points), values), x


@every_geometry
def test_fields_are_those_of_the_golden_model(geometry: Geometry) -> None:
    _, x = random_layer(geometry)
    everything = np.indices((len(x), geometry.positions)).reshape(2, 1, -1)
    images, positions = torch.from_numpy(everything).expand(-1, geometry.groups, -1)
    fields = receptive_fields(x, geometry, images, positions)
    assert np.array_equal(fields, golden.im2col(x.numpy(), geometry))


@every_geometry
def test_sampled_fields_are_of_all_images_and_positions(geometry: Geometry) -> None:
    _, x = random_layer(geometry)
    fields = golden.im2col(x.numpy()[:2], geometry)  # few enough that all of them are drawn
    sample = sample_fields(x[:2], geometry, 2000, generator())
    for drawn, group in zip(sample.numpy(), fields, strict=True):
        assert np.array_equal(np.unique(drawn, axis=0), np.unique(group, axis=0))
    assert torch.equal(sample, sample_fields(x[:2], geometry, 2000, generator()))


def sums_of_draws(statistics: LayerStatistics, *, of_fields: bool) -> npt.NDArray[np.int64]:
    """Return error sums of K products drawn from each field, or from all of them together."""
    random, sums = np.random.default_rng(0), []
    weights = statistics.weights.ravel()
    fields = statistics.fields.reshape(-1, statistics.fields.shape[2])
    for field in fields:
        x = random.choice(field if of_fields else fields.ravel(), (4000, len(field)))
        sums.append(ERROR[x, random.choice(weights, x.shape)].sum(axis=1))
    return np.array(sums)


def random_statistics(
    n_groups: int, n_fields: int, n_filters: int, k: int, n_codes: int = 256
) -> LayerStatistics:
    """Return fields that differ in brightness, which differs from position to position as well."""
    random = np.random.default_rng(k)
    fields = random.integers(0, n_codes // 3, (n_groups, n_fields, k))
    fields += random.integers(0, n_codes // 3, (n_groups, n_fields, 1))
    fields += random.integers(0, n_codes // 3, (n_groups, 1, k))
    weights = random.integers(0, n_codes, (n_groups, n_filters, k))
    return LayerStatistics(fields.astype(np.uint8), weights.astype(np.uint8), 1.0)


@pytest.mark.parametrize("model", [ErrorModel.LOCAL, ErrorModel.GLOBAL])
def test_models_of_one_weight_histogram_are_those_of_drawn_products(model: ErrorModel) -> None:
    statistics = random_statistics(2, 10, 3, 20)
    wanted = np.std(sums_of_draws(statistics, of_fields=model is ErrorModel.LOCAL))
    found, swapped = error_std(statistics, [TRUNCATED, TRUNCATED.T], model)
    assert found == pytest.approx(wanted, rel=0.02)
    assert swapped != pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize(
    ("n_groups", "n_filters", "k"), [(1, 3, 4), (2, 2, 5), (3, 1, 2), (4, 1, 1)]
)
def test_residual_is_the_mean_over_all_orders_of_the_weights(
    n_groups: int, n_filters: int, k: int
) -> None:
    statistics = random_statistics(n_groups, 7, n_filters, k)
    by_order = [
        ERROR[field[:, list(order)], row].sum(axis=1).var(ddof=1)
        for field, rows in zip(statistics.fields, statistics.weights, strict=True)
        for row in rows
        for order in itertools.permutations(range(k))
    ]
    found = error_std(statistics, [TRUNCATED], ErrorModel.PER_FILTER)
    assert found**2 == pytest.approx(np.mean(by_order))


@pytest.mark.parametrize("model", ErrorModel)
@pytest.mark.parametrize(("n_groups", "n_filters", "k"), [(1, 4, 9), (3, 2, 5), (5, 1, 1)])
def test_covariance_of_partial_products_is_the_model_of_what_they_make(
    model: ErrorModel, n_groups: int, n_filters: int, k: int
) -> None:
    statistics = random_statistics(n_groups, 20, n_filters, k)
    bits = torch.arange(256)[:, None] & 1 << torch.arange(8)
    covariance = error_covariance(statistics, bits.double(), bits.double(), model)
    random = np.random.default_rng(k)
    for _ in range(3):
        killed = random.integers(0, 2, (8, 8))
        table = exact_lut() - bits.numpy() @ killed @ bits.numpy().T
        wanted = error_std(statistics, [table.astype(np.uint16)], model)[0]
        found = killed.ravel() @ covariance @ killed.ravel()
        assert np.sqrt(found) == pytest.approx(wanted)
        assert wanted > 0


def test_each_multiplier_is_modelled_for_itself() -> None:
    statistics = random_statistics(2, 30, 4, 9)
    tables = [TRUNCATED, exact_lut(), np.ascontiguousarray(TRUNCATED.T)]
    for model in ErrorModel:
        together = error_std(statistics, tables, model)
        alone = [error_std(statistics, [table], model)[0] for table in tables]
        assert together == pytest.approx(alone)
        assert together[1] == 0 < together[0] != together[2]


@pytest.mark.parametrize("name", ["conv", "strided", "grouped", "multiplied depthwise", "linear"])
def test_predictions_are_close_to_the_errors_of_a_real_layer(name: str) -> None:
    layer, x = random_layer(GEOMETRIES[name])
    traces = {name: run_layer(layer, exact_lut(), x)}
    tables = {"A": TRUNCATED, "B": np.ascontiguousarray(TRUNCATED.T)}
    for record in validation.validate({name: layer}, traces, tables, generator()):
        # The sample of fields is off by some 3 %.
        wanted = pytest.approx(record.measured_residual, rel=0.07)
        assert record.predicted[ErrorModel.PER_FILTER] == wanted
        # Fields differ in brightness, which the global model does not see.
        assert record.predicted[ErrorModel.LOCAL] > 1.1 * record.predicted[ErrorModel.GLOBAL]


@every_geometry
def test_measured_errors_are_those_of_the_golden_model(
    geometry: Geometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_error, "CHUNK_OUTPUTS", 5000)  # several chunks, the last one short
    layer, x = random_layer(geometry)
    traces = [
        golden.run_layer(x.numpy(), geometry, layer.weights, layer.requantisation, table).acc
        for table in (TRUNCATED, exact_lut())
    ]
    errors = traces[0].astype(np.int64) - traces[1]
    measured = measured_error.measured_error(layer, x, TRUNCATED)
    assert measured.std == pytest.approx(errors.std())
    centred = errors - errors.mean(axis=(0, *range(2, errors.ndim)), keepdims=True)
    assert measured.residual_std == pytest.approx(centred.std())


@every_geometry
def test_spread_of_outputs_is_that_of_the_real_layer(geometry: Geometry) -> None:
    layer, x = random_layer(geometry)
    trace = run_layer(layer, exact_lut(), x)
    # Padding holds the zero point, hence the real value 0.
    top, left, bottom, right = geometry.padding
    images = x.reshape(len(x), -1, *geometry.input_size).double() - geometry.input_zero_point
    weights = torch.from_numpy(layer.weights.codes - layer.weights.zero_points[:, None].astype(int))
    shape = (geometry.out_channels, -1, *geometry.kernel)
    real = F.conv2d(
        F.pad(images, (left, right, top, bottom)),
        weights.reshape(shape).double(),
        stride=geometry.stride,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    found = layer_statistics(layer, trace, generator()).output_std
    assert found == pytest.approx(real.std(correction=0).item())


def test_moments_are_those_of_all_chunks_together() -> None:
    values = torch.randint(-1000, 1000, (7, 3, 4, 5), generator=generator(), dtype=torch.int32)
    values[:, 1] += 10_000
    found = channel_moments.channel_moments(torch.split(values, 3))
    by_channel = values.double().transpose(0, 1).flatten(1).numpy()
    assert found.means == pytest.approx(by_channel.mean(axis=1))
    assert found.variances == pytest.approx(by_channel.var(axis=1))
    assert found.std == pytest.approx(values.double().numpy().std())
    assert found.residual_std == pytest.approx(np.sqrt(by_channel.var(axis=1).mean()))


def record(layer: str, predicted: float, measured: float) -> validation.ErrorRecord:
    return validation.ErrorRecord(
        layer, "m", dict.fromkeys(ErrorModel, predicted), measured, 2 * measured
    )


def test_agreement_is_of_all_pairs_with_an_error() -> None:
    pairs = [(1.0, 1.0), (3.0, 2.0), (8.0, 4.0), (4.0, 8.0), (0.0, 0.0)]
    records = [record("a", *pair) for pair in pairs]
    found = validation.agreement(records, ErrorModel.LOCAL)
    assert (found.n_pairs, found.median_ratio) == (4, 1.25)  # of 0.5, 1, 1.5, 2
    assert (found.low_ratio, found.high_ratio) == pytest.approx((0.65, 1.85))
    assert found.spearman == pytest.approx(0.8)  # 1 − 6·2/(4·15)
    per_filter = validation.agreement(records, ErrorModel.PER_FILTER)
    assert per_filter.median_ratio == 0.625
    nothing = validation.agreement(records[4:], ErrorModel.LOCAL)
    assert nothing.n_pairs == 0 and math.isnan(nothing.spearman)


BOTH = tuple(ActivationPort)


def test_layer_that_tolerates_nothing_wants_exact_multipliers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    usual = random_statistics(1, 30, 4, 9)
    layers = {"first": usual, "flat": replace(usual, output_std=0.0), "last": usual}
    luts = [exact_lut(), TRUNCATED]
    with caplog.at_level(logging.WARNING, "qosnets_search"):
        thresholds = layer_thresholds(layers, [-2.0, 1.0, 0.0])
    assert thresholds == [2.0, 0.0, 0.0]
    found = preferences(luts, [BOTH] * 2, layers, thresholds, ErrorModel.LOCAL)
    assert found.thresholds == thresholds
    assert found.relative_errors[:, 0].tolist() == [0, 0, 0]
    assert found.relative_errors[1:, 1].tolist() == [math.inf, math.inf]
    # The layer that does tolerate errors decides on the port.
    first = preferences(luts, [BOTH] * 2, {"first": usual}, [2.0], ErrorModel.LOCAL)
    assert (found.ports, found.relative_errors[0, 1]) == (first.ports, first.relative_errors[0, 1])
    assert [entry.getMessage() for entry in caplog.records] == [
        "layer flat: tolerates no error, for its output is constant",
        "layer last: tolerates no error, for σ is 0",
    ]


def test_port_without_error_wins_where_a_layer_tolerates_none() -> None:
    # Clearing the lowest bit of port A costs nothing where even codes are on it.
    even = random_statistics(1, 30, 4, 9).fields & 0xFE
    tolerant = LayerStatistics(even, even[:, :4] + 1, 1.0)  # activation on A
    strict = LayerStatistics(even + 1, even[:, :4], 0.0)  # weight on A
    lut = np.outer(CODES & 0xFE, CODES)
    for layers, port in (
        ([tolerant], ActivationPort.A),
        ([tolerant, strict], ActivationPort.B),
        ([tolerant, tolerant, strict], ActivationPort.B),
    ):
        named = {f"layer{number}": layer for number, layer in enumerate(layers)}
        thresholds = [layer.output_std for layer in layers]
        found = preferences([lut], [BOTH], named, thresholds, ErrorModel.PER_FILTER)
        assert found.ports == [port]
        assert found.relative_errors[-1] == 0


def test_modes_take_the_activation_on_one_port() -> None:
    even = random_statistics(1, 30, 4, 9).fields & 0xFE
    layers = {"layer": LayerStatistics(even, even[:, :4] + 1, 1.0)}  # weights are odd
    a_first, b_first = np.outer(CODES & 0xFE, CODES), np.outer(CODES, CODES & 0xFC)
    luts, ports = [a_first, b_first, exact_lut()], [BOTH] * 3
    free = preferences(luts, ports, layers, [1.0], ErrorModel.PER_FILTER)
    assert free.ports[:2] == [ActivationPort.A, ActivationPort.B]
    bound = preferences(luts, ports, layers, [1.0], ErrorModel.PER_FILTER, one_port=True)
    alone = [
        preferences(luts, [(port,)] * 3, layers, [1.0], ErrorModel.PER_FILTER)
        for port in ActivationPort
    ]
    best = min(alone, key=lambda found: found.relative_errors.sum())
    assert bound.ports == best.ports and len(set(bound.ports)) == 1
    assert np.array_equal(bound.relative_errors, best.relative_errors)


@pytest.mark.parametrize(
    ("sigma", "output_std", "rule"),
    [
        (math.nan, 1.0, "σ must be finite, not nan"),
        (0.1, math.inf, "standard deviation of the output must be finite, not inf"),
    ],
)
def test_what_is_not_finite_is_refused(sigma: float, output_std: float, rule: str) -> None:
    layers = {"conv1": replace(random_statistics(1, 9, 1, 4), output_std=output_std)}
    with pytest.raises(CheckError, match=f"^layer conv1: {rule}$"):
        layer_thresholds(layers, [sigma])
