"""The multipliers that a library offers to the search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qosnets.errors import InputError
from qosnets.library import Entry, Library, Realisation
from qosnets.lut import ActivationPort, Lut

__all__ = ["Candidate", "Offer", "load_offers"]


@dataclass(frozen=True)
class Candidate:
    """A multiplier with a netlist, or a mode of a merged one."""

    entry: Entry
    lut: Lut
    netlist: str
    """Canonical text; of a mode, with the select tied to its word."""
    relative_power: float


@dataclass(frozen=True)
class Offer:
    """The multipliers to choose from."""

    library: str
    """Name of their library."""
    candidates: Sequence[Candidate]
    """Multipliers with netlists, or the modes of one merged multiplier."""
    port: ActivationPort | None = None
    """Port that they were made to take activations on; None: either."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Those of a library that was made for the network, by name."""

    @property
    def are_modes(self) -> bool:
        """Whether they are modes, which share the port of the activation."""
        return self.candidates[0].entry.mode is not None


def load_offers(library: Library) -> list[Offer]:
    """Return what of a library can be chosen from: one offer, or one for each merged multiplier.

    Its multipliers with a netlist, each netlist once, are one offer, in the order of the library.
    So are the modes of a merged multiplier, for all modes in an array are those of one.

    Raises
    ------
    InputError
        If there is none, if there are netlists and modes, or if one lacks estimates or its netlist
        cannot be read.
    """
    found: dict[str | None, dict[tuple[str | None, int | None], Candidate]] = {}
    for entry in library.entries.values():
        circuit, index = (entry.mode.circuit, entry.mode.index) if entry.mode else (None, None)
        of_circuit = found.get(circuit, {})
        if entry.realisation is Realisation.TABLE or (entry.netlist_sha256, index) in of_circuit:
            continue
        found.setdefault(circuit, of_circuit)[entry.netlist_sha256, index] = _candidate(
            library, entry
        )
    if not found:
        raise InputError(f"library {library.name}: must have a multiplier with a netlist, has none")
    if None in found and len(found) > 1:
        raise InputError(
            f"library {library.name}: must have multipliers with netlists of their own or modes of"
            " merged ones to choose from, has both"
        )
    return [Offer(library.name, list(candidates.values())) for candidates in found.values()]


def _candidate(library: Library, entry: Entry) -> Candidate:
    if entry.estimates is None:
        raise InputError(f"library {library.name}: {entry.name}.estimates: is missing")
    netlist = library.netlist_of_mode(entry.mode) if entry.mode else library.netlist(entry.name)
    return Candidate(entry, library.lut(entry.name), netlist, entry.estimates.relative_power)
