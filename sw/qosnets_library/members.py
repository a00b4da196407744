"""Multipliers with their figures, and the writer of library folders."""

import errno
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qosnets.errors import InputError
from qosnets.files import canonical_json, sha256
from qosnets.library import (
    LIBRARY_FILE,
    LIBRARY_SCHEMA,
    Entry,
    Library,
    LibraryData,
    Published,
    Realisation,
)
from qosnets.library import Circuit as MergedCircuit
from qosnets.lut import Lut, lut_file, lut_sha256
from qosnets.names import NAME_PATTERN
from qosnets.netlist import netlist_lut

from .characterise import Progress, error_metrics, estimate_netlists
from .liberty import Liberty
from .operands import UNIFORM, Operands
from .ports import OperandWidth

__all__ = [
    "Circuit",
    "Member",
    "MergedMember",
    "characterise_circuits",
    "is_name",
    "library_files",
    "write_library",
]


def is_name(name: str) -> bool:
    """Tell whether ``name`` may be that of a multiplier or library."""
    return re.fullmatch(NAME_PATTERN, name) is not None and len(name) <= 100


@dataclass(frozen=True)
class Circuit:
    """A multiplier without figures."""

    name: str
    origin: str
    """Where the circuit comes from, for people."""
    netlist: str | None
    """Canonical netlist; None for a table."""
    lut: Lut
    operand_width: OperandWidth = (8, 8)
    """Bits of A and B that the circuit reads."""
    published: Published | None = None

    @classmethod
    def from_netlist(cls, name: str, netlist: str, *, origin: str) -> "Circuit":
        """Return the circuit of a canonical netlist with operands of 8 bits."""
        return cls(name, origin, netlist, netlist_lut(netlist, where=name))


@dataclass(frozen=True)
class Member:
    """A multiplier as a library holds it."""

    circuit: Circuit
    entry: Entry


@dataclass(frozen=True)
class MergedMember:
    """A merged multiplier as a library holds it."""

    circuit: MergedCircuit
    netlist: str
    """Netlist with a select (:mod:`qosnets.netlist`)."""
    entries: tuple[Entry, ...]
    """Its modes."""


def characterise_circuits(
    circuits: Sequence[Circuit],
    *,
    reference: str,
    liberty: Liberty,
    operands: Operands = UNIFORM,
    progress: Progress | None = None,
) -> list[Member]:
    """Return circuits with their figures, in their order.

    The error of a circuit that reads less than 8 bits of an operand is that over the operands it
    can read. Tables have no estimates.

    Parameters
    ----------
    circuits
        The circuits; their names are unique.
    reference
        Canonical netlist of the multiplier that has relative power 1.0.
    liberty, operands
        What the estimates are made with.
    progress
        Called after each netlist.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    netlists = {circuit.name: circuit.netlist for circuit in circuits if circuit.netlist}
    estimates = estimate_netlists(
        netlists, reference=reference, liberty=liberty, operands=operands, progress=progress
    )
    members = []
    for circuit in circuits:
        n, m = circuit.operand_width
        entry = Entry(
            name=circuit.name,
            realisation=Realisation.NETLIST if circuit.netlist else Realisation.TABLE,
            lut_sha256=lut_sha256(circuit.lut),
            netlist_sha256=sha256(circuit.netlist.encode()) if circuit.netlist else None,
            origin=circuit.origin,
            metrics=error_metrics(circuit.lut[: 1 << n, : 1 << m]),
            estimates=estimates.get(circuit.name),
            published=circuit.published,
            operand_width=circuit.operand_width,
        )
        members.append(Member(circuit, entry))
    return members


def library_files(
    name: str, members: Sequence[Member], merged: Sequence[MergedMember] = ()
) -> dict[str, bytes]:
    """Return the files of a library by name.

    Parameters
    ----------
    name
        Name of the library.
    members
        The entries in order; those of merged multipliers follow.
    merged
        Merged multipliers.
    """
    record = {
        "schema": LIBRARY_SCHEMA,
        "name": name,
        "entries": [
            *(member.entry for member in members),
            *(entry for member in merged for entry in member.entries),
        ],
        "circuits": [member.circuit for member in merged],
    }
    content = LibraryData.model_validate(record).model_dump(mode="json", by_alias=True)
    files = {LIBRARY_FILE: canonical_json(content)}
    for circuit in (member.circuit for member in members):
        if circuit.netlist:
            files[f"{circuit.name}.v"] = circuit.netlist.encode()
        else:
            files[f"{circuit.name}.npy"] = lut_file(circuit.lut)
    return files | {f"{member.circuit.name}.v": member.netlist.encode() for member in merged}


def write_library(
    folder: Path,
    name: str,
    members: Sequence[Member],
    *,
    merged: Sequence[MergedMember] = (),
    force: bool,
    extra: Mapping[str, bytes] | None = None,
) -> Library:
    """Write a library folder: it appears complete, by one rename, or not at all.

    Parameters
    ----------
    folder
        The library to be; its parent is created where missing.
    name
        Name of the library.
    members, merged
        What it holds, as in :func:`library_files`.
    force
        Replace a library that is there already.
    extra
        Further files by name.

    Raises
    ------
    InputError
        If ``folder`` exists and ``force`` is false, or if it cannot be written.
    """
    files = library_files(name, members, merged) | dict(extra or {})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The staged library lies one level deeper than where readers look for libraries.
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as temporary:
            staged = Path(temporary, folder.name)
            staged.mkdir()
            for file, data in files.items():
                (staged / file).write_bytes(data)
            replaced = Path(temporary, "replaced")
            if force and folder.exists():
                folder.rename(replaced)
            try:
                staged.rename(folder)
            except BaseException:
                if replaced.exists():
                    replaced.rename(folder)
                raise
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise InputError(f"{folder}: exists already (--force replaces it)") from None
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from None
    return Library.open(folder)
