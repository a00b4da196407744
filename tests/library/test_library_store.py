import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import LIBRARY_FILE, Library, data_home
from qosnets.lut import lut_sha256
from qosnets_library import members
from qosnets_library.families import embedded_library
from qosnets_library.store import all_libraries, import_library, verify_library

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
    library = import_library(sources, "mine", progress=lambda *step: steps.append(step))
    assert library.folder == data_folder / "mine"
    assert steps == [(1, 2, "minuend"), (2, 2, "product")]
    assert list(library.entries) == ["minuend", "product"]
    product = library.entry("product")
    assert product.metrics.wce == 0
    assert product.origin == "imported from product.v"
    assert 0.5 < product.estimates.relative_power < 2
    a, b = np.indices((256, 256))
    assert np.array_equal(library.lut("minuend"), (a - b) % 65_536)
    assert [item.name for item in all_libraries()] == ["families", "mine"]
    assert all(entry.ok for entry in verify_library(library))
    assert [path.name for path in data_folder.iterdir()] == ["mine"]


def test_import_of_a_file_replaces_a_library_with_force_only(sources, data_folder):
    import_library(sources, "mine")
    message = f"{data_folder / 'mine'}: exists already (--force replaces it)"
    assert_refused(message, sources / "product.v", "mine")
    library = import_library(sources / "product.v", "mine", force=True)
    assert list(library.entries) == ["product"]
    assert sorted(path.name for path in library.folder.iterdir()) == [
        LIBRARY_FILE,
        "product.npy",
        "product.v",
    ]


def test_one_refused_file_refuses_the_import(sources):
    (sources / "latch.v").write_text("module m(input a); endmodule")
    assert_refused(
        f"{sources / 'latch.v'}: port a: must be an input of 8 or an output of 16 bits,"
        " not input of 1",
        sources,
        "mine",
    )


def test_same_file_name_twice(sources):
    (sources / "product.sv").write_text(MODULE.format("b * a"))
    library = import_library(sources, "mine")
    assert library.entry("product").origin == "imported from product.sv"
    (sources / "product.sv").write_text(MODULE.format("a + b"))
    message = "product: two files of this name are different multipliers"
    assert_refused(message, sources, "mine", force=True)


@pytest.mark.parametrize("name", ["families", "../up", "", "a b", "x;ls", "1st", "new\n"])
def test_refused_library_names(sources, name):
    rule = "library name: must be an identifier other than families, not"
    assert_refused(f"{rule} {name!r}", sources, name)


def test_refused_paths(sources, tmp_path):
    (sources / "$(ls).v").write_text(MODULE.format("a * b"))
    rule = "file name must be an identifier, not"
    assert_refused(f"{sources / '$(ls).v'}: {rule} '$(ls)'", sources, "mine")
    path = sources / "notes.txt"
    assert_refused(f"{path}: must end in .v or .sv", path, "mine")
    path = tmp_path / "absent.v"
    assert_refused(f"{path}: cannot be read: No such file or directory", path, "mine")
    path = tmp_path / "empty"
    path.mkdir()
    assert_refused(f"{path}: must hold Verilog files (.v, .sv), has none", path, "mine")


def test_interrupted_write_leaves_the_old_library(sources, data_folder, monkeypatch):
    import_library(sources / "product.v", "mine")

    def interrupt(_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(members, "canonical_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_library(sources / "minuend.sv", "mine", force=True)
    assert [path.name for path in data_folder.iterdir()] == ["mine"]
    assert list(Library.open(data_folder / "mine").entries) == ["product"]


@pytest.fixture
def copied(tmp_path) -> Library:
    """Two members of the embedded library, to be damaged."""
    embedded, folder = embedded_library(), tmp_path / "copied"
    folder.mkdir()
    names = ["mul8u_dadda", "mul8u_bam_h0_v8"]
    for name in names:
        shutil.copy(embedded.folder / f"{name}.v", folder)
        shutil.copy(embedded.folder / f"{name}.npy", folder)
    data = embedded.data.model_copy(update={"entries": [embedded.entry(n) for n in names]})
    (folder / LIBRARY_FILE).write_text(data.model_dump_json(by_alias=True))
    return Library.open(folder)


def problems(library: Library) -> list[str]:
    """Verify a library of which only the second member may be damaged."""
    first, second = verify_library(Library.open(library.folder))
    assert first.ok
    return list(second.problems)


def damage_record(library: Library, **changes: object) -> None:
    path = library.folder / LIBRARY_FILE
    data = json.loads(path.read_text())
    data["entries"][1] |= changes
    path.write_text(json.dumps(data))


def test_verification_finds_a_flipped_bit_in_a_table(copied):
    path = copied.folder / "mul8u_bam_h0_v8.npy"
    lut = np.load(path)
    lut[200, 100] ^= 1
    np.save(path, lut)
    expected = copied.entry("mul8u_bam_h0_v8").lut_sha256
    assert problems(copied) == [
        f"{path}: LUT hash of the netlist must be {expected}, not {lut_sha256(lut)}"
    ]


def test_verification_finds_a_flipped_bit_in_a_netlist(copied):
    path = copied.folder / "mul8u_bam_h0_v8.v"
    damaged = path.read_bytes().replace(b" & ", b" ' ", 1)
    path.write_bytes(damaged)
    (problem,) = problems(copied)
    assert problem.startswith(f"{path}: netlist hash must be ")


def test_verification_recomputes_the_table_of_the_netlist(copied):
    """A changed gate is found although the hash of the netlist was adapted."""
    path = copied.folder / "mul8u_bam_h0_v8.v"
    changed = path.read_bytes().replace(b" & ", b" | ", 1)
    path.write_bytes(changed)
    damage_record(copied, netlist_sha256=sha256(changed))
    first, second = problems(copied)
    assert first.startswith(f"{path}: LUT hash of the netlist must be ")
    assert second == f"{copied.folder}: mul8u_bam_h0_v8: metrics are not those of its table"


def test_verification_recomputes_the_metrics(copied):
    metrics = copied.entry("mul8u_bam_h0_v8").metrics.model_dump()
    damage_record(copied, metrics=metrics | {"mae": metrics["mae"] + 0.25})
    assert problems(copied) == [
        f"{copied.folder}: mul8u_bam_h0_v8: metrics are not those of its table"
    ]
