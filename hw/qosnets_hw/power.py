"""Power of a mapped design at each operating point, from the toggles of a gate-level simulation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from qosnets.files import publish
from qosnets.ops import OpsFile
from qosnets_library.activity import read_activity
from qosnets_library.design_power import design_power
from qosnets_library.design_timing import TimingModel

from .blocks import Block, block_of, netlist_modules
from .generate import Design
from .synthesis import MappedDesign

__all__ = ["CLOCK", "FREQUENCY_MHZ", "PointPower", "Record", "measure_power"]

FREQUENCY_MHZ = 100
"""Clock frequency that powers are stated at."""

CLOCK = "clock"
"""Part of the energies that clock pins and the clock net take, beside those by block."""

Record: TypeAlias = Callable[[Path, OpsFile, Sequence[Path], int, Path], Path]
"""Runs a design (folder, ``ops.json``) on Verilog files at an operating point; returns the SAIF
file that it wrote into a folder."""


@dataclass(frozen=True)
class PointPower:
    """What a design takes at an operating point; memories, wires and glitches are not in it."""

    name: str
    cycles: int
    """Clock cycles that toggles were counted in."""
    annotated: float
    """Share of the nets whose toggles are known."""
    energy_pj: Mapping[str, float]
    """Dynamic energy per clock cycle, by block and for the clock."""
    leakage_mw: float

    @property
    def total_pj(self) -> float:
        """Dynamic energy per clock cycle."""
        return sum(self.energy_pj.values())

    @property
    def power_mw(self) -> float:
        """Power at :data:`FREQUENCY_MHZ`, leakage included."""
        return self.total_pj * FREQUENCY_MHZ * 1e-3 + self.leakage_mw


def measure_power(
    design: Design, mapped: MappedDesign, file: OpsFile, record: Record, points: Sequence[int]
) -> list[PointPower]:
    """Run ``mapped`` at operating points and return the power of each.

    Parameters
    ----------
    design, file
        What ``mapped`` was made of, and that from what ``ops.json``.
    record
        Simulates the mapped design.
    points
        Indices of the operating points.

    Raises
    ------
    CheckError
        If the simulation finds a wrong result, or leaves too many nets without activity.
    ToolError
        If a tool is missing or fails.
    """
    model = TimingModel(mapped.flat, mapped.liberty)
    slews = model.analyse().slews.mean(axis=1)
    top = mapped.flat.scopes[0]
    (clock,) = (port for port in top.module.ports if port in ("aclk", "clk"))
    netlists = netlist_modules(design.manifest)
    found = []
    with TemporaryDirectory(prefix="qosnets-power-") as name:
        folder = Path(name) / "design"
        publish(folder, design.files, force=False, manifest=design.manifest)
        sources = [Path(name) / "mapped.v", Path(name) / "cells.v"]
        sources[0].write_bytes(mapped.verilog)
        sources[1].write_bytes(mapped.cell_models)
        for point in points:
            saif = record(folder, file, sources, point, Path(name) / str(point))
            activity = read_activity(mapped.flat, saif, clock)
            power = design_power(model, slews, activity, top.nets[top.module.ports[clock]])
            energy: dict[str, float] = dict.fromkeys((*Block, CLOCK), 0.0)
            for scope, logic in zip(mapped.flat.scopes, power.logic_fj.tolist(), strict=True):
                energy[block_of(scope.module.name, netlists)] += logic * 1e-3
            energy[CLOCK] = float(power.clock_fj.sum()) * 1e-3
            found.append(
                PointPower(
                    file.ops.operating_points[point].name,
                    activity.cycles,
                    activity.annotated,
                    {str(part): value for part, value in energy.items()},
                    float(power.leakage_nw.sum()) * 1e-6,
                )
            )
    return found
