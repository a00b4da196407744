"""Library reader: look-up rules, tampered files, and where libraries are found."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import (
    LIBRARY_FILE,
    Library,
    cache_home,
    data_home,
    find_multiplier,
    user_libraries,
)
from qosnets.lut import (
    ActivationPort,
    check_lut_sha256,
    exact_lut,
    load_lut,
    lut_sha256,
    oriented,
)

METRICS = {
    "mae": 0.5,
    "wce": 1,
    "mse": 0.5,
    "error_probability": 0.5,
    "mre": 0.1,
    "error_mean": 0.5,
    "error_std": 0.5,
    "max_product": 65_025,
}

EXACT = exact_lut()
SWAPPABLE = np.tril(EXACT)
"""Not commutative."""


def npy(lut: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, lut)
    return buffer.getvalue()


def write_library(folder: Path, name: str, members, *, tables: bool = True) -> Library:
    """Write a library of ``(name, lut, netlist text or None)``."""
    folder.mkdir(parents=True)
    entries = []
    for member, lut, netlist in members:
        entries.append(
            {
                "name": member,
                "realisation": "table" if netlist is None else "netlist",
                "lut_sha256": lut_sha256(lut),
                "netlist_sha256": None if netlist is None else sha256(netlist.encode()),
                "origin": "test",
                "metrics": METRICS,
                "estimates": None,
            }
        )
        if netlist is not None:
            (folder / f"{member}.v").write_text(netlist)
        if tables:
            (folder / f"{member}.npy").write_bytes(npy(lut))
    content = {"schema": "qosnets-library/1", "name": name, "entries": entries}
    (folder / LIBRARY_FILE).write_text(json.dumps(content))
    return Library.open(folder)


@pytest.fixture
def libraries(tmp_path) -> list[Library]:
    first = write_library(
        tmp_path / "first",
        "first",
        [("zebra", EXACT, "z"), ("dadda", EXACT, "d"), ("low", SWAPPABLE, "l")],
    )
    second = write_library(
        tmp_path / "second",
        "second",
        [("wallace", EXACT, "w"), ("low", EXACT & 0xFF00, "m"), ("half", EXACT >> 1, None)],
    )
    return [first, second]


def find(libraries, name, lut, **reference):
    found = find_multiplier(
        libraries, name=name, lut_sha256=lut_sha256(lut), where="here", **reference
    )
    return found.library.name, found.entry.name


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_hash_decides_then_library_then_name(libraries):
    assert find(libraries, "zebra", EXACT) == ("first", "zebra")  # same name first
    assert find(libraries, "other", EXACT) == ("first", "dadda")  # then name order
    assert find(libraries, "wallace", EXACT) == ("first", "dadda")  # earlier library first
    assert find(libraries[::-1], "dadda", EXACT) == ("second", "wallace")
    assert find(libraries, "low", EXACT & 0xFF00) == ("second", "low")  # names do not identify
    assert find(libraries, "low", SWAPPABLE) == ("first", "low")


def test_the_netlist_hash_narrows_the_search(libraries):
    assert find(libraries, "zebra", EXACT, netlist_sha256=sha256(b"d")) == ("first", "dadda")
    assert find(libraries, "zebra", EXACT, netlist_sha256=sha256(b"w")) == ("second", "wallace")
    message = refusal(find, libraries, "zebra", EXACT, netlist_sha256=sha256(b"m"))
    assert message == f"here: netlist hash must be {sha256(b'z')}, not {sha256(b'm')}"


def test_a_named_library_is_meant_exactly(libraries):
    assert find(libraries, "wallace", EXACT, library="second") == ("second", "wallace")
    message = refusal(find, libraries, "dadda", EXACT, library="second")
    assert message == "here: library second has no multiplier 'dadda'"
    message = refusal(find, libraries, "dadda", EXACT, library="third")
    assert message == "here: library 'third' is not one of first, second"
    message = refusal(find, libraries, "dadda", EXACT, library="first", netlist_sha256=sha256(b"z"))
    assert message == f"here: netlist hash must be {sha256(b'd')}, not {sha256(b'z')}"
    message = refusal(find, libraries, "low", SWAPPABLE, library="second")
    stored, given = lut_sha256(EXACT & 0xFF00), lut_sha256(SWAPPABLE)
    assert message == f"here: LUT hash of the netlist must be {given}, not {stored}"


SWAPPED = " (operands swapped: the hash is that of the transposed table)"


@pytest.mark.parametrize("reference", [{}, {"library": "first"}])
def test_swapped_operands_are_named(libraries, reference):
    message = refusal(find, libraries, "low", SWAPPABLE.T, **reference)
    stored, given = lut_sha256(SWAPPABLE), lut_sha256(SWAPPABLE.T.copy())
    assert message == f"here: LUT hash of the netlist must be {given}, not {stored}{SWAPPED}"


def test_nothing_found(libraries):
    message = refusal(find, libraries, "other", EXACT >> 3)
    assert message == (
        f"here: no library has a multiplier with LUT hash {lut_sha256(EXACT >> 3)} (other);"
        " searched first, second"
    )
    assert refusal(find, [], "other", EXACT).endswith("(other); searched no library")
    message = refusal(find, libraries[:1], "low", EXACT >> 3)
    assert message.startswith("here: LUT hash of the netlist must be ")


def test_netlist_and_table(libraries):
    first, second = libraries
    assert first.netlist("dadda") == "d"
    np.testing.assert_array_equal(first.lut("low"), SWAPPABLE)
    np.testing.assert_array_equal(second.lut("half"), EXACT >> 1)
    message = "library second: half is a table without a netlist: simulation only"
    assert refusal(second.netlist, "half") == message
    for read in (first.netlist, first.lut):
        (first.folder / "absent.npy").write_bytes(npy(EXACT))
        assert refusal(read, "absent") == "library first: has no multiplier 'absent'"


def test_the_table_is_optional(tmp_path):
    library = write_library(tmp_path / "x", "x", [("low", SWAPPABLE, "l")], tables=False)
    assert not library.has_table("low")
    path = library.folder / "low.npy"
    assert refusal(library.lut, "low") == f"{path}: cannot be read: No such file or directory"
    message = refusal(find, [library], "low", EXACT)
    stored, given = lut_sha256(SWAPPABLE), lut_sha256(EXACT)
    assert message == f"here: LUT hash must be {stored}, not {given}"


def test_a_tampered_netlist_is_refused(libraries):
    path = libraries[0].folder / "dadda.v"
    path.write_text("D")
    message = f"{path}: netlist hash must be {sha256(b'd')}, not {sha256(b'D')}"
    assert refusal(libraries[0].netlist, "dadda") == message
    path.unlink()
    message = f"{path}: cannot be read: No such file or directory"
    assert refusal(libraries[0].netlist, "dadda") == message


def test_a_tampered_table_is_refused(libraries):
    path = libraries[0].folder / "dadda.npy"
    lut = EXACT.copy()
    lut[3, 5] ^= 1
    path.write_bytes(npy(lut))
    assert refusal(libraries[0].lut, "dadda") == (
        f"{path}: LUT hash of the netlist must be {lut_sha256(EXACT)}, not {lut_sha256(lut)}"
    )


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, lut=EXACT)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must be a NumPy array: "),
        (b"\x93NUMPY", "must be a NumPy array: "),
        (npy(EXACT)[:-1], "must be a NumPy array: "),
        (b"\x80\x04N.", "must be a NumPy array: "),
        (b"PK\x03\x04 damaged archive", "must be a NumPy array: "),
        (npz(), "LUT must be uint16[256, 256], not an archive"),
        (npy(EXACT[:128]), "LUT must be uint16[256, 256], not uint16[128, 256]"),
        (npy(EXACT.astype(np.int64)), "LUT must be uint16[256, 256], not int64[256, 256]"),
        (npy(np.array(None)), "must be a NumPy array: "),
    ],
    ids=["empty", "header", "cut", "pickle", "zip", "npz", "shape", "type", "object"],
)
def test_malformed_tables(tmp_path, data, message):
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    assert refusal(load_lut, path).startswith(f"{path}: {message}")


def test_lut_hash_is_that_of_little_endian_bytes_in_c_order():
    data = b"".join((a * b).to_bytes(2, "little") for a in range(256) for b in range(256))
    assert lut_sha256(EXACT) == sha256(data)
    assert lut_sha256(np.asfortranarray(SWAPPABLE)) == lut_sha256(SWAPPABLE)
    assert lut_sha256(SWAPPABLE) != lut_sha256(SWAPPABLE.T)
    for wrong in (EXACT[:1], EXACT.astype(np.int32)):
        with pytest.raises(ValueError, match=r"LUT must be uint16\[256, 256\]"):
            lut_sha256(wrong)
    check_lut_sha256(SWAPPABLE, lut_sha256(SWAPPABLE), "here")


def test_orientation():
    assert oriented(SWAPPABLE, ActivationPort.A)[200, 3] == SWAPPABLE[200, 3] == 600
    assert oriented(SWAPPABLE, ActivationPort.B)[200, 3] == SWAPPABLE[3, 200] == 0


ENTRY = ("entries", 0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema",), "qosnets-library/2", "schema: must be 'qosnets-library/1', not"),
        (("name",), "../x", "name: must match pattern "),
        (("x",), 1, "x: unknown key"),
        ((*ENTRY, "x"), 1, "entries[0].x: unknown key"),
        ((*ENTRY, "name"), "../x", "entries[0].name: must match pattern "),
        ((*ENTRY, "name"), "low", "entries: names must be unique, low appears twice"),
        ((*ENTRY, "lut_sha256"), "5", "entries[0].lut_sha256: must match pattern "),
        ((*ENTRY, "realisation"), "x", "entries[0].realisation: must be 'netlist' or 'table', not"),
        ((*ENTRY, "metrics"), {}, "entries[0].metrics.mae: is missing"),
    ],
)
def test_wrong_library_file(libraries, place, value, message):
    path = libraries[0].folder / LIBRARY_FILE
    content = json.loads(path.read_text())
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    path.write_text(json.dumps(content))
    assert refusal(Library.open, path.parent).startswith(f"{path}: {message}")


def test_broken_library_file(tmp_path):
    path = tmp_path / LIBRARY_FILE
    message = f"{path}: cannot be read: No such file or directory"
    assert refusal(Library.open, tmp_path) == message
    path.write_text("{")
    assert refusal(Library.open, tmp_path).startswith(f"{path}: must be JSON: ")
    path.write_text("[]")
    assert refusal(Library.open, tmp_path).startswith(f"{path}: must be ")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("QOSNETS_LIBRARY_PATH", raising=False)
    return tmp_path / "data" / "qosnets-hw"


def test_user_libraries_are_found_on_the_path_then_at_home(home, tmp_path, monkeypatch):
    assert user_libraries() == []
    write_library(home / "mine", "mine", [])
    write_library(tmp_path / "many" / "b", "b", [])
    write_library(tmp_path / "many" / "a", "a", [])
    write_library(tmp_path / "one", "one", [])
    (tmp_path / "many" / "no_library").mkdir()
    folders = [str(tmp_path / "one"), "", str(tmp_path / "many")]
    assert [library.name for library in user_libraries()] == ["mine"]
    monkeypatch.setenv("QOSNETS_LIBRARY_PATH", os.pathsep.join(folders))
    assert [library.name for library in user_libraries()] == ["one", "a", "b", "mine"]


def test_a_folder_of_the_path_must_exist(home, tmp_path, monkeypatch):
    path = tmp_path / "absent"
    monkeypatch.setenv("QOSNETS_LIBRARY_PATH", str(path))
    assert refusal(user_libraries) == f"QOSNETS_LIBRARY_PATH: {path}: must be a folder"


def test_relative_xdg_folders_are_ignored(home, tmp_path, monkeypatch):
    """As the XDG base directory specification says."""
    assert data_home() == home
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable, function, fallback in (
        ("XDG_DATA_HOME", data_home, ".local/share"),
        ("XDG_CACHE_HOME", cache_home, ".cache"),
    ):
        for value in ("relative", ""):
            monkeypatch.setenv(variable, value)
            assert function() == tmp_path / fallback / "qosnets-hw"
