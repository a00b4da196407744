import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import LIBRARY_FILE, Library, Realisation, data_home
from qosnets.lut import Lut, exact_lut, lut_file, lut_sha256
from qosnets.netlist import netlist_lut
from qosnets_library import members
from qosnets_library.families import embedded_library
from qosnets_library.liberty import load_liberty
from qosnets_library.operands import UNIFORM, Operands
from qosnets_library.store import all_libraries, import_library, with_estimates
from qosnets_library.verify import verify_library

MODULE = "module any_name(input [7:0] a, b, output [15:0] o); assign o = {}; endmodule"


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("QOSNETS_LIBRARY_PATH", raising=False)
    return data_home()


@pytest.fixture
def sources(tmp_path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "product.v").write_text(MODULE.format("a * b"))
    (folder / "minuend.sv").write_text(MODULE.format("a - b"))
    (folder / "notes.txt").write_text("not a circuit")
    return folder


def assert_refused(message: str, *arguments, **options) -> None:
    before = sorted(data_home().rglob("*"))
    with pytest.raises(InputError) as error:
        import_library(*arguments, **options)
    assert str(error.value) == message
    assert sorted(data_home().rglob("*")) == before


def test_import_of_a_folder(sources, data_folder):
    steps = []
    imported = import_library(sources, "mine", progress=lambda *step: steps.append(step))
    library = imported.library
    assert library.folder == data_folder / "mine"
    assert [step for step in steps if step[0] == step[1]] == [
        (2, 2, "Reading"),
        (2, 2, "Elaborating"),
        (2, 2, "Characterising"),
    ]
    assert (imported.refused, imported.skipped) == ((), {})
    assert imported.published.n_equal == 0
    assert list(library.entries) == ["minuend", "product"]
    product = library.entry("product")
    assert product.metrics.wce == 0
    assert product.origin == "imported from product.v"
    assert product.published is None
    assert 0.3 < product.estimates.relative_power < 3
    a, b = np.indices((256, 256))
    assert np.array_equal(library.lut("minuend"), (a - b) % 65_536)
    assert [item.name for item in all_libraries()][-2:] == ["merged", "mine"]
    assert all(entry.ok for entry in verify_library(library, simulate))
    assert [path.name for path in data_folder.iterdir()] == ["mine"]
    assert {path.name for path in library.folder.iterdir()} == {
        LIBRARY_FILE,
        "minuend.v",
        "product.v",
    }


def simulate(netlists: Mapping[str, str]) -> dict[str, Lut]:
    """Stand in for the event simulator."""
    return {name: netlist_lut(text) for name, text in netlists.items()}


def test_import_of_a_file_replaces_a_library_with_force_only(sources, data_folder):
    import_library(sources, "mine")
    message = f"{data_folder / 'mine'}: exists already (--force replaces it)"
    assert_refused(message, sources / "product.v", "mine")
    library = import_library(sources / "product.v", "mine", force=True).library
    assert list(library.entries) == ["product"]
    assert {path.name for path in library.folder.iterdir()} == {LIBRARY_FILE, "product.v"}


def test_published_figures_are_attached_by_name_and_table(sources):
    for name in ("mul8u_1JJQ", "mul8u_NLX"):
        shutil.copy(sources / "product.v", sources / f"{name}.v")
    imported = import_library(sources, "mine")
    power = {
        name: entry.published and entry.published.power_mw
        for name, entry in imported.library.entries.items()
    }
    assert power == {"minuend": None, "mul8u_1JJQ": 0.391, "mul8u_NLX": None, "product": None}
    assert imported.published.n_equal == 1
    assert imported.published.differing == ("mul8u_NLX",)


def test_tables_are_stored_without_estimates(sources):
    (sources / "table.npy").write_bytes(lut_file(exact_lut()))
    library = import_library(sources / "table.npy", "mine").library
    entry = library.entry("table")
    assert entry.realisation is Realisation.TABLE
    assert (entry.estimates, entry.netlist_sha256, entry.metrics.wce) == (None, None, 0)
    assert np.array_equal(library.lut("table"), exact_lut())
    assert [item.ok for item in verify_library(library, simulate)] == [True]
    with pytest.raises(InputError, match=r"table is a table without a netlist: simulation only$"):
        library.netlist("table")


