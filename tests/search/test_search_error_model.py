"""The error model against simulated and measured errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import Lut, exact_lut
from qosnets.parameters import LayerWeights, Requantisation
from qosnets_search.quantised.integer import IntegerLayer, run_layer
from qosnets_search.selection.error_model import LayerStatistics, error_std, layer_statistics

CODES = np.arange(256, dtype=np.uint16)
TRUNCATED: Lut = np.outer(CODES & 0xF0, CODES & 0xFC)
"""Differs between its ports."""

GEOMETRY = Geometry(
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


def random_layer() -> tuple[IntegerLayer, torch.Tensor]:
    """Return a layer and images whose brightness varies, so that fields differ."""
    random = np.random.default_rng(2)
    n = GEOMETRY.out_channels
    weights = LayerWeights(
        random.normal(130, 30, (n, GEOMETRY.reduction)).clip(0, 255).astype(np.uint8),
        np.full(n, 128, np.uint8),
    )
    ones = np.ones(n)
    values = Requantisation(
        0 * ones.astype(np.int32),
        (ones * 2**14).astype(np.int16),
        ones.astype(np.uint8),
        ones.astype(np.int16),
    )
    brightness = random.uniform(20, 200, (64, 1, 1, 1))
    images = random.normal(brightness, 25, (64, 6, 8, 8)).clip(0, 255).astype(np.uint8)
    return IntegerLayer(GEOMETRY, weights, values), torch.from_numpy(images)


def test_standard_deviation_is_that_of_drawn_products() -> None:
    random = np.random.default_rng(0)
    k, n_fields, n_draws = 20, 30, 4000
    field_histograms = random.dirichlet(np.full(256, 0.05), n_fields)
    weight_histogram = random.dirichlet(np.full(256, 0.5))
    statistics = LayerStatistics(field_histograms, weight_histogram, k, output_std=1.0)
    error = TRUNCATED.astype(np.int64) - exact_lut()
    sums = []
    for histogram in field_histograms:
        x = random.choice(256, (n_draws, k), p=histogram)
        w = random.choice(256, (n_draws, k), p=weight_histogram)
        sums.append(error[x, w].sum(axis=1))
    assert error_std(statistics, TRUNCATED) == pytest.approx(np.std(sums), rel=0.02)
    assert error_std(statistics, TRUNCATED.T) != pytest.approx(np.std(sums), rel=0.1)


def test_prediction_is_close_to_the_error_of_a_real_layer() -> None:
    layer, images = random_layer()
    exact = run_layer(layer, exact_lut(), images)
    statistics = layer_statistics(layer, exact, torch.Generator().manual_seed(0))
    for table in (TRUNCATED, np.ascontiguousarray(TRUNCATED.T)):
        measured = (run_layer(layer, table, images).acc - exact.acc).to(torch.float64).std().item()
        # The K codes of a field are both its histogram and the only draw from it, so that the
        # model counts their spread twice; it is never too optimistic here.
        assert measured < error_std(statistics, table) < 1.25 * measured


def test_spread_of_outputs_is_that_of_the_real_convolution() -> None:
    layer, images = random_layer()
    trace = run_layer(layer, exact_lut(), images)
    statistics = layer_statistics(layer, trace, torch.Generator().manual_seed(0))
    weights = torch.from_numpy(layer.weights.codes.reshape(12, 6, 3, 3)).double() - 128
    # Padding holds the zero point, hence the real value 0.
    real = F.conv2d(images.double() - GEOMETRY.input_zero_point, weights, padding=1)
    assert statistics.output_std == pytest.approx(real.std().item())
    raw = F.conv2d(images.double(), weights + 128, padding=1)
    assert statistics.output_std != pytest.approx(raw.std().item(), rel=0.5)


def test_histograms_count_each_code_where_it_stands() -> None:
    layer, images = random_layer()
    images = images * 0 + 200
    trace = run_layer(layer, exact_lut(), images)
    statistics = layer_statistics(layer, trace, torch.Generator().manual_seed(0))
    # Only images' code and padding occur; a corner sees 5 of 9 padded positions.
    assert np.flatnonzero(statistics.field_histograms.sum(axis=0)).tolist() == [60, 200]
    shares = np.unique(statistics.field_histograms[:, 60])
    assert shares == pytest.approx([0, 3 / 9, 5 / 9])
    used = np.flatnonzero(statistics.weight_histogram)
    assert used.tolist() == np.unique(layer.weights.codes).tolist()
    wrong_elsewhere = exact_lut()
    wrong_elsewhere[:60] = wrong_elsewhere[61:200] = wrong_elsewhere[201:] = 0
    assert error_std(statistics, wrong_elsewhere) == 0
