"""Verification of libraries: record, netlist and table must say the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from qosnets.errors import InputError
from qosnets.library import Entry, Library, Realisation
from qosnets.lut import Lut, check_lut_sha256
from qosnets.netlist import netlist_lut

from .characterise import error_metrics

__all__ = ["Simulate", "VerifiedEntry", "verify_library"]

Simulate: TypeAlias = Callable[[Mapping[str, str]], Mapping[str, Lut]]
"""Returns the tables of canonical netlists, by any name, from an event simulator."""


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


def verify_library(library: Library, simulate: Simulate | None) -> list[VerifiedEntry]:
    """Compare every entry with its netlist or table.

    The netlist must have its hash; its table, evaluated from the text and again by ``simulate``,
    must have its hash too; the error figures must be those of the table, and the circuit must
    ignore the bits of its operands above the width that is recorded.

    Parameters
    ----------
    library
        The library.
    simulate
        Simulator that is independent of the evaluator; None leaves it out.
    """
    problems: dict[str, list[str]] = {name: [] for name in library.entries}
    netlists: dict[str, str] = {}
    for entry in library.entries.values():
        found = problems[entry.name]
        try:
            if entry.realisation is Realisation.NETLIST:
                text = library.netlist(entry.name)
                where = str(library.folder / f"{entry.name}.v")
                lut = netlist_lut(text, where=where)
                # The simulator sees canonical netlists only.
                netlists[entry.name] = text
                _note(found, lut, entry.lut_sha256, where)
            else:
                lut = library.lut(entry.name)
        except InputError as error:
            found.append(str(error))
            continue
        found += _check_record(entry, lut, f"{library.folder}: {entry.name}")
    if simulate is not None and netlists:
        for name, lut in simulate(netlists).items():
            where = f"{library.folder / name}.v: simulation"
            _note(problems[name], lut, library.entry(name).lut_sha256, where)
    return [VerifiedEntry(name, tuple(found)) for name, found in problems.items()]


def _note(problems: list[str], lut: Lut, lut_sha256: str, where: str) -> None:
    try:
        check_lut_sha256(lut, lut_sha256, where)
    except InputError as error:
        problems.append(str(error))


def _check_record(entry: Entry, lut: Lut, where: str) -> list[str]:
    problems = []
    n, m = (1 << width for width in entry.operand_width)
    readable = lut[:n, :m]
    if not (lut.reshape(256 // n, n, 256 // m, m) == readable[None, :, None, :]).all():
        width = "x".join(map(str, entry.operand_width))
        problems.append(f"{where}: its table must repeat, operand_width being {width}")
    if error_metrics(readable) != entry.metrics:
        problems.append(f"{where}: metrics are not those of its table")
    return problems
