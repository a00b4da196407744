"""Chooses the top module of a file, and finds the modules that it takes from other files."""

from collections.abc import Mapping

from qosnets.errors import InputError

from .designs import Design
from .ports import OperandWidth, is_other_circuit
from .survey import Modules, top_modules

__all__ = ["choose_top", "with_helpers"]


def choose_top(modules: Modules, width: OperandWidth, *, prefer: str, where: str) -> str:
    """Return the name of the module of a file that is the circuit.

    It is a module that no other one of the file instantiates: the only one, else that named
    ``prefer``, else the only one with ports like those of a multiplier.

    Raises
    ------
    InputError
        If there is no such module, or more than one; starts with ``where``.
    """
    if not modules:
        raise InputError(f"{where}: must hold a module, has none")
    tops = top_modules(modules)
    if prefer in tops:
        return prefer
    likely = [top for top in tops if not is_other_circuit(modules[top].ports, width)]
    for candidates in (tops, likely):
        if len(candidates) == 1:
            return candidates[0]
    if tops and not likely:
        return tops[0]
    found = ", ".join(likely) or "none: every module is instantiated by another"
    raise InputError(f"{where}: must have one top module, not {found}")


def with_helpers(
    file: str,
    top: str,
    modules: Modules,
    neighbours: Mapping[str, tuple[Design, Modules]],
    *,
    where: str,
) -> tuple[dict[str, bytes], list[str]]:
    """Return the other files that a circuit needs, and the modules that none of them defines.

    Parameters
    ----------
    file
        Name of the circuit's own file.
    top, modules
        Its top module, and all modules of the file.
    neighbours
        The files of the same folder by name: content and modules.
    where
        Starts the messages.

    Raises
    ------
    InputError
        If several other files define a module that is needed.
    """
    files: dict[str, bytes] = {}
    missing: list[str] = []
    known = dict(modules)
    pending, seen = [top], {top}
    while pending:
        name = pending.pop()
        if name not in known:
            providers = [
                other for other, (_, found) in neighbours.items() if name in found and other != file
            ]
            if len(providers) > 1:
                listed = ", ".join(sorted(providers))
                raise InputError(f"{where}: module {name}: must be in one other file, not {listed}")
            if not providers:
                missing.append(name)
                continue
            design, found = neighbours[providers[0]]
            files |= design.files
            known = {**found, **known}
        needed = sorted(known[name].instances - seen)
        pending += needed
        seen.update(needed)
    return files, missing
