"""Tracing: the quantised network computes what the module does, and refuses what it cannot."""

import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from odd_networks import ODD_NETWORKS, Odd, randomise
from qosnets import golden
from qosnets.errors import InputError
from qosnets.graph import LayerNode
from qosnets.lut import Lut
from qosnets.ops import Layer, Ops
from qosnets_search.models.catalogue import MODELS
from qosnets_search.quantised.code_range import FULL_CODE_RANGE
from qosnets_search.quantised.export import check_accumulators, integer_network
from qosnets_search.quantised.integer import IntegerNetwork, logits, traces
from qosnets_search.quantised.network import QuantisedNetwork
from qosnets_search.quantised.trace import trace
from torch import Tensor, nn

CODES = np.arange(256, dtype=np.uint16)
TRUNCATED: Lut = np.outer(CODES & 0xF8, CODES & 0xFC) + 3
"""Not commutative, and not 0 for operands that are."""


def images_for(odd: Odd, n_images: int = 16) -> Tensor:
    return torch.randn(n_images, *odd.input_shape, generator=torch.Generator().manual_seed(1))


def quantised(odd: Odd, images: Tensor) -> QuantisedNetwork:
    """Return a network whose ranges are those of ``images``, quantising."""
    module = randomise(odd.factory(), seed=3)
    network = QuantisedNetwork(trace(module, odd.input_shape), FULL_CODE_RANGE)
    for block in network.named_blocks.values():
        if block.norm is not None:
            block.norm.momentum = 0.0  # statistics stay
    network.train()
    network.switch_quantisation(observing=True, quantising=False)
    with torch.no_grad():
        network(images)
    network.switch_quantisation(observing=False, quantising=True)
    return network.eval()


odd_networks = pytest.mark.parametrize("odd", ODD_NETWORKS.values(), ids=ODD_NETWORKS)


@odd_networks
def test_unquantised_network_is_the_module(odd: Odd) -> None:
    module = randomise(odd.factory(), seed=3).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = QuantisedNetwork(trace(module, odd.input_shape), FULL_CODE_RANGE).eval()
    images = images_for(odd)
    with torch.no_grad():
        assert torch.allclose(network(images), module(images), atol=1e-4, rtol=1e-4)
    assert tuple(network.named_blocks) == odd.layers
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