def test_error_of_a_narrow_circuit_is_that_over_its_operands(sources):
    text = "module m(input [7:0] A, input [2:0] B, output [10:0] O); assign O = A * B; endmodule"
    (sources / "narrow.v").write_text(text)
    imported = import_library(sources, "mine", operand_width=(8, 3))
    assert imported.skipped == {"adders and other widths": 2}
    entry = imported.library.entry("narrow")
    assert entry.operand_width == (8, 3)
    assert (entry.metrics.wce, entry.metrics.max_product) == (0, 255 * 7)
    assert [item.ok for item in verify_library(imported.library, simulate)] == [True]
    damaged = damage_record(imported.library, 0, operand_width=[8, 2])
    (found,) = verify_library(damaged, None)
    assert found.problems[0] == (
        f"{damaged.folder}: narrow: its table must repeat, operand_width being 8x2"
    )


def test_all_refusals_are_reported(sources):
    (sources / "empty.v").write_text("// no module")
    (sources / "narrow.v").write_text(MODULE.format("a").replace("output", "inout"))
    rule = "must be an input of 8 or an output of 16 bits"
    reasons = (
        f"{sources / 'empty.v'}: must hold a module, has none",
        f"{sources / 'narrow.v'}: port o: {rule}, not inout of 16",
    )
    assert_refused("\n".join(reasons), sources, "mine")
    imported = import_library(sources, "mine", keep_going=True)
    assert list(imported.library.entries) == ["minuend", "product"]
    assert [(item.name, item.reason) for item in imported.refused] == [
        ("empty", reasons[0]),
        ("narrow", reasons[1]),
    ]


def test_nothing_to_import_is_refused(sources):
    for file in sources.iterdir():
        file.unlink()
    (sources / "add.v").write_text(MODULE.format("a + b").replace("15:0", "8:0"))
    message = "must hold an unsigned 8x8 multiplier, has only 1 adders and other widths"
    assert_refused(f"{sources}: {message}", sources, "mine", keep_going=True)
    (sources / "add.v").write_text("")
    message = f"{sources / 'add.v'}: must hold a module, has none"
    assert_refused(message, sources, "mine", keep_going=True)


@pytest.mark.parametrize(
    "name", ["evolved", "families", "merged", "../up", "", "a b", "x;ls", "1st", "new\n"]
)
def test_refused_library_names(sources, name):
    rule = "library name: must be an identifier other than evolved, families or merged, not"
    assert_refused(f"{rule} {name!r}", sources, name)


