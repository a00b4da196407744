"""Quantisers: codes, fake quantisation, gradients and observers."""

import pytest
import torch
from qosnets_search.quantised.quantise import ActivationQuantiser, Affine


def affine(low: float, high: float, max_code: int = 255) -> Affine:
    return Affine.from_range(torch.tensor(low), torch.tensor(high), max_code)


@pytest.mark.parametrize("max_code", [255, 127, 1])
@pytest.mark.parametrize(("low", "high"), [(-1.3, 2.1), (0.2, 3.0), (-5.0, -1.0), (0.0, 0.0)])
def test_fake_quantisation_is_that_of_torch_and_of_the_codes(
    low: float, high: float, max_code: int
) -> None:
    x = torch.empty(10_000).uniform_(-4, 4, generator=torch.Generator().manual_seed(0))
    quantisation = affine(low, high, max_code)
    result = quantisation.fake_quantise(x)
    expected = torch.fake_quantize_per_tensor_affine(
        x, float(quantisation.scale), int(quantisation.zero_point), 0, max_code
    )
    assert torch.allclose(result, expected, atol=1e-6)
    codes = quantisation.to_int(x)
    assert torch.equal(result, quantisation.to_real(codes))
    assert codes.max() == max_code


@pytest.mark.parametrize("max_code", [255, 63])
def test_range_is_widened_to_zero_which_is_a_code(max_code: int) -> None:
    for low, high in ((0.2, 3.0), (-5.0, -1.0), (-1.3, 2.1)):
        quantisation = affine(low, high, max_code)
        assert quantisation.to_int(torch.zeros(1)) == quantisation.zero_point
        assert quantisation.fake_quantise(torch.zeros(1)) == 0
        assert 0 <= quantisation.zero_point <= max_code
    assert affine(0.2, 3.0, max_code).zero_point == 0
    assert affine(-5.0, -1.0, max_code).zero_point == max_code


@pytest.mark.parametrize("max_code", [255, 3])
def test_gradient_passes_within_the_range_only(max_code: int) -> None:
    x = torch.tensor([-2.0, -0.9, 0.0, 1.9, 3.0], requires_grad=True)
    quantised = affine(-1.0, 2.0, max_code).fake_quantise(x)
    (quantised * torch.arange(1, 6)).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 3, 4, 0]


def test_observer_averages_minima_and_maxima_of_training_batches() -> None:
    quantiser = ActivationQuantiser(255, averaging=0.25)
    quantiser.observing = True
    for batch in ([-1.0, 3.0], [-5.0, 1.0]):
        assert quantiser(torch.tensor(batch)).tolist() == batch
    assert quantiser.low == -1.0 * 0.75 - 5.0 * 0.25
    assert quantiser.high == 3.0 * 0.75 + 1.0 * 0.25
    quantiser.eval()
    quantiser(torch.tensor([-100.0, 100.0]))
    assert quantiser.low == -2.0
