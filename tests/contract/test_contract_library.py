"""Library reader: look-up rules, tampered files, and where libraries are found."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from netlists import netlist
from qosnets.errors import InputError
from qosnets.files import sha256
from qosnets.library import (
    LIBRARY_FILE,
    Library,
    ModeOf,
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
from qosnets.netlist import netlist_lut, netlist_of_word
from qosnets.ops import Multiplier

METRICS = {
    "mae": 0.5,
    "wce": 1,
    "mse": 0.5,
    "error_probability": 0.5,
    "mre": 0.1,
    "error_mean": 0.5,
    "error_std": 0.5,
    "max_product": 65_025,
    "rank": 3,
}

EXACT = exact_lut()


def multiplier(product: str, *unused: str) -> str:
    """Return a netlist with ``product`` in bit 0, and gates that nothing depends on."""
    return netlist([product, *unused], ["n0", *["1'b0"] * 15])


def digest(text: str) -> str:
    return sha256(text.encode())


AND = multiplier("A[0] & B[0]")
AND_TOO = multiplier("A[0] & B[0]", "~A[0]")
AND_AGAIN = multiplier("A[0] & B[0]", "~B[0]")
OR = multiplier("A[0] | B[0]")
SELECT = multiplier("A[0] ? 1'b0 : B[0]")
AND_LUT, OR_LUT, SELECT_LUT = map(netlist_lut, (AND, OR, SELECT))
"""The last is not commutative."""


def npy(lut: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, lut)
    return buffer.getvalue()


def write_library(folder: Path, name: str, members: dict[str, str | np.ndarray]) -> Library:
    """Write a library of netlists and tables."""
    folder.mkdir(parents=True)
    entries = []
    for member, content in members.items():
        is_netlist = isinstance(content, str)
        lut = netlist_lut(content) if is_netlist else content
        entries.append(
            {
                "name": member,
                "realisation": "netlist" if is_netlist else "table",
                "lut_sha256": lut_sha256(lut),
                "netlist_sha256": sha256(content.encode()) if is_netlist else None,
                "origin": "test",
                "metrics": METRICS,
                "estimates": None,
            }
        )
        if is_netlist:
            (folder / f"{member}.v").write_text(content)
        else:
            (folder / f"{member}.npy").write_bytes(npy(lut))
    content = {"schema": "qosnets-library/2", "name": name, "entries": entries}
    (folder / LIBRARY_FILE).write_text(json.dumps(content))
    return Library.open(folder)


@pytest.fixture
def libraries(tmp_path) -> list[Library]:
    first = {"zebra": AND, "dadda": AND_TOO, "low": SELECT}
    second = {"wallace": AND_AGAIN, "low": OR, "half": EXACT >> 1}
    return [
        write_library(tmp_path / "first", "first", first),
        write_library(tmp_path / "second", "second", second),
    ]


def find(libraries, name, lut, *, mode=None, **reference):
    if mode:
        reference["realisation"] = {"kind": "mode", "circuit": mode.circuit, "index": mode.index}
    reference |= {"name": name, "lut_sha256": lut_sha256(lut), "activation_port": "A"}
    found = find_multiplier(libraries, Multiplier.model_validate(reference), where="here")
    return found.library.name, found.entry.name


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_hash_decides_then_library_then_name(libraries):
    assert find(libraries, "zebra", AND_LUT) == ("first", "zebra")  # same name first
    assert find(libraries, "other", AND_LUT) == ("first", "dadda")  # then name order
    assert find(libraries, "wallace", AND_LUT) == ("first", "dadda")  # earlier library first
    assert find(libraries[::-1], "dadda", AND_LUT) == ("second", "wallace")
    assert find(libraries, "low", OR_LUT) == ("second", "low")  # names do not identify
    assert find(libraries, "low", SELECT_LUT) == ("first", "low")


def test_the_netlist_hash_narrows_the_search(libraries):
    found = find(libraries, "zebra", AND_LUT, netlist_sha256=digest(AND_TOO))
    assert found == ("first", "dadda")
    found = find(libraries, "zebra", AND_LUT, netlist_sha256=digest(AND_AGAIN))
    assert found == ("second", "wallace")
    message = refusal(find, libraries, "zebra", AND_LUT, netlist_sha256=digest(OR))
    assert message == f"here: netlist hash must be {digest(AND)}, not {digest(OR)}"


def test_a_named_library_is_meant_exactly(libraries):
    assert find(libraries, "wallace", AND_LUT, library="second") == ("second", "wallace")
    message = refusal(find, libraries, "dadda", AND_LUT, library="second")
    assert message == "here: library second has no multiplier 'dadda'"
    message = refusal(find, libraries, "dadda", AND_LUT, library="third")
    assert message == "here: library 'third' is not one of first, second"
    named = {"library": "first", "netlist_sha256": digest(AND)}
    message = refusal(find, libraries, "dadda", AND_LUT, **named)
    assert message == f"here: netlist hash must be {digest(AND_TOO)}, not {digest(AND)}"
    message = refusal(find, libraries, "low", SELECT_LUT, library="second")
    stored, given = lut_sha256(OR_LUT), lut_sha256(SELECT_LUT)
    assert message == f"here: LUT hash of the netlist must be {given}, not {stored}"


MERGED = (
    multiplier("A[0] & S[0]", "B[0] & S[1]", "n0 | n1")
    .replace("(A, B, O)", "(A, B, S, O)")
    .replace("  output", "  input [1:0] S;\n  output")
    .replace("O[0] = n0", "O[0] = n2")
)
FINE_LUT, COARSE_LUT = (netlist_lut(netlist_of_word(MERGED, word)) for word in (0b11, 0b10))


def circuit(**changes) -> dict:
    """Return a circuit with two modes; its levels mean nothing here."""
    content = {
        "name": "both",
        "n_modes": 2,
        "select_width": 2,
        "select_words": [0b11, 0b10],
        "netlist_sha256": digest(MERGED),
        "kill_level": [[2] * 8] * 7 + [[1] * 8],
        "force_level": [[2] * 8] * 8,
    }
    return content | changes


def mode(index: int, lut: np.ndarray, **changes) -> dict:
    content = {
        "name": f"both_{index}",
        "realisation": "mode",
        "lut_sha256": lut_sha256(lut),
        "netlist_sha256": digest(MERGED),
        "origin": "test",
        "metrics": METRICS,
        "estimates": None,
        "mode": {"circuit": "both", "index": index},
    }
    return content | changes


def write_merged(folder: Path, *, entries=None, **changes) -> Path:
    """Write a library of a circuit with two modes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "both.v").write_text(MERGED)
    entries = [mode(0, FINE_LUT), mode(1, COARSE_LUT)] if entries is None else entries
    content = {"schema": "qosnets-library/2", "name": folder.name, "entries": entries}
    content |= {"circuits": [circuit()]} | changes
    (folder / LIBRARY_FILE).write_text(json.dumps(content))
    return folder


