"""Synthesis of a design to the cells of a Liberty library, its hierarchy kept.

The netlists of the multipliers are mapped by the script that the library estimates them with, so
that they are the very circuits that the library has figures of. Everything else is mapped by a
script that leaves adders as fast as they are and sizes and buffers gates: the first one, made for
least area, turns every parallel-prefix adder into a ripple adder. Memories stay behavioural.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from qosnets.errors import CheckError, InputError, ToolError
from qosnets_library.boolean import compile_function
from qosnets_library.fanout import MAX_FANOUT, buffer_nets
from qosnets_library.liberty import Liberty
from qosnets_library.liberty_writer import write_liberty
from qosnets_library.mapped import FlatDesign, MappedModule, flatten, read_modules
from qosnets_library.mapping import ABC_SCRIPT
from qosnets_library.yosys import YosysError, run_yosys

from .generate import Design

__all__ = ["MappedDesign", "ModuleArea", "map_design"]

LOGIC_SCRIPT = (
    "+strash;&get,-n;&fraig,-x;&put;scorr;&get,-n;&nf;&put;"
    f"topo;buffer,-N,{MAX_FANOUT};topo;upsize;dnsize"
)
"""Script for Yosys's ``abc`` for everything but the netlists."""


HIERARCHY_DEPTH = 6
"""Levels of modules in a design, or more."""


@dataclass(frozen=True)
class ModuleArea:
    """Area of a module, without the modules inside it."""

    instances: int
    """How often it occurs in the whole design."""
    area_um2: float
    """Cell area of one instance; memories are not included."""
    flip_flop_area_um2: float
    memory_bits: int
    """Bits of one instance in memories, which would become macros."""


@dataclass(frozen=True, eq=False)
class MappedDesign:
    """A design mapped to cells."""

    top: str
    liberty: Liberty
    flat: FlatDesign
    verilog: bytes
    """The modules, made of cells and behavioural memories."""
    cell_models: bytes
    """Functional Verilog of the cells, without their inner nets in traces."""
    areas: Mapping[str, ModuleArea]
    """By module."""

    @property
    def nand2_area_um2(self) -> float:
        """Area of a gate equivalent: of the smallest NAND of two inputs."""
        return _nand2_area(self.liberty)


def map_design(design: Design, liberty: Liberty) -> MappedDesign:
    """Map ``design`` to ``liberty``.

    Initial values of registers are dropped, as in a cell library without set or reset.

    Raises
    ------
    InputError
        If ``liberty`` has no plain rising-edge flip-flop.
    ToolError
        If Yosys fails.
    CheckError
        If a module, an operand gate for example, did not survive synthesis as often as it occurs
        in the design.
    """
    top = design.manifest["top"]["module"]
    if not liberty.flip_flops:
        raise InputError(
            f"{liberty.name}: must have a rising-edge flip-flop with one data input and one output"
            " only, with delays and setup times"
        )
    try:
        before, modules = _synthesise(design, liberty, top)
        buffer_nets(modules, liberty)
        verilog, models, written = _write(modules, liberty)
    except YosysError as error:
        raise ToolError(f"synthesis of {top}: {error}") from None
    mapped = read_modules(written, liberty)
    flat = flatten(mapped, top)
    instances = Counter(scope.module.name for scope in flat.scopes)
    lost = {name for name in before if instances[name] != before[name]}
    if lost:
        name = min(lost)
        raise CheckError(
            f"synthesis of {top}: must keep {before[name]} instances of {name},"
            f" not {instances[name]}"
        )
    areas = {name: _area(mapped[name], instances[name], liberty) for name in sorted(instances)}
    return MappedDesign(top, liberty, flat, verilog, models, areas)


def _synthesise(
    design: Design, liberty: Liberty, top: str
) -> tuple[Mapping[str, int], dict[str, Any]]:
    """Return how often each module occurs in ``design``, and the mapped modules."""
    sources = [PurePosixPath(name).name for name in design.manifest["sources"]]
    netlists = " ".join(member["module"] for member in design.manifest["multipliers"])
    script = (
        f"read_verilog {' '.join(sources)}",
        f"hierarchy -check -top {top}",
        "proc",
        "write_json before.json",
        "setattr -unset init w:*",
        # What a module offers and no instance uses, as the raw accumulators, goes level by level.
        *["opt_hier", "opt_clean"] * HIERARCHY_DEPTH,
        "synth -run :fine",
        # What `synth` does next, but for turning memories into flip-flops.
        "opt -fast -full",
        "opt -undriven -fine",
        "techmap",
        "opt -fast",
        "dfflegalize -cell $_DFF_P_ x",
        "dfflibmap -liberty cells.lib",
        "opt",
        f"select -set netlists {netlists}",
        f"abc -liberty cells.lib -script {ABC_SCRIPT} @netlists",
        f"abc -liberty cells.lib -script {LOGIC_SCRIPT} * @netlists %d",
        "opt_clean -purge",
        "write_json mapped.json",
    )
    files = {name: design.files[f"rtl/{name}"] for name in sources}
    run = run_yosys(
        script, files | {"cells.lib": write_liberty(liberty)}, ("before.json", "mapped.json")
    )
    before, mapped = (json.loads(data)["modules"] for data in run.outputs.values())
    instances: Counter[str] = Counter()

    def count(name: str) -> None:
        instances[name] += 1
        for cell in before[name]["cells"].values():
            if cell["type"] in before:
                count(cell["type"])

    count(top)
    return instances, mapped


def _write(modules: Mapping[str, Any], liberty: Liberty) -> tuple[bytes, bytes, dict[str, Any]]:
    """Return Verilog of mapped modules, models of the cells, and the modules as written."""
    script = (
        "read_json mapped.json",
        # Plain names, the same in Verilog, in JSON and in traces.
        "rename -enumerate -pattern n%_",
        "write_json named.json",
        "write_verilog -noattr -noexpr -simple-lhs mapped.v",
        "design -reset",
        "read_liberty cells.lib",
        "write_verilog -noattr cells.v",
    )
    files = {"mapped.json": json.dumps({"modules": modules}), "cells.lib": write_liberty(liberty)}
    outputs = run_yosys(script, files, ("named.json", "mapped.v", "cells.v")).outputs
    models = b"/*verilator tracing_off*/\n" + outputs["cells.v"]
    return outputs["mapped.v"], models, json.loads(outputs["named.json"])["modules"]


def _area(module: MappedModule, instances: int, liberty: Liberty) -> ModuleArea:
    flip_flops = logic = 0.0
    for kind, cells in module.cells.items():
        if (cell := liberty.flip_flops_by_name.get(kind)) is not None:
            flip_flops += len(cells.nets) * cell.area_um2
        else:
            logic += len(cells.nets) * liberty.by_name[kind].area_um2
    return ModuleArea(instances, flip_flops + logic, flip_flops, module.memory_bits)


def _nand2_area(liberty: Liberty) -> float:
    return min(
        cell.area_um2
        for cell in liberty.cells
        if len(cell.pins) == 2
        and compile_function(cell.function, cell.pins)([0b0011, 0b0101]) & 0b1111 == 0b1110
    )
