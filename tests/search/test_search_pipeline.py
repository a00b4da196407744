"""The search end to end, with a tiny recipe and a synthetic library without an exact multiplier."""

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.lut import ActivationPort
from qosnets.parameters import Parameters
from qosnets_search.datasets.catalogue import load_dataset
from qosnets_search.pipeline import search
from qosnets_search.quantised.code_range import FULL_CODE_RANGE, CodeRange
from qosnets_search.selection.candidates import load_offers
from small_searches import TINY, Circuit, Found, write_library

CIRCUITS = {
    f"drop_{a}_{b}": Circuit(
        f"(a >> {a} << {a}) * (b >> {b} << {b})", relative_power=1 - (a + b) / 10
    )
    for a, b in ((0, 1), (1, 2), (3, 1), (2, 4), (5, 3))
}
"""Products without the a and b lowest bits of their operands: cheaper, the more bits go."""


def global_state() -> tuple[Any, ...]:
    """Return what a search must leave as it was."""
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        repr(np.random.get_state(legacy=False)),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
    )


class WatchedSearch(Found):
    """A finished search, and the global state before and after it."""

    def __init__(self, folder: Path) -> None:
        self.state_before = global_state()
        super().__init__(folder, CIRCUITS)
        self.state_after = global_state()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> WatchedSearch:
    return WatchedSearch(tmp_path_factory.mktemp("search"))


def test_golden_model_agrees_in_every_bit(found: Found) -> None:
    for point in range(2):
        assert found.mismatches(point, found.parameters, found.luts) == []


def test_comparison_notices_one_changed_entry_and_one_changed_bias(found: Found) -> None:
    # The kernel's centre sees every pixel.
    x, w = found.vectors["input"].max(), found.parameters.weights["conv1"].codes[0, 4]
    select = found.ops.operating_points[0].assignment[0]
    port = found.ops.multipliers[select].activation_port
    luts = [lut.copy() for lut in found.luts]
    luts[select][(x, w) if port is ActivationPort.A else (w, x)] += 1
    assert "conv1.acc" in found.mismatches(0, found.parameters, luts)

    key = ("o2", "conv2")
    values = found.parameters.requantisation[key]
    bias = values.bias.copy()
    bias[3] += 1
    changed = dict(found.parameters.requantisation) | {key: replace(values, bias=bias)}
    parameters = Parameters(found.parameters.weights, changed)
    assert "conv2.acc" in found.mismatches(1, parameters, found.luts)
    assert found.mismatches(0, parameters, found.luts) == []


