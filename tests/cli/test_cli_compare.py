"""``compare`` with a network and data of one's own."""

import json
import math

import pytest
from qosnets.files import canonical_json
from qosnets_library.default import default_library
from qosnets_library.liberty import GENERIC, load_liberty

USER_CODE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 3),
    )

def data():
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(96) % 3
    images = torch.randn(96, 2, 6, 6, generator=generator) + labels[:, None, None, None]
    return (images[:64], labels[:64]), (images[64:], labels[64:])
"""
RECIPE = {
    "quantised_training.epochs": 1,
    "noise_search.epochs": 1,
    "tuning.epochs": 1,
    "retraining.epochs": 1,
    "scales": [0.1, 1.0],
    "batch_size": 32,
    "n_threads": 1,
}
OPTIONS = [
    *("--model", "mine:network", "--data", "mine:data", "--evaluations", 3, "--images", 30),
    *(item for field, value in RECIPE.items() for item in ("--set", f"{field}={value}")),
]
METHODS = "alwann,pnam,qosnets-kmeans"


@pytest.fixture
def user_code(tmp_path, monkeypatch):
    """Code of a user in the current directory."""
    (tmp_path / "mine.py").write_text(USER_CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)
    return tmp_path


@pytest.fixture
def compare(qosnets_hw, user_code):
    """Run ``compare`` into the folder ``found``."""

    def run(*options):
        return qosnets_hw("compare", "--out", "found", *OPTIONS, *options)

    return run


def files(folder):
    """Return the content of the files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def document(folder):
    """Return compare.json without its durations."""
    found = json.loads((folder / "compare.json").read_text())
    for run in found["runs"]:
        for method in run["methods"]:
            assert method.pop("seconds") > 0
    return found


def test_comparison(compare, user_code):
    code, printed, errors = compare("--methods", METHODS, "--seeds", 3)
    assert code == 0, errors
    folder = user_code / "found"
    names = {"compare.json", "table.md", "accuracy_power.svg", "errors.svg"}
    assert set(files(folder)) == {*names, "strips_qosnets-kmeans.svg", "manifest.json"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["schema"] == "qosnets-compare/1"
    assert set(manifest["files"]) == set(files(folder)) - {"manifest.json"}
    for title in ("Power and accuracy of all methods", "Optimality gap of k-means"):
        assert title in printed and f"## {title}" in (folder / "table.md").read_text()
    check_document(document(folder))
    code, _, errors = compare("--methods", METHODS, "--seeds", 3)
    assert (code, errors) == (
        2,
        ["qosnets-hw: found: holds a comparison (--resume continues, --force forgets it)"],
    )
    code, _, errors = compare("--resume", "--seeds", 3, "--set", "tuning.epochs=2")
    assert code == 2
    assert "belongs to another run: recipe.tuning.epochs was 1, not 2" in errors[-1]


@pytest.mark.long
def test_comparison_is_extended(compare, user_code, qosnets_hw):
    folder, whole = user_code / "found", user_code / "whole"
    options = ("--methods", METHODS, "--seeds", 3)
    assert compare(*options)[0] == 0
    first = files(folder)
    assert compare(*options, "--resume")[0] == 0
    assert files(folder) == first  # durations, too: all stages come from their checkpoints

    methods = "homogeneous,qosnets-kmeans"
    options = ("--methods", methods, "--seeds", "3,0")
    code, printed, _ = compare(*options, "--resume", "--json")
    assert code == 0
    summary = json.loads(printed)
    assert summary["seeds"] == [3, 0]
    assert {series["method"] for series in summary["series"]} == set(methods.split(","))
    assert document(folder)["summary"] == summary
    assert qosnets_hw("compare", "--out", whole, *OPTIONS, *options)[0] == 0
    assert document(folder) == document(whole)
    assert files(folder)["table.md"] == files(whole)["table.md"]


def check_document(found):
    """Compare what a comparison says of itself with what it was given, and its power exactly."""
    assert found["schema"] == "qosnets-compare/1"
    assert found["recipe"]["tuning"]["epochs"] == 1
    assert found["effort"] == {"n_evaluations": 3, "n_images": 30, "limits": [0.005, 0.01, 0.02]}
    cells = load_liberty(GENERIC)
    assert found["liberty"] == {"name": cells.name, "sha256": cells.sha256}
    entries = default_library().entries
    assert found["library"]["lut_sha256"] == {n: e.lut_sha256 for n, e in entries.items()}
    assert found["versions"]["torch"]
    (run,) = found["runs"]
    assert run["seed"] == 3
    counts = [layer["multiplications"] for layer in run["layers"]]
    powers = found["library"]["relative_power"]
    for method in run["methods"]:
        for outcome in method["outcomes"]:
            if not any("+" in name for name in outcome["circuits"]):
                weighted = (c * powers[n] for c, n in zip(counts, outcome["circuits"], strict=True))
                expected = math.fsum(weighted) / sum(counts)
                assert outcome["relative_power"] == pytest.approx(expected, rel=1e-12)


def test_interrupted_comparison_says_how_to_go_on(compare, user_code, monkeypatch):
    from qosnets_search.compare import contest

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    options = ("--methods", METHODS, "--seeds", 1)
    with monkeypatch.context() as patched:
        patched.setattr(contest, "adapt", interrupt)
        code, printed, errors = compare(*options)
    assert (code, printed) == (130, "")
    assert errors[-2:] == [
        "found: --resume with the same options continues",
        "qosnets-hw: interrupted",
    ]
    kept = user_code / "found" / "checkpoints" / "seed1"
    assert (kept / "method_alwann.pt").exists()
    assert not list(kept.glob("method_qosnets*"))
    assert compare(*options, "--resume")[0] == 0
    assert (user_code / "found" / "compare.json").exists()


@pytest.fixture
def fake_runs(monkeypatch):
    """Let comparisons find nothing, and leave a checkpoint; returns the arguments of the last."""
    from qosnets_search.compare import runner

    calls = {}

    def compare(*arguments, **options):
        calls.update(arguments=arguments, **options)
        kept = options["run"].checkpoints / "seed1"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "run.json").write_bytes(canonical_json({}))
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "compare", compare)
    return calls


