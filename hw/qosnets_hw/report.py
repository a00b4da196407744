"""``report``: area by block, and relative multiplication power per operating point."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from qosnets.library import Entry
from qosnets.ops import OpsFile
from qosnets_library.cells import CELLS_NAME
from qosnets_library.yosys import yosys_version

from .generate import Design
from .synthesis import ModuleArea, synthesise

__all__ = ["REPORT_SCHEMA", "Block", "relative_powers", "report"]

REPORT_SCHEMA = "qosnets-report/1"


class Block(StrEnum):
    """Part of the array in the report."""

    MULTIPLIERS = "multipliers"
    ISOLATION_AND_MUX = "isolation_and_mux"
    """Operand gates and AND-OR of the banks."""
    ACCUMULATORS = "accumulators"
    """Operand, product and sum registers and adders of the array, up to the complete sums."""
    REQUANTISATION = "requantisation"
    """From complete sums to results, with the parameter look-up."""
    CONTROL = "control"


BLOCKS = {
    "operand_gate": Block.ISOLATION_AND_MUX,
    "multiplier_bank": Block.ISOLATION_AND_MUX,
    "processing_element": Block.ACCUMULATORS,
    "column": Block.ACCUMULATORS,
    "sum_column": Block.ACCUMULATORS,
    "array_edge": Block.ACCUMULATORS,
    "grid": Block.ACCUMULATORS,
    "accumulator": Block.ACCUMULATORS,
    "accumulator_queue": Block.ACCUMULATORS,
    "requantiser": Block.REQUANTISATION,
    "output_stage": Block.REQUANTISATION,
}
"""Block of a module; the netlists are multipliers, everything else is control."""


def report(design: Design, file: OpsFile) -> dict[str, Any]:
    """Return the report on ``design``, generated from ``file``, as JSON values.

    Areas are cell areas in gate equivalents after synthesis to the generic cells; memories are
    stated in bits. The power of an operating point is that of its multiplications alone, see
    :func:`relative_powers`: registers, adders and memories are not in it.

    Raises
    ------
    ToolError
        If synthesis fails.
    """
    modules = synthesise(design)
    netlists = {member["module"] for member in design.manifest["multipliers"]}
    total = sum(area.instances * area.area_ge for area in modules.values())
    powers = relative_powers(file, design.entries)
    return {
        "schema": REPORT_SCHEMA,
        "ops_sha256": file.sha256,
        "rows": design.manifest["rows"],
        "cols": design.manifest["cols"],
        "engine": f"Yosys {yosys_version()}",
        "cells": CELLS_NAME,
        "area_ge": total,
        "memory_bits": sum(area.instances * area.memory_bits for area in modules.values()),
        "blocks": _blocks(modules, netlists, total),
        "modules": {
            name: {
                "instances": area.instances,
                "area_ge": area.area_ge,
                "flip_flop_area_ge": area.flip_flop_area_ge,
                "memory_bits": area.memory_bits,
            }
            for name, area in modules.items()
        },
        "multipliers": [
            {
                "name": multiplier.name,
                "area_ge": modules[member["module"]].area_ge,
                "relative_power": entry.estimates and entry.estimates.relative_power,
                "power_cells": entry.estimates and entry.estimates.liberty,
                "power_operands": entry.estimates and entry.estimates.distribution,
            }
            for multiplier, member, entry in zip(
                file.ops.multipliers, design.manifest["multipliers"], design.entries, strict=True
            )
        ],
        "operating_points": [
            {"name": point.name, "relative_power": power}
            for point, power in zip(file.ops.operating_points, powers, strict=True)
        ],
    }


def _blocks(
    modules: Mapping[str, ModuleArea], netlists: set[str], total: float
) -> dict[str, dict[str, float]]:
    areas = dict.fromkeys(Block, 0.0)
    for name, area in modules.items():
        block = Block.MULTIPLIERS if name in netlists else BLOCKS.get(name, Block.CONTROL)
        areas[block] += area.instances * area.area_ge
    return {block.value: {"area_ge": area, "share": area / total} for block, area in areas.items()}


def relative_powers(file: OpsFile, entries: Sequence[Entry]) -> list[float | None]:
    """Return the multiplication power of each operating point, 1.0 = all products exact.

    Σ_l c_l·P(m_l) / Σ_l c_l with c_l the multiplications of layer l and P the relative power of
    its multiplier (QoS-Nets, section 4). None where ``ops.json`` has no geometry or a
    multiplier no estimate.
    """
    counts = [layer.geometry and layer.geometry.multiplications for layer in file.ops.layers]
    powers = [entry.estimates and entry.estimates.relative_power for entry in entries]
    results: list[float | None] = []
    for point in file.ops.operating_points:
        used = [powers[select] for select in point.assignment]
        if None in counts or None in used:
            results.append(None)
        else:
            energy = sum(c * p for c, p in zip(counts, used, strict=True))
            results.append(energy / sum(counts))
    return results