def test_modes_are_entries_like_others(tmp_path, libraries):
    library = Library.open(write_merged(tmp_path / "merged"))
    assert list(library.entries) == ["both_0", "both_1"] and list(library.circuits) == ["both"]
    found = library.circuit("both")
    assert (found.n_modes, found.select_width, found.select_words) == (2, 2, (3, 2))
    assert library.circuit_netlist("both") == MERGED
    np.testing.assert_array_equal(library.lut("both_0"), FINE_LUT)
    np.testing.assert_array_equal(library.lut("both_1"), COARSE_LUT)
    assert library.netlist_of_mode(ModeOf(circuit="both", index=1)) == netlist_of_word(MERGED, 2)
    assert [entry.name for entry in library.modes("both")] == ["both_0", "both_1"]
    assert refusal(library.modes, "x") == refusal(library.circuit, "x")
    assert refusal(library.netlist, "both_1") == (
        "library merged: both_1 is a mode of the merged multiplier both and has no netlist of its"
        " own"
    )
    assert refusal(library.circuit, "x") == "library merged: has no merged multiplier 'x'"
    assert refusal(library.lut, "both") == "library merged: has no multiplier 'both'"
    assert not libraries[0].circuits


def test_a_mode_is_found_like_others(tmp_path, libraries):
    merged = Library.open(write_merged(tmp_path / "merged"))
    assert find([*libraries, merged], "x", COARSE_LUT) == ("merged", "both_1")
    options = {"library": "merged", "netlist_sha256": digest(MERGED)}
    assert find([merged], "both_0", FINE_LUT, **options) == ("merged", "both_0")
    message = refusal(find, [merged], "both_0", COARSE_LUT, **options)
    assert message.startswith("here: LUT hash of the netlist must be ")