NETWORKS = {
    **ODD_NETWORKS,
    **{
        name: Odd(
            partial(model.factory, n_classes=10, in_channels=model.input_shape[0]),
            model.input_shape,
            (),
        )
        for name, model in MODELS.items()
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_integer_network_is_the_golden_model_in_every_bit(name: str) -> None:
    odd = NETWORKS[name]
    images = images_for(odd, 8)
    network = quantised(odd, images)
    integer = integer_network(network)
    codes = network.input_quantiser.affine.to_int(images)[: 1 if name in MODELS else 8]
    tables = dict.fromkeys(integer.layers, TRUNCATED)
    ours = traces(integer, tables, codes)
    tensors = {"input": codes.numpy()}
    for node in integer.graph:
        if isinstance(node, LayerNode):
            layer = integer.layers[node.layer]
            x = tensors[node.inputs[0]]
            wanted = golden.run_layer(
                x, layer.geometry, layer.weights, layer.requantisation, TRUNCATED
            )
            assert np.array_equal(ours[node.layer].acc.numpy(), wanted.acc)
            assert np.array_equal(ours[node.layer].out.numpy(), wanted.out)
            tensors[node.output] = wanted.out
        else:
            tensors[node.output] = golden.run_node(node, tensors)
    assert np.array_equal(logits(integer, tables, codes).numpy(), tensors[node.output])


@odd_networks
def test_integer_network_follows_the_fake_quantised_one(odd: Odd) -> None:
    images = images_for(odd, 64)
    network = quantised(odd, images)
    integer = integer_network(network)
    codes = network.input_quantiser.affine.to_int(images)
    exact = {name: np.outer(CODES, CODES) for name in integer.layers}
    found = logits(integer, exact, codes).to(torch.int64)
    with torch.no_grad():
        wanted = network.quantiser(network.steps[-1].output).affine.to_int(network(images))
    difference = (found - wanted).abs()
    # One code of rounding in each of several layers.
    assert difference.max() <= 6 and difference.double().mean() < 1
    assert len(found.unique()) > 50


@odd_networks
def test_graph_is_valid_in_ops_json(odd: Odd) -> None:
    integer = integer_network(quantised(odd, images_for(odd)))
    layers = [Layer(name=name, **vars(layer.geometry)) for name, layer in integer.layers.items()]
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": [{"name": "m", "lut_sha256": "0" * 64, "activation_port": "A"}],
        "layers": [layer.model_dump(mode="json") for layer in layers],
        "operating_points": [{"name": "o1", "assignment": [0] * len(layers)}],
        "graph": [node.model_dump(mode="json") for node in integer.graph],
    }
    Ops.model_validate_json(json.dumps(content))
    tables = dict.fromkeys(integer.layers, TRUNCATED)
    check_accumulators(integer.layers, tables, max_activation=255)


def test_relu6_is_a_clamp_of_code_six() -> None:
    odd = ODD_NETWORKS["layers"]
    network = quantised(odd, images_for(odd))
    network.named_blocks["depthwise"].output_quantiser.high.fill_(12.75)
    assert integer_network(network).layers["depthwise"].geometry.clamp == (0, 120)


def test_concatenated_tensors_share_a_scale_that_covers_all() -> None:
    odd = ODD_NETWORKS["branches"]
    images = images_for(odd)
    network = quantised(odd, images)
    joined = network.named_blocks["after.0"].layer.input_quantiser
    assert joined is network.input_quantiser
    assert joined is network.named_blocks["left"].output_quantiser
    assert joined.low.amin() <= images.min() and joined.high.amax() >= images.max()
    assert len(joined.low) == 4


class Refused(nn.Module):
    """A convolution, and then something."""

    def __init__(self, then: Callable[[nn.Module, Tensor], object], **parts: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.then = then
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, images: Tensor) -> object:
        return self.then(self, self.conv(images))


REFUSED: dict[str, tuple[Callable[[nn.Module, Tensor], object], dict[str, nn.Module], str]] = {
    "unknown module": (lambda m, x: m.act(x), {"act": nn.GELU()}, "act: GELU cannot be mapped"),
    "unknown function": (lambda m, x: x.sigmoid(), {}, "sigmoid: Tensor.sigmoid cannot be mapped"),
    "transposed": (
        lambda m, x: m.up(x),
        {"up": nn.ConvTranspose2d(4, 4, 2)},
        "up: ConvTranspose2d cannot be mapped",
    ),
    "softmax": (
        lambda m, x: F.log_softmax(x.flatten(1), dim=1),
        {},
        "log_softmax: log_softmax cannot be mapped; return the logits, the loss does it",
    ),
    "product": (lambda m, x: x * x, {}, "mul: mul of a tensor cannot be mapped"),
    "constant": (lambda m, x: x + 1.0, {}, "add: adding a constant cannot be mapped"),
    "scaled sum": (
        lambda m, x: torch.add(x, x, alpha=2),
        {},
        "add: alpha must be 1, not 2",
    ),
    "broadcast": (
        lambda m, x: x + F.adaptive_avg_pool2d(x, 1),
        {},
        "add: tensors of one shape can be added only, not [2, 4, 8, 8] and [2, 4, 1, 1]",
    ),
    "shared layer": (
        lambda m, x: m.again(m.again(x)),
        {"again": nn.Conv2d(4, 4, 1)},
        "again: a layer must be used once; its constants belong to one place",
    ),
    "lonely norm": (
        lambda m, x: m.norm(F.relu(x)),
        {"norm": nn.BatchNorm2d(4)},
        "norm: BatchNorm must directly follow a Conv2d or Linear that nothing else reads",
    ),
    "norm without statistics": (
        lambda m, x: m.norm(x),
        {"norm": nn.BatchNorm2d(4, track_running_stats=False)},
        "norm: BatchNorm must track running statistics",
    ),
    "reflection": (
        lambda m, x: m.next(x),
        {"next": nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")},
        "next: padding_mode must be 'zeros', not 'reflect'",
    ),
    "ceil mode": (
        lambda m, x: F.max_pool2d(x, 3, 2, ceil_mode=True),
        {},
        "max_pool2d: ceil_mode must be False, not True",
    ),
    "excluded padding": (
        lambda m, x: m.pool(x),
        {"pool": nn.AvgPool2d(3, 1, 1, count_include_pad=False)},
        "pool: count_include_pad must be True, not False",
    ),
    "uneven adaptive": (
        lambda m, x: F.adaptive_avg_pool2d(x, 3),
        {},
        "adaptive_avg_pool2d: output size must divide 8x8, not 3x3",
    ),
    "slice of channels": (lambda m, x: x[:, 1:], {}, "getitem: slices must be x[:, :, ::s, ::t]"),
    "uneven zero channels": (
        lambda m, x: F.pad(x, (0, 0, 0, 0, 2, 2)),
        {},
        "pad: zero channels before and after must be multiples of the 4 channels, not 2 and 2",
    ),
    "padding read by a pool": (
        lambda m, x: F.max_pool2d(F.pad(x, (1, 1)), 2),
        {},
        "pad: padding by itself must be read by convolutions only",
    ),
    "partial flattening": (
        lambda m, x: x.flatten(2),
        {},
        (
            "flatten: only all dimensions but the first can be made one,"
            " not [2, 4, 8, 8] into [2, 4, 64]"
        ),
    ),
    "images as result": (
        lambda m, x: x,
        {},
        "must return logits [image, class], not a tensor [2, 4, 8, 8]",
    ),
    "two results": (lambda m, x: (x, x), {}, "must return one tensor of logits"),
    "linear on images": (
        lambda m, x: m.fc(x),
        {"fc": nn.Linear(8, 3)},
        "fc: Linear must read [image, feature], not [2, 4, 8, 8]",
    ),
    "parameter as operand": (
        lambda m, x: x + m.conv.bias[:, None, None],
        {},
        "conv_bias: conv.bias: a tensor as operand cannot be mapped",
    ),
    "control flow": (
        lambda m, x: x if x.sum() > 0 else -x,
        {},
        (
            "cannot be traced by torch.fx: symbolically traced variables cannot be used as inputs"
            " to control flow"
        ),
    ),
}


@pytest.mark.parametrize(("then", "parts", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_mapped_is_refused_with_its_place(
    then: Callable[[nn.Module, Tensor], object], parts: dict[str, nn.Module], message: str
) -> None:
    with pytest.raises(InputError) as error:
        trace(Refused(then, **parts), (3, 8, 8))
    # What torch says of control flow goes on.
    assert str(error.value).startswith(f"model: {message}")


def test_images_that_do_not_fit_and_broken_weights_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(InputError, match=r"^model: does not take images of 1x8x8: "):
        trace(module, (1, 8, 8))
    nn.init.constant_(module[0].weight, float("nan"))
    with pytest.raises(InputError, match=r"^model: 0\.weight: must hold finite numbers"):
        trace(module, (3, 3, 3))
    with pytest.raises(InputError, match=r"^model: must have a Conv2d or Linear layer, has none"):
        trace(nn.Flatten(), (3, 3, 3))


def test_integer_networks_differ_if_one_constant_does() -> None:
    odd = ODD_NETWORKS["branches"]
    images = images_for(odd)
    network = quantised(odd, images)
    integer = integer_network(network)
    tables = dict.fromkeys(integer.layers, TRUNCATED)
    codes = network.input_quantiser.affine.to_int(images)
    changed = [
        node.model_copy(update={"mult": [value + 2000 for value in node.mult]})
        if node.op == "add"
        else node
        for node in integer.graph
    ]
    other = IntegerNetwork(changed, integer.layers)
    assert not torch.equal(logits(integer, tables, codes), logits(other, tables, codes))