def test_interrupted_write_leaves_the_old_library(sources, data_folder, monkeypatch):
    import_library(sources / "product.v", "mine")

    def interrupt(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(members, "canonical_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_library(sources / "minuend.sv", "mine", force=True)
    assert [path.name for path in data_folder.iterdir()] == ["mine"]
    assert list(Library.open(data_folder / "mine").entries) == ["product"]


def test_estimates_for_other_operands(sources):
    library = import_library(sources, "mine").library
    liberty = load_liberty(None)
    assert with_estimates(library, liberty, UNIFORM).data == library.data

    rarely = (1.0,) + (0.0,) * 254 + (0.1,)
    operands = Operands("rarely", rarely, rarely)
    changed = with_estimates(library, liberty, operands)
    before, after = library.entry("product"), changed.entry("product")
    assert after.estimates.distribution == "rarely"
    assert after.estimates.power_uw < before.estimates.power_uw
    assert after.estimates.area_um2 == before.estimates.area_um2
    assert after.model_copy(update={"estimates": None}) == before.model_copy(
        update={"estimates": None}
    )
    assert Library.open(library.folder).data == library.data


def test_estimates_for_other_cells(sources):
    library = import_library(sources / "product.v", "mine").library
    liberty = load_liberty(None)
    other = replace(liberty, name="other", sha256="0" * 64)
    estimates = with_estimates(library, other, UNIFORM).entry("product").estimates
    assert (estimates.liberty, estimates.liberty_sha256) == ("other", "0" * 64)


@pytest.fixture
def copied(tmp_path) -> Library:
    """Two members of the embedded library, to be damaged."""
    embedded, folder = embedded_library(), tmp_path / "copied"
    folder.mkdir()
    names = ["mul8u_dadda", "mul8u_bam_h0_v8"]
    for name in names:
        shutil.copy(embedded.folder / f"{name}.v", folder)
    data = embedded.data.model_copy(update={"entries": [embedded.entry(n) for n in names]})
    (folder / LIBRARY_FILE).write_text(data.model_dump_json(by_alias=True))
    return Library.open(folder)


def problems(library: Library) -> list[str]:
    """Verify a library of which only the second member may be damaged."""
    first, second = verify_library(Library.open(library.folder), simulate)
    assert first.ok
    return list(second.problems)


def damage_record(library: Library, index: int, **changes: object) -> Library:
    path = library.folder / LIBRARY_FILE
    data = json.loads(path.read_text())
    data["entries"][index] |= changes
    path.write_text(json.dumps(data))
    return Library.open(library.folder)


def test_verification_finds_a_flipped_bit_in_a_table(sources):
    (sources / "table.npy").write_bytes(lut_file(exact_lut()))
    library = import_library(sources / "table.npy", "mine").library
    path = library.folder / "table.npy"
    lut = np.load(path)
    lut[200, 100] ^= 1
    np.save(path, lut)
    (found,) = verify_library(library, simulate)
    (problem,) = found.problems
    assert problem.startswith(f"{path}: LUT hash")
    assert problem.endswith(f"not {lut_sha256(lut)}")


def test_verification_finds_a_changed_netlist(copied):
    path = copied.folder / "mul8u_bam_h0_v8.v"
    path.write_bytes(path.read_bytes().replace(b" & ", b" | ", 1))
    (problem,) = problems(copied)
    assert problem.startswith(f"{path}: netlist hash must be ")


def test_verification_finds_text_that_is_no_canonical_netlist(copied):
    path = copied.folder / "mul8u_bam_h0_v8.v"
    text = path.read_bytes() + b"// more\n"
    path.write_bytes(text)
    damage_record(copied, 1, netlist_sha256=sha256(text))
    (problem,) = problems(copied)
    assert problem.startswith(f"{path}: line ")


def test_verification_recomputes_the_table_of_the_netlist(copied):
    """A changed gate is found although the hash of the netlist was adapted."""
    path = copied.folder / "mul8u_bam_h0_v8.v"
    changed = path.read_bytes().replace(b" & ", b" | ", 1)
    path.write_bytes(changed)
    damage_record(copied, 1, netlist_sha256=sha256(changed))
    evaluated, record, simulated = problems(copied)
    assert evaluated.startswith(f"{path}: LUT hash")
    assert record == f"{copied.folder}: mul8u_bam_h0_v8: metrics are not those of its table"
    assert simulated.startswith(f"{path}: simulation: LUT hash")


def test_verification_compares_with_the_simulator(copied):
    def wrong(netlists: Mapping[str, str]) -> dict[str, Lut]:
        return simulate(netlists) | {"mul8u_bam_h0_v8": exact_lut()}

    first, second = verify_library(copied, wrong)
    assert first.ok
    (problem,) = second.problems
    assert problem.startswith(f"{copied.folder / 'mul8u_bam_h0_v8.v'}: simulation: LUT hash")


def test_verification_recomputes_the_metrics(copied):
    metrics = copied.entry("mul8u_bam_h0_v8").metrics.model_dump()
    damage_record(copied, 1, metrics=metrics | {"mae": metrics["mae"] + 0.25})
    assert problems(copied) == [
        f"{copied.folder}: mul8u_bam_h0_v8: metrics are not those of its table"
    ]
