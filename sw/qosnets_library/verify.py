"""Verification of libraries: record, netlist and table must say the same."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from qosnets.errors import InputError
from qosnets.library import Circuit, Entry, Library, Realisation
from qosnets.lut import Lut, check_lut_sha256, lut_sha256
from qosnets.netlist import netlist_lut, netlist_of_word

from .characterise import error_metrics
from .modes import masks_of

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
    ignore the bits of its operands above the width that is recorded. The netlist of a mode is that
    of its circuit with the select tied; its table must be that of the levels that are recorded, and
    with select word 0 the circuit must give 0.

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
            if entry.realisation is not Realisation.TABLE:
                if entry.mode is None:
                    text, file = library.netlist(entry.name), f"{entry.name}.v"
                else:
                    text, file = library.netlist_of_mode(entry.mode), f"{entry.mode.circuit}.v"
                    found += _check_circuit(library, library.circuit(entry.mode.circuit), entry)
                where = str(library.folder / file)
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
            entry = library.entry(name)
            file = name if entry.mode is None else entry.mode.circuit
            where = f"{library.folder / file}.v: simulation"
            _note(problems[name], lut, entry.lut_sha256, where)
    return [VerifiedEntry(name, tuple(found)) for name, found in problems.items()]


def _note(problems: list[str], lut: Lut, expected: str, where: str) -> None:
    try:
        check_lut_sha256(lut, expected, where)
    except InputError as error:
        problems.append(str(error))


def _check_circuit(library: Library, circuit: Circuit, entry: Entry) -> list[str]:
    """Return what is wrong with the formula of a mode, and with the circuit in no mode."""
    assert entry.mode is not None
    problems: list[str] = []
    if lut_sha256(masks_of(circuit).lut(entry.mode.index)) != entry.lut_sha256:
        levels = f"levels of {circuit.name}"
        problems.append(f"{library.folder}: {entry.name}: {levels} are not those of its table")
    path = str(library.folder / f"{circuit.name}.v")
    idle = netlist_of_word(library.circuit_netlist(circuit.name), 0, where=path)
    n_wrong = int((netlist_lut(idle, where=path) != 0).sum())
    if n_wrong:
        problems.append(f"{path}: products must be 0 with select word 0, {n_wrong} are not")
    return problems


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