def test_same_recipe_gives_the_same_bytes_in_a_fresh_process(found: Found) -> None:
    code = (
        "import sys; from pathlib import Path; from qosnets.files import sha256\n"
        "from qosnets.library import Library\n"
        "from qosnets_search.pipeline import search\n"
        "from qosnets_search.recipe import Recipe\n"
        f"recipe = Recipe.model_validate({TINY.model_dump(mode='json')!r})\n"
        "files = search(recipe, Library.open(Path(sys.argv[1])), progress=lambda *_: None)\n"
        "print(*(sha256(files[name]) for name in sorted(files)))\n"
    )
    command = [sys.executable, "-c", code, str(found.library.folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.split() == [sha256(found.files[name]) for name in sorted(found.files)]


def test_full_range_of_codes_is_used(found: Found) -> None:
    clamps = [layer.geometry.clamp for layer in found.ops.layers if layer.geometry is not None]
    assert clamps == [(0, 255)] * 4
    assert max(weights.codes.max() for weights in found.parameters.weights.values()) == 255
    assert found.ops.provenance is not None
    assert found.ops.provenance["code_range"] == {"activation_width": 8, "weight_width": 8}


def test_power_names_what_it_was_estimated_with(found: Found) -> None:
    estimates = found.library.data.entries[0].estimates
    assert found.ops.estimates is not None and estimates is not None
    assert found.ops.estimates["power"] == {
        "engine": estimates.engine,
        "liberty": estimates.liberty,
        "liberty_sha256": estimates.liberty_sha256,
        "distribution": estimates.distribution,
    }


def test_search_leaves_the_global_state_as_it_was(found: WatchedSearch) -> None:
    assert found.state_after == found.state_before


def test_points_share_everything_but_their_requantisation(found: Found) -> None:
    assert [point.name for point in found.ops.operating_points] == ["o1", "o2"]
    assert [layer.name for layer in found.ops.layers] == ["conv1", "conv2", "conv3", "classifier"]
    assert 2 <= len(found.ops.multipliers) <= TINY.n_multipliers
    powers = [
        found.library.entry(multiplier.name).estimates.relative_power  # type: ignore[union-attr]
        for multiplier in found.ops.multipliers
    ]
    assert powers == sorted(powers, reverse=True)
    first, second = (found.parameters.requantisation[name, "conv3"].bias for name in ("o1", "o2"))
    assert not np.array_equal(first, second)


def test_estimates_are_what_the_vectors_and_the_library_say(found: Found) -> None:
    estimates = found.ops.estimates
    assert estimates is not None
    labels = load_dataset("digits", folder=None).test_labels.numpy()
    geometries = [layer.geometry for layer in found.ops.layers if layer.geometry is not None]
    counts = np.array([geometry.multiplications for geometry in geometries])
    assert counts.tolist() == [4608, 18432, 36864, 640]
    for point, figures in zip(
        found.ops.operating_points, estimates["operating_points"], strict=True
    ):
        logits = found.vectors[f"{point.name}.classifier.out"]
        assert figures["accuracy"] == (logits.argmax(axis=1) == labels).mean()
        names = [found.ops.multipliers[select].name for select in point.assignment]
        power = [CIRCUITS[name].relative_power for name in names]
        assert figures["relative_power"] == pytest.approx(counts @ power / counts.sum())
    assert min(estimates["float_accuracy"], estimates["baseline_accuracy"]) > 0.8
    for figures in estimates["layers"]:
        assert figures["sigma_threshold"] > 0


def test_network_fits_the_cycle_budget_of_an_8x8_array(found: Found) -> None:
    cycles = 0
    for layer in found.ops.layers:
        geometry = layer.geometry
        assert geometry is not None
        tiles = -(-geometry.reduction // 8) * -(-geometry.outputs_per_group // 8)
        cycles += tiles * max(geometry.positions, 9) + 40
    assert cycles <= 1400


def test_progress_of_every_stage_reaches_its_total(found: Found) -> None:
    last = {stage: (done, total) for stage, done, total in found.progress}
    assert list(last) == [
        "float training",
        "range observation",
        "quantisation-aware training",
        "sensitivity search",
        "evaluation of operating point 1",
        "tuning of operating point 1",
        "evaluation of operating point 2",
        "tuning of operating point 2",
    ]
    assert all(done == total for done, total in last.values())


def test_tables_are_no_candidates_and_a_netlist_is_one_once(tmp_path: Path) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        entries[0] |= {"realisation": "table", "netlist_sha256": None, "estimates": None}
        entries[0]["operand_width"] = [4, 4]
        entries[3]["netlist_sha256"] = entries[1]["netlist_sha256"]

    (offer,) = load_offers(write_library(tmp_path / "library", CIRCUITS, change))
    assert [candidate.entry.name for candidate in offer.candidates] == [
        "drop_1_2",
        "drop_3_1",
        "drop_5_3",
    ]
    # The narrow table limits nothing, for it is not offered.
    widths = [candidate.entry.operand_width for candidate in offer.candidates]
    assert CodeRange.narrowest(widths) == FULL_CODE_RANGE


def test_library_without_estimates_or_netlists_is_refused(tmp_path: Path) -> None:
    library = write_library(
        tmp_path / "a", CIRCUITS, lambda entries: entries[2].update(estimates=None)
    )
    with pytest.raises(InputError, match=r"^library synthetic: drop_3_1\.estimates: is missing$"):
        load_offers(library)
    library = write_library(tmp_path / "b", {})
    message = r"^library synthetic: must have a multiplier with a netlist, has none$"
    with pytest.raises(InputError, match=message):
        search(TINY, library, progress=lambda stage, done, total: None)
