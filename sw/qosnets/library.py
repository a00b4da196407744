"""Reader of multiplier libraries.

A library is a folder with ``library.json`` and, per entry, ``NAME.v`` (canonical netlist) or, for
a table, ``NAME.npy`` (LUT). Libraries are found in the folders of ``QOSNETS_LIBRARY_PATH``
(each a library or a folder of libraries) and in ``$XDG_DATA_HOME/qosnets-hw``.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import InputError
from .files import read_bytes, read_json, sha256
from .lut import Lut, check_lut_sha256, load_lut
from .names import Name, Sha256
from .netlist import netlist_lut
from .validation import validation_message

__all__ = [
    "LIBRARY_FILE",
    "LIBRARY_SCHEMA",
    "Entry",
    "Estimates",
    "Found",
    "Library",
    "LibraryData",
    "Metrics",
    "Published",
    "Realisation",
    "Toggles",
    "cache_home",
    "data_home",
    "find_multiplier",
    "user_libraries",
]

LIBRARY_FILE = "library.json"
LIBRARY_SCHEMA = "qosnets-library/2"


OperandWidth: TypeAlias = Annotated[int, Field(ge=1, le=8)]


class Realisation(StrEnum):
    """What stands behind an entry."""

    NETLIST = "netlist"
    """A netlist: can be simulated and generated."""
    TABLE = "table"
    """A table only: can be simulated, never generated."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metrics(_Record):
    """Error figures over all 65 536 operand pairs, error = M(a, b) − a·b."""

    mae: float
    """Mean absolute error."""
    wce: int
    """Worst-case absolute error."""
    mse: float
    """Mean squared error."""
    error_probability: float
    """Share of operand pairs with a wrong product, 0..1."""
    mre: float
    """Mean of |error| / (a·b) over the pairs with a·b > 0, as in EvoApproxLib's figures."""
    error_mean: float
    error_std: float
    max_product: int
    """Largest entry of the LUT; sizes accumulators."""
    rank: int
    """Rank of the LUT itself (not of the error) as an integer matrix; 1 for the exact product."""


class Toggles(_Record):
    """Switching activity per port bit: mean toggles per operation, least significant bit first."""

    a: tuple[float, ...] = Field(min_length=8, max_length=8)
    b: tuple[float, ...] = Field(min_length=8, max_length=8)
    product: tuple[float, ...] = Field(min_length=16, max_length=16)


class Estimates(_Record):
    """Cost of the mapped netlist. Every figure names what it was estimated with."""

    area_um2: float
    """Cell area."""
    delay_ns: float
    """Longest path from an operand to a product bit."""
    power_uw: float
    """Dynamic and leakage power at 100 million operations per second."""
    leakage_uw: float
    """Leakage power alone."""
    relative_power: float
    """`power_uw` relative to the best exact multiplier of the default library in the same flow."""
    toggles: Toggles
    engine: str
    """Program and method."""
    liberty: str
    """Name of the cell library."""
    liberty_sha256: Sha256
    distribution: str
    """Name of the distribution of the operands."""


class Published(_Record):
    """Figures that the authors of a circuit published."""

    source: str
    power_mw: float
    area_um2: float
    delay_ns: float


class Entry(_Record):
    """A multiplier of a library."""

    name: Name
    realisation: Realisation
    lut_sha256: Sha256
    netlist_sha256: Sha256 | None
    """Hash of the canonical netlist; None for a table."""
    origin: str
    """Where the circuit comes from, for people."""
    metrics: Metrics
    estimates: Estimates | None
    """None for a table."""
    published: Published | None = None
    operand_width: tuple[OperandWidth, OperandWidth] = (8, 8)
    """Bits of ports A and B that the circuit reads; it ignores those above."""


class LibraryData(_Record):
    """Content of ``library.json``."""

    schema_: Literal["qosnets-library/2"] = Field(alias="schema")
    name: Name
    entries: list[Entry]


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
            If ``library.json`` is missing or not valid, or if a name appears twice.
        """
        path = folder / LIBRARY_FILE
        try:
            data = LibraryData.model_validate(read_json(path))
        except ValidationError as error:
            raise InputError(f"{path}: {validation_message(error)}") from None
        names = [entry.name for entry in data.entries]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{path}: entries: names must be unique, {name} appears twice")
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

    def lut(self, name: str) -> Lut:
        """Return the table of ``name``, checked against its hash.

        It is evaluated from the netlist, or read where the entry is a table.

        Raises
        ------
        InputError
            If the netlist or table is missing, malformed, or has another hash.
        """
        entry = self.entry(name)
        if entry.realisation is Realisation.TABLE:
            path = self.folder / f"{name}.npy"
            lut = load_lut(path)
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
            If the entry is a table, or the file is missing or has another hash.
        """
        entry = self.entry(name)
        if entry.realisation is not Realisation.NETLIST:
            raise InputError(
                f"library {self.name}: {name} is a table without a netlist: simulation only"
            )
        path = self.folder / f"{name}.v"
        data = read_bytes(path)
        if sha256(data) != entry.netlist_sha256:
            raise InputError(
                f"{path}: netlist hash must be {entry.netlist_sha256}, not {sha256(data)}"
            )
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


def find_multiplier(
    libraries: Sequence[Library],
    *,
    name: str,
    lut_sha256: str,
    library: str | None = None,
    netlist_sha256: str | None = None,
    where: str,
) -> Found:
    """Find the multiplier that a reference means.

    With ``library`` given, the entry of that library and name is meant and its hashes must
    match. Otherwise the LUT hash decides, since names do not identify a function: earlier
    libraries first, in each the entry with the same name first, then name order.

    Parameters
    ----------
    libraries
        Where to look; the default library first.
    name, lut_sha256, library, netlist_sha256
        The reference, as in ``ops.json``.
    where
        Place of the reference, starts every message.

    Raises
    ------
    InputError
        If nothing matches.
    """
    if library is not None:
        found = _find_named(libraries, name, library, where)
        _check_hashes(found, lut_sha256, netlist_sha256, where)
        return found
    same_name: list[Found] = []
    for candidate in libraries:
        entries = sorted(candidate.entries.values(), key=lambda e: (e.name != name, e.name))
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
