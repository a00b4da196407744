"""Integer export: the integer network is the float network, and no accumulator overflows."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from qosnets.errors import CheckError
from qosnets.golden import requantise
from qosnets.lut import Lut, exact_lut
from qosnets.parameters import LayerWeights
from qosnets_search.datasets.digits import load_split
from qosnets_search.quantised.code_range import FULL_CODE_RANGE
from qosnets_search.quantised.export import check_accumulators, integer_layers, requantisation
from qosnets_search.quantised.integer import IntegerLayer, infer, run_layer
from qosnets_search.quantised.layers import Bias
from qosnets_search.quantised.network import GRAPH, DigitsNetwork
from qosnets_search.training.loop import Batches
from qosnets_search.training.tuning import correct_statistics, tune
from torch import nn

CODES = np.arange(256, dtype=np.uint16)
TRUNCATED: Lut = np.outer(CODES & 0xF0, CODES & 0xFC)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return load_split().train_images[:200]


@pytest.fixture(scope="module")
def network(images: torch.Tensor) -> DigitsNetwork:
    """Return a network with random weights and BatchNorm (negative γ too), ranges observed."""
    generator = torch.Generator().manual_seed(7)
    network = DigitsNetwork(generator, FULL_CODE_RANGE)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
        if isinstance(module, Bias):
            nn.init.normal_(module.bias, generator=generator)
    network.train()
    network.switch_quantisation(observing=True, quantising=False)
    with torch.no_grad():
        network(images)
    network.switch_quantisation(observing=False, quantising=True)
    return network.eval()


def test_every_layer_is_within_one_code_of_the_float_path(
    network: DigitsNetwork, images: torch.Tensor
) -> None:
    codes = network.input_quantiser.affine.to_int(images)
    traces = infer(
        GRAPH, integer_layers(network), dict.fromkeys(network.blocks, exact_lut()), codes
    )
    for name, block in network.named_blocks.items():
        trace = traces[name]
        with torch.no_grad():
            real = block(block.layer.input_quantiser.affine.to_real(trace.x))
        difference = block.output_quantiser.affine.to_int(real).to(torch.int64) - trace.out
        assert difference.abs().max() <= 1
        assert (difference == 0).double().mean() > 0.99
        assert len(np.unique(trace.out)) > 20


def test_relu_is_the_clamp_and_padding_is_the_zero_point(network: DigitsNetwork) -> None:
    geometries = [layer.geometry for layer in integer_layers(network).values()]
    assert [geometry.output_zero_point for geometry in geometries[:3]] == [0, 0, 0]
    assert geometries[0].input_zero_point == network.input_quantiser.affine.zero_point > 0
    assert geometries[3].output_zero_point > 0


def test_requantisation_rounds_the_real_line() -> None:
    random = np.random.default_rng(4)
    n = 200
    gain = random.choice([-1, 1], n) * 10.0 ** random.uniform(-6, -3, n)
    shift = random.normal(0, 3, n)
    folded = random.integers(-(10**5), 10**5, n)
    values = requantisation(gain, shift, folded, output_scale=0.05, output_zero_point=100)
    assert (np.abs(values.mult.astype(int)) >= 1 << 14).all()
    products = random.integers(-(10**5), 10**5, (500, n))
    codes = requantise((products + values.bias).astype(np.int32), values, (0, 255))
    real = np.clip(100 + (gain * (products + folded) + shift) / 0.05, 0, 255)
    # Half a code from rounding, and what the integers bias and mult lose.
    assert np.abs(codes - real).max() < 0.52


def test_mantissa_that_rounds_up_to_a_power_of_two_is_normalised() -> None:
    gain = np.array([1 - 2**-20, -(1 - 2**-20), 1.0, -0.5])
    values = requantisation(gain, np.zeros(4), np.zeros(4, np.int64), 4.0, 0)
    assert values.mult.tolist() == [1 << 14, -(1 << 14), 1 << 14, -(1 << 14)]
    assert values.shift.tolist() == [16, 16, 16, 17]


def test_channel_without_gain_is_its_constant() -> None:
    gain, shift = np.array([0.0, 0.0, 1e-13, -1e-20]), np.array([1.0, 0.0, 2.0, 1e9])
    values = requantisation(gain, shift, np.full(4, 5), output_scale=0.1, output_zero_point=3)
    assert values.mult.tolist() == values.bias.tolist() == [0, 0, 0, 0]
    assert values.shift.tolist() == [1, 1, 1, 1]
    assert values.offset.tolist() == [13, 3, 23, 32767]


def test_gain_that_no_shift_can_express_is_refused() -> None:
    with pytest.raises(CheckError) as error:
        requantisation(np.array([1.0, 2e4]), np.zeros(2), np.zeros(2, np.int64), 1.0, 0)
    assert str(error.value) == (
        "channel 1: codes per accumulator step must be below 2^14, not 20000"
    )


@pytest.mark.parametrize("max_activation", [255, 127])
def test_bound_of_the_accumulator_is_reached_but_never_passed(max_activation: int) -> None:
    network = DigitsNetwork(torch.Generator().manual_seed(0), FULL_CODE_RANGE)
    layer = integer_layers(network)["classifier"]
    # The terms (255 − 100)·x are largest for the largest code, smallest for code 0.
    weights = LayerWeights(np.full((10, 64), 255, np.uint8), np.full(10, 100, np.uint8))
    layer = replace(layer, weights=weights)
    acc = run_layer(layer, exact_lut(), torch.full((1, 64), max_activation)).acc
    room = 2**31 - 1 - int(acc.max() - layer.requantisation.bias.max())

    def with_bias(bias: int) -> IntegerLayer:
        values = replace(layer.requantisation, bias=np.full(10, bias, np.int32))
        return replace(layer, requantisation=values)

    def check(bias: int) -> None:
        layers, tables = {"classifier": with_bias(bias)}, {"classifier": exact_lut()}
        check_accumulators(layers, tables, max_activation=max_activation)

    check(room)
    with pytest.raises(CheckError) as error:
        check(room + 1)
    assert str(error.value) == (
        f"layer classifier: channel 0: accumulator must fit int32, not {room + 1}..{2**31}"
    )


def test_statistics_become_those_under_the_approximate_multiplier(
    network: DigitsNetwork, images: torch.Tensor
) -> None:
    corrected = copy.deepcopy(network)
    for block in corrected.named_blocks.values():
        block.layer.table = torch.from_numpy(TRUNCATED)
    correct_statistics(corrected, images)
    with torch.no_grad():
        x = corrected.input_quantiser(images)
        for name in ("conv1", "conv2", "conv3"):
            block = corrected.named_blocks[name]
            y = block.layer.approximate_product(x, torch.from_numpy(TRUNCATED))
            norm = block.follower.state_dict()
            assert torch.allclose(norm["running_mean"], y.mean((0, 2, 3)), atol=1e-2)
            assert torch.allclose(norm["running_var"], y.var((0, 2, 3)), rtol=1e-2)
            x = block(x)
        before, after = (net.named_blocks["classifier"] for net in (network, corrected))
        features = corrected.features(images)
        exact = before.follower(before.layer(features))
        approximate = after.follower(after.layer(features))
    assert torch.allclose(approximate.mean(0), exact.mean(0), atol=1e-3)
    assert not torch.allclose(approximate, exact, atol=1e-3)


def test_tuning_trains_batchnorm_and_biases_only(
    network: DigitsNetwork, images: torch.Tensor
) -> None:
    labels = load_split().train_labels[: len(images)]
    batches = Batches(images, labels, 50, torch.Generator().manual_seed(0))
    before = copy.deepcopy(network.state_dict())
    tables = dict.fromkeys(network.blocks, TRUNCATED)
    tuned = tune(network, tables, batches, n_epochs=1, lr=0.01, progress=lambda done, total: None)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    changed = {
        name.split(".", 2)[2]
        for name, value in tuned.state_dict().items()
        if not torch.equal(value, before[name])
    }
    closed_form = copy.deepcopy(network)
    for block in closed_form.named_blocks.values():
        block.layer.table = torch.from_numpy(TRUNCATED)
    correct_statistics(closed_form, images)
    for name, block in tuned.named_blocks.items():
        start = closed_form.named_blocks[name].follower
        for trained, parameter in zip(block.follower.parameters(), start.parameters(), strict=True):
            assert not torch.equal(trained, parameter)
    assert changed == {
        "follower.weight",
        "follower.bias",
        "follower.running_mean",
        "follower.running_var",
        "follower.num_batches_tracked",
    }
    for name, layer in integer_layers(tuned).items():
        original = integer_layers(network)[name]
        assert layer.geometry == original.geometry
        assert np.array_equal(layer.weights.codes, original.weights.codes)
        assert not np.array_equal(layer.requantisation.bias, original.requantisation.bias)
