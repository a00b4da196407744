"""Integer export: the integer network is the float network, and no accumulator overflows."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from odd_networks import ODD_NETWORKS, randomise
from qosnets.errors import CheckError
from qosnets.golden import requantise
from qosnets.lut import Lut, exact_lut
from qosnets.parameters import LayerWeights
from qosnets_search.datasets.catalogue import load_dataset
from qosnets_search.datasets.dataset import ImageDataset
from qosnets_search.kernels.requantise import requantise as requantise_compiled
from qosnets_search.models.catalogue import MODELS
from qosnets_search.quantised.code_range import FULL_CODE_RANGE
from qosnets_search.quantised.export import check_accumulators, integer_network, requantisation
from qosnets_search.quantised.integer import IntegerLayer, requantise_plain, run_layer, traces
from qosnets_search.quantised.network import QuantisedNetwork
from qosnets_search.quantised.trace import trace
from qosnets_search.recipe import Schedule
from qosnets_search.training.loop import Batches
from qosnets_search.training.tuning import correct_statistics, retrain, tune
from torch import nn

CODES = np.arange(256, dtype=np.uint16)
TRUNCATED: Lut = np.outer(CODES & 0xF0, CODES & 0xFC)
ONE_EPOCH = Schedule(epochs=1, lr=0.01)


@pytest.fixture(scope="module")
def dataset() -> ImageDataset:
    digits = load_dataset("digits", folder=None)
    return replace(
        digits, train_images=digits.train_images[:200], train_labels=digits.train_labels[:200]
    )


@pytest.fixture(scope="module")
def images(dataset: ImageDataset) -> torch.Tensor:
    return dataset.normalise(dataset.train_images)


def quantised(module: nn.Module, images: torch.Tensor) -> QuantisedNetwork:
    """Return a network with random weights and BatchNorm (negative γ too), ranges observed."""
    shape = tuple(images.shape[1:])
    network = QuantisedNetwork(trace(randomise(module, 7), shape), FULL_CODE_RANGE)
    network.train()
    network.switch_quantisation(observing=True, quantising=False)
    with torch.no_grad():
        network(images)
    network.switch_quantisation(observing=False, quantising=True)
    return network.eval()


@pytest.fixture(scope="module")
def network(images: torch.Tensor) -> QuantisedNetwork:
    return quantised(MODELS["digits"].factory(n_classes=10, in_channels=1), images)


def batches_of(dataset: ImageDataset, batch_size: int) -> Batches:
    generator = torch.Generator().manual_seed(0)
    return Batches(dataset, batch_size, generator, torch.device("cpu"))


def with_tables(network: QuantisedNetwork) -> QuantisedNetwork:
    network = copy.deepcopy(network)
    network.attach(dict.fromkeys(network.named_blocks, torch.from_numpy(TRUNCATED)))
    return network


def test_every_layer_is_within_one_code_of_the_float_path(
    network: QuantisedNetwork, images: torch.Tensor
) -> None:
    codes = network.input_quantiser.affine.to_int(images)
    integer = integer_network(network)
    found = traces(integer, dict.fromkeys(integer.layers, exact_lut()), codes)
    for name, block in network.named_blocks.items():
        layer = found[name]
        with torch.no_grad():
            real = block(block.layer.input_quantiser.affine.to_real(layer.x))
        difference = block.output_quantiser.affine.to_int(real).to(torch.int64) - layer.out
        assert difference.abs().max() <= 1
        assert (difference == 0).double().mean() > 0.99
        assert len(np.unique(layer.out)) > 20


def test_relu_is_the_clamp_and_padding_is_the_zero_point(network: QuantisedNetwork) -> None:
    geometries = [layer.geometry for layer in integer_network(network).layers.values()]
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
def test_bound_of_the_accumulator_is_reached_but_never_passed(
    network: QuantisedNetwork, max_activation: int
) -> None:
    layer = integer_network(network).layers["classifier"]
    # The terms (255 − 100)·x are largest for the largest code, smallest for code 0.
    weights = LayerWeights(np.full((10, 64), 255, np.uint8), np.full(10, 100, np.uint8))
    layer = replace(layer, weights=weights)
    acc = run_layer(layer, exact_lut(), torch.full((1, 64), max_activation, dtype=torch.uint8)).acc
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
    network: QuantisedNetwork, dataset: ImageDataset, images: torch.Tensor
) -> None:
    corrected = with_tables(network)
    correct_statistics(corrected, batches_of(dataset, len(images)))
    table = torch.from_numpy(TRUNCATED)
    with torch.no_grad():
        x = corrected.input_quantiser(images)
        for name in ("conv1", "conv2", "conv3"):
            block = corrected.named_blocks[name]
            y = block.layer.approximate_product(x, table)
            assert block.norm is not None
            norm = block.norm.state_dict()
            assert torch.allclose(norm["running_mean"], y.mean((0, 2, 3)), atol=1e-2)
            assert torch.allclose(norm["running_var"], y.var((0, 2, 3)), rtol=1e-2)
            assert block.norm.momentum == 0.1
            x = block(x)
        features = torch.nn.functional.max_pool2d(x, 2).flatten(1)
        before, after = (net.named_blocks["classifier"] for net in (network, corrected))
        exact = before.biased(before.layer(features))
        approximate = after.biased(after.layer(features))
    assert torch.allclose(approximate.mean(0), exact.mean(0), atol=1e-3)
    assert not torch.allclose(approximate, exact, atol=1e-3)


def test_biases_without_batch_norm_take_off_the_mean_error(dataset: ImageDataset) -> None:
    odd = ODD_NETWORKS["branches"]
    images = torch.rand(64, *odd.input_shape, generator=torch.Generator().manual_seed(1))
    labels = torch.zeros(64, dtype=torch.int64)
    data = ImageDataset("made", images, labels, images, labels, 5, (0.0,) * 3, (1.0,) * 3, None, {})
    network = quantised(odd.factory(), images)
    corrected = with_tables(network)
    correct_statistics(corrected, batches_of(data, 64))
    shifts = []
    for name in ("left", "right"):
        before, after = (net.named_blocks[name] for net in (network, corrected))
        x = network.input_quantiser(images)
        with torch.no_grad():
            wanted = before.biased(before.layer.product(x)).mean((0, 2, 3))
            found = after.biased(after.layer(x)).mean((0, 2, 3))
            shifts.append((after.bias - before.bias).abs().max())  # type: ignore[operator]
        assert torch.allclose(found, wanted, atol=1e-4)
    assert max(shifts) > 1e-2


def changed_parameters(before: QuantisedNetwork, after: QuantisedNetwork) -> set[str]:
    """Return the last parts of the names of all values that differ."""
    old = before.state_dict()
    return {
        ".".join(name.split(".")[2:])
        for name, value in after.state_dict().items()
        if not torch.equal(value, old[name])
    }


STATISTICS = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}


def test_tuning_trains_batch_norm_and_biases_only(
    network: QuantisedNetwork, dataset: ImageDataset
) -> None:
    before = copy.deepcopy(network)
    tables = dict.fromkeys(network.named_blocks, TRUNCATED)
    batches = batches_of(dataset, 50)
    tuned = tune(network, tables, batches, ONE_EPOCH, progress=lambda done, total: None)
    assert changed_parameters(before, network) == set()
    assert changed_parameters(network, tuned) == {"norm.weight", "norm.bias", "bias"} | STATISTICS
    closed_form = with_tables(network)
    correct_statistics(closed_form, batches_of(dataset, 50))
    for name, block in tuned.named_blocks.items():
        start = closed_form.named_blocks[name].point_parameters
        for trained, parameter in zip(block.point_parameters, start, strict=True):
            assert not torch.equal(trained, parameter)
    originals = integer_network(network).layers
    for name, layer in integer_network(tuned).layers.items():
        assert layer.geometry == originals[name].geometry
        assert np.array_equal(layer.weights.codes, originals[name].weights.codes)
        assert not np.array_equal(layer.requantisation.bias, originals[name].requantisation.bias)


def test_retraining_trains_everything_but_the_ranges(
    network: QuantisedNetwork, dataset: ImageDataset
) -> None:
    tables = dict.fromkeys(network.named_blocks, TRUNCATED)
    trained = retrain(
        network, tables, batches_of(dataset, 50), ONE_EPOCH, progress=lambda done, total: None
    )
    changed = changed_parameters(network, trained)
    assert changed == {"layer.weight", "norm.weight", "norm.bias", "bias"} | STATISTICS
    assert not trained.training


@pytest.mark.parametrize(
    ("channels", "groups", "positions"),
    [(6, 1, (3, 5)), (6, 2, (1, 1)), (4, 4, (7, 1)), (3, 1, ())],
)
def test_requantisation_in_one_pass_is_the_plain_one(
    channels: int, groups: int, positions: tuple[int, ...]
) -> None:
    random = np.random.default_rng(3)
    sums = random.integers(-(2**31), 2**31, (5, channels, *positions), np.int32)
    side = random.integers(0, 2**20, (5, groups, *positions), np.int32)
    constants = np.stack(
        [
            random.integers(0, 256, channels),
            random.integers(-(2**31), 2**31, channels),
            random.integers(-(2**15), 2**15, channels),
            random.integers(1, 48, channels),
            random.integers(-(2**15), 2**15, channels),
        ]
    )
    acc, codes = requantise_plain(
        torch.from_numpy(sums), torch.from_numpy(side), constants, (3, 250)
    )
    in_place = sums.reshape(5, channels, -1).copy()
    out = requantise_compiled(in_place, side.reshape(5, groups, -1), constants, (3, 250))
    assert np.array_equal(in_place, acc.numpy().reshape(in_place.shape))
    assert np.array_equal(out, codes.numpy().reshape(out.shape))
    assert out.min() == 3 and out.max() == 250
