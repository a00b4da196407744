"""Extraction of what :mod:`.liberty` keeps from the text of a Liberty file."""

import re
from collections.abc import Iterable, Iterator

from qosnets.errors import InputError
from qosnets.files import sha256

from .boolean import ExpressionError, compile_function
from .liberty import Arc, Edge, Energy, InputPin, Liberty, LibertyCell
from .liberty_flip_flops import read_flip_flop
from .liberty_syntax import Group, parse_group
from .liberty_values import LibertyValues, pins_of

__all__ = ["parse_liberty"]

_STATEFUL = {"ff", "latch", "ff_bank", "latch_bank", "statetable", "bus", "bundle", "test_cell"}
"""Groups of cells that are not combinational, or have more than single-bit pins."""

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def parse_liberty(data: bytes, where: str) -> Liberty:
    """Extract the usable cells of a Liberty file.

    Left out are cells marked ``dont_use``, and those that are neither combinational with one
    output that is always driven nor flip-flops as :func:`.liberty_flip_flops.read_flip_flop` knows
    them.

    Parameters
    ----------
    data
        The file.
    where
        Starts the messages.

    Raises
    ------
    InputError
        As :func:`.liberty.load_liberty`.
    """
    library = parse_group(data.decode(errors="replace"), where)
    if library.name != "library":
        raise InputError(f"{where}: must be a Liberty file, not a group {library.name}")
    return CellReader(library, where).liberty(sha256(data))


class CellReader:
    """Cells of a library."""

    def __init__(self, library: Group, where: str) -> None:
        self.library = library
        self.where = where
        self.values = LibertyValues(library, where)

    def liberty(self, digest: str) -> Liberty:
        groups = [
            group for group in self.library.of_kind("cell") if group.value("dont_use") != "true"
        ]
        cells = tuple(self._cell(group) for group in groups if _is_combinational(group))
        flip_flops = (read_flip_flop(self, group) for group in groups)
        if not _suffice(cells):
            raise InputError(
                f"{self.where}: must have an inverter, an AND, OR, NAND or NOR of two inputs,"
                " and a third function"
            )
        return Liberty(
            self.library.title,
            digest,
            self.values.voltage_v,
            cells,
            tuple(cell for cell in flip_flops if cell is not None),
        )

    def _cell(self, group: Group) -> LibertyCell:
        name = group.title
        place = f"cell {name}"
        pins = dict(pins_of(group))
        (output,) = (pin for pin, body in pins.items() if body.value("direction") == "output")
        inputs = tuple(
            InputPin(
                pin,
                self.values.required(body, "capacitance", f"{place}: pin {pin}") * self.values.ff,
                tuple(self.energies(body, f"{place}: pin {pin}")),
            )
            for pin, body in pins.items()
            if body.value("direction") == "input"
        )
        names = tuple(pin.name for pin in inputs)
        for text in (name, output, *names):
            if not _NAME.fullmatch(text):
                raise InputError(f"{self.where}: {place}: must have plain names, not {text!r}")
        function = pins[output].value("function") or ""
        try:
            compile_function(function, names)
        except ExpressionError as error:
            raise InputError(f"{self.where}: {place}: function {function!r} {error}") from None
        out = f"{place}: pin {output}"
        arcs = tuple(self._arcs(pins[output], out))
        for pin in names:
            if not any(arc.pin == pin for arc in arcs):
                raise InputError(f"{self.where}: {out}: timing from {pin}: is missing")
        return LibertyCell(
            name=name,
            area_um2=self.values.required(group, "area", place),
            leakage_nw=self.leakage(group, place) * self.values.nw,
            inputs=inputs,
            output=output,
            function=function,
            arcs=arcs,
            energies=tuple(self.energies(pins[output], out)),
        )

    def leakage(self, group: Group, place: str) -> float:
        """Return the leakage of a cell in the unit of the file.

        It is the mean where stated, else over the states listed.
        """
        if group.value("cell_leakage_power") is not None:
            return self.values.required(group, "cell_leakage_power", place)
        states = [
            self.values.required(state, "value", f"{place}: leakage_power")
            for state in group.of_kind("leakage_power")
        ]
        if states:
            return sum(states) / len(states)
        return self.values.number(self.library.value("default_cell_leakage_power") or "0", place)

    def _arcs(self, pin: Group, place: str) -> Iterator[Arc]:
        for timing in pin.of_kind("timing"):
            kind = timing.value("timing_type") or "combinational"
            if not kind.startswith("combinational"):
                continue
            sense = timing.value("timing_sense")
            edges = {
                edge: self.edge(timing, edge, place)
                for edge in ("rise", "fall")
                if kind in ("combinational", f"combinational_{edge}")
            }
            for related in _related(timing):
                yield Arc(
                    related,
                    sense != "negative_unate",
                    sense != "positive_unate",
                    edges.get("rise"),
                    edges.get("fall"),
                )

    def edge(self, timing: Group, edge: str, place: str) -> Edge:
        """Return delay and slew of the ``rise`` or the ``fall`` of an output."""
        delay, slew = timing.first(f"cell_{edge}"), timing.first(f"{edge}_transition")
        if delay is None or slew is None:
            missing = f"{edge}_transition" if delay else f"cell_{edge}"
            raise InputError(f"{self.where}: {place}: timing: {missing}: is missing")
        return Edge(
            self.values.table(delay, self.values.ns, f"{place}: cell_{edge}"),
            self.values.table(slew, self.values.ns, f"{place}: {edge}_transition"),
        )

    def energies(self, pin: Group, place: str) -> Iterator[Energy]:
        """Yield the internal energies of a pin."""
        for power in pin.of_kind("internal_power"):
            tables = [
                self.values.table(group, self.values.fj, f"{place}: {edge}_power")
                if group
                else None
                for edge in ("rise", "fall")
                for group in [power.first(f"{edge}_power") or power.first("power")]
            ]
            if any(tables):
                yield from (Energy(related, *tables) for related in _related(power) or (None,))


def _is_combinational(cell: Group) -> bool:
    """Tell whether a cell is combinational with one output that its inputs always drive."""
    if any(group.name in _STATEFUL for group in cell.groups):
        return False
    pins = [body for _, body in pins_of(cell)]
    directions = [body.value("direction") for body in pins]
    if directions.count("output") != 1 or "inout" in directions or "input" not in directions:
        return False
    output = pins[directions.index("output")]
    return output.value("function") is not None and output.value("three_state") is None


def _suffice(cells: Iterable[LibertyCell]) -> bool:
    """Tell whether ABC can map any circuit to the cells.

    It needs an inverter and a gate of two inputs that differs for one of the four states; and it
    refuses libraries of fewer than three functions.
    """
    functions = {(len(cell.inputs), _truth_table(cell)) for cell in cells}
    joins_two = any(n == 2 and table.bit_count() in (1, 3) for n, table in functions)
    return (1, 0b01) in functions and joins_two and len(functions) >= 3


def _truth_table(cell: LibertyCell) -> int:
    """Return the output in every state of the inputs, a bit each."""
    states = range(1 << len(cell.inputs))
    operands = [
        sum((state >> pin & 1) << state for state in states) for pin in range(len(cell.inputs))
    ]
    table: int = compile_function(cell.function, cell.pins)(operands)
    return table & (1 << len(states)) - 1


def _related(group: Group) -> list[str]:
    return (group.value("related_pin") or "").split()
