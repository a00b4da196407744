"""Modes of merged multipliers as entries of a library: figures, files, verification, recipe."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import LIBRARY_FILE, Library, Realisation
from qosnets.netlist import netlist_lut
from qosnets_library import characterise
from qosnets_library.default import MERGED_FOLDER, merged_library, reference_netlist
from qosnets_library.liberty import generic
from qosnets_library.members import MergedMember, library_files, write_library
from qosnets_library.merge import RECIPE_FILE, merge_library, merged_costs
from qosnets_library.merged.climb import Effort
from qosnets_library.merged.evaluate import mapped_cost
from qosnets_library.merged.goal import ErrorCriterion, mse_goal
from qosnets_library.merged.mapper import CellMapper
from qosnets_library.merged.masks import MergedMasks
from qosnets_library.merged.tree import earliest_first_tree
from qosnets_library.merged.verilog import merged_verilog
from qosnets_library.modes import characterise_modes, masks_of
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.store import all_libraries, with_estimates
from qosnets_library.verify import verify_library

COLUMNS = np.add.outer(np.arange(8), np.arange(8))
MASKS = MergedMasks(
    3,
    np.select([COLUMNS < 5, COLUMNS < 8], [1, 2], 3).astype(np.uint8),
    np.where((COLUMNS == 4) & (np.arange(8) == 0), 2, 3).astype(np.uint8),
)
NETLIST = merged_verilog(MASKS, earliest_first_tree())
SMALL = Operands("small", (1.0,) * 16 + (0.0,) * 240, (1.0,) * 256)
EFFORT = Effort(n_estimates=20, n_mappings=2, n_operations=128)


def member(name="m") -> MergedMember:
    return characterise_modes(
        name, MASKS, NETLIST, origin="test", reference=reference_netlist(), liberty=generic()
    )


@pytest.fixture
def library(tmp_path) -> Library:
    return write_library(tmp_path / "mine", "mine", (), merged=[member()], force=False)


def simulate(netlists):
    """Stand in for the event simulator."""
    return {name: netlist_lut(text) for name, text in netlists.items()}


def problems(library: Library) -> list[list[str]]:
    return [list(found.problems) for found in verify_library(library, simulate)]


def change(library: Library, old: str, new: str) -> Library:
    """Change the netlist of the circuit, and the record of its hash."""
    path, record = library.folder / "m.v", library.folder / LIBRARY_FILE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    hashes = [sha256(path.read_bytes()), library.circuit("m").netlist_sha256]
    record.write_text(record.read_text().replace(*hashes[::-1]))
    return Library.open(library.folder)


def test_modes_are_entries(library):
    assert {path.name for path in library.folder.iterdir()} == {LIBRARY_FILE, "m.v"}
    assert list(library.entries) == ["m_mode0", "m_mode1", "m_mode2"]
    circuit = library.circuit("m")
    assert (circuit.n_modes, circuit.select_width, circuit.select_words) == (3, 3, (7, 6, 4))
    again = masks_of(circuit)
    for index, entry in enumerate(library.entries.values()):
        assert entry.realisation is Realisation.MODE
        assert (entry.mode.circuit, entry.mode.index) == ("m", index)
        lut = library.lut(entry.name)
        assert np.array_equal(lut, MASKS.lut(index)) and np.array_equal(lut, again.lut(index))
        assert entry.metrics == characterise.error_metrics(lut)
    assert library.entry("m_mode0").metrics.wce == 0
    assert problems(library) == [[], [], []]


def test_estimates_are_those_of_the_circuit_with_the_select_tied():
    cells = generic()
    with CellMapper(cells) as mapper:
        mapped = mapper.map(NETLIST)
    cost = mapped_cost(mapped, MASKS, cells, (UNIFORM,), n_operations=1 << 16)
    estimates = [entry.estimates for entry in member().entries]
    for found, (power,) in zip(estimates, cost.power, strict=True):
        assert found.area_um2 == pytest.approx(cost.area_um2)
        assert found.delay_ns == cost.delay_ns
        assert found.power_uw == pytest.approx(power.settled_uw, rel=1e-9)
    relative = [found.relative_power for found in estimates]
    assert relative == sorted(relative, reverse=True) and 0.1 < relative[-1] < 0.9 * relative[0]
    assert not any(estimates[2].toggles.product[:4])  # column 4 holds a constant


def test_estimates_are_kept(monkeypatch):
    first = member()

    def refuse(_):
        raise AssertionError("nothing may be mapped")

    monkeypatch.setattr(characterise, "CellMapper", refuse)
    assert member() == first


def test_estimates_for_other_operands(library):
    assert with_estimates(library, generic(), UNIFORM).data == library.data
    changed = with_estimates(library, generic(), SMALL)
    for before, after in zip(library.data.entries, changed.data.entries, strict=True):
        assert after.estimates.distribution == "small"
        assert after.estimates.power_uw < before.estimates.power_uw
        assert after.estimates.area_um2 == before.estimates.area_um2


def test_files_of_several_circuits(tmp_path):
    files = library_files("two", (), [member("x"), member("y")])
    assert list(files) == [LIBRARY_FILE, "x.v", "y.v"]
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    library = Library.open(tmp_path)
    assert list(library.circuits) == ["x", "y"] and len(library.entries) == 6
    assert library.lut("x_mode1")[255, 255] == library.lut("y_mode1")[255, 255]


@pytest.mark.parametrize(
    ("old", "new", "which"),
    [
        ("A[3] & S[1]", "A[3] & S[0]", [1]),
        ("A[7] & S[2]", "A[7] | S[2]", [0, 1, 2]),
    ],
)
def test_a_wrong_circuit_is_found(library, old, new, which):
    found = problems(change(library, old, new))
    assert [bool(mode) for mode in found] == [index in which for index in range(3)]
    where = f"{library.folder / 'm.v'}: "
    for start in (f"{where}LUT hash of the", f"{where}simulation: LUT hash of the"):
        assert any(problem.startswith(start) for problem in found[1])


def test_a_circuit_that_is_not_idle_without_a_mode_is_found(library):
    found = problems(change(library, "& S[2];", "& 1'b1;"))
    rule = "products must be 0 with select word 0"
    assert all(mode[0].startswith(f"{library.folder / 'm.v'}: {rule}, ") for mode in found)


def test_wrong_levels_are_found(library):
    record = library.folder / LIBRARY_FILE
    content = json.loads(record.read_text())
    content["circuits"][0]["kill_level"][7][7] = 2
    record.write_text(json.dumps(content))
    message = f"{library.folder}: m_mode2: levels of m are not those of its table"
    assert problems(Library.open(library.folder)) == [[], [], [message]]


def test_the_simulators_word_counts(library):
    zeros = np.zeros((256, 256), np.uint16)
    results = verify_library(library, lambda netlists: dict.fromkeys(netlists, zeros))
    start = f"{library.folder / 'm.v'}: simulation: LUT hash"
    assert all(found.problems[0].startswith(start) for found in results)


def merge(folder: Path, **options) -> Library:
    goal = options.pop("goal", mse_goal((3000.0, 40_000.0)))
    options = {"liberty": generic(), "effort": EFFORT, "seed": 1} | options
    return merge_library(folder, "mine", {"both": goal}, **options)


def test_a_library_is_made_from_bounds(tmp_path):
    steps = []
    options = {"streams": (UNIFORM, SMALL), "progress": lambda *step: steps.append(step)}
    library = merge(tmp_path / "mine", **options)
    assert steps[-1] == (22, 22, "both")
    errors = [entry.metrics.mse for entry in library.entries.values()]
    assert errors[0] == 0 < errors[1] <= 3000 < errors[2] <= 40_000
    assert problems(library) == [[], [], []]
    recipe = json.loads((library.folder / RECIPE_FILE).read_bytes())
    assert (recipe["max_delay_ns"], recipe["seed"]) == (None, 1)
    assert [stream["name"] for stream in recipe["streams"]] == ["uniform", "small"]
    assert recipe["effort"] == {"n_estimates": 20, "n_mappings": 2, "n_operations": 128}
    bounds = [demand["max_error"] for (demand,) in recipe["circuits"]["both"]["modes"]]
    assert bounds == [3000, 40_000]
    costs = merged_costs(library, liberty=generic())
    assert [cost.name for cost in costs] == ["exact", "both_mode0", "both_mode1", "both_mode2"]
    assert costs[0].estimates.relative_power == costs[0].relative_glitching == 1
    assert all(cost.glitching_uw > cost.estimates.power_uw for cost in costs)


def test_without_constants_a_product_with_0_is_0_and_the_seed_alone_decides(tmp_path):
    goal = replace(mse_goal((3000.0, 40_000.0)), criterion=ErrorCriterion.VARIANCE)
    library, again = (merge(tmp_path / x, goal=goal, operands=SMALL) for x in ("mine", "again"))
    for path in library.folder.iterdir():
        assert (again.folder / path.name).read_bytes() == path.read_bytes()
    for entry, bound in zip(library.entries.values(), (0, 3000, 40_000), strict=True):
        lut = library.lut(entry.name)
        assert not lut[0].any() and not lut[:, 0].any()
        assert entry.metrics.error_std**2 <= bound * (1 + 1e-9)
        assert entry.estimates.distribution == "small"


def test_what_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    message = rf"^{tmp_path / 'mine'}: exists already \(--force replaces it\)$"
    with pytest.raises(InputError, match=message):
        merge(tmp_path / "mine")
    with pytest.raises(InputError, match=r"error bound: must be finite, not inf$"):
        merge(tmp_path / "other", goal=mse_goal((1.0, float("inf"))))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_package_has_merged_multipliers():
    assert [found.name for found in all_libraries()][2] == "merged"
    library = merged_library()
    assert problems(library) == [[]] * len(library.entries)
    recipe = json.loads((MERGED_FOLDER / RECIPE_FILE).read_bytes())
    assert list(recipe["circuits"]) == list(library.circuits)
    for name, goal in recipe["circuits"].items():
        bounds = [0, *(demand["max_error"] for (demand,) in goal["modes"])]
        for entry in library.entries.values():
            if entry.mode.circuit == name:
                figures = entry.metrics
                error = figures.mse if goal["criterion"] == "mse" else figures.error_std**2
                assert error <= bounds[entry.mode.index] * (1 + 1e-9)
