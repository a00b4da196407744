"""What modules the sources of users hold, without elaborating them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qosnets.errors import InputError

from .designs import Design, Job, Outputs, Step, run_jobs
from .ports import Port, module_ports

__all__ = ["Module", "Modules", "survey", "top_modules"]

# Only ports and instances are wanted: the rest would be most of what is written.
_PASSES = ("delete p:* t:$* t:$array* %d %u", "write_json {job}modules.json")


@dataclass(frozen=True)
class Module:
    """A module as its source declares it."""

    ports: tuple[Port, ...]
    """In their order."""
    instances: frozenset[str]
    """Names of the modules that it instantiates."""


Modules = Mapping[str, Module]
"""The modules of a design by name."""


def survey(designs: Sequence[Design], *, step: Step | None = None) -> list[Modules | InputError]:
    """Return the modules of each design, or the error of one that cannot be read."""
    jobs = [Job(design, _PASSES, ("modules.json",)) for design in designs]
    results = run_jobs(jobs, step=step)
    return [found if isinstance(found, InputError) else _modules(found) for found in results]


def top_modules(modules: Modules) -> list[str]:
    """Return the names of the modules that no other module of the design instantiates."""
    used = {name for module in modules.values() for name in module.instances}
    return sorted(modules.keys() - used)


def _modules(outputs: Outputs) -> dict[str, Module]:
    modules = json.loads(outputs["modules.json"].decode(errors="replace"))["modules"]
    return {
        name: Module(
            ports=tuple(module_ports(module["ports"])),
            instances=frozenset(
                filter(None, (_instance(cell["type"]) for cell in module["cells"].values()))
            ),
        )
        for name, module in modules.items()
    }


def _instance(cell_type: str) -> str | None:
    """Return the module that a cell instantiates; None for an operator of Yosys.

    The type of an array of instances reads ``$array:INDEX:SIZE:\\NAME``.
    """
    if cell_type.startswith("$array:"):
        cell_type = cell_type.split(":", 3)[3]
    return None if cell_type.startswith("$") else cell_type.removeprefix("\\")
