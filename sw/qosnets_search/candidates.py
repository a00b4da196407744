"""The multipliers that a library offers to the search."""

from dataclasses import dataclass

from qosnets.errors import InputError
from qosnets.library import Entry, Library, Realisation
from qosnets.lut import Lut, check_lut_sha256
from qosnets_library.evaluate import netlist_lut

__all__ = ["Candidate", "load_candidates"]


@dataclass(frozen=True)
class Candidate:
    """A multiplier with a netlist."""

    entry: Entry
    lut: Lut
    relative_power: float


def load_candidates(library: Library) -> list[Candidate]:
    """Return the entries of ``library`` that have a netlist, each netlist once, in its order.

    Raises
    ------
    InputError
        If there is none, one lacks estimates, or a table cannot be read.
    """
    found: dict[str | None, Candidate] = {}
    for entry in library.entries.values():
        if entry.realisation is not Realisation.NETLIST or entry.netlist_sha256 in found:
            continue
        if entry.estimates is None:
            raise InputError(f"library {library.name}: {entry.name}.estimates: is missing")
        lut = _lut(library, entry)
        found[entry.netlist_sha256] = Candidate(entry, lut, entry.estimates.relative_power)
    if not found:
        raise InputError(f"library {library.name}: must have a multiplier with a netlist, has none")
    return list(found.values())


def _lut(library: Library, entry: Entry) -> Lut:
    if library.has_table(entry.name):
        return library.lut(entry.name)
    lut = netlist_lut(library.netlist(entry.name))
    check_lut_sha256(lut, entry.lut_sha256, f"library {library.name}: {entry.name}")
    return lut
