"""Cell libraries: what a Liberty file says about its cells with one output and its flip-flops.

Units are the same for every file: ns, fF, fJ, nW, V; areas are taken for µm², as is the custom.
"""

import gzip
import os
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter
from qosnets.errors import InputError
from qosnets.files import read_bytes, sha256

from .boolean import compile_function
from .cache import load, sources_sha256, store
from .generic_liberty import liberty as generic_text

__all__ = [
    "GENERIC",
    "LIBERTY_VARIABLE",
    "Arc",
    "Edge",
    "Energy",
    "FlipFlop",
    "InputPin",
    "Liberty",
    "LibertyCell",
    "Table",
    "generic",
    "load_liberty",
]

LIBERTY_VARIABLE = "QOSNETS_LIBERTY"
"""Environment variable with the path of the Liberty file to use, or the word of ``GENERIC``."""

GENERIC = Path("generic")
"""Word that stands for our own generic cells wherever a path may."""

_OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Where Debian's package qflow-tech-osu018 puts the cells of Oklahoma State University."""

_SOURCES = (
    *("boolean", "liberty", "liberty_flip_flops", "liberty_reader"),
    *("liberty_syntax", "liberty_values"),
)
"""Modules that what is kept of a file depends on."""


@dataclass(frozen=True)
class Table:
    """A figure by input slew (ns) and output load (fF); a missing axis has one entry."""

    slews: tuple[float, ...]
    loads: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    """``values[slew][load]``."""

    def at(self, slew: float, load: float) -> float:
        """Return the bilinear interpolation; outside the axes the outermost cell continues."""
        i, u = _place(self.slews, slew)
        j, v = _place(self.loads, load)
        row = self.values[i]
        first = row[j] if v == 0 else row[j] + v * (row[j + 1] - row[j])
        if u == 0:
            return first
        row = self.values[i + 1]
        second = row[j] if v == 0 else row[j] + v * (row[j + 1] - row[j])
        return first + u * (second - first)


def _place(axis: tuple[float, ...], value: float) -> tuple[int, float]:
    """Return an interval of ``axis`` and the place of ``value`` in it, 0..1 where inside."""
    if len(axis) == 1:
        return 0, 0.0
    index = min(max(bisect_right(axis, value) - 1, 0), len(axis) - 2)
    return index, (value - axis[index]) / (axis[index + 1] - axis[index])


@dataclass(frozen=True)
class Edge:
    """What an output edge does: delay from the input and slew at the output, both in ns."""

    delay: Table
    slew: Table


@dataclass(frozen=True)
class Arc:
    """A timing arc from an input pin to the output."""

    pin: str
    positive: bool
    """An input edge can cause the output edge of the same direction."""
    negative: bool
    """An input edge can cause the output edge of the other direction."""
    rise: Edge | None
    """Of the rising output."""
    fall: Edge | None


@dataclass(frozen=True)
class Energy:
    """Energy of an edge in fJ; that of the load, ½·C·V² per edge, comes on top.

    Some libraries, as SkyWater's, count ½·C·V² into the rising edge and subtract it from the
    falling one. The mean of both does not change by that.
    """

    pin: str | None
    """Input pin that causes the output edge; None: any. Of an input pin itself: unused."""
    rise: Table | None
    fall: Table | None

    def mean(self, slew: float, load: float) -> float:
        """Return the mean of rise and fall, which a net does equally often; missing: nothing."""
        return sum(table.at(slew, load) for table in (self.rise, self.fall) if table) / 2


@dataclass(frozen=True)
class InputPin:
    """An input pin of a cell."""

    name: str
    capacitance_ff: float
    hidden: tuple[Energy, ...]
    """Of transitions of the pin that leave the output as it is; several: one per state."""


@dataclass(frozen=True)
class LibertyCell:
    """A combinational cell with one output."""

    name: str
    area_um2: float
    leakage_nw: float
    inputs: tuple[InputPin, ...]
    output: str
    function: str
    """Boolean expression of the inputs in the syntax of :mod:`.boolean`."""
    arcs: tuple[Arc, ...]
    energies: tuple[Energy, ...]
    """Of output edges; several of one pin: one per state of the other pins."""

    @property
    def is_inverter(self) -> bool:
        """Tell whether the cell inverts its only input."""
        return len(self.inputs) == 1 and compile_function(self.function, self.pins)([0]) == -1

    @cached_property
    def pins(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(pin.name for pin in self.inputs)


@dataclass(frozen=True)
class FlipFlop:
    """A flip-flop that takes its data at the rising edge of its clock, and nothing else."""

    name: str
    area_um2: float
    leakage_nw: float
    clock: InputPin
    """``hidden``: of its falling edges, and of rising ones that leave the output as it is."""
    data: InputPin
    output: str
    rise: Edge
    """From the rising edge of the clock to that of the output."""
    fall: Edge
    setup_rise: Table
    """Setup time in ns of rising data, by the slew of the data and that of the clock, in ns."""
    setup_fall: Table
    energies: tuple[Energy, ...]
    """Of output edges."""


@dataclass(frozen=True)
class Liberty:
    """The cells of a Liberty file that a netlist can be mapped to."""

    name: str
    sha256: str
    """Hash of the file, unpacked."""
    voltage_v: float
    cells: tuple[LibertyCell, ...]
    """The combinational ones."""
    flip_flops: tuple[FlipFlop, ...] = ()
    """Those of one data input and one output; none of those with set, reset or enable."""

    @cached_property
    def by_name(self) -> dict[str, LibertyCell]:
        """The cells by name."""
        return {cell.name: cell for cell in self.cells}

    @cached_property
    def flip_flops_by_name(self) -> dict[str, FlipFlop]:
        """The flip-flops by name."""
        return {cell.name: cell for cell in self.flip_flops}

    @cached_property
    def inverter(self) -> LibertyCell:
        """The inverter of least area, of several that with the least input capacitance."""
        return min(
            (cell for cell in self.cells if cell.is_inverter),
            key=lambda cell: (cell.area_um2, cell.inputs[0].capacitance_ff),
        )


def load_liberty(path: Path | None) -> Liberty:
    """Read a Liberty file, packed by gzip where its name ends in ``.gz``.

    Parameters
    ----------
    path
        The file, or ``generic`` for our own generic cells (a file of that name in the current
        folder is given by its absolute path). None: what the environment variable
        ``QOSNETS_LIBERTY`` names, likewise, else the OSU018 cells where Debian's package has
        installed them, else the generic cells.

    Raises
    ------
    InputError
        If the file cannot be read, is not a Liberty file or lacks a figure of a cell, or if
        circuits cannot be mapped to its cells.
    """
    if path is None:
        default = _OSU018 if _OSU018.is_file() else GENERIC
        path = Path(os.environ.get(LIBERTY_VARIABLE) or default)
    return generic() if path == GENERIC else _extracted(_unpacked(path), str(path))


def generic() -> Liberty:
    """Return our own generic cells, of :mod:`.generic_liberty`."""
    return _extracted(generic_text().encode(), "generic cells")


def _extracted(data: bytes, where: str) -> Liberty:
    digest = sha256(data)
    key = sha256(f"{digest} {sources_sha256(_SOURCES)}".encode())
    adapter = TypeAdapter(Liberty)
    liberty = load("liberty", key, adapter)
    if liberty is None:
        # Imported late: the reader makes what is defined here.
        from .liberty_reader import parse_liberty

        liberty = parse_liberty(data, where)
        store("liberty", key, adapter, liberty)
    return liberty


def _unpacked(path: Path) -> bytes:
    data = read_bytes(path)
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: must be packed by gzip: {error}") from None
