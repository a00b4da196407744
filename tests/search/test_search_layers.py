"""Products through tables, exact gradients, and Gaussian noise."""

import numpy as np
import pytest
import torch
from qosnets import golden
from qosnets.geometry import Geometry, LayerKind
from qosnets.lut import Lut, exact_lut
from qosnets_search.agn import noise_reward
from qosnets_search.layers import MultiplyingLayer
from qosnets_search.lut_ops import from_columns, lut_matmul, lut_matmul_fast, receptive_fields
from qosnets_search.noise import GaussianNoise
from qosnets_search.quantise import ActivationQuantiser

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


def test_fields_and_products_are_those_of_the_golden_model() -> None:
    x = RANDOM.integers(0, 256, (2, 3, 5, 6), dtype=np.uint8)
    w = RANDOM.integers(0, 256, (4, CONV.reduction), dtype=np.uint8)
    fields = receptive_fields(torch.from_numpy(x), CONV)
    assert np.array_equal(fields, golden.im2col(x, CONV)[0])
    codes = torch.from_numpy(w.astype(np.int64))
    products = lut_matmul(fields, codes, TABLE)
    expected = golden.lut_matmul(golden.im2col(x, CONV)[0], w, TABLE)
    assert np.array_equal(products, expected)
    assert torch.equal(lut_matmul_fast(fields, codes, TABLE), products.to(torch.float64))
    assert not torch.equal(lut_matmul(fields, codes, np.ascontiguousarray(TABLE.T)), products)
    shaped = from_columns(products, CONV)
    assert np.array_equal(shaped, golden.from_columns(expected[None], CONV))


def quantised_layer(kind: LayerKind) -> tuple[MultiplyingLayer, torch.Tensor]:
    """Return a layer and an input for it, both quantised, the input with a zero point inside."""
    generator = torch.Generator().manual_seed(3)
    quantiser = ActivationQuantiser(255)
    quantiser.observing = quantiser.quantising = True
    if kind is LayerKind.CONV:
        layer = MultiplyingLayer(
            quantiser,
            3,
            5,
            kernel=3,
            stride=2,
            padding=1,
            input_size=6,
            max_weight=255,
            generator=generator,
        )
        x = torch.randn(4, 3, 6, 6, generator=generator)
    else:
        layer = MultiplyingLayer(quantiser, 20, 5, max_weight=255, generator=generator)
        x = torch.randn(4, 20, generator=generator)
    layer.quantising = True
    return layer, quantiser(x)


@pytest.mark.parametrize("kind", LayerKind)
def test_exact_table_gives_the_exact_product(kind: LayerKind) -> None:
    layer, x = quantised_layer(kind)
    approximate = layer.approximate_product(x, exact_lut())
    assert torch.allclose(approximate, layer.product(x), atol=1e-4)
    assert not torch.allclose(layer.approximate_product(x, TABLE), approximate, atol=1e-1)


@pytest.mark.parametrize("kind", LayerKind)
def test_table_changes_the_result_but_not_the_gradient(kind: LayerKind) -> None:
    layer, x = quantised_layer(kind)
    gradients = []
    for table in (None, TABLE):
        layer.table = table
        inputs = x.clone().requires_grad_()
        y = layer(inputs)
        weights = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
        gradients.append(torch.autograd.grad((y * weights).sum(), [inputs, layer.weight]))
    assert torch.allclose(y, layer.approximate_product(x, TABLE), rtol=1e-5)
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
