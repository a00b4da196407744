"""Reader of multiplier libraries.

A library is a folder with ``library.json`` and, per entry, ``NAME.v`` (canonical netlist) or, for
a table, ``NAME.npy`` (LUT). A mode of a merged multiplier has no file of its own; ``NAME.v`` of its
circuit is a netlist with a select (:mod:`.netlist`). Libraries are found in the folders of
``QOSNETS_LIBRARY_PATH`` (each a library or a folder of libraries) and in
``$XDG_DATA_HOME/qosnets-hw``.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from .errors import InputError
from .files import read_bytes, read_json, sha256
from .library_data import (
    LIBRARY_SCHEMA,
    Circuit,
    Entry,
    Estimates,
    LibraryData,
    Metrics,
    ModeOf,
    Published,
    Realisation,
    Toggles,
)
from .lut import Lut, check_lut_sha256, load_lut
from .netlist import netlist_lut, netlist_of_word, netlist_select_width
from .ops import ModeRealisation, Multiplier
from .validation import validation_message

__all__ = [
    "LIBRARY_FILE",
    "LIBRARY_SCHEMA",
    "Circuit",
    "Entry",
    "Estimates",
    "Found",
    "Library",
    "LibraryData",
    "Metrics",
    "ModeOf",
    "Published",
    "Realisation",
    "Toggles",
    "cache_home",
    "data_home",
    "find_multiplier",
    "user_libraries",
]

LIBRARY_FILE = "library.json"


@dataclass(frozen=True)
class Library:
    """A library folder on disk."""

    folder: Path
    data: LibraryData

    @classmethod
    def open(cls, folder: Path) -> "Library":
        """Read the library in ``folder``.

        Raises
        ------
        InputError
            If ``library.json`` is missing or not valid.
        """
        path = folder / LIBRARY_FILE
        try:
            data = LibraryData.model_validate(read_json(path))
        except ValidationError as error:
            raise InputError(f"{path}: {validation_message(error)}") from None
        return cls(folder, data)

    @property
    def name(self) -> str:
        """Name of the library."""
        return self.data.name

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """Entries by name, in the order of the file."""
        return {entry.name: entry for entry in self.data.entries}

    def entry(self, name: str) -> Entry:
        """Return the entry ``name``; raises InputError if there is none."""
        if name not in self.entries:
            raise InputError(f"library {self.name}: has no multiplier {name!r}")
        return self.entries[name]

    @cached_property
    def circuits(self) -> dict[str, Circuit]:
        """Merged multipliers by name, in the order of the file."""
        return {circuit.name: circuit for circuit in self.data.circuits}

    def circuit(self, name: str) -> Circuit:
        """Return the merged multiplier ``name``; raises InputError if there is none."""
        if name not in self.circuits:
            raise InputError(f"library {self.name}: has no merged multiplier {name!r}")
        return self.circuits[name]

    def modes(self, circuit: str) -> list[Entry]:
        """Return the entries of a merged multiplier's modes, finest first.

        Raises
        ------
        InputError
            If there is no such multiplier.
        """
        name = self.circuit(circuit).name
        found = {e.mode.index: e for e in self.data.entries if e.mode and e.mode.circuit == name}
        return [found[index] for index in sorted(found)]

    def lut(self, name: str) -> Lut:
        """Return the table of ``name``, checked against its hash.

        It is evaluated from the netlist, for a mode from that of the circuit with the select word
        of the mode, or read where the entry is a table.

        Raises
        ------
        InputError
            If the netlist or table is missing, malformed, or has another hash.
        """
        entry = self.entry(name)
        if entry.realisation is Realisation.TABLE:
            path = self.folder / f"{name}.npy"
            lut = load_lut(path)
        elif entry.mode is not None:
            path = self.folder / f"{entry.mode.circuit}.v"
            lut = netlist_lut(self.netlist_of_mode(entry.mode), where=str(path))
        else:
            path = self.folder / f"{name}.v"
            lut = netlist_lut(self.netlist(name), where=str(path))
        check_lut_sha256(lut, entry.lut_sha256, str(path))
        return lut

    def netlist(self, name: str) -> str:
        """Return the canonical Verilog of ``name``, checked against its hash.

        The text declares ``module multiplier(A, B, O)`` with ``A``, ``B`` 8 and ``O`` 16 bits.

        Raises
        ------
        InputError
            If the entry is a table or a mode, or the file is missing or has another hash.
        """
        entry = self.entry(name)
        if entry.mode is not None:
            raise InputError(
                f"library {self.name}: {name} is a mode of the merged multiplier"
                f" {entry.mode.circuit} and has no netlist of its own"
            )
        if entry.realisation is not Realisation.NETLIST:
            raise InputError(
                f"library {self.name}: {name} is a table without a netlist: simulation only"
            )
        return self._verilog(name, entry.netlist_sha256)

    def circuit_netlist(self, name: str) -> str:
        """Return the Verilog of the merged multiplier ``name``, checked against its hash.

        The text declares ``module multiplier(A, B, S, O)`` with ``A``, ``B`` 8, ``S``
        ``select_width`` and ``O`` 16 bits.

        Raises
        ------
        InputError
            If there is none, if the file is missing or has another hash, or if its ports are
            others.
        """
        circuit = self.circuit(name)
        text = self._verilog(name, circuit.netlist_sha256)
        path = self.folder / f"{name}.v"
        width = netlist_select_width(text, where=str(path))
        if width != circuit.select_width:
            raise InputError(
                f"{path}: the select must have {circuit.select_width} bits, not {width}"
            )
        return text

    def netlist_of_mode(self, mode: ModeOf) -> str:
        """Return the canonical netlist that a circuit is in one mode; raises as the circuit's."""
        word = self.circuit(mode.circuit).select_words[mode.index]
        return netlist_of_word(self.circuit_netlist(mode.circuit), word)

    def _verilog(self, name: str, netlist_sha256: str | None) -> str:
        path = self.folder / f"{name}.v"
        data = read_bytes(path)
        if sha256(data) != netlist_sha256:
            raise InputError(f"{path}: netlist hash must be {netlist_sha256}, not {sha256(data)}")
        return data.decode()


