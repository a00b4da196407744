"""The library store: import, verification, and the list of all libraries."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from qosnets.errors import InputError, shorten
from qosnets.files import read_bytes
from qosnets.library import Entry, Library, Realisation, data_home, user_libraries
from qosnets.lut import Lut, check_lut_sha256
from qosnets.names import NAME_PATTERN

from .characterise import error_metrics
from .evaluate import netlist_lut
from .families import FAMILIES, embedded_library, power_reference
from .members import Circuit, Member, Progress, characterise_circuits, write_library

__all__ = [
    "VerifiedEntry",
    "all_libraries",
    "import_library",
    "verify_library",
]

_SUFFIXES = (".v", ".sv")


def all_libraries(*, progress: Progress | None = None) -> list[Library]:
    """Return the embedded library and the libraries of the user."""
    return [embedded_library(progress=progress), *user_libraries()]


def import_library(
    path: Path, name: str, *, force: bool = False, progress: Progress | None = None
) -> Library:
    """Import multipliers into the library ``name`` of the user.

    Parameters
    ----------
    path
        A Verilog file, or a folder whose ``*.v`` and ``*.sv`` files are imported, each on its
        own. The file name without its suffix names the multiplier.
    name
        Name of the library.
    force
        Replace a library of that name.
    progress
        Called after each file.

    Raises
    ------
    InputError
        If a file is not a combinational multiplier or a name is refused. Nothing is written.
    """
    if not _is_name(name) or name == FAMILIES:
        raise InputError(
            f"library name: must be an identifier other than {FAMILIES}, not {shorten(name)}"
        )
    folder = data_home() / name
    if folder.exists() and not force:
        raise InputError(f"{folder}: exists already (--force replaces it)")
    circuits = [_circuit(file) for file in _verilog_files(path)]
    members = characterise_circuits(circuits, progress=progress)
    return write_library(folder, name, _unique(members), reference=power_reference(), force=force)


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME_PATTERN, name) is not None and len(name) <= 100


def _verilog_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not files:
        raise InputError(f"{path}: must hold Verilog files ({', '.join(_SUFFIXES)}), has none")
    return files


def _circuit(file: Path) -> Circuit:
    if file.suffix not in _SUFFIXES:
        raise InputError(f"{file}: must end in {' or '.join(_SUFFIXES)}")
    if not _is_name(file.stem):
        raise InputError(f"{file}: file name must be an identifier, not {shorten(file.stem)}")
    verilog = {file.name: read_bytes(file)}
    return Circuit(file.stem, verilog, origin=f"imported from {file.name}", where=str(file))


def _unique(members: list[Member]) -> list[Member]:
    """Return the first member of each name; refuses a later one with another function."""
    first: dict[str, Member] = {}
    for member in members:
        known = first.setdefault(member.name, member)
        if not np.array_equal(known.lut, member.lut):
            raise InputError(f"{member.name}: two files of this name are different multipliers")
    return list(first.values())


@dataclass(frozen=True)
class VerifiedEntry:
    """What the verification of an entry found."""

    name: str
    problems: tuple[str, ...]
    """One line for each thing that does not match; empty where all is well."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify_library(library: Library) -> list[VerifiedEntry]:
    """Recompute tables and metrics of every entry from its netlist and compare with the record.

    An entry that is a table only is checked from its stored table.
    """
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        return list(executor.map(lambda entry: _verify(library, entry), library.entries.values()))


def _verify(library: Library, entry: Entry) -> VerifiedEntry:
    problems = []
    lut: Lut | None = None
    if entry.realisation is Realisation.NETLIST:
        try:
            lut = netlist_lut(library.netlist(entry.name))
            check_lut_sha256(lut, entry.lut_sha256, f"{library.folder / entry.name}.v")
        except InputError as error:
            problems.append(str(error))
    if entry.realisation is Realisation.TABLE or library.has_table(entry.name):
        try:
            # The reader compares with the hash, hence with the table of the netlist.
            stored = library.lut(entry.name)
            lut = stored if lut is None else lut
        except InputError as error:
            problems.append(str(error))
    if lut is not None and error_metrics(lut) != entry.metrics:
        problems.append(f"{library.folder}: {entry.name}: metrics are not those of its table")
    return VerifiedEntry(entry.name, tuple(problems))
