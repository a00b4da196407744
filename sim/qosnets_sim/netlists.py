"""Exhaustive simulation of canonical netlists by Verilator, which shares no code with our reader.

All netlists become one model: a module that drives them with the same operand pair and joins
their products to one vector. Its program walks all pairs and writes that vector for each.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
from qosnets.errors import ToolError
from qosnets.files import sha256
from qosnets.library import cache_home
from qosnets.lut import Lut

from .verilator import MAKE_FLAGS, verilator_root

__all__ = ["simulate_netlists"]

_TOP = "exhaustive"
_MIN_WIDTH = 96
"""Verilator stores a vector of more than 64 bits as words of 32, which the program relies on."""

_MAIN = """\
#include <cstdio>
#include "Vexhaustive.h"
#include "verilated.h"

int main(int, char** arguments) {
    VerilatedContext context;
    Vexhaustive model{&context};
    std::FILE* const file = std::fopen(arguments[1], "wb");
    if (!file) return 1;
    bool written = true;
    for (unsigned pair = 0; pair < 65536; ++pair) {
        model.pair = pair;
        model.eval();
        written &= std::fwrite(&model.products, sizeof model.products, 1, file) == 1;
    }
    model.final();
    written &= std::fclose(file) == 0;
    return written ? 0 : 1;
}
"""


def simulate_netlists(netlists: Mapping[str, str]) -> dict[str, Lut]:
    """Return the products of all operand pairs of each netlist, by its key.

    The model is built in the cache; one with the same content is reused.

    Parameters
    ----------
    netlists
        Canonical netlists.

    Raises
    ------
    ToolError
        If Verilator or what it needs is missing or fails, as it does for text that is no Verilog;
        the message names the log.
    """
    if not netlists:
        return {}
    sources = {f"{_TOP}.v": _bench(list(netlists.values())), "main.cpp": _MAIN}
    program = _build(sources)
    with TemporaryDirectory(prefix="run-", dir=cache_home()) as folder:
        output = Path(folder, "products")
        _run([str(program), str(output)], Path(folder, "simulation.log"))
        words = np.fromfile(output, dtype="<u2").reshape(256, 256, -1)
    return {name: words[:, :, index].astype(np.uint16) for index, name in enumerate(netlists)}


def _bench(texts: Sequence[str]) -> str:
    """Return the netlists under names of their own, and the module that drives them."""
    width = max(_MIN_WIDTH, 16 * len(texts))
    modules = [
        text.replace("module multiplier(", f"module multiplier{index}(", 1)
        for index, text in enumerate(texts)
    ]
    instances = [
        f"  multiplier{index} instance{index}"
        f"(.A(pair[15:8]), .B(pair[7:0]), .O(products[{16 * index} +: 16]));"
        for index in range(len(texts))
    ]
    head = f"module {_TOP}(input [15:0] pair, output [{width - 1}:0] products);"
    return "\n".join([*modules, head, *instances, "endmodule", ""])


def _build(sources: Mapping[str, str]) -> Path:
    """Return the program for ``sources``, from the cache if it is there."""
    root = verilator_root()
    parts = [metadata.version("verilator"), MAKE_FLAGS, *sources.values()]
    folder = cache_home() / "sim" / f"netlists-{sha256(repr(parts).encode())[:32]}"
    program = folder / f"V{_TOP}"
    if program.is_file():
        return program
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built under a name of its own and renamed when done: a build that is there is complete.
    partial = Path(mkdtemp(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        for name, text in sources.items():
            (partial / name).write_text(text)
        _compile(partial, root)
        try:
            partial.rename(folder)
        except OSError:
            if not program.is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return program


def _compile(folder: Path, root: Path) -> None:
    environment = os.environ | {
        "VERILATOR_ROOT": str(root),
        "PATH": os.pathsep.join([str(root / "bin"), os.environ["PATH"]]),
        "MAKEFLAGS": MAKE_FLAGS,
    }
    verilator = str(root / "bin" / "verilator")
    options = ["--cc", "--exe", "--build", "-Wno-fatal", "--top-module", _TOP, "-Mdir", "."]
    sources = [f"{_TOP}.v", "main.cpp"]
    _run([verilator, *options, *sources], folder / "build.log", environment)


def _run(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run ``command`` in the folder of its log; keeps the log of a failure in the cache."""
    with log.open("wb") as file:
        ended = subprocess.run(
            command,
            cwd=log.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        kept = cache_home() / "sim" / "netlists.log"
        shutil.copyfile(log, kept)
        raise ToolError(f"verilator: simulation of the netlists failed, see {kept}")