def test_of_equal_tables_the_mode_that_is_meant_is_found(tmp_path):
    own = write_library(tmp_path / "own", "own", {"both_1": multiplier("1'b0 | B[0]")})
    merged = Library.open(write_merged(tmp_path / "merged"))
    assert find([own, merged], "both_1", COARSE_LUT) == ("own", "both_1")
    meant = ModeOf(circuit="both", index=1)
    assert find([own, merged], "both_1", COARSE_LUT, mode=meant) == ("merged", "both_1")
    message = refusal(find, [own, merged], "both_0", FINE_LUT, mode=meant)
    assert message.startswith("here: no library has a multiplier with LUT hash")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"circuits": []}, "entries[0].mode.circuit: 'both' is not the name of a circuit"),
        ({"circuits": [circuit()] * 2}, "circuits: names must be unique, both appears twice"),
        (
            {"circuits": [circuit(), circuit(name="both_1")]},
            "circuits[1].name: must not be the name of an entry, not 'both_1'",
        ),
        (
            {"entries": [mode(2, FINE_LUT)]},
            "entries[0].mode.index: must be 0..1, not 2",
        ),
        (
            {"entries": [mode(0, FINE_LUT), mode(0, FINE_LUT, name="again")]},
            "entries[1].mode: must be the only entry of mode 0 of both",
        ),
        (
            {"entries": [mode(0, FINE_LUT, netlist_sha256=digest(OR))]},
            f"entries[0].netlist_sha256: must be that of both, {digest(MERGED)}, not",
        ),
        (
            {"entries": [mode(0, FINE_LUT, netlist_sha256=None)]},
            "entries[0].netlist_sha256: must be a hash, as realisation is 'mode'",
        ),
        (
            {"entries": [mode(0, FINE_LUT, mode=None)]},
            "entries[0].mode: must be there, as realisation is 'mode'",
        ),
        (
            {"entries": [mode(0, FINE_LUT, mode={"circuit": "both", "index": -1})]},
            "entries[0].mode.index: must be greater than or equal to 0, not -1",
        ),
        (
            {"circuits": [circuit(n_modes=1)]},
            "circuits[0].n_modes: must be greater than or equal to 2, not 1",
        ),
        (
            {"circuits": [circuit(n_modes=9)]},
            "circuits[0].n_modes: must be less than or equal to 8, not 9",
        ),
        (
            {"circuits": [circuit(n_modes=3)]},
            "circuits[0].select_words: must have an entry per mode, 3, not 2",
        ),
        (
            {"circuits": [circuit(select_words=[3, 4])]},
            "circuits[0].select_words[1]: must be 1..3, not 4",
        ),
        (
            {"circuits": [circuit(select_words=[3, 0])]},
            "circuits[0].select_words[1]: must be 1..3, not 0",
        ),
        (
            {"circuits": [circuit(select_words=[3, 3])]},
            "circuits[0].select_words[1]: must differ from those before, not 3",
        ),
        (
            {"circuits": [circuit(kill_level=[[2] * 8] * 7 + [[2] * 7 + [3]])]},
            "circuits[0].kill_level[7][7]: must be 1..2, not 3",
        ),
        (
            {"circuits": [circuit(kill_level=[[2] * 8] * 7 + [[2] * 7 + [0]])]},
            "circuits[0].kill_level[7][7]: must be greater than or equal to 1, not 0",
        ),
        (
            {"circuits": [circuit(kill_level=[[2] * 8] * 7)]},
            "circuits[0].kill_level: must have at least 8 entries, not",
        ),
        (
            {"circuits": [circuit(force_level=[[2] * 8] * 7 + [[1] + [3] * 7])]},
            "circuits[0].force_level[7][1]: must be 1..2, from the kill level on, not 3",
        ),
        (
            {"circuits": [circuit(force_level=[[1] * 8] * 8)]},
            "circuits[0].force_level[0][0]: must be 2..2, from the kill level on, not 1",
        ),
    ],
)
def test_modes_and_circuits_must_fit(tmp_path, changes, message):
    folder = write_merged(tmp_path / "merged", **changes)
    assert refusal(Library.open, folder).startswith(f"{folder / LIBRARY_FILE}: {message}")


