"""Maps netlists with a select to cells, one after the other in one lasting process of Yosys."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from qosnets.errors import ToolError

from ..gates import GateNetlist, GateType
from ..liberty import Liberty
from ..mapping import ABC_SCRIPT, _functions
from ..yosys import YosysError

__all__ = ["CellMapper", "MappedModes"]

_CHILD = """
import sys
try:
    from pyosys import libyosys
except ImportError:
    sys.exit(3)
import os
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
design = libyosys.Design()
for line in sys.stdin:
    libyosys.run_pass("design -reset", design)
    for command in line.rstrip("\\n").split("\\t"):
        libyosys.run_pass("tee -q " + command, design)
    print("done", file=answers, flush=True)
"""

_SCRIPT = (
    "read_verilog -nodpi netlist.v",
    "simplemap",
    "opt",
    f"abc -liberty cells.lib -script {ABC_SCRIPT}",
    "opt_clean -purge",
    "write_json mapped.json",
)


class MappedModes:
    """A mapped netlist with a select.

    Parameters
    ----------
    module
        The flat module, as ``write_json`` of Yosys describes it.
    gate_types
        Its cells.
    """

    def __init__(self, module: dict[str, Any], gate_types: dict[str, GateType]) -> None:
        self._module = module
        self._gate_types = gate_types
        self._select = module["ports"].get("S", {"bits": []})["bits"]

    def of_word(self, word: int) -> GateNetlist:
        """Return the netlist with the select tied to a word.

        All cells stay, whatever the word makes of them, and so do their order, loads and delays:
        it is what the circuit is while the mode does not change.
        """
        tied = {bit: str(word >> index & 1) for index, bit in enumerate(self._select)}
        cells = {
            name: {
                "type": cell["type"],
                "connections": {
                    pin: [tied.get(bit, bit) for bit in bits]
                    for pin, bits in cell["connections"].items()
                },
            }
            for name, cell in self._module["cells"].items()
        }
        module = {**self._module, "cells": cells}
        return GateNetlist.from_json(module, self._gate_types, a="A", b="B", product="O")


class CellMapper:
    """A process of Yosys that maps netlists; a context manager, which ends it.

    The flow is that of :func:`.mapping.map_netlists`.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """

    def __init__(self, liberty: Liberty) -> None:
        self.liberty = liberty
        self._gate_types = {
            cell.name: GateType(cell.pins, cell.output, cell.function) for cell in liberty.cells
        }
        self._temporary = tempfile.TemporaryDirectory(prefix="qosnets-yosys-")
        self._folder = Path(self._temporary.name)
        (self._folder / "cells.lib").write_text(_functions(liberty))
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD],
            cwd=self._folder,
            env={**os.environ, "TMPDIR": self._temporary.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "CellMapper":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.wait()
        self._temporary.cleanup()

    def map(self, text: str) -> MappedModes:
        """Return a netlist of :func:`.verilog.merged_verilog` mapped to cells."""
        (self._folder / "netlist.v").write_text(text)
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.write("\t".join(_SCRIPT) + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            self._fail()
        if self._child.stdout.readline() != "done\n":
            self._fail()
        module = json.loads((self._folder / "mapped.json").read_bytes())["modules"]["multiplier"]
        return MappedModes(module, self._gate_types)

    def _fail(self) -> None:
        if self._child.wait() == 3:
            raise ToolError("pyosys: Yosys cannot be imported; get it with: pip install pyosys")
        raise YosysError(f"Yosys ended with status {self._child.returncode}")
