"""Networks: layers, multiplications, tracing, and networks of the user."""

import sys
from pathlib import Path

import pytest
import torch
from qosnets.errors import InputError
from qosnets_search.models.catalogue import MODELS, load_model
from qosnets_search.models.resnet import BasicBlock, resnet
from torch import Tensor, fx, nn

MOBILENETV2_BLOCKS = [
    (0, 1179648, 2097152),
    (6291456, 884736, 2359296),
    (3538944, 1327104, 3538944),
    (3538944, 331776, 1179648),
    (1572864, 442368, 1572864),
    (1572864, 442368, 1572864),
    (1572864, 110592, 786432),
    (1572864, 221184, 1572864),
    (1572864, 221184, 1572864),
    (1572864, 221184, 1572864),
    (1572864, 221184, 2359296),
    (3538944, 331776, 3538944),
    (3538944, 331776, 3538944),
    (3538944, 82944, 1474560),
    (2457600, 138240, 2457600),
    (2457600, 138240, 2457600),
    (2457600, 138240, 4915200),
]
"""Expansion, depthwise convolution and projection of each block, worked out by hand."""

FULL, HALVING = 2359296, 1179648
"""A 16x16 3x3 convolution on 32x32 positions, and one that halves the image, of a ResNet."""


def resnet_layers(n: int) -> dict[str, int]:
    layers = {"conv1": 442368}
    for stage in (1, 2, 3):
        for block in range(n):
            first = HALVING if stage > 1 and block == 0 else FULL
            layers |= {f"layer{stage}.{block}.conv1": first, f"layer{stage}.{block}.conv2": FULL}
    return layers | {"classifier": 640}


def mobilenetv2_layers() -> dict[str, int]:
    layers = {"stem": 3538944}
    for number, counts in enumerate(MOBILENETV2_BLOCKS, 1):
        names = (f"block{number}.{what}" for what in ("expand", "depthwise", "project"))
        layers |= {name: count for name, count in zip(names, counts, strict=True) if count}
    return layers | {"head": 6553600, "classifier": 256000}


VGG16_LAYERS = {
    "conv1_1": 1769472,
    "conv1_2": 37748736,
    "conv2_1": 18874368,
    "conv2_2": 37748736,
    "conv3_1": 18874368,
    "conv3_2": 37748736,
    "conv3_3": 37748736,
    "conv4_1": 18874368,
    "conv4_2": 37748736,
    "conv4_3": 37748736,
    "conv5_1": 9437184,
    "conv5_2": 9437184,
    "conv5_3": 9437184,
    "classifier": 5120,
}

LAYERS = {
    "resnet8": resnet_layers(1),
    "resnet14": resnet_layers(2),
    "resnet20": resnet_layers(3),
    "resnet32": resnet_layers(5),
    "mobilenetv2": mobilenetv2_layers(),
    "vgg16": VGG16_LAYERS,
    "lenet5": {"conv1": 117600, "conv2": 240000, "fc1": 48000, "fc2": 10080, "classifier": 840},
    "digits": {"conv1": 4608, "conv2": 18432, "conv3": 36864, "classifier": 640},
}

# Multiplications of one image, multiplying layers, parameters, channels of all BatchNorms.
TOTALS = {
    "resnet8": (12239488, 8, 75290, 240),
    "resnet14": (26395264, 14, 172506, 464),
    "resnet20": (40551040, 20, 269722, 688),
    "resnet32": (68862592, 32, 464154, 1136),
    "mobilenetv2": (98050048, 53, 2480072, 17056),
    "vgg16": (313201664, 14, 14724042, 4224),
    "lenet5": (416520, 5, 61706, 0),
    "digits": (60544, 4, 4258, 40),
}


def load(name: str) -> nn.Module:
    model = MODELS[name]
    return load_model(name, input_shape=model.input_shape, n_classes=model.n_classes)


def multiplications(network: nn.Module, image: Tensor) -> dict[str, int]:
    """Count what one forward pass of one image multiplies, by layer, in order of execution."""
    counts: dict[str, int] = {}
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):

            def count(
                layer: nn.Conv2d | nn.Linear, _: object, output: Tensor, name: str = name
            ) -> None:
                counts[name] = output[0].numel() * layer.weight[0].numel()

            hooks.append(module.register_forward_hook(count))
    with torch.no_grad():
        network.eval()(image)
    for hook in hooks:
        hook.remove()
    return counts


@pytest.mark.parametrize("name", MODELS)
def test_layers_and_sizes(name: str) -> None:
    network = load(name)
    counts = multiplications(network, torch.zeros(1, *MODELS[name].input_shape))
    assert list(counts.items()) == list(LAYERS[name].items())
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    n_channels = sum(norm.num_features for norm in norms)
    assert (sum(counts.values()), len(counts), n_parameters, n_channels) == TOTALS[name]


@pytest.mark.parametrize("name", MODELS)
def test_trace_computes_the_same(name: str) -> None:
    network = load(name).eval()
    images = torch.randn(2, *MODELS[name].input_shape)
    with torch.no_grad():
        assert torch.equal(fx.symbolic_trace(network)(images), network(images))


