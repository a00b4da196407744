"""Preference vectors and the clustering that chooses multipliers, on cases solved by hand."""

import math

import numpy as np
import pytest
from qosnets.lut import ActivationPort, exact_lut
from qosnets_search.selection.error_model import LayerStatistics
from qosnets_search.selection.kmeans import reweight, select
from qosnets_search.selection.preferences import preferences


def test_reweighting_is_the_identity_up_to_one_then_logarithmic() -> None:
    x = np.array([0.0, 0.5, 1.0, math.e, math.e**3])
    assert reweight(x) == pytest.approx([0, 0.5, 1, 2, 4])
    assert (np.diff(reweight(np.linspace(0.5, 2, 1000))) > 0).all()
    assert reweight(np.array([np.nextafter(1, 2)])) == pytest.approx(1)


def test_small_scales_ask_for_accuracy() -> None:
    # Divided by 0.1 and 10 the rows are [0, 4, 40], [0, 5, 50] and [0, .04, .4], [0, .05, .5].
    errors = np.array([[0, 0.4, 4], [0, 0.5, 5]])
    power = np.array([1.0, 0.6, 0.3])
    assert select(errors, power, (0.1, 10.0), 2, seed=0).tolist() == [[0, 0], [2, 2]]


def test_cluster_compromises_between_its_layers() -> None:
    # f(1.2) = 1.182; its mean with 0.5 is 0.841, hence multiplier 1 is admissible for both layers.
    errors, power = np.array([[0, 0.5], [0, 1.2]]), np.array([1.0, 0.5])
    assert select(errors, power, (1.0,), 1, seed=0).tolist() == [[1, 1]]
    # The mean of 0.2 and 2 would exceed 1; with f(2) = 1.693 it is 0.947.
    assert select(np.array([[0, 0.2], [0, 2]]), power, (1.0,), 1, seed=0).tolist() == [[1, 1]]
    # f(5) = 2.609; the mean 1.555 is not.
    assert select(np.array([[0, 0.5], [0, 5]]), power, (1.0,), 1, seed=0).tolist() == [[0, 0]]


def test_most_accurate_serves_where_none_is_admissible() -> None:
    errors, power = np.array([[3.0, 2.0, 4.0]]), np.array([0.3, 0.9, 0.1])
    assert select(errors, power, (1.0,), 1, seed=0).tolist() == [[1]]


def test_multiplier_that_is_nowhere_admissible_is_dropped() -> None:
    # In the first row multiplier 1 would be the more accurate one.
    errors, power = np.array([[5.0, 3.0], [0.5, 3.0]]), np.array([0.5, 0.4])
    assert select(errors, power, (1.0,), 2, seed=0).tolist() == [[0, 0]]
    # Scaling comes first: at scale 4 it is admissible, hence stays and serves the first row too.
    by_point = select(errors, power, (1.0, 4.0), 4, seed=0)
    assert by_point.tolist() == [[1, 0], [1, 1]]


def test_of_equal_power_the_more_accurate_is_taken() -> None:
    errors, power = np.array([[0.4, 0.2, 0.3]]), np.array([0.5, 0.5, 0.5])
    assert select(errors, power, (1.0,), 1, seed=0).tolist() == [[1]]


def test_more_clusters_than_rows_is_no_error() -> None:
    errors, power = np.array([[0.0, 0.5], [0.0, 0.5]]), np.array([1.0, 0.5])
    assert select(errors, power, (1.0,), 8, seed=0).tolist() == [[1, 1]]


def test_activation_takes_the_port_with_the_smaller_error() -> None:
    # Activations are even codes, weights are odd ones: clearing the lowest bit of an
    # activation costs nothing.
    histogram = np.zeros(256)
    histogram[100:200:2] = 1 / 50
    statistics = LayerStatistics(
        field_histograms=np.tile(histogram, (4, 1)),
        weight_histogram=np.roll(histogram, 1),
        reduction=9,
        output_std=1000.0,
    )
    codes = np.arange(256, dtype=np.uint16)
    clear_a, clear_b = np.outer(codes & 0xFE, codes), np.outer(codes, codes & 0xFE)
    luts, either = [clear_a, clear_b, exact_lut()], tuple(ActivationPort)
    found = preferences(luts, [either] * 3, [statistics], [0.5])
    assert found.ports == [ActivationPort.A, ActivationPort.B, ActivationPort.A]
    assert found.relative_errors.tolist() == [[0.0, 0.0, 0.0]]
    assert found.thresholds == [500.0]
    # Where a circuit must not take activations on its better port, it has the greater error.
    worse = [ActivationPort.B, ActivationPort.A, ActivationPort.B]
    limited = preferences(luts, [(port,) for port in worse], [statistics], [0.5])
    assert limited.ports == worse
    errors = limited.relative_errors[0]
    assert errors[0] == errors[1] > 0 == errors[2]
