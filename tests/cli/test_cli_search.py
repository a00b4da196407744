"""``search`` and ``network`` with networks and data of one's own."""

import json
import shutil
import sys
from functools import partial

import pytest

USER_CODE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 3),
    )

def activated():
    return nn.Sequential(nn.Flatten(), nn.Linear(72, 3), nn.Sigmoid())

def endless():
    net = network()
    net[0].weight.data[0, 0, 0, 0] = float("inf")
    return net

def data():
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(96) % 3
    images = torch.randn(96, 2, 6, 6, generator=generator) + labels[:, None, None, None]
    return (images[:64], labels[:64]), (images[64:], labels[64:])

def dead():
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.constant_(net[1].bias, -1e3)
    return net
"""

QUICK = [
    *("--set", "quantised_training.epochs=1", "--set", "noise_search.epochs=1"),
    *("--set", "tuning.epochs=1", "--set", "batch_size=32", "--set", "n_threads=1"),
]


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    """Code of a user in the current directory."""
    (tmp_path / "mine.py").write_text(USER_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


TOTALS = {
    "resnet8": (8, 12_239_488),
    "resnet14": (14, 26_395_264),
    "resnet20": (20, 40_551_040),
    "resnet32": (32, 68_862_592),
    "mobilenetv2": (53, 98_050_048),
    "lenet5": (5, 416_520),
    "digits": (4, 60_544),
}


@pytest.mark.parametrize("name", TOTALS)
def test_network_counts_multiplications(qosnets_hw, name):
    code, printed, _ = qosnets_hw("network", name, "--json")
    result = json.loads(printed)
    layers = result["layers"]
    assert (code, len(layers), result["multiplications"]) == (0, *TOTALS[name])
    assert sum(layer["multiplications"] for layer in layers) == result["multiplications"]
    assert {layer["kind"] for layer in layers} <= {"conv", "depthwise", "linear"}


def test_network_of_ones_own_is_listed(qosnets_hw, user_code):
    code, printed, _ = qosnets_hw("network", "mine:network", "--input-shape", "2,6,6", "--json")
    layers = json.loads(printed)["layers"]
    assert code == 0
    assert [(layer["name"], layer["kind"]) for layer in layers] == [
        ("layer_0", "conv"),
        ("layer_5", "linear"),
    ]
    assert [layer["multiplications"] for layer in layers] == [36 * 4 * 18, 12]


def test_search_on_ones_own_network_and_data(qosnets_hw, user_code):
    options = ["--model", "mine:network", "--data", "mine:data", "--scales", "0.1,1", *QUICK]
    code, printed, _ = qosnets_hw("search", "--out", "found", *options)
    assert code == 0 and "relative power" in printed
    ops = json.loads((user_code / "found" / "ops.json").read_text())
    assert [layer["name"] for layer in ops["layers"]] == ["layer_0", "layer_5"]
    assert [node["op"] for node in ops["graph"]] == ["layer", "avg_pool", "flatten", "layer"]
    recipe = ops["provenance"]["recipe"]
    assert (recipe["model"], recipe["tuning"]["epochs"]) == ("mine:network", 1)
    assert not (user_code / ".searching-found").exists()
    assert qosnets_hw("ops", "validate", user_code / "found" / "ops.json")[0] == 0
    code, _, errors = qosnets_hw("search", "--out", "found", *options)
    assert (code, errors) == (
        2,
        ["qosnets-hw: found: output folder must be empty (--force replaces earlier output)"],
    )
    first = (user_code / "found" / "ops.json").read_bytes()
    assert qosnets_hw("search", "--out", "found", "--force", *options)[0] == 0
    assert (user_code / "found" / "ops.json").read_bytes() == first


def test_merged_multiplier_is_made_beside_the_result(qosnets_hw, user_code, monkeypatch):
    from qosnets_library.merged.search import search_masks
    from qosnets_search import codesign

    monkeypatch.setattr(codesign, "search_masks", partial(search_masks, n_steps=2000))
    monkeypatch.setattr(codesign, "_BOUNDS", (1.0,))
    options = ["--model", "mine:network", "--data", "mine:data", "--scales", "0.1,1", *QUICK]
    options += ["--bank", "merged", "--multipliers", "3", "--set", "merging.n_estimates=10"]
    options += ["--set", "merging.n_mappings=1"]
    code, printed, _ = qosnets_hw("search", "--out", "found", "--explain", *options)
    assert code == 0 and "masked" in printed
    found = user_code / "found"
    ops = json.loads((found / "ops.json").read_text())
    circuits = json.loads((found / "library" / "library.json").read_text())["circuits"]
    assert {item["realisation"]["kind"] for item in ops["multipliers"]} == {"mode"}
    assert {item["realisation"]["circuit"] for item in ops["multipliers"]} == {circuits[0]["name"]}
    assert (found / "library" / f"{circuits[0]['name']}.v").exists()
    manifest = json.loads((found / "manifest.json").read_text())
    assert "library/library.json" in manifest["files"]
    # A search without a circuit of its own removes it.
    assert qosnets_hw("search", "--out", "found", "--force", *options[:-8])[0] == 0
    assert not (found / "library" / "library.json").exists()


def test_constant_activations_and_what_they_mean_are_told(qosnets_hw, user_code, caplog):
    options = ["--model", "mine:dead", "--data", "mine:data", "--scales", "1", *QUICK]
    assert qosnets_hw("search", "--out", "found", *options)[0] == 0
    assert "layer_1: activations are constant, always 0" in caplog.messages
    assert "layer layer_3: tolerates no error, for its output is constant" in caplog.messages


REFUSED = [
    (["--model", "mine:activated", "--data", "mine:data"], "2: Sigmoid cannot be mapped"),
    (["--model", "mine:endless", "--data", "mine:data"], "0.weight: must hold finite numbers"),
    (["--model", "mine:missing", "--data", "mine:data"], "--model: mine:missing: mine has no"),
    (["--model", "resnet9"], "--model: must be one of"),
    (["--data", "cifar10", "--data-dir", "nowhere"], "cifar10: nowhere/data_batch_1.bin"),
    (["--recipe", "nothing"], "recipe: must be a TOML file or one of"),
    (["--recipe", "nothing.toml"], "nothing.toml: "),
    (["--set", "seed=-1"], "recipe digits: seed: must be "),
    (["--scales", "1,x"], "--scales: must be numbers separated by commas, not '1,x'"),
    (["--multipliers", "9"], "recipe digits: n_multipliers: must be "),
    (["--bank", "both"], "recipe digits: bank: must be "),
    (["--bank", "merged", "--multipliers", "1"], "n_multipliers: must be at least 2 with the bank"),
    (
        ["--bank", "merged", "--library", "evolved"],
        "--library: must be absent with the bank merged",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_bad_input_is_refused_before_any_training(qosnets_hw, user_code, options, message):
    code, _, errors = qosnets_hw("search", "--out", "found", *options)
    assert code == 2
    assert message in errors[-1]
    assert not (user_code / "found").exists()
    assert not (user_code / ".searching-found").exists()


def test_interrupted_search_is_resumed(qosnets_hw, user_code, monkeypatch):
    from qosnets_search.training import agn

    options = ["--model", "mine:network", "--data", "mine:data", "--scales", "0.1,1", *QUICK]
    assert qosnets_hw("search", "--out", "whole", *options)[0] == 0

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(agn, "fit", interrupt)
        code, _, errors = qosnets_hw("search", "--out", "found", *options)
    assert (code, errors[-1]) == (130, "qosnets-hw: interrupted")
    assert (user_code / ".searching-found" / "quantised_training.pt").exists()
    code, _, errors = qosnets_hw("search", "--out", "found", *options)
    assert code == 2 and "holds an interrupted run (--resume continues" in errors[-1]
    code, _, errors = qosnets_hw("search", "--out", "found", "--resume", *options, "--seed", 2)
    assert code == 2 and "belongs to another run: recipe.seed was 1, not 2" in errors[-1]
    mine = (user_code / "mine.py").read_text()
    (user_code / "mine.py").write_text(mine.replace("Conv2d(2, 4, 3,", "Conv2d(2, 4, 5,"))
    # Compiled code counts as current if size and second of the source are the same.
    shutil.rmtree(user_code / "__pycache__", ignore_errors=True)
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, "mine")
        code, _, errors = qosnets_hw("search", "--out", "found", "--resume", *options)
    assert code == 2 and "belongs to another run: model was " in errors[-1]
    (user_code / "mine.py").write_text(mine)
    assert qosnets_hw("search", "--out", "found", "--resume", *options)[0] == 0
    for name in ("ops.json", "parameters.safetensors", "vectors.safetensors"):
        assert (user_code / "found" / name).read_bytes() == (
            user_code / "whole" / name
        ).read_bytes()
