"""Numbers, units and tables of Liberty files, in the units of :mod:`.liberty`."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError, shorten

from .liberty import Table
from .liberty_syntax import Group

__all__ = ["LibertyValues", "pins_of"]

_SLEW = ("input_net_transition", "input_transition_time")
_LOAD = ("total_output_net_capacitance",)
_DATA_SLEW = ("constrained_pin_transition",)
_CLOCK_SLEW = ("related_pin_transition",)

_Axis: TypeAlias = tuple[tuple[str, ...], float]
"""Names of the variable of an axis, and its unit."""

_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}


class LibertyValues:
    """What the units and templates of a library make of its numbers.

    All methods raise InputError if a figure is missing, or is not what it must be. Their messages
    start with ``where`` and name a ``field``, or a ``place`` in the file.

    Attributes
    ----------
    voltage_v
        Supply.
    ns, ff, nw, fj
        Units of the file for times, capacitances, leakage and energies, in ns, fF, nW and fJ.
    """

    def __init__(self, library: Group, where: str) -> None:
        self.library = library
        self.where = where
        self.voltage_v = self._voltage()
        self.ns = self._unit("time_unit", "1ns", "s") / 1e-9
        self.ff = self._capacitance_unit() / 1e-15
        self.nw = self._unit("leakage_power_unit", "1nW", "W") / 1e-9
        self.fj = self.ff * self._unit("voltage_unit", "1V", "V") ** 2
        self.templates = {
            group.title: group
            for kind in ("lu_table_template", "power_lut_template")
            for group in library.of_kind(kind)
        }

    def _voltage(self) -> float:
        conditions = self.library.of_kind("operating_conditions")
        stated = [
            self.library.value("nom_voltage"),
            *(group.value("voltage") for group in conditions),
        ]
        value = next((value for value in stated if value is not None), None)
        if value is None:
            raise InputError(f"{self.where}: nom_voltage: is missing")
        return self.number(value, "nom_voltage")

    def _unit(self, field: str, default: str, base: str) -> float:
        text = (self.library.value(field) or default).replace(" ", "")
        match = re.fullmatch(rf"([\d.]+)([munpf]?){base}", text, re.IGNORECASE)
        if match is None:
            raise InputError(f"{self.where}: {field}: must be a unit of {base}, not {text!r}")
        return self.number(match[1], field) * _PREFIX[match[2].lower()]

    def _capacitance_unit(self) -> float:
        field = "capacitive_load_unit"
        match self.library.values(field):
            case [number, ("ff" | "pf" | "fF" | "pF" | "FF" | "PF") as unit]:
                return self.number(number, field) * _PREFIX[unit[0].lower()]
        raise InputError(f"{self.where}: {field}: must be a unit of ff or pf")

    def number(self, text: str, field: str) -> float:
        """Return a finite number."""
        with suppress(ValueError):
            if math.isfinite(number := float(text)):
                return number
        raise InputError(f"{self.where}: {field}: must be a number, not {shorten(text)}")

    def required(self, group: Group, name: str, place: str) -> float:
        """Return the number that a simple attribute of ``group`` has."""
        value = group.value(name)
        if value is None:
            raise InputError(f"{self.where}: {place}: {name}: is missing")
        return self.number(value, f"{place}: {name}")

    def table(self, group: Group, unit: float, place: str) -> Table:
        """Return the table by slew and load in ``group``, values being multiples of ``unit``."""
        return self._table(group, unit, place, (_SLEW, self.ns), (_LOAD, self.ff))

    def constraint(self, group: Group, place: str) -> Table:
        """Return the table of times in ``group``, by the slew of the data and of the clock."""
        return self._table(group, self.ns, place, (_DATA_SLEW, self.ns), (_CLOCK_SLEW, self.ns))

    def _table(self, group: Group, unit: float, place: str, rows: _Axis, columns: _Axis) -> Table:
        (row_names, row_unit), (column_names, column_unit) = rows, columns
        try:
            values = _numbers(group, "values") * unit
            axes = self._axes(group, values.size)
            values = values.reshape([len(axis) for _, axis in axes] or [1])
        except ValueError:
            raise InputError(
                f"{self.where}: {place}: must be a table of as many numbers as its indices"
            ) from None
        names = [name for name, _ in axes]
        for name in names:
            if name not in row_names + column_names:
                raise InputError(f"{self.where}: {place}: {name}: is not a variable known here")
        if len(axes) == 2 and names[0] in column_names:
            values = values.T
        slews = next((axis * row_unit for name, axis in axes if name in row_names), np.zeros(1))
        loads = next(
            (axis * column_unit for name, axis in axes if name in column_names), np.zeros(1)
        )
        if any((np.diff(axis) <= 0).any() for axis in (slews, loads)):
            raise InputError(f"{self.where}: {place}: indices must rise")
        lines = values.reshape(len(slews), len(loads)).tolist()
        return Table(tuple(slews.tolist()), tuple(loads.tolist()), tuple(map(tuple, lines)))

    def _axes(self, group: Group, n_values: int) -> list[tuple[str, npt.NDArray[np.float64]]]:
        """Return the variables with their indices, in the order of the table."""
        template = self.templates.get(group.title)
        if template is None:
            if n_values != 1:
                raise ValueError
            return []
        axes = []
        for number in (1, 2, 3):
            variable = template.value(f"variable_{number}")
            if variable is None:
                break
            index = f"index_{number}"
            axes.append((variable, _numbers(group if group.values(index) else template, index)))
        return axes


def _numbers(group: Group, name: str) -> npt.NDArray[np.float64]:
    """Return a list of numbers, row after row; raises ValueError where it is none."""
    texts = " ".join(group.values(name)).replace(",", " ").split()
    numbers = np.array([float(text) for text in texts])
    if not numbers.size or not np.isfinite(numbers).all():
        raise ValueError
    return numbers


def pins_of(cell: Group) -> Iterator[tuple[str, Group]]:
    """Yield the pins of a cell with their groups, of which one may stand for several pins."""
    for group in cell.of_kind("pin"):
        for argument in group.arguments:
            for name in argument.split():
                yield name, group