@pytest.mark.parametrize("name", MODELS)
def test_classes_and_channels_are_arguments(name: str) -> None:
    _, height, width = MODELS[name].input_shape
    network = load_model(name, input_shape=(2, height, width), n_classes=7)
    assert network.training
    assert network.eval()(torch.zeros(3, 2, height, width)).shape == (3, 7)


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_normal_with_variance_two_by_fan_in(name: str) -> None:
    torch.manual_seed(1)
    scaled = []
    for module in load(name).modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = module.weight[0].numel()
            scaled.append(module.weight.detach().flatten() * (fan_in / 2) ** 0.5)
            assert module.bias is None or not module.bias.any()
    values = torch.cat(scaled)
    tolerance = 5 / len(values) ** 0.5
    assert values.mean().abs() < tolerance
    assert (values.var() - 1).abs() < 2 * tolerance


def test_the_generator_of_torch_decides_the_weights() -> None:
    def weights(seed: int) -> list[float]:
        torch.manual_seed(seed)
        layer = MODELS["digits"].factory().get_submodule("conv1")
        assert isinstance(layer, nn.Conv2d)
        return layer.weight.flatten().tolist()

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_shortcut_appends_zero_channels_to_every_other_pixel() -> None:
    block = BasicBlock(2, 4, stride=2).eval()
    nn.init.zeros_(block.conv2.weight)
    image = torch.rand(1, 2, 4, 4)
    expected = torch.zeros(1, 4, 2, 2)
    expected[:, :2] = image[:, :, ::2, ::2]
    with torch.no_grad():
        assert torch.equal(block(image), expected)


@pytest.mark.parametrize("depth", [2, 7, 9, -4])
def test_depth_is_6n_plus_2(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth must be 8, 14, 20, …, not {depth}$"):
        resnet(depth)


USER_MODULE = """
import torch
from torch import nn

def good():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 5))

def frozen():
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48), nn.Dropout(), nn.Linear(48, 5))
    network[1].eval()
    return network

def wrong_type():
    return 3

def raises():
    raise KeyError("weights.pt")

def with_argument(depth):
    return nn.Identity()

def wrong_shape():
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 4))

def fails_forward():
    return nn.Linear(3, 5)

def pair():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x
    return Pair()

class Networks:
    good = staticmethod(good)

number = 7
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with modules of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "user_networks.py").write_text(USER_MODULE)
    (tmp_path / "user_broken.py").write_text("import absent_library\n")
    (tmp_path / "user_syntax.py").write_text("def (:\n")
    return tmp_path


SHAPE = (3, 4, 4)


@pytest.mark.parametrize("reference", ["user_networks:good", "user_networks:Networks.good"])
def test_network_of_the_user(here: Path, reference: str) -> None:
    network = load_model(reference, input_shape=SHAPE, n_classes=5)
    assert network(torch.zeros(2, *SHAPE)).shape == (2, 5)


def test_the_check_of_shapes_changes_nothing(here: Path) -> None:
    network = load_model("user_networks:frozen", input_shape=SHAPE, n_classes=5)
    assert [module.training for module in network.modules()] == [True, True, False, True, True]
    assert isinstance(norm := network.get_submodule("1"), nn.BatchNorm1d)
    assert norm.num_batches_tracked == 0


NAMES = "resnet8, resnet14, resnet20, resnet32, mobilenetv2, vgg16, lenet5, digits"
LOGITS_RULE = "must give logits of shape (1, 5) for an image of 3x4x4"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("resnet9", f"must be one of {NAMES} or package.module:factory, not 'resnet9'"),
        ("a:b:c", f"must be one of {NAMES} or package.module:factory, not 'a:b:c'"),
        ("", f"must be one of {NAMES} or package.module:factory, not ''"),
        ("no_such:f", "no_such:f: module no_such must be installed or lie in {here}"),
        ("torch.no_such:f", "torch.no_such:f: module torch.no_such must be installed or lie in"),
        ("user_networks:no_such", "user_networks:no_such: user_networks has no 'no_such'"),
        ("user_networks:number", "user_networks:number: must be callable, not int"),
        (
            "user_broken:f",
            "user_broken:f: import of the module failed: ModuleNotFoundError: No module named",
        ),
        ("user_syntax:f", "user_syntax:f: import of the module failed: SyntaxError: "),
        (
            "user_networks:raises",
            "user_networks:raises: factory failed: KeyError: 'weights.pt'",
        ),
        (
            "user_networks:with_argument",
            "user_networks:with_argument: factory failed: TypeError: with_argument() missing 1",
        ),
        (
            "user_networks:wrong_type",
            "user_networks:wrong_type: must return a torch.nn.Module, not int",
        ),
        (
            "user_networks:wrong_shape",
            f"user_networks:wrong_shape: {LOGITS_RULE}, not (1, 4)",
        ),
        (
            "user_networks:pair",
            f"user_networks:pair: {LOGITS_RULE}, not tuple",
        ),
        (
            "user_networks:fails_forward",
            "user_networks:fails_forward: must take images of 3x4x4: RuntimeError: ",
        ),
        ("lenet5", "lenet5: must take images of 3x4x4: RuntimeError: "),
    ],
)
def test_what_is_refused(here: Path, reference: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_model(reference, input_shape=SHAPE, n_classes=5)
    assert str(error.value).startswith("--model: " + message.format(here=here))
    assert "\n" not in str(error.value)
