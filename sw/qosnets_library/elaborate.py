"""Reads combinational Verilog of an 8x8 multiplier through Yosys, as a netlist of gates."""

import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, NamedTuple

from qosnets.errors import InputError, shorten

from .gates import LOGIC_GATES, GateError, GateNetlist
from .yosys import YosysError, run_yosys

__all__ = ["elaborate"]

_TIMEOUT_S = 120

# Directives that neither read files nor replace text. Macros are not among them because they can
# compose any other directive.
_DIRECTIVES = (
    "celldefine default_nettype else elsif endcelldefine endif ifdef ifndef nounconnected_drive"
    " resetall timescale unconnected_drive"
).split()

_MODULE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")

# Without opt_merge and ABC: the structure is the user's.
_MAP_TO_GATES = (
    "proc -norom",
    "setattr -mod -unset keep_hierarchy",
    "setattr -unset keep_hierarchy",
    "flatten",
    "tee -q -o check.txt check",
    "memory",
    "opt_expr",
    "opt_clean",
    "techmap",
    "simplemap",
    "opt_expr",
    "opt_clean -purge",
    "write_json netlist.json",
)


class _Ports(NamedTuple):
    a: str
    b: str
    product: str


class _Source:
    """Verilog files of a user under names that are safe in a Yosys script."""

    def __init__(self, verilog: Mapping[str, bytes], where: str) -> None:
        self.where = where
        self.files: dict[str, bytes] = {}
        self.read: list[str] = []
        self._names: dict[str, str] = {}
        for index, (name, content) in enumerate(verilog.items()):
            language, suffix = ("-sv ", "sv") if PurePath(name).suffix == ".sv" else ("", "v")
            file = f"source{index}.{suffix}"
            place = f"{PurePath(name).name}: " if len(verilog) > 1 else ""
            _check_text(content, f"{where}: {place}")
            self.files[file] = content
            # -nodpi: otherwise Yosys calls any C function that the file names.
            self.read.append(
                f"read_verilog {language}-nodpi -nodisplay -noassert -noassume -norestrict {file}"
            )
            self._names[file] = place

    def run(self, *passes: str, outputs: tuple[str, ...]) -> dict[str, bytes]:
        """Read the files, run further passes, return ``outputs``."""
        try:
            script = [*self.read, *passes]
            return run_yosys(script, self.files, outputs, timeout_s=_TIMEOUT_S).outputs
        except YosysError as error:
            message = re.sub(
                r"(source\d+\.s?v):(\d+)",
                lambda found: f"{self._names[found[1]]}line {found[2]}",
                str(error),
            )
            raise InputError(f"{self.where}: {message.replace(chr(92), '')}") from None


def elaborate(verilog: Mapping[str, bytes], *, top: str | None, where: str) -> GateNetlist:
    """Return the gates of a combinational multiplier, flattened.

    Operators become gates of one or two inputs and multiplexers. Constants are propagated and
    gates without effect left out; otherwise the structure stays as it is.

    Parameters
    ----------
    verilog
        Content of the Verilog files by name; ``.sv`` marks SystemVerilog.
    top
        Name of the top module; None where only one module is not instantiated by another.
        It has two inputs of 8 bits and one output of 16. Port A is the input named ``a`` or
        ``A``, else the first one declared.
    where
        What the files are called in messages.

    Raises
    ------
    InputError
        If the files are not such a circuit; the message starts with ``where``.
    """
    source = _Source(verilog, where)
    top = top or _find_top(source)
    if not _MODULE_NAME.fullmatch(top):
        raise InputError(f"{where}: name of the top module must be plain, not {shorten(top)}")
    hierarchy = f"hierarchy -check -top {top}"
    output = source.run(hierarchy, *_MAP_TO_GATES, outputs=("check.txt", "netlist.json"))
    if b" conflicting " in output["check.txt"]:
        raise InputError(f"{where}: a net must have one driver, not several")
    module = json.loads(output["netlist.json"])["modules"][top]
    ports = _bind_ports(module["ports"], where)
    try:
        return GateNetlist.from_json(
            module, LOGIC_GATES, a=ports.a, b=ports.b, product=ports.product
        )
    except GateError as error:
        raise InputError(f"{where}: {error}") from None


def _check_text(content: bytes, where: str) -> None:
    """Refuse what would make Yosys open another file, or could be expanded to that."""
    text = content.decode("latin-1")
    for directive in re.finditer(r"`(\w*)", text):
        if directive[1] not in _DIRECTIVES:
            line = text.count("\n", 0, directive.start()) + 1
            raise InputError(
                f"{where}line {line}: directive must be one of {', '.join(_DIRECTIVES)},"
                f" not {shorten(directive[0])} (expand macros and includes first)"
            )
    if "$readmem" in text:
        raise InputError(f"{where}must not read files, not use $readmem")


def _find_top(source: _Source) -> str:
    """Return the name of the only module that no other module instantiates."""
    output = source.run("proc -norom", "write_json modules.json", outputs=("modules.json",))
    modules: dict[str, Any] = json.loads(output["modules.json"])["modules"]
    if not modules:
        raise InputError(f"{source.where}: must hold a Verilog module, has none")
    # The type of an array of instances reads $array:INDEX:SIZE:\NAME.
    used = {
        cell["type"].split(":")[-1].removeprefix("\\")
        for module in modules.values()
        for cell in module["cells"].values()
    }
    tops = [name for name in modules if name not in used]
    if len(tops) != 1:
        found = ", ".join(sorted(tops)) or "none: every module is instantiated by another"
        raise InputError(f"{source.where}: must have one top module, not {found}")
    return tops[0]


def _bind_ports(ports: Mapping[str, Any], where: str) -> _Ports:
    widths = {"input": 8, "output": 16}
    for name, port in ports.items():
        direction, width = port["direction"], len(port["bits"])
        if widths.get(direction) != width:
            raise InputError(
                f"{where}: port {name}: must be an input of 8 or an output of 16 bits,"
                f" not {direction} of {width}"
            )
    inputs = [name for name, port in ports.items() if port["direction"] == "input"]
    outputs = [name for name, port in ports.items() if port["direction"] == "output"]
    if (len(inputs), len(outputs)) != (2, 1):
        raise InputError(
            f"{where}: must have two inputs and one output, not {len(inputs)} and {len(outputs)}"
        )
    inputs.sort(key=lambda name: name not in ("a", "A"))
    return _Ports(*inputs, *outputs)
