"""Canonical bytes, and output folders that are all or nothing."""

import json
from pathlib import Path

import pytest
from qosnets.errors import InputError, shorten
from qosnets.files import (
    MANIFEST,
    atomic_write,
    canonical_json,
    check_output_folder,
    parse_json,
    publish,
    read_json,
    sha256,
)

EMPTY = "output folder must be empty (--force replaces earlier output)"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "parents" / "out"


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but the manifest."""
    files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    files.pop(MANIFEST, None)
    return files


def write(folder: Path, files: dict[str, bytes], *, force: bool = False) -> None:
    publish(folder, files, force=force, manifest={"schema": "test/1"})


def refusal(folder: Path, files: dict[str, bytes], *, force: bool = False) -> str:
    with pytest.raises(InputError) as error:
        write(folder, files, force=force)
    return str(error.value)


def test_canonical_json():
    data = canonical_json({"b": [1, 0.1], "a": "é", "c": {}})
    assert data == '{\n  "b": [\n    1,\n    0.1\n  ],\n  "a": "é",\n  "c": {}\n}\n'.encode()
    assert parse_json(data, "x") == {"b": [1, 0.1], "a": "é", "c": {}}
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json([value])


def test_duplicate_keys_are_refused_at_every_level():
    for text in ('{"a": 1, "b": 2, "a": 1}', '[{"x": {"b": 0, "a": 1, "a": 1}}]'):
        with pytest.raises(InputError) as error:
            parse_json(text.encode(), "file.json")
        assert str(error.value) == "file.json: key 'a' appears twice in one object"


def test_shortened_values_are_one_line():
    assert shorten("a\nb") == r"'a\nb'"
    assert len(shorten("x" * 1000)) == 60


def test_atomic_write(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert content(tmp_path) == {"file": b"new"}

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, b"newer")
    assert content(tmp_path) == {"file": b"new"}


def test_publish(folder):
    write(folder, {"rtl/b.v": b"b", "a.txt": b"a"})
    assert content(folder) == {"rtl/b.v": b"b", "a.txt": b"a"}
    manifest = read_json(folder / MANIFEST)
    assert manifest == {
        "schema": "test/1",
        "files": {"a.txt": sha256(b"a"), "rtl/b.v": sha256(b"b")},
    }
    assert list(manifest["files"]) == ["a.txt", "rtl/b.v"]
    assert sorted(item.name for item in folder.iterdir()) == ["a.txt", MANIFEST, "rtl"]


def test_publish_into_an_empty_folder(folder):
    folder.mkdir(parents=True)
    write(folder, {"a": b"a"})
    assert content(folder) == {"a": b"a"}


def test_publish_after_an_interrupted_one(folder):
    partial = folder / ".qosnets-partial"
    partial.mkdir(parents=True)
    (partial / "rest").write_bytes(b"rest")
    write(folder, {"a": b"a"})
    assert content(folder) == {"a": b"a"}


def test_a_folder_with_anything_in_it_is_refused(folder):
    folder.mkdir(parents=True)
    (folder / "note").write_bytes(b"mine")
    assert refusal(folder, {"a": b"a"}) == f"{folder}: {EMPTY}"
    assert content(folder) == {"note": b"mine"}
    with pytest.raises(InputError):
        check_output_folder(folder, force=False)
    check_output_folder(folder, force=True)


def test_a_file_is_not_an_output_folder(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"")
    for force in (False, True):
        message = f"{path}: output must be a folder, not a file"
        assert refusal(path, {"a": b"a"}, force=force) == message
    assert refusal(path / "below", {"a": b"a"}).endswith(": cannot be written: Not a directory")


def test_force_replaces_and_removes_earlier_output_only(folder):
    write(folder, {"a": b"1", "rtl/old.v": b"1", "rtl/kept.v": b"1"})
    (folder / "note").write_bytes(b"mine")
    (folder / "rtl" / "note").write_bytes(b"mine")
    assert refusal(folder, {"a": b"2"}) == f"{folder}: {EMPTY}"
    write(folder, {"a": b"2", "rtl/kept.v": b"2", "rtl/new.v": b"2"}, force=True)
    assert content(folder) == {
        "a": b"2",
        "rtl/kept.v": b"2",
        "rtl/new.v": b"2",
        "note": b"mine",
        "rtl/note": b"mine",
    }
    assert list(read_json(folder / MANIFEST)["files"]) == ["a", "rtl/kept.v", "rtl/new.v"]


def test_force_accepts_earlier_output_that_was_deleted(folder):
    write(folder, {"a": b"1", "b": b"1"})
    (folder / "a").unlink()
    (folder / "b").unlink()
    write(folder, {"b": b"2"}, force=True)
    assert content(folder) == {"b": b"2"}


def test_force_does_not_replace_a_foreign_file(folder):
    write(folder, {"a": b"1"})
    (folder / "b").write_bytes(b"mine")
    before = (folder / MANIFEST).read_bytes()
    message = f"{folder / 'b'}: was not written by this tool and is not replaced"
    assert refusal(folder, {"a": b"2", "b": b"2"}, force=True) == message
    assert content(folder) == {"a": b"1", "b": b"mine"}
    assert (folder / MANIFEST).read_bytes() == before


@pytest.mark.parametrize(
    "manifest",
    [
        b"not JSON",
        b"[]",
        b'{"name": "an extension"}',
        b'{"files": 5}',
        b'{"files": ["note"]}',
        b'{"files": {"note": "not a hash"}}',
    ],
)
def test_force_does_not_take_a_foreign_manifest_for_its_own(folder, manifest):
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(manifest)
    (folder / "note").write_bytes(b"mine")
    message = f"{folder / MANIFEST}: was not written by this tool and is not replaced"
    assert refusal(folder, {"a": b"a"}, force=True) == message
    assert content(folder) == {"note": b"mine"}


@pytest.mark.parametrize("absolute", [False, True])
def test_a_manifest_does_not_lead_out_of_the_folder(folder, tmp_path, absolute):
    write(folder, {"a": b"1"})
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    name = str(outside) if absolute else "../../outside"
    manifest = read_json(folder / MANIFEST)
    manifest["files"][name] = sha256(b"mine")
    (folder / MANIFEST).write_bytes(json.dumps(manifest).encode())
    write(folder, {"a": b"2"}, force=True)
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["/abs", "../up", "a/../../up", "..", "", MANIFEST])
def test_output_names_that_leave_the_folder(folder, name):
    with pytest.raises(ValueError, match="must be a relative path below the folder"):
        write(folder, {"a": b"a", name: b"x"})
    assert not folder.exists()


def failing_write(monkeypatch, error: BaseException) -> None:
    """Let the write of a file named ``bad`` fail half way."""
    original = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        if path.name == "bad":
            original(path, data[: len(data) // 2])
            raise error
        return original(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


def test_a_failing_write_leaves_nothing(folder, monkeypatch):
    failing_write(monkeypatch, OSError(28, "No space left on device", "bad"))
    files = {"a": b"new", "sub/bad": b"new", "z": b"new"}
    assert refusal(folder, files) == "bad: cannot be written: No space left on device"
    assert not folder.exists()
    folder.mkdir(parents=True)
    refusal(folder, files)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_output(folder, monkeypatch, error):
    write(folder, {"a": b"old", "b": b"old"})
    manifest = (folder / MANIFEST).read_bytes()
    failing_write(monkeypatch, error)
    with pytest.raises((InputError, KeyboardInterrupt)):
        write(folder, {"a": b"new", "bad": b"new"}, force=True)
    assert content(folder) == {"a": b"old", "b": b"old"}
    assert (folder / MANIFEST).read_bytes() == manifest
    assert sorted(item.name for item in folder.iterdir()) == ["a", "b", MANIFEST]


def test_an_interrupted_write_leaves_nothing(folder, monkeypatch):
    failing_write(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write(folder, {"a": b"new", "bad": b"new"})
    assert not folder.exists()


def test_a_foreign_file_in_the_place_of_a_folder_is_refused(folder):
    write(folder, {"a": b"old", "gone": b"old"})
    (folder / "rtl").write_bytes(b"mine")
    refusal(folder, {"a": b"new", "rtl/top.v": b"new"}, force=True)
    assert content(folder) == {"a": b"old", "gone": b"old", "rtl": b"mine"}
