"""What a path of a user holds: multipliers, other circuits, and what must be refused."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import numpy as np
from qosnets.errors import InputError, shorten
from qosnets.files import read_bytes
from qosnets.lut import Lut, load_lut
from qosnets.netlist import netlist_lut

from .designs import Design
from .elaborate import Elaboration, elaborate_all
from .hierarchy import choose_top, with_helpers
from .members import Circuit, is_name
from .netlist import canonical_text
from .ports import OperandWidth, bind_ports, is_other_circuit
from .published import published_figures
from .signedness import is_signed
from .survey import Modules, survey

__all__ = ["Found", "Refusal", "Skipped", "read_circuits"]

_NETLISTS = (".v", ".sv", ".blif")
_TABLES = (".npy", ".bin")
_SUFFIXES = (*_NETLISTS, *_TABLES)
_TABLE_BYTES = 2 << 16

Phase: TypeAlias = Callable[[int, int, str], None]
"""Called as ``progress(n_done, n_total, phase)``."""


class Skipped(StrEnum):
    """Circuits that a folder may hold beside those wanted, by what people call them."""

    PORTS = "adders and other widths"
    SIGNED = "signed"
    MAPPED = "instantiating modules that are not given"


@dataclass(frozen=True)
class Refusal:
    """A circuit that cannot be imported."""

    name: str
    reason: str
    """One line, starting with the path."""


@dataclass(frozen=True)
class Found:
    """What a path holds."""

    circuits: tuple[Circuit, ...]
    """In name order."""
    refused: tuple[Refusal, ...]
    skipped: Mapping[Skipped, int]
    """Number of files of each kind."""


@dataclass(frozen=True)
class _File:
    path: Path
    origin: str
    """Path relative to what the user named."""

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()


_Outcome: TypeAlias = Circuit | Skipped | InputError


def read_circuits(
    path: Path, *, operand_width: OperandWidth = (8, 8), progress: Phase | None = None
) -> Found:
    """Read the unsigned multipliers of a file, or of all files in a folder and those below.

    Files are Verilog (``.v``), SystemVerilog (``.sv``), BLIF (``.blif``) and tables (``.npy``, or
    ``.bin``: 65 536 little-endian words of 16 bits, row = operand A). A file is one circuit with
    the name of the file. Modules that it instantiates but does not define are taken from the one
    other file of the same folder that defines them; a single file stands for itself.

    In a folder circuits of other kinds are skipped; a single file that is one is refused. Of
    files of one name with the same table the first path in sort order counts, netlists before
    tables; if tables differ, all files of that name are refused.

    Parameters
    ----------
    path
        The file or folder. Folders and files with names starting with a dot are left out.
    operand_width
        Width of the multipliers wanted. Narrow ones ignore the upper bits of their operands, and
        the upper bits of their product are 0.
    progress
        Called while reading and elaborating.

    Raises
    ------
    InputError
        If the path is neither a file of these kinds nor a folder that holds some.
    """
    files = _files(path)
    whole = path.is_dir()
    outcomes: dict[_File, _Outcome] = {}
    netlists = [file for file in files if file.suffix in _NETLISTS]
    outcomes |= _read_netlists(netlists, operand_width, whole=whole, progress=progress)
    for file in files:
        if file.suffix in _TABLES:
            outcomes[file] = _read_table(file, operand_width)
    if not whole:
        outcomes = {file: _refused_if_skipped(file, found) for file, found in outcomes.items()}
    return _sorted_out(outcomes)


def _files(path: Path) -> list[_File]:
    suffixes = ", ".join(_SUFFIXES)
    if not path.is_dir():
        if path.suffix.lower() not in _SUFFIXES:
            raise InputError(f"{path}: must be a folder or end in one of {suffixes}")
        return [_File(path, path.name)]
    found = [
        _File(file, file.relative_to(path).as_posix())
        for file in path.rglob("*")
        if file.suffix.lower() in _SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    if not found:
        raise InputError(f"{path}: must hold circuits ({suffixes}), has none")
    return sorted(found, key=lambda file: (file.suffix in _TABLES, file.origin))


def _read_netlists(
    files: Sequence[_File],
    width: OperandWidth,
    *,
    whole: bool,
    progress: Phase | None,
) -> dict[_File, _Outcome]:
    """Return what each Verilog or BLIF file is; ``whole``: they are all those of a folder."""
    outcomes: dict[_File, _Outcome] = {}
    designs: dict[_File, Design] = {}
    for file in files:
        try:
            designs[file] = Design({file.path.name: read_bytes(file.path)}, str(file.path))
        except InputError as error:
            outcomes[file] = error
    modules: dict[_File, Modules] = {}
    surveyed = survey([*designs.values()], step=_step(progress, "Reading"))
    for file, found in zip(designs, surveyed, strict=True):
        if isinstance(found, InputError):
            outcomes[file] = found
        else:
            modules[file] = found
    neighbours: dict[Path, dict[str, tuple[Design, Modules]]] = {}
    if whole:
        for file, found in modules.items():
            folder = neighbours.setdefault(file.path.parent, {})
            folder[file.path.name] = designs[file], found
    planned: dict[_File, Elaboration] = {}
    for file in modules:
        folder = neighbours.get(file.path.parent, {})
        plan = _plan(file, designs[file], modules[file], folder, width)
        if isinstance(plan, Elaboration):
            planned[file] = plan
        else:
            outcomes[file] = plan
    elaborated = elaborate_all([*planned.values()], step=_step(progress, "Elaborating"))
    for file, netlist in zip(planned, elaborated, strict=True):
        if isinstance(netlist, InputError):
            outcomes[file] = netlist
        else:
            text = canonical_text(netlist)
            outcomes[file] = _circuit(file, text, netlist_lut(text), width)
    return outcomes


def _step(progress: Phase | None, phase: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(done, total, phase)


def _plan(
    file: _File,
    design: Design,
    modules: Modules,
    neighbours: Mapping[str, tuple[Design, Modules]],
    width: OperandWidth,
) -> Elaboration | Skipped | InputError:
    """Decide from its declarations what to do with a file."""
    where = design.where
    try:
        top = choose_top(modules, width, prefer=file.path.stem, where=where)
        ports = modules[top].ports
        if is_other_circuit(ports, width):
            if not neighbours:
                bind_ports(ports, width, where)
            return Skipped.PORTS
        bind_ports(ports, width, where)
        files, missing = with_helpers(file.path.name, top, modules, neighbours, where=where)
    except InputError as error:
        return error
    if missing and neighbours:
        return Skipped.MAPPED
    return Elaboration(Design({**design.files, **files}, where), top, width)


def _read_table(file: _File, width: OperandWidth) -> _Outcome:
    if width != (8, 8):
        return Skipped.PORTS
    try:
        lut = load_lut(file.path) if file.suffix == ".npy" else _load_words(file.path)
    except InputError as error:
        return error
    return _circuit(file, None, lut, width)


def _load_words(path: Path) -> Lut:
    content = read_bytes(path)
    if len(content) != _TABLE_BYTES:
        raise InputError(f"{path}: table must have {_TABLE_BYTES} bytes, not {len(content)}")
    return np.frombuffer(content, dtype="<u2").astype(np.uint16).reshape(256, 256)


def _circuit(file: _File, netlist: str | None, lut: Lut, width: OperandWidth) -> _Outcome:
    name = file.path.stem
    if is_signed(lut, width):
        return Skipped.SIGNED
    if not is_name(name):
        return InputError(f"{file.path}: file name must be an identifier, not {shorten(name)}")
    return Circuit(
        name=name,
        origin=f"imported from {file.origin}",
        netlist=netlist,
        lut=lut,
        operand_width=width,
        published=published_figures(name, lut),
    )


def _refused_if_skipped(file: _File, outcome: _Outcome) -> _Outcome:
    """Return the reason to refuse a file that the user named, where a folder would skip it."""
    match outcome:
        case Skipped.SIGNED:
            return InputError(f"{file.path}: must be an unsigned multiplier, is a signed one")
        case Skipped.PORTS:
            return InputError(f"{file.path}: a table must have operands of 8 bits")
        case _:
            return outcome


def _sorted_out(outcomes: Mapping[_File, _Outcome]) -> Found:
    """Make one circuit of files of one name, in order of their paths."""
    files = sorted(outcomes, key=lambda file: (file.suffix in _TABLES, file.origin))
    refused = [
        Refusal(file.path.stem, str(outcome))
        for file in files
        if isinstance(outcome := outcomes[file], InputError)
    ]
    by_name: dict[str, dict[_File, Circuit]] = {}
    for file in files:
        if isinstance(circuit := outcomes[file], Circuit):
            by_name.setdefault(circuit.name, {})[file] = circuit
    circuits = []
    for name, named in sorted(by_name.items()):
        first = next(iter(named.values()))
        if all(np.array_equal(first.lut, circuit.lut) for circuit in named.values()):
            circuits.append(first)
        else:
            refused.append(Refusal(name, _ambiguous(name, named)))
    skipped = Counter(item for item in outcomes.values() if isinstance(item, Skipped))
    return Found(tuple(circuits), tuple(refused), dict(sorted(skipped.items())))


def _ambiguous(name: str, files: Iterable[_File]) -> str:
    paths = ", ".join(file.origin for file in files)
    return f"{name}: files of one name must be the same multiplier, not different ones: {paths}"
