"""Gradient estimators: factors of gradient tables, and the backward pass that uses them."""

from dataclasses import replace
from itertools import product as pairs
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import Lut, exact_lut
from qosnets_library.default import default_library
from qosnets_search.quantised.approximate import ApproximateProduct
from qosnets_search.quantised.gradients import (
    TOLERANCE,
    GradientEstimator,
    gradient_factors,
    gradient_table,
    straight_through,
)
from qosnets_search.quantised.quantise import Affine
from torch import Tensor

Float: TypeAlias = npt.NDArray[np.float64]

RANDOM = np.random.default_rng(7)
CODES = np.arange(256)
ESTIMATORS = list(GradientEstimator)

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=2,
    out_channels=4,
    kernel=(2, 3),
    stride=(2, 1),
    padding=(1, 0, 2, 1),
    dilation=(1, 1),
    groups=1,
    input_size=(4, 5),
    input_zero_point=77,
    output_zero_point=0,
    clamp=(0, 255),
)
GEOMETRIES = {
    "conv": CONV,
    "dilated": replace(CONV, dilation=(2, 1), padding=(2, 0, 1, 3)),
    "grouped": replace(CONV, in_channels=4, groups=2),
    "depthwise": replace(CONV, in_channels=4, groups=4),
    "linear": replace(
        CONV,
        kind=LayerKind.LINEAR,
        in_channels=6,
        kernel=(1, 1),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        input_size=(1, 1),
    ),
}


def coarse(name: str = "mul8u_mse645000") -> Lut:
    """Return a table that is far from exact, and not symmetric."""
    lut = default_library().lut(name)
    assert not np.array_equal(lut, lut.T)
    return lut


def slope(x: int, w: int, table: Lut) -> float:
    """Return the smoothed difference of M(·, w) at x, by the definition."""
    column, half = [int(value) for value in table[:, w]], len(table) // 8
    if not half + 1 <= x <= len(column) - half - 2:
        return (max(column) - min(column)) / len(column)

    def smoothed(at: int) -> float:
        window = column[max(at - half, 0) : at + half + 1]
        return sum(window) / len(window)

    return (smoothed(x + 1) - smoothed(x - 1)) / 2


def test_difference_is_that_of_the_smoothed_table() -> None:
    table = coarse()
    found = gradient_table(table, GradientEstimator.DIFFERENCE)
    for x, w in pairs((0, 5, 32, 33, 34, 100, 221, 222, 223, 255), (0, 1, 77, 255)):
        assert found[x, w] == pytest.approx(slope(x, w, table), rel=1e-12)


