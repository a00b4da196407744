"""Extraction of flip-flops from the text of a Liberty file."""

from typing import TYPE_CHECKING

from .liberty import FlipFlop, InputPin
from .liberty_syntax import Group
from .liberty_values import pins_of

if TYPE_CHECKING:
    from .liberty_reader import CellReader

__all__ = ["read_flip_flop"]


def read_flip_flop(reader: "CellReader", cell: Group) -> FlipFlop | None:
    """Return a cell that is a plain rising-edge D flip-flop, None for any other.

    Plain: a clock and a data input, one output that has the state, and no set, reset or enable.
    Those without delay or setup tables are passed over.

    Raises
    ------
    InputError
        If a figure of such a flip-flop is not what it must be.
    """
    states = cell.of_kind("ff")
    pins = dict(pins_of(cell))
    outputs = [name for name, body in pins.items() if body.value("direction") == "output"]
    inputs = [name for name, body in pins.items() if body.value("direction") == "input"]
    if len(states) != 1 or len(pins) != 3 or len(outputs) != 1 or len(inputs) != 2:
        return None
    (state,), (output,) = states, outputs
    clock, data = (_bare(state.value(field)) for field in ("clocked_on", "next_state"))
    if {clock, data} != set(inputs) or _bare(pins[output].value("function")) != state.title:
        return None
    if any(state.value(field) for field in ("clear", "preset", "clocked_on_also")):
        return None

    place = f"cell {cell.title}: pin"
    arcs = [t for t in pins[output].of_kind("timing") if t.value("timing_type") == "rising_edge"]
    setups = [t for t in pins[data].of_kind("timing") if t.value("timing_type") == "setup_rising"]
    if not arcs or not setups:
        return None
    constraints = [setups[0].first(f"{edge}_constraint") for edge in ("rise", "fall")]
    if constraints[0] is None or constraints[1] is None:
        return None
    return FlipFlop(
        name=cell.title,
        area_um2=reader.values.required(cell, "area", f"cell {cell.title}"),
        leakage_nw=reader.leakage(cell, f"cell {cell.title}") * reader.values.nw,
        clock=_input(reader, pins[clock], clock, f"{place} {clock}"),
        data=_input(reader, pins[data], data, f"{place} {data}"),
        output=output,
        rise=reader.edge(arcs[0], "rise", f"{place} {output}"),
        fall=reader.edge(arcs[0], "fall", f"{place} {output}"),
        setup_rise=reader.values.constraint(constraints[0], f"{place} {data}: setup"),
        setup_fall=reader.values.constraint(constraints[1], f"{place} {data}: setup"),
        energies=tuple(reader.energies(pins[output], f"{place} {output}")),
    )


def _input(reader: "CellReader", pin: Group, name: str, place: str) -> InputPin:
    capacitance = reader.values.required(pin, "capacitance", place) * reader.values.ff
    return InputPin(name, capacitance, tuple(reader.energies(pin, place)))


def _bare(expression: str | None) -> str:
    """Return an expression without blanks and outer parentheses."""
    text = (expression or "").strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return text
