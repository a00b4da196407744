"""Modes of merged multipliers as candidates, and a merged multiplier made for a network."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import Library, Realisation
from qosnets.lut import ActivationPort
from qosnets.ops import ModeRealisation, OpsFile
from qosnets_library.default import merged_library
from qosnets_library.merged.layers import modes_of_layers
from qosnets_library.merged.search import search_masks
from qosnets_search import codesign, preparation
from qosnets_search.pipeline import Run, search
from qosnets_search.recipe import Bank
from qosnets_search.selection.candidates import load_offers
from qosnets_search.selection.error_model import ErrorModel, LayerStatistics, error_std
from qosnets_search.selection.layer_demands import layer_demands, operands_of_network, tightest
from qosnets_search.selection.problem import SelectionProblem
from qosnets_search.selection.selectors import Selector, least_power
from small_searches import TINY, Finished

MERGED = TINY.model_copy(
    update={
        "bank": Bank.MERGED,
        "merging": TINY.merging.model_copy(update={"n_estimates": 20, "n_mappings": 2}),
    }
)
THRESHOLDS = [900.0, 0.0, 4000.0]
COUNTS = [10, 30, 20]


def statistics(n_codes: int, n_groups: int = 1) -> LayerStatistics:
    random = np.random.default_rng(n_codes)
    fields, weights = (
        random.integers(0, n_codes, (n_groups, n, 9), dtype=np.uint8) for n in (40, 6)
    )
    return LayerStatistics(fields, weights, 1.0)


LAYERS = {"first": statistics(255), "rigid": statistics(100), "last": statistics(30, n_groups=3)}


def _quicken(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(codesign, "search_masks", partial(search_masks, n_steps=5000))
    patched.setattr(codesign, "_BOUNDS", (1.0, 2.0))


@pytest.fixture
def quick_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    _quicken(monkeypatch)


@pytest.mark.parametrize("model", ErrorModel)
def test_modes_keep_the_thresholds_of_the_layers_by_the_error_model(model: ErrorModel) -> None:
    scales = [0.5, 1.0]
    demands = layer_demands(LAYERS, THRESHOLDS, COUNTS, scales, model)
    assert [demand.operands.name for demand in demands] == ["first"] * 2 + ["last"] * 2
    assert [demand.weight for demand in demands] == [10, 10, 20, 20]
    found = modes_of_layers(demands, 3)
    masks = search_masks(found.goal, seed=1, n_steps=20_000)[0]
    thresholds = [t * scale for t in (900.0, 4000.0) for scale in scales]
    names = [demand.operands.name for demand in demands]
    used = 0.0
    for name, threshold, mode in zip(names, thresholds, found.mode_of, strict=True):
        (error,) = error_std(LAYERS[name], [masks.lut(mode)], model)
        assert error <= threshold
        used = max(used, error / threshold)
    # Bounds of another model would be kept, too, if they were tighter, but not used.
    assert used > 0.9


def test_one_demand_per_layer_is_the_tightest() -> None:
    demands = layer_demands(LAYERS, THRESHOLDS, COUNTS, [0.5, 1.0], ErrorModel.GLOBAL)
    first, last = tightest(demands[::-1])[::-1]
    assert (first.max_error, last.max_error) == (450.0**2 / 9, 2000.0**2 / 9)
    assert (first.weight, last.weight) == (20, 40)
    assert first.moments is demands[0].moments


def test_operands_of_a_network_count_by_multiplications() -> None:
    operands = operands_of_network(LAYERS, [1, 0, 0])
    codes = LAYERS["first"].fields
    assert operands.a == pytest.approx(np.bincount(codes.ravel(), minlength=256) / codes.size)
    mixed = operands_of_network(LAYERS, [1, 0, 3])
    assert sum(mixed.b) == pytest.approx(4)
    assert mixed.b[255] == 0 and sum(mixed.b[:30]) > 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished search with a circuit of its own, read back through the contract."""
    folder = tmp_path_factory.mktemp("codesign")
    with pytest.MonkeyPatch.context() as patched:
        _quicken(patched)
        run = Run(checkpoints=folder / "stages")
        return Finished(folder, MERGED, None, run=run)


def test_circuit_lies_beside_ops_json_and_is_that_of_the_realisations(found: Finished) -> None:
    library, ops = found.library, found.ops
    (circuit,) = library.circuits.values()
    assert (library.name, circuit.n_modes) == ("codesign", 3)
    assert 2 <= len(ops.multipliers) <= 3
    indices = []
    for item in ops.multipliers:
        entry = library.entry(item.name)
        assert entry.realisation is Realisation.MODE and entry.mode is not None
        assert item.realisation == ModeRealisation(
            kind="mode", circuit=entry.mode.circuit, index=entry.mode.index
        )
        assert (item.library, item.activation_port) == ("codesign", ActivationPort.A)
        assert (item.lut_sha256, item.netlist_sha256) == (
            entry.lut_sha256,
            circuit.netlist_sha256,
        )
        indices.append(entry.mode.index)
    assert indices == sorted(indices)
    assert np.array_equal(library.lut(f"{circuit.name}_mode0"), np.outer(*[np.arange(256)] * 2))
    assert ops.provenance is not None and ops.provenance["library"] == "codesign"


