"""Products through tables, exact gradients, and Gaussian noise."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from qosnets import golden
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import Lut, exact_lut
from qosnets_search.kernels import KernelPath
from qosnets_search.quantised.approximate import (
    ApproximateProduct,
    accumulate,
    explain_layer,
    window_sums,
)
from qosnets_search.quantised.layers import MultiplyingLayer
from qosnets_search.quantised.noise import GaussianNoise
from qosnets_search.quantised.quantise import ActivationQuantiser, Affine
from qosnets_search.training.agn import noise_reward

Codes: TypeAlias = npt.NDArray[np.uint8]

RANDOM = np.random.default_rng(1)
TABLE: Lut = RANDOM.integers(0, 1 << 16, (256, 256), dtype=np.uint16)

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=3,
    out_channels=4,
    kernel=(3, 2),
    stride=(2, 1),
    padding=(1, 0, 2, 1),
    dilation=(1, 1),
    groups=1,
    input_size=(5, 6),
    input_zero_point=77,
    output_zero_point=0,
    clamp=(0, 255),
)


LINEAR = replace(
    CONV,
    kind=LayerKind.LINEAR,
    in_channels=30,
    out_channels=7,
    kernel=(1, 1),
    stride=(1, 1),
    padding=(0, 0, 0, 0),
    input_size=(1, 1),
)
GEOMETRIES = {
    "conv": CONV,
    "dilated": replace(CONV, dilation=(2, 1), padding=(2, 0, 1, 3)),
    "grouped": replace(CONV, in_channels=6, groups=2),
    "depthwise": replace(CONV, in_channels=4, groups=4),
    "linear": LINEAR,
}


def codes_for(geometry: Geometry) -> tuple[Codes, Codes]:
    """Return random inputs of two images, and weights ``[O, K]``."""
    size = geometry.input_size if geometry.kind is LayerKind.CONV else ()
    x = RANDOM.integers(0, 256, (2, geometry.in_channels, *size), dtype=np.uint8)
    w = RANDOM.integers(0, 256, (geometry.out_channels, geometry.reduction), dtype=np.uint8)
    return x, w


def shaped(w: Codes, geometry: Geometry) -> torch.Tensor:
    """Return weights ``[O, K]`` as the layer has them."""
    codes = torch.from_numpy(w)
    if geometry.kind is LayerKind.LINEAR:
        return codes
    return codes.reshape(
        geometry.out_channels, geometry.in_channels // geometry.groups, *geometry.kernel
    )


@pytest.mark.parametrize("name", GEOMETRIES)
def test_sums_are_those_of_the_golden_model(name: str) -> None:
    geometry = GEOMETRIES[name]
    x, w = codes_for(geometry)
    fields = golden.im2col(x, geometry)  # group, row, k
    per_group = w.reshape(geometry.groups, -1, geometry.reduction)
    pairs = list(zip(fields, per_group, strict=True))
    products = np.stack([golden.lut_matmul(rows, weights, TABLE) for rows, weights in pairs])
    sums = accumulate(torch.from_numpy(x), shaped(w, geometry), torch.from_numpy(TABLE), geometry)
    assert np.array_equal(sums, golden.from_columns(products, geometry))
    side = window_sums(torch.from_numpy(x), geometry)
    wanted = fields.sum(axis=2, dtype=np.int64)[:, :, None]
    one_channel = replace(geometry, out_channels=geometry.groups)
    assert np.array_equal(side, golden.from_columns(wanted, one_channel))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_way_of_a_layer_is_explained(name: str) -> None:
    candidates = explain_layer(GEOMETRIES[name], torch.from_numpy(TABLE), 4)
    assert {candidate.path for candidate in candidates} == set(KernelPath)
    rates = [candidate.gproducts_per_s for candidate in candidates]
    rated = [rate for rate in rates if rate is not None]
    assert rated == sorted(rated, reverse=True) and rated
    assert all(candidate.reason for candidate in candidates)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients_are_those_of_the_exact_product(name: str) -> None:
    geometry = GEOMETRIES[name]
    codes, w = codes_for(geometry)
    activation = Affine(torch.tensor(0.02), torch.tensor(geometry.input_zero_point), 255)
    weight_affine = Affine(torch.tensor(0.01), torch.tensor(120), 255)
    table = torch.from_numpy(TABLE)
    product = ApproximateProduct(geometry, table, activation, weight_affine)
    x = activation.to_real(torch.from_numpy(codes)).requires_grad_()
    weight = weight_affine.to_real(shaped(w, geometry)).requires_grad_()
    y = product(x, weight)
    assert torch.equal(y, product.of_codes(torch.from_numpy(codes), shaped(w, geometry)))
    if geometry.kind is LayerKind.LINEAR:
        exact = torch.nn.functional.linear(x, weight)
    else:
        top, left, bottom, right = geometry.padding
        exact = torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, (left, right, top, bottom)),
            weight,
            stride=geometry.stride,
            dilation=geometry.dilation,
            groups=geometry.groups,
        )
    slopes = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
    for wanted, found in zip(
        torch.autograd.grad((exact * slopes).sum(), (x, weight)),
        torch.autograd.grad((y * slopes).sum(), (x, weight)),
        strict=True,
    ):
        assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)
    exact_table = torch.from_numpy(exact_lut())
    through_exact = ApproximateProduct(geometry, exact_table, activation, weight_affine)
    assert torch.allclose(through_exact(x, weight), exact, rtol=1e-4, atol=1e-4)


def test_a_layer_keeps_one_byte_per_operand_for_its_gradients() -> None:
    layer, x = quantised_layer(LayerKind.CONV)
    layer.table = torch.from_numpy(TABLE)
    kept: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x.requires_grad_())
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    # Codes of inputs and weights, and which weights are in range.
    assert n_bytes == x.numel() + 2 * layer.weight.numel()


def quantised_layer(kind: LayerKind) -> tuple[MultiplyingLayer, torch.Tensor]:
    """Return a layer and an input for it, both quantised, the input with a zero point inside."""
    generator = torch.Generator().manual_seed(3)
    quantiser = ActivationQuantiser(255)
    quantiser.observing = quantiser.quantising = True
    if kind is LayerKind.CONV:
        square = {"in_channels": 3, "out_channels": 5, "kernel": (3, 3), "stride": (2, 2)}
        geometry = replace(CONV, **square, padding=(1,) * 4, input_size=(6, 6))
        weight = torch.randn(5, 3, 3, 3, generator=generator)
        x = torch.randn(4, 3, 6, 6, generator=generator)
    else:
        geometry = replace(LINEAR, in_channels=20, out_channels=5)
        weight = torch.randn(5, 20, generator=generator)
        x = torch.randn(4, 20, generator=generator)
    layer = MultiplyingLayer(quantiser, weight, geometry, max_weight=255)
    layer.quantising = True
    return layer, quantiser(x)


@pytest.mark.parametrize("kind", LayerKind)
def test_exact_table_gives_the_exact_product(kind: LayerKind) -> None:
    layer, x = quantised_layer(kind)
    approximate = layer.approximate_product(x, torch.from_numpy(exact_lut()))
    assert torch.allclose(approximate, layer.product(x), atol=1e-4)
    assert not torch.allclose(
        layer.approximate_product(x, torch.from_numpy(TABLE)), approximate, atol=1e-1
    )


@pytest.mark.parametrize("kind", LayerKind)
def test_table_changes_the_result_but_not_the_gradient(kind: LayerKind) -> None:
    layer, x = quantised_layer(kind)
    gradients = []
    for table in (None, torch.from_numpy(TABLE)):
        layer.table = table
        inputs = x.clone().requires_grad_()
        y = layer(inputs)
        weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
        gradients.append(torch.autograd.grad((y * weights).sum(), [inputs, layer.weight]))
    assert torch.allclose(y, layer.approximate_product(x, torch.from_numpy(TABLE)), rtol=1e-5)
    for exact, approximate in zip(*gradients, strict=True):
        assert torch.equal(exact, approximate)


def test_noise_has_the_stated_strength_and_only_in_training() -> None:
    generator = torch.Generator().manual_seed(5)
    y = 3 + 7 * torch.randn(20, 50, 10, 10, generator=generator)
    noise = GaussianNoise(-0.2, generator)
    difference = noise(y) - y
    assert difference.std().item() == pytest.approx(0.2 * 7, rel=0.02)
    assert difference.mean().item() == pytest.approx(0, abs=0.02)
    assert torch.equal(noise.eval()(y), y)


def test_gradient_flows_through_the_spread_of_the_output() -> None:
    noise = GaussianNoise(0.3, torch.Generator())

    def with_fixed_draw(y: torch.Tensor) -> torch.Tensor:
        noise.generator.manual_seed(0)
        result: torch.Tensor = noise(y)
        return result

    y = torch.linspace(-1, 2, 12, dtype=torch.float64).square().requires_grad_()
    assert torch.autograd.gradcheck(with_fixed_draw, (y,))


def test_reward_pulls_each_layer_by_its_share_until_it_saturates() -> None:
    sigmas = [torch.tensor(value, requires_grad=True) for value in (0.1, -0.2, 0.6)]
    noise_weight = 0.3
    loss = -noise_weight * noise_reward(sigmas, [100, 300, 600], sigma_max=0.5)
    gradients = [gradient.item() for gradient in torch.autograd.grad(loss, sigmas)]
    assert gradients == pytest.approx([-0.3 * 0.1, 0.3 * 0.3, 0.0])
