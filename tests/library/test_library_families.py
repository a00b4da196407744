import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from qosnets.files import sha256
from qosnets.library import Library, cache_home
from qosnets.lut import exact_lut
from qosnets_library import families
from qosnets_library.families import embedded_library
from qosnets_library.generic_liberty import liberty as generic_liberty
from qosnets_library.verify import verify_library

A, B = np.indices((256, 256))


@pytest.fixture(scope="module")
def library() -> Library:
    return embedded_library()


def bit_products(keep) -> np.ndarray:
    """Sum of the bit products a_i·b_j·2^(i+j) that ``keep(i, j)`` selects."""
    kept = [(i, j) for i in range(8) for j in range(8) if keep(i, j)]
    return sum((A >> i & 1) * (B >> j & 1) << i + j for i, j in kept)


def block_products(block, n_approximate: int) -> np.ndarray:
    """Sum of 2x2 products of which the ``n_approximate`` of lowest weight are ``block``."""
    digits = sorted(((i, j) for i in range(4) for j in range(4)), key=sum)
    product = np.zeros((256, 256), dtype=int)
    for index, (i, j) in enumerate(digits):
        a, b = A >> 2 * i & 3, B >> 2 * j & 3
        product += (block(a, b) if index < n_approximate else a * b) << 2 * (i + j)
    return product


BLOCKS = {
    "m1": lambda a, b: np.where((a == 3) & (b == 3), 7, a * b),
    "m2": lambda a, b: np.where((a == 3) & (b == 3), 9, a * b - (a & b & 1)),
    "m4": lambda a, b: np.where((a == 3) & (b == 3), 5, a * b),
}
"""The approximate 2x2 products by their definition."""


def test_members_have_distinct_functions_and_netlists(library):
    entries = library.entries.values()
    approximate = [entry.lut_sha256 for entry in entries if entry.metrics.wce]
    assert len(entries) >= 24
    assert len(set(approximate)) == len(approximate) >= 20
    assert len({entry.netlist_sha256 for entry in entries}) == len(entries)


def defined_table(name: str) -> np.ndarray:
    """The table of a member, from the definition of its cuts or blocks."""
    family, *options = name.removeprefix("mul8u_").split("_")
    if family in ("tam", "tcsm"):
        cut = int(options[0][1:])
        return bit_products(lambda i, j: min(i, j) >= cut)
    if family in ("bam", "bcsm"):
        h, v = (int(option[1:]) for option in options)
        return bit_products(lambda i, j: j >= h and i + j >= v)
    if family == "rec":
        return block_products(BLOCKS[options[0]], int(options[1]))
    return exact_lut()


def test_tables_equal_arithmetic(library):
    for name in library.entries:
        assert np.array_equal(library.lut(name), defined_table(name)), name


def test_power_is_relative_to_the_reference(library):
    power = {name: entry.estimates.relative_power for name, entry in library.entries.items()}
    approximate = [name for name, entry in library.entries.items() if entry.metrics.wce]
    exact = [name for name in power if name not in approximate]
    assert all(0.01 < power[name] < 1 for name in approximate)
    assert all(1 < power[name] < 1.2 for name in exact)


def test_another_cell_library_makes_another_library(library, tmp_path, monkeypatch):
    path = tmp_path / "cells.lib"
    path.write_text(generic_liberty() + "/* changed */")
    monkeypatch.setenv("QOSNETS_LIBERTY", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    other = embedded_library()
    assert other.folder.name != library.folder.name
    hashes = {entry.estimates.liberty_sha256 for entry in other.entries.values()}
    assert hashes == {sha256(path.read_bytes())}


def test_verification_passes(library):
    assert [entry for entry in verify_library(library, None) if not entry.ok] == []


def test_same_bytes_from_another_process_with_another_hash_seed(library, tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    command = (
        "from qosnets_library.families import embedded_library as e; print(e().folder, end='')"
    )
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (child.returncode, child.stderr) == (0, "")
    rebuilt = Library.open(next(tmp_path.glob("qosnets-hw/libraries/*")))
    assert child.stdout == str(rebuilt.folder)
    assert rebuilt.folder.name == library.folder.name

    def content(opened: Library) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in opened.folder.iterdir()}

    assert content(rebuilt) == content(library)
    assert [path.name for path in rebuilt.folder.parent.iterdir()] == [rebuilt.folder.name]


def test_a_concurrent_builder_may_be_faster(library, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    characterise = families.characterise_circuits

    def overtaken(circuits, **options):
        shutil.copytree(library.folder, cache_home() / "libraries" / library.folder.name)
        return characterise(circuits[:1], **options)

    monkeypatch.setattr(families, "characterise_circuits", overtaken)
    opened = embedded_library()
    assert opened.folder.is_relative_to(tmp_path)
    assert opened.data == library.data
    assert len(list(opened.folder.parent.iterdir())) == 1
