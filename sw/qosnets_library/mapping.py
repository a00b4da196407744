"""Mapping of canonical netlists to the cells of a library, by Yosys and ABC."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .boolean import parenthesised
from .gates import GateNetlist, GateType
from .liberty import Liberty
from .yosys import run_yosys

__all__ = ["ABC_SCRIPT", "map_netlists"]

ABC_SCRIPT = "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;dch,-f;amap"
"""Script for Yosys's ``abc``: optimise, then map for least area.

Of ``map``, ``map -a``, ``map -B 0.9 -a``, ``amap``, ``&nf`` and their variants this one leaves the
least area and power over EvoApproxLib's 8x8 multipliers, whether mapped to OSU018, to SkyWater's
or to our own cells. Nothing is sized or buffered.
"""


def map_netlists(texts: Sequence[str], liberty: Liberty) -> list[GateNetlist]:
    """Return canonical netlists optimised and mapped to cells; a process of Yosys per core.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    cells = _functions(liberty)
    gate_types = {
        cell.name: GateType(cell.pins, cell.output, cell.function) for cell in liberty.cells
    }

    def mapped(share: Sequence[str]) -> list[GateNetlist]:
        files = {f"m{index}.v": _renamed(text, index) for index, text in enumerate(share)}
        script = (
            f"read_verilog -nodpi {' '.join(files)}",
            "simplemap",
            "opt",
            f"abc -liberty cells.lib -script {ABC_SCRIPT}",
            "opt_clean -purge",
            "write_json mapped.json",
        )
        run = run_yosys(script, files | {"cells.lib": cells}, ("mapped.json",))
        modules = json.loads(run.outputs["mapped.json"])["modules"]
        return [
            GateNetlist.from_json(modules[f"m{index}"], gate_types, a="A", b="B", product="O")
            for index in range(len(share))
        ]

    n_workers = min(os.cpu_count() or 1, len(texts))
    shares = [texts[worker::n_workers] for worker in range(n_workers)]
    results: list[GateNetlist | None] = [None] * len(texts)
    with ThreadPoolExecutor(n_workers or 1) as executor:
        for worker, netlists in enumerate(executor.map(mapped, shares)):
            results[worker::n_workers] = netlists
    return [netlist for netlist in results if netlist is not None]


def _renamed(text: str, index: int) -> str:
    return text.replace("module multiplier(", f"module m{index}(", 1)


def _functions(liberty: Liberty) -> str:
    """Return areas and functions of the cells as Liberty: all that mapping for area reads.

    ABC reads this again for every netlist; and the cells are those that the reader knows.
    """
    text = "library(cells) {\n"
    for cell in liberty.cells:
        text += f"cell({cell.name}) {{ area : {cell.area_um2};\n"
        for pin in cell.inputs:
            text += (
                f" pin({pin.name}) {{ direction : input; capacitance : {pin.capacitance_ff}; }}\n"
            )
        function = parenthesised(cell.function)
        text += f' pin({cell.output}) {{ direction : output; function : "{function}"; }} }}\n'
    return text + "}\n"