def test_golden_model_agrees_in_every_bit(found: Finished) -> None:
    for point in range(2):
        assert found.mismatches(point, found.parameters, found.luts) == []
    changed = [lut ^ np.uint16(1) for lut in found.luts]
    assert found.mismatches(0, found.parameters, changed) != []


def test_making_the_circuit_is_a_stage(found: Finished) -> None:
    stages = list(dict.fromkeys(stage for stage, _, _ in found.progress))
    assert stages[3:5] == ["sensitivity search", "merged multiplier"]
    last = {stage: (done, total) for stage, done, total in found.progress}
    assert all(done == total for done, total in last.values())


def test_resumed_run_gives_the_same_bytes(found: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(codesign, "search_masks", refuse)
    run = Run(checkpoints=found.folder / "stages", resume=True)
    assert search(MERGED, None, run=run, progress=lambda *_: None) == found.files


@pytest.mark.usefixtures("quick_masks")
def test_same_seed_gives_the_same_circuit(found: Finished, tmp_path: Path) -> None:
    stages = found.folder / "stages"
    copy = tmp_path / "stages"
    copy.mkdir()
    for path in stages.iterdir():
        if "merged" not in path.name:
            (copy / path.name).write_bytes(path.read_bytes())
    files = search(MERGED, None, run=Run(checkpoints=copy, resume=True), progress=lambda *_: None)
    assert files == found.files


def test_run_for_other_cells_is_not_continued(
    found: Finished, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity = json.loads((found.folder / "stages" / "run.json").read_text())
    identity["candidates"]["liberty"] = sha256(b"others")
    (tmp_path / "run.json").write_text(json.dumps(identity))
    run = Run(checkpoints=tmp_path, resume=True)
    with pytest.raises(InputError, match=r"another run: candidates\.liberty was "):
        search(MERGED, None, run=run, progress=lambda *_: None)


def test_network_that_tolerates_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "layer_thresholds", lambda *_: [0.0] * 4)
    with pytest.raises(InputError, match=r"^merged multiplier: must have a layer that tolerates"):
        search(MERGED, None, progress=lambda *_: None)


def test_modes_of_each_circuit_are_an_offer_and_the_best_one_is_taken() -> None:
    library = merged_library()
    offers = load_offers(library)
    assert len(offers) == len(library.circuits)
    for offer, circuit in zip(offers, library.circuits.values(), strict=True):
        assert offer.are_modes and not offer.files
        assert len(offer.candidates) == circuit.n_modes
        for candidate in offer.candidates:
            assert candidate.entry.mode is not None
            assert candidate.entry.mode.circuit == circuit.name
            assert "S[" not in candidate.netlist
            assert np.array_equal(candidate.lut, library.lut(candidate.entry.name))


def _problem(powers: list[float]) -> SelectionProblem:
    return SelectionProblem(
        relative_errors=np.array([[0.0, 0.5, 3.0]] * 2),
        relative_power=np.array(powers),
        multiplications=np.array([1, 1]),
        tolerances=np.array([0.1, 0.1]),
        scales=(1.0,),
        n_multipliers=3,
        seed=1,
    )


@pytest.mark.parametrize("selector", [Selector.THRESHOLD_OPTIMUM, Selector.KMEANS])
def test_offer_of_least_power_is_the_best(selector: Selector) -> None:
    problems = [_problem([1.0, 0.7, 0.1]), _problem([0.9, 0.6, 0.5]), _problem([0.9, 0.6, 0.5])]
    assert least_power(problems, selector) == 1


def test_netlists_and_modes_in_one_library_are_refused(tmp_path: Path) -> None:
    merged = merged_library()
    data = json.loads((merged.folder / "library.json").read_text())
    circuit = data["circuits"][0]["name"]
    (tmp_path / f"{circuit}.v").write_text(merged.circuit_netlist(circuit))
    data["circuits"] = data["circuits"][:1]
    data["entries"] = [e for e in data["entries"] if e["mode"]["circuit"] == circuit]
    name = data["entries"][0]["name"]
    netlist = merged.netlist_of_mode(merged.entry(name).mode)  # type: ignore[arg-type]
    alone = data["entries"][0] | {"name": "alone", "realisation": "netlist", "mode": None}
    data["entries"].append(alone | {"netlist_sha256": sha256(netlist.encode())})
    (tmp_path / "alone.v").write_text(netlist)
    (tmp_path / "library.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"or modes of merged ones to choose from, has both$"):
        load_offers(Library.open(tmp_path))


def test_modes_of_a_library_are_exported_as_such(tmp_path: Path) -> None:
    files = search(TINY, merged_library(), progress=lambda *_: None)
    assert set(files) == {"ops.json", "parameters.safetensors", "vectors.safetensors"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    ops = OpsFile.load(tmp_path / "ops.json").ops
    realisations = [item.realisation for item in ops.multipliers]
    assert all(isinstance(item, ModeRealisation) for item in realisations)
    assert len({item.circuit for item in realisations if isinstance(item, ModeRealisation)}) == 1
    assert len({item.activation_port for item in ops.multipliers}) == 1
    assert {item.library for item in ops.multipliers} == {"merged"}