def test_defaults(compare, fake_runs):
    assert compare()[0] == 130
    recipe, library, liberty, methods, seeds = fake_runs["arguments"]
    assert (recipe.model, library.name, seeds) == ("mine:network", "evolved", [1, 2, 3])
    assert liberty == load_liberty(GENERIC)
    assert {entry.estimates.liberty_sha256 for entry in library.entries.values()} == {
        liberty.sha256
    }
    rivals = ["homogeneous", "gradient-search", "alwann", "lvrm", "pnam", "tpm"]
    assert methods == [*rivals, "qosnets-kmeans", f"qosnets-{recipe.selector.value}"]
    assert fake_runs["effort"].limits == (0.005, 0.01, 0.02)
    assert compare("--resume", "--set", "selector='kmeans'", "--limits", "0,100")[0] == 130
    assert fake_runs["arguments"][3] == [*rivals, "qosnets-kmeans"]
    assert fake_runs["effort"].limits == (0, 1)
    assert fake_runs["run"].resume is True


def test_force_forgets_checkpoints_and_nothing_else(compare, fake_runs, user_code):
    kept = user_code / "found" / "checkpoints"
    (kept / "seed9").mkdir(parents=True)
    (kept / "seed9" / "run.json").write_text("{}")
    (kept / "epoch7.pt").write_text("somebody else's")
    (user_code / "found" / "notes.txt").write_text("somebody else's")
    assert compare("--force")[0] == 130
    assert sorted(path.name for path in kept.iterdir()) == ["epoch7.pt", "seed1"]
    assert (user_code / "found" / "notes.txt").exists()
    (kept / "seed1" / "stage.pt").write_text("kept")
    assert compare("--force", "--resume")[0] == 130
    assert (kept / "seed1" / "stage.pt").exists()


@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_folder_of_something_else_is_refused(compare, fake_runs, user_code, options):
    (user_code / "found").mkdir()
    (user_code / "found" / "notes.txt").write_text("somebody else's")
    code, _, errors = compare(*options)
    message = "found: output folder must be empty (--force replaces earlier output)"
    assert (code, errors) == (2, [f"qosnets-hw: {message}"])


def test_only_the_first_of_several_processes_speaks(compare, user_code, monkeypatch):
    from qosnets_search.compare import runner

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(runner, "compare", lambda *_, **__: [])
    code, printed, _ = compare()
    assert (code, printed) == (0, "")
    assert not (user_code / "found").exists()


SEEDS = "--seeds: must be different whole numbers 0..2147483647, separated by commas, not "
LIMITS = "--limits: must be percentage points 0..100, rising, not "
REFUSED = [
    (["--methods", "alwan"], "--methods: must be of homogeneous, "),
    (["--methods", ""], "--methods: must be of homogeneous, "),
    (["--seeds", "1,1"], f"{SEEDS}'1,1'"),
    (["--seeds", "-1"], f"{SEEDS}'-1'"),
    (["--seeds", "2147483648"], f"{SEEDS}'2147483648'"),
    (["--seeds", "one"], f"{SEEDS}'one'"),
    (["--limits", "2,1"], f"{LIMITS}'2,1'"),
    (["--limits", "1,1"], f"{LIMITS}'1,1'"),
    (["--limits", "nan"], f"{LIMITS}'nan'"),
    (["--limits", "1,nan"], f"{LIMITS}'1,nan'"),
    (["--limits", "-1"], f"{LIMITS}'-1'"),
    (["--limits", "101"], f"{LIMITS}'101'"),
    (["--limits", "1,x"], "--limits: must be numbers separated by commas, not '1,x'"),
    (["--evaluations", "0"], "'--evaluations'"),
    (["--images", "0"], "'--images'"),
    (["--set", "n_multipliers=9"], "n_multipliers: must be "),
    (["--set", "bank=merged"], "recipe: bank: must be mux in a comparison, not merged"),
    (["--liberty", "nowhere.lib"], "nowhere.lib: cannot be read"),
    (
        ["--library", "nowhere"],
        "--library: must be one of evolved, families, merged, not 'nowhere'",
    ),
    (["--data", "cifar10", "--data-dir", "nowhere"], "cifar10: nowhere/data_batch_1.bin"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_bad_input_is_refused_before_any_training(compare, user_code, options, message):
    code, printed, errors = compare(*options)
    assert (code, printed) == (2, "")
    assert message in errors[-1]
    assert not (user_code / "found").exists()
