"""Characterised multipliers, and the writer of library folders."""

import errno
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from qosnets.errors import InputError
from qosnets.files import canonical_json, sha256
from qosnets.library import (
    LIBRARY_FILE,
    LIBRARY_SCHEMA,
    Entry,
    Library,
    LibraryData,
    Metrics,
    Realisation,
)
from qosnets.lut import Lut, lut_file, lut_sha256

from .characterise import Cost, error_metrics, estimate, estimates, map_netlist
from .evaluate import netlist_lut
from .netlist import canonical_netlist

__all__ = ["Circuit", "Member", "Progress", "characterise_circuits", "write_library"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as ``progress(n_done, n_total, name)``."""


@dataclass(frozen=True)
class Circuit:
    """A multiplier as its author wrote it."""

    name: str
    verilog: Mapping[str, bytes]
    """Content of the Verilog files by name."""
    origin: str
    """Where the circuit comes from, for people."""
    where: str
    """What the files are called in messages."""


@dataclass(frozen=True)
class Member:
    """A characterised multiplier."""

    name: str
    origin: str
    netlist: str
    """Canonical Verilog."""
    lut: Lut
    metrics: Metrics
    cost: Cost

    def entry(self, reference: float) -> Entry:
        """Return the record of the library; ``reference`` as for :func:`estimates`."""
        return Entry(
            name=self.name,
            realisation=Realisation.NETLIST,
            lut_sha256=lut_sha256(self.lut),
            netlist_sha256=sha256(self.netlist.encode()),
            origin=self.origin,
            metrics=self.metrics,
            estimates=estimates(self.cost, reference=reference),
        )


def characterise_circuits(
    circuits: Sequence[Circuit], *, progress: Progress | None = None
) -> list[Member]:
    """Import and characterise circuits, in their order, on all cores.

    Raises
    ------
    InputError
        For the first circuit that is not a combinational multiplier.
    """
    members = []
    executor = ThreadPoolExecutor(os.cpu_count())
    try:
        for member in executor.map(_characterise, circuits):
            members.append(member)
            if progress:
                progress(len(members), len(circuits), member.name)
    finally:
        executor.shutdown(cancel_futures=True)
    return members


def _characterise(circuit: Circuit) -> Member:
    netlist = canonical_netlist(circuit.verilog, where=circuit.where)
    lut = netlist_lut(netlist)
    cost = estimate(map_netlist(netlist))
    return Member(circuit.name, circuit.origin, netlist, lut, error_metrics(lut), cost)


def write_library(
    folder: Path, name: str, members: Sequence[Member], *, reference: float, force: bool
) -> Library:
    """Write a library folder: it appears complete, by one rename, or not at all.

    Parameters
    ----------
    folder
        The library to be; its parent is created where missing.
    name
        Name of the library.
    members
        The entries in order.
    reference
        Switched capacitance that has relative power 1.0.
    force
        Replace a library that is there already.

    Raises
    ------
    InputError
        If ``folder`` exists and ``force`` is false, or if it cannot be written.
    """
    entries = [member.entry(reference) for member in members]
    data = LibraryData.model_validate({"schema": LIBRARY_SCHEMA, "name": name, "entries": entries})
    content = data.model_dump(mode="json", by_alias=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The staged library lies one level deeper than where readers look for libraries.
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as temporary:
            staged = Path(temporary, folder.name)
            staged.mkdir()
            for member in members:
                (staged / f"{member.name}.v").write_text(member.netlist)
                (staged / f"{member.name}.npy").write_bytes(lut_file(member.lut))
            (staged / LIBRARY_FILE).write_bytes(canonical_json(content))
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