def test_a_tampered_circuit_is_refused(tmp_path):
    library = Library.open(write_merged(tmp_path / "merged"))
    path = library.folder / "both.v"
    path.write_text(MERGED.replace("n0 | n1", "n0 & n1"))
    message = f"{path}: netlist hash must be {digest(MERGED)}, not "
    assert refusal(library.circuit_netlist, "both").startswith(message)
    assert refusal(library.lut, "both_1").startswith(message)
    path.unlink()
    assert refusal(library.lut, "both_1").startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MERGED.replace("n0 | n1", "n0 & n1"), "LUT hash of the netlist must be "),
        (MERGED.replace("[1:0] S", "[2:0] S"), "the select must have 2 bits, not 3"),
        (MERGED.replace("S[1]", "S[2]"), "line 9: a gate must be ~x, "),
        (OR, "line 1: must be 'module multiplier(A, B, S, O);', not "),
    ],
)
def test_a_circuit_of_another_function_is_refused(tmp_path, text, message):
    """Even where the record names the netlist's own hash."""
    folder = write_merged(tmp_path / "merged")
    record = folder / LIBRARY_FILE
    record.write_text(record.read_text().replace(digest(MERGED), digest(text)))
    (folder / "both.v").write_text(text)
    assert refusal(Library.open(folder).lut, "both_1").startswith(f"{folder / 'both.v'}: {message}")


SWAPPED = " (operands swapped: the hash is that of the transposed table)"


@pytest.mark.parametrize("reference", [{}, {"library": "first"}])
def test_swapped_operands_are_named(libraries, reference):
    message = refusal(find, libraries, "low", SELECT_LUT.T, **reference)
    stored, given = lut_sha256(SELECT_LUT), lut_sha256(SELECT_LUT.T.copy())
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
    assert first.netlist("dadda") == AND_TOO
    np.testing.assert_array_equal(first.lut("low"), SELECT_LUT)
    np.testing.assert_array_equal(second.lut("half"), EXACT >> 1)
    message = "library second: half is a table without a netlist: simulation only"
    assert refusal(second.netlist, "half") == message
    for read in (first.netlist, first.lut):
        (first.folder / "absent.npy").write_bytes(npy(EXACT))
        assert refusal(read, "absent") == "library first: has no multiplier 'absent'"


def test_a_table_beside_a_netlist_is_not_read(libraries):
    (libraries[0].folder / "low.npy").write_bytes(npy(EXACT))
    np.testing.assert_array_equal(libraries[0].lut("low"), SELECT_LUT)