def test_regression_is_the_slope_of_the_fitted_line() -> None:
    table = coarse()
    found = gradient_table(table, GradientEstimator.REGRESSION)
    for w in (0, 3, 128, 255):
        assert found[:, w] == pytest.approx(np.polyfit(CODES, table[:, w], 1)[0], rel=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_of_the_exact_product_are_the_other_operand(
    estimator: GradientEstimator,
) -> None:
    table = gradient_table(exact_lut(), estimator)
    ends = np.zeros(256, bool)
    if estimator is GradientEstimator.DIFFERENCE:
        ends[:33] = ends[223:] = True
        assert np.array_equal(table[ends], np.tile(CODES * 255 / 256, (66, 1)))
    assert np.array_equal(table[~ends], np.tile(CODES, ((~ends).sum(), 1)))
    factors = gradient_factors(exact_lut(), estimator)
    if estimator is not GradientEstimator.DIFFERENCE:
        assert torch.equal(factors.activation.table, straight_through().activation.table)
        assert torch.equal(factors.weight.table, straight_through().weight.table)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", ["mul8u_mse17", "mul8u_mse33600", "mul8u_mse29300000"])
def test_factors_make_the_gradient_tables(name: str, estimator: GradientEstimator) -> None:
    table = default_library().lut(name)
    factors = gradient_factors(table, estimator)
    for found, wanted in (
        (factors.activation, gradient_table(table, estimator)),
        (factors.weight, gradient_table(table.T, estimator)),
    ):
        error = np.linalg.norm(found.table.numpy() - wanted)
        assert error <= 1.001 * TOLERANCE * np.linalg.norm(wanted)
        assert len(found.own) <= 8
        if estimator is not GradientEstimator.DIFFERENCE:
            assert len(found.own) == 0
        elif len(found.own):
            fewer = found.base + found.own[:-1].T @ found.other[:-1]
            assert np.linalg.norm(fewer.numpy() - wanted) > TOLERANCE * np.linalg.norm(wanted)


def test_factors_are_kept_by_content_and_follow_the_codes_that_occur() -> None:
    estimator = GradientEstimator.REGRESSION
    factors = gradient_factors(coarse(), estimator)
    assert gradient_factors(coarse().copy(), estimator) is factors
    # A circuit that reads 7 bits repeats itself above them.
    narrow = np.tile(exact_lut()[:128, :128], (2, 2))
    found = gradient_factors(narrow, estimator, max_activation=127, max_weight=127)
    for operand in (found.activation, found.weight):
        assert torch.equal(operand.base[:128], torch.arange(128.0))
    misled = gradient_factors(narrow, estimator)
    assert not torch.allclose(misled.activation.base[:128], torch.arange(128.0), rtol=0.1)


def operands(geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Return random codes of two images and of the weights."""
    x_size: tuple[int, ...] = (2, geometry.in_channels)
    w_size: tuple[int, ...] = (geometry.out_channels, geometry.in_channels // geometry.groups)
    if geometry.kind is LayerKind.CONV:
        x_size, w_size = x_size + geometry.input_size, w_size + geometry.kernel
    x, w = (RANDOM.integers(0, 256, size, dtype=np.uint8) for size in (x_size, w_size))
    return torch.from_numpy(x), torch.from_numpy(w)


def direct_gradients(
    gradient: Float, codes: Tensor, weights: Tensor, product: ApproximateProduct
) -> tuple[Float, Float]:
    """Return the gradients product by product, from the tables that the factors make."""
    geometry = product.geometry
    by_x = product.factors.activation.table.numpy().astype(np.float64)
    by_w = product.factors.weight.table.numpy().astype(np.float64)  # rows are weights
    z_x, z_w = geometry.input_zero_point, int(product.weight.zero_point)
    s_x, s_w = float(product.activation.scale), float(product.weight.scale)
    x, w = codes.numpy(), weights.numpy()
    if geometry.kind is LayerKind.LINEAR:
        x, w, gradient = (item[..., None, None] for item in (x, w, gradient))
    grad_x, grad_w = np.zeros(x.shape), np.zeros(w.shape)
    group_channels = geometry.in_channels // geometry.groups
    for image, o, row, column in np.ndindex(gradient.shape):
        slope_of_y = gradient[image, o, row, column]
        for channel, i, j in np.ndindex(*w.shape[1:]):
            source = o // geometry.outputs_per_group * group_channels + channel
            y = row * geometry.stride[0] + i * geometry.dilation[0] - geometry.padding[0]
            at = column * geometry.stride[1] + j * geometry.dilation[1] - geometry.padding[1]
            inside = 0 <= y < x.shape[2] and 0 <= at < x.shape[3]
            code = int(x[image, source, y, at]) if inside else z_x
            weight = int(w[o, channel, i, j])
            if inside:
                grad_x[image, source, y, at] += slope_of_y * s_w * (by_x[code, weight] - z_w)
            grad_w[o, channel, i, j] += slope_of_y * s_x * (by_w[weight, code] - z_x)
    return grad_x.reshape(codes.shape), grad_w.reshape(weights.shape)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_layers_have_the_gradients_of_the_tables(name: str, estimator: GradientEstimator) -> None:
    geometry, lut = GEOMETRIES[name], coarse()
    codes, weights = operands(geometry)
    product = ApproximateProduct(
        geometry,
        torch.from_numpy(lut),
        Affine(torch.tensor(0.02), torch.tensor(geometry.input_zero_point), 255),
        Affine(torch.tensor(0.01), torch.tensor(120), 255),
        gradient_factors(lut, estimator),
    )
    x = product.activation.to_real(codes).requires_grad_()
    w = product.weight.to_real(weights).requires_grad_()
    y = product(x, w)
    gradient = torch.from_numpy(RANDOM.normal(size=y.shape).astype(np.float32))
    found = torch.autograd.grad(y, (x, w), gradient)
    wanted = direct_gradients(gradient.numpy().astype(np.float64), codes, weights, product)
    for one, other in zip(found, wanted, strict=True):
        assert np.allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())
        assert np.abs(other).max() > 0


@pytest.mark.parametrize("wanted", ["x", "w"])
def test_only_wanted_gradients_are_made(wanted: str) -> None:
    codes, weights = operands(CONV)
    affine = Affine(torch.tensor(0.02), torch.tensor(CONV.input_zero_point), 255)
    factors = gradient_factors(coarse(), GradientEstimator.DIFFERENCE)
    product = ApproximateProduct(CONV, torch.from_numpy(coarse()), affine, affine, factors)
    real = {"x": affine.to_real(codes), "w": affine.to_real(weights)}
    real[wanted].requires_grad_()
    product(real["x"], real["w"]).sum().backward()
    assert {name for name, tensor in real.items() if tensor.grad is not None} == {wanted}


def test_regression_sees_the_scale_of_a_table() -> None:
    # With x of 7 bits, twice the product fits the table.
    table = (2 * exact_lut().astype(np.int64) % 65536).astype(np.uint16)
    factors = gradient_factors(table, GradientEstimator.REGRESSION, max_activation=127)
    assert torch.equal(factors.activation.base, 2 * torch.arange(256.0))
    assert torch.equal(factors.weight.base[:128], 2 * torch.arange(128.0))
