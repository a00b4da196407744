"""The library store: import into it, and the list of all libraries."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from qosnets.errors import InputError, shorten
from qosnets.library import Library, LibraryData, Realisation, data_home, user_libraries

from .characterise import Progress, estimate_modes, estimate_netlists
from .default import DEFAULT, MERGED, default_library, merged_library, reference_netlist
from .families import FAMILIES, embedded_library
from .liberty import Liberty, load_liberty
from .members import characterise_circuits, is_name, write_library
from .operands import Operands
from .ports import OperandWidth
from .published import PublishedCheck, check_published
from .sources import Found, Phase, Refusal, read_circuits

__all__ = [
    "Imported",
    "all_libraries",
    "check_target",
    "import_library",
    "with_estimates",
    "write_found",
]

_RESERVED = (DEFAULT, FAMILIES, MERGED)


def all_libraries(*, only: str | None = None, progress: Progress | None = None) -> list[Library]:
    """Return the libraries of the package, the default one first, then the user's, or ``only``.

    The families are built at first use, with ``progress``; where another library is wanted, not
    at all.
    """
    families = [embedded_library(progress=progress)] if only in (None, FAMILIES) else []
    libraries = [default_library(), *families, merged_library(), *user_libraries()]
    return [library for library in libraries if only in (None, library.name)]


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    library: Library
    refused: tuple[Refusal, ...]
    """Circuits left out because they break a rule."""
    skipped: Mapping[str, int]
    """Number of files left out because they hold another kind of circuit, by kind."""
    published: PublishedCheck
    """How the circuits compare with those that EvoApproxLib v2022 published."""


def import_library(
    path: Path,
    name: str,
    *,
    force: bool = False,
    keep_going: bool = False,
    liberty: Path | None = None,
    operand_width: OperandWidth = (8, 8),
    progress: Phase | None = None,
) -> Imported:
    """Import multipliers into the library ``name`` of the user.

    Parameters
    ----------
    path
        A file, or a folder with files, as :func:`.sources.read_circuits` describes them.
    name
        Name of the library.
    force
        Replace a library of that name.
    keep_going
        Import the other circuits where some are refused.
    liberty
        Liberty file to estimate with; None for the one in force.
    operand_width
        Width of the multipliers to import.
    progress
        Called as ``progress(n_done, n_total, phase)``; each phase counts from the start.

    Raises
    ------
    InputError
        If a name is refused, if the library exists and ``force`` is false, if circuits are
        refused and ``keep_going`` is false (the message has a line for each), or if there is
        nothing to import. Nothing is written.
    """
    check_target(name, force=force)
    found = read_circuits(path, operand_width=operand_width, progress=progress)
    if not found.circuits and not found.refused:
        n, m = operand_width
        raise InputError(f"{path}: must hold an unsigned {n}x{m} multiplier, has {_counted(found)}")
    if found.refused and not (keep_going and found.circuits):
        raise InputError("\n".join(refusal.reason for refusal in found.refused))
    return write_found(found, name, force=force, liberty=liberty, progress=progress)


def check_target(name: str, *, force: bool) -> None:
    """Refuse the name of a library that the user cannot have, or has already.

    Raises
    ------
    InputError
        If the name is not an identifier or is reserved, or if there is such a library and
        ``force`` is false.
    """
    if not is_name(name) or name in _RESERVED:
        *names, last = _RESERVED
        rule = f"must be an identifier other than {', '.join(names)} or {last}"
        raise InputError(f"library name: {rule}, not {shorten(name)}")
    folder = data_home() / name
    if folder.exists() and not force:
        raise InputError(f"{folder}: exists already (--force replaces it)")


def write_found(
    found: Found, name: str, *, force: bool, liberty: Path | None, progress: Phase | None
) -> Imported:
    """Characterise circuits and write them as the library ``name`` of the user.

    Parameters, and the errors raised, are those of :func:`import_library`.
    """
    members = characterise_circuits(
        found.circuits,
        reference=reference_netlist(),
        liberty=load_liberty(liberty),
        progress=progress and (lambda done, total, _: progress(done, total, "Characterising")),
    )
    library = write_library(data_home() / name, name, members, force=force)
    skipped = {str(kind): n for kind, n in found.skipped.items()}
    hashes = {entry.name: entry.lut_sha256 for entry in library.entries.values()}
    return Imported(library, found.refused, skipped, check_published(hashes))


def _counted(found: Found) -> str:
    return "only " + ", ".join(f"{n} {kind}" for kind, n in found.skipped.items())


def with_estimates(
    library: Library,
    liberty: Liberty,
    operands: Operands,
    *,
    progress: Progress | None = None,
) -> Library:
    """Return a view of a library with the estimates of one flow; the folder is not changed.

    Recorded estimates are not trusted to be of the same flow: other versions of the tools or
    another exact multiplier may have made them. Anew, they come from the cache.

    Parameters
    ----------
    library
        The library.
    liberty, operands
        What to estimate with.
    progress
        Called after each netlist.

    Raises
    ------
    InputError
        If a netlist is missing or has another hash.
    ToolError
        If Yosys is missing or fails.
    """
    netlists = {
        entry.name: library.netlist(entry.name)
        for entry in library.data.entries
        if entry.realisation is Realisation.NETLIST
    }
    estimates = estimate_netlists(
        netlists,
        reference=reference_netlist(),
        liberty=liberty,
        operands=operands,
        progress=progress,
    )
    for circuit in library.data.circuits:
        by_mode = estimate_modes(
            library.circuit_netlist(circuit.name),
            circuit.select_words,
            reference=reference_netlist(),
            liberty=liberty,
            operands=operands,
        )
        for entry in library.modes(circuit.name):
            assert entry.mode is not None
            estimates[entry.name] = by_mode[entry.mode.index]
    entries = [
        entry.model_copy(update={"estimates": estimates.get(entry.name)})
        for entry in library.data.entries
    ]
    data: LibraryData = library.data.model_copy(update={"entries": entries})
    return replace(library, data=data)