def test_a_tampered_netlist_is_refused(libraries):
    library, path = libraries[0], libraries[0].folder / "dadda.v"
    for text in (OR, OR.replace("|", "")):
        path.write_text(text)
        message = f"{path}: netlist hash must be {digest(AND_TOO)}, not {digest(text)}"
        assert refusal(library.netlist, "dadda") == refusal(library.lut, "dadda") == message
    path.unlink()
    message = f"{path}: cannot be read: No such file or directory"
    assert refusal(library.netlist, "dadda") == refusal(library.lut, "dadda") == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OR, f"LUT hash of the netlist must be {lut_sha256(AND_LUT)}, not {lut_sha256(OR_LUT)}"),
        ("garbage", "line 1: must be 'module multiplier(A, B, O);', not 'garbage'"),
    ],
)
def test_a_netlist_of_another_function_is_refused(libraries, text, message):
    """Even where the record names the netlist's own hash."""
    library, path = libraries[0], libraries[0].folder / "zebra.v"
    path.write_text(text)
    record = library.folder / LIBRARY_FILE
    record.write_text(record.read_text().replace(digest(AND), digest(text)))
    assert refusal(Library.open(library.folder).lut, "zebra") == f"{path}: {message}"


def test_a_tampered_table_is_refused(libraries):
    path = libraries[1].folder / "half.npy"
    lut = EXACT >> 1
    lut[3, 5] ^= 1
    path.write_bytes(npy(lut))
    assert refusal(libraries[1].lut, "half") == (
        f"{path}: LUT hash of the netlist must be {lut_sha256(EXACT >> 1)}, not {lut_sha256(lut)}"
    )
    path.unlink()
    message = f"{path}: cannot be read: No such file or directory"
    assert refusal(libraries[1].lut, "half") == message


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
    assert lut_sha256(np.asfortranarray(SELECT_LUT)) == lut_sha256(SELECT_LUT)
    assert lut_sha256(SELECT_LUT) != lut_sha256(SELECT_LUT.T)
    for wrong in (EXACT[:1], EXACT.astype(np.int32)):
        with pytest.raises(ValueError, match=r"LUT must be uint16\[256, 256\]"):
            lut_sha256(wrong)
    check_lut_sha256(SELECT_LUT, lut_sha256(SELECT_LUT), "here")


def test_orientation():
    assert oriented(SELECT_LUT, ActivationPort.A)[200, 3] == SELECT_LUT[200, 3] == 1
    assert oriented(SELECT_LUT, ActivationPort.B)[200, 3] == SELECT_LUT[3, 200] == 0


ENTRY = ("entries", 0)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("schema",), "qosnets-library/1", "schema: must be 'qosnets-library/2', not"),
        (("name",), "../x", "name: must match pattern "),
        (("x",), 1, "x: unknown key"),
        ((*ENTRY, "x"), 1, "entries[0].x: unknown key"),
        ((*ENTRY, "name"), "../x", "entries[0].name: must match pattern "),
        ((*ENTRY, "name"), "low", "entries: names must be unique, low appears twice"),
        ((*ENTRY, "lut_sha256"), "5", "entries[0].lut_sha256: must match pattern "),
        ((*ENTRY, "realisation"), "x", "entries[0].realisation: must be 'netlist', 'table' or"),
        (
            (*ENTRY, "netlist_sha256"),
            None,
            "entries[0].netlist_sha256: must be a hash, as realisation is 'netlist'",
        ),
        (
            ("entries", 1, "mode"),
            {"circuit": "x", "index": 0},
            "entries[1].mode: must be absent, as realisation is 'netlist'",
        ),
        ((*ENTRY, "metrics"), {}, "entries[0].metrics.mae: is missing"),
        ((*ENTRY, "estimates"), {}, "entries[0].estimates.area_um2: is missing"),
        ((*ENTRY, "published"), {}, "entries[0].published.source: is missing"),
        (
            (*ENTRY, "operand_width"),
            [8, 9],
            "entries[0].operand_width[1]: must be less than or equal to 8, not",
        ),
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
    write_library(home / "mine", "mine", {})
    write_library(tmp_path / "many" / "b", "b", {})
    write_library(tmp_path / "many" / "a", "a", {})
    write_library(tmp_path / "one", "one", {})
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