@dataclass(frozen=True)
class Found:
    """A multiplier found in a library."""

    library: Library
    entry: Entry


def data_home() -> Path:
    """Return the folder of the user's libraries, ``$XDG_DATA_HOME/qosnets-hw``."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def cache_home() -> Path:
    """Return the cache folder, ``$XDG_CACHE_HOME/qosnets-hw``; may be deleted at any time."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def _xdg(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable, "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / fallback) / "qosnets-hw"


def user_libraries() -> list[Library]:
    """Return the libraries on ``QOSNETS_LIBRARY_PATH``, then the user's own, each in name order.

    Raises
    ------
    InputError
        If a folder of ``QOSNETS_LIBRARY_PATH`` does not exist, or a library cannot be read.
    """
    folders: list[Path] = []
    for item in filter(None, os.environ.get("QOSNETS_LIBRARY_PATH", "").split(os.pathsep)):
        if not Path(item).is_dir():
            raise InputError(f"QOSNETS_LIBRARY_PATH: {item}: must be a folder")
        folders += _library_folders(Path(item))
    folders += _library_folders(data_home())
    return [Library.open(folder) for folder in folders]


def _library_folders(root: Path) -> list[Path]:
    if (root / LIBRARY_FILE).is_file():
        return [root]
    return sorted(path.parent for path in root.glob(f"*/{LIBRARY_FILE}"))


def find_multiplier(libraries: Sequence[Library], multiplier: Multiplier, *, where: str) -> Found:
    """Find the multiplier that a reference means.

    With a library given, the entry of that library and name is meant and its hashes must match.
    Otherwise the LUT hash decides, since names do not identify a function: earlier libraries
    first, in each the entry with the same name first, then name order. Where a mode is meant,
    other entries with the same table are passed over.

    Parameters
    ----------
    libraries
        Where to look; the default library first.
    multiplier
        The reference.
    where
        Place of the reference, starts every message.

    Raises
    ------
    InputError
        If nothing matches.
    """
    name, lut_sha256 = multiplier.name, multiplier.lut_sha256
    netlist_sha256 = multiplier.netlist_sha256
    if multiplier.library is not None:
        found = _find_named(libraries, name, multiplier.library, where)
        _check_hashes(found, lut_sha256, netlist_sha256, where)
        return found
    mode = None
    if isinstance(said := multiplier.realisation, ModeRealisation):
        mode = ModeOf(circuit=said.circuit, index=said.index)
    same_name: list[Found] = []
    for candidate in libraries:
        meant = [e for e in candidate.entries.values() if mode in (None, e.mode)]
        entries = sorted(meant, key=lambda e: (e.name != name, e.name))
        for entry in entries:
            if entry.lut_sha256 == lut_sha256 and netlist_sha256 in (None, entry.netlist_sha256):
                return Found(candidate, entry)
            if entry.name == name:
                same_name.append(Found(candidate, entry))
    for found in same_name:
        _check_hashes(found, lut_sha256, netlist_sha256, where)
    raise InputError(
        f"{where}: no library has a multiplier with LUT hash {lut_sha256} ({name});"
        f" searched {_names(libraries)}"
    )


def _find_named(libraries: Sequence[Library], name: str, library: str, where: str) -> Found:
    for candidate in libraries:
        if candidate.name == library:
            if name not in candidate.entries:
                raise InputError(f"{where}: library {library} has no multiplier {name!r}")
            return Found(candidate, candidate.entry(name))
    raise InputError(f"{where}: library {library!r} is not one of {_names(libraries)}")


def _check_hashes(found: Found, lut_sha256: str, netlist_sha256: str | None, where: str) -> None:
    entry = found.entry
    if entry.lut_sha256 != lut_sha256:
        check_lut_sha256(found.library.lut(entry.name), lut_sha256, where)
    if netlist_sha256 not in (None, entry.netlist_sha256):
        raise InputError(
            f"{where}: netlist hash must be {entry.netlist_sha256}, not {netlist_sha256}"
        )


def _names(libraries: Iterable[Library]) -> str:
    return ", ".join(library.name for library in libraries) or "no library"
