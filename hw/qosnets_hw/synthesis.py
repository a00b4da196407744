"""Synthesis of a design to the generic cells: area by module, memory bits."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from qosnets.errors import ToolError
from qosnets_library.generic_liberty import liberty
from qosnets_library.mapping import ABC_SCRIPT
from qosnets_library.yosys import YosysError, run_yosys

from .generate import Design

__all__ = ["ModuleArea", "synthesise"]


@dataclass(frozen=True)
class ModuleArea:
    """Area of a module, without the modules inside it."""

    instances: int
    """How often it occurs in the whole design."""
    area_ge: float
    """Cell area of one instance in gate equivalents; memories are not included."""
    flip_flop_area_ge: float
    memory_bits: int
    """Bits of one instance in memories, which would become macros."""


def synthesise(design: Design) -> dict[str, ModuleArea]:
    """Map ``design`` to the generic cells, keeping its hierarchy, and return areas by module.

    Initial values of registers are dropped, as in a cell library without set or reset.

    Raises
    ------
    ToolError
        If Yosys fails.
    """
    top = design.manifest["top"]["module"]
    sources = [PurePosixPath(name).name for name in design.manifest["sources"]]
    script = (
        f"read_verilog {' '.join(sources)}",
        f"hierarchy -check -top {top}",
        "proc",
        "setattr -unset init w:*",
        "synth -run :fine",
        # What `synth` does next, but for turning memories into flip-flops.
        "opt -fast -full",
        "opt -undriven -fine",
        "techmap",
        "opt -fast",
        "dfflegalize -cell $_DFF_P_ x",
        "dfflibmap -liberty cells.lib",
        f"abc -liberty cells.lib -script {ABC_SCRIPT}",
        "opt_clean",
        "tee -q -o area.json stat -json -liberty cells.lib",
        "write_json netlist.json",
    )
    files = {name: design.files[f"rtl/{name}"] for name in sources} | {"cells.lib": liberty()}
    try:
        run = run_yosys(script, files, ("area.json", "netlist.json"))
    except YosysError as error:
        raise ToolError(f"synthesis of {top}: {error}") from None
    areas = json.loads(run.outputs["area.json"])["modules"]
    netlist = json.loads(run.outputs["netlist.json"])["modules"]
    return _own_areas({name.removeprefix("\\"): area for name, area in areas.items()}, netlist, top)


def _own_areas(
    areas: Mapping[str, Any], netlist: Mapping[str, Any], top: str
) -> dict[str, ModuleArea]:
    """Return areas without the modules inside; Yosys states them with these."""
    children = {
        name: Counter(cell["type"] for cell in module["cells"].values() if cell["type"] in areas)
        for name, module in netlist.items()
    }
    instances: Counter[str] = Counter()

    def count(name: str, times: int) -> None:
        instances[name] += times
        for child, number in children[name].items():
            count(child, times * number)

    def own(name: str, field: str) -> float:
        inside = sum(areas[child][field] * n for child, n in children[name].items())
        return round(areas[name][field] - inside, 6)

    count(top, 1)
    return {
        name: ModuleArea(
            instances[name],
            own(name, "area"),
            own(name, "sequential_area"),
            _memory_bits(netlist[name]),
        )
        for name in sorted(instances)
    }


def _memory_bits(module: Mapping[str, Any]) -> int:
    memories = (cell for cell in module["cells"].values() if cell["type"] == "$mem_v2")
    return sum(
        int(memory["parameters"]["WIDTH"], 2) * int(memory["parameters"]["SIZE"], 2)
        for memory in memories
    )
