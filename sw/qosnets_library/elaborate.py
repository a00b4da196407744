"""Reads combinational Verilog or BLIF of multipliers through Yosys, as netlists of gates."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qosnets.errors import InputError, shorten

from .designs import Design, Job, Outputs, Step, run_jobs
from .gates import LOGIC_GATES, GateError, GateNetlist
from .ports import Bound, OperandWidth, bind_ports, module_ports
from .survey import survey, top_modules

__all__ = ["Elaboration", "elaborate", "elaborate_all"]

_MODULE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")

# Without opt_merge and ABC: the structure is the user's.
_MAP_TO_GATES = (
    "proc -norom",
    "setattr -mod -unset keep_hierarchy",
    "setattr -unset keep_hierarchy",
    "flatten",
    "tee -q -o {job}check.txt check",
    "memory",
    "opt_expr",
    "opt_clean",
    "techmap",
    "simplemap",
    "opt_expr",
    "opt_clean -purge",
    "write_json {job}netlist.json",
)


@dataclass(frozen=True)
class Elaboration:
    """A design to elaborate."""

    design: Design
    top: str
    """Name of the top module: two inputs and one output of the widths in question. Port A is the
    input named ``a`` or ``A``, else the first one declared."""
    operand_width: OperandWidth = (8, 8)
    """Bits of the operands A and B; further bits of an 8x8 multiplier are ignored, and further
    bits of its product are 0."""


def elaborate(verilog: Mapping[str, bytes], *, top: str | None, where: str) -> GateNetlist:
    """Return the gates of a combinational multiplier, flattened.

    Operators become gates of one or two inputs and multiplexers. Constants are propagated and
    gates without effect left out; otherwise the structure stays as it is.

    Parameters
    ----------
    verilog
        Content of the source files by name; ``.sv`` marks SystemVerilog, ``.blif`` BLIF.
    top
        Name of the top module; None where only one module is not instantiated by another.
    where
        What the files are called in messages.

    Raises
    ------
    InputError
        If the files are not such a circuit; the message starts with ``where``.
    """
    design = Design(verilog, where)
    (netlist,) = elaborate_all([Elaboration(design, top or _only_top(design))])
    if isinstance(netlist, InputError):
        raise netlist
    return netlist


def elaborate_all(
    elaborations: Sequence[Elaboration], *, step: Step | None = None
) -> list[GateNetlist | InputError]:
    """Return the gates of each design as :func:`elaborate` does, or its error."""
    jobs = [_job(item) for item in elaborations]
    results = iter(run_jobs([job for job in jobs if isinstance(job, Job)], step=step))
    netlists: list[GateNetlist | InputError] = []
    for item, job in zip(elaborations, jobs, strict=True):
        found = next(results) if isinstance(job, Job) else job
        netlists.append(found if isinstance(found, InputError) else _netlist(item, found))
    return netlists


def _job(item: Elaboration) -> Job | InputError:
    if not _MODULE_NAME.fullmatch(item.top):
        rule = f"name of the top module must be plain, not {shorten(item.top)}"
        return InputError(f"{item.design.where}: {rule}")
    passes = (f"hierarchy -check -top {item.top}", *_MAP_TO_GATES)
    return Job(item.design, passes, ("check.txt", "netlist.json"))


def _netlist(item: Elaboration, output: Outputs) -> GateNetlist | InputError:
    where = item.design.where
    if b" conflicting " in output["check.txt"]:
        return InputError(f"{where}: a net must have one driver, not several")
    module = json.loads(output["netlist.json"])["modules"][item.top]
    try:
        bound = bind_ports(module_ports(module["ports"]), item.operand_width, where)
        return GateNetlist.from_json(
            _zero_extended(module, bound),
            LOGIC_GATES,
            a=bound.a.name,
            b=bound.b.name,
            product=bound.product.name,
        )
    except GateError as error:
        return InputError(f"{where}: {error}")
    except InputError as error:
        return error


def _zero_extended(module: Mapping[str, object], bound: Bound) -> dict[str, object]:
    """Return a module with 8-bit operands whose upper bits are not connected."""
    bits = {
        port.name: [*port.bits, *(f"{port.name}[{bit}]" for bit in range(port.width, 8))]
        for port in (bound.a, bound.b)
    }
    product = bound.product
    bits[product.name] = [*product.bits, *["0"] * (16 - product.width)]
    return {**module, "ports": {name: {"bits": port} for name, port in bits.items()}}


def _only_top(design: Design) -> str:
    """Return the name of the only module that no other module instantiates."""
    (modules,) = survey([design])
    if isinstance(modules, InputError):
        raise modules
    if not modules:
        raise InputError(f"{design.where}: must hold a module, has none")
    tops = top_modules(modules)
    if len(tops) != 1:
        found = ", ".join(tops) or "none: every module is instantiated by another"
        raise InputError(f"{design.where}: must have one top module, not {found}")
    return tops[0]
