"""The multipliers that a library offers to the search."""

from dataclasses import dataclass

from qosnets.errors import InputError
from qosnets.library import Entry, Library, Realisation
from qosnets.lut import Lut

__all__ = ["Candidate", "load_candidates"]


@dataclass(frozen=True)
class Candidate:
    """A multiplier with a netlist."""

    entry: Entry
    lut: Lut
    netlist: str
    """Canonical text."""
    relative_power: float


def load_candidates(library: Library) -> list[Candidate]:
    """Return the entries of ``library`` that have a netlist, each netlist once, in its order.

    Raises
    ------
    InputError
        If there is none, or one lacks estimates or its netlist cannot be read.
    """
    found: dict[str | None, Candidate] = {}
    for entry in library.entries.values():
        if entry.realisation is not Realisation.NETLIST or entry.netlist_sha256 in found:
            continue
        if entry.estimates is None:
            raise InputError(f"library {library.name}: {entry.name}.estimates: is missing")
        found[entry.netlist_sha256] = Candidate(
            entry,
            library.lut(entry.name),
            library.netlist(entry.name),
            entry.estimates.relative_power,
        )
    if not found:
        raise InputError(f"library {library.name}: must have a multiplier with a netlist, has none")
    return list(found.values())
