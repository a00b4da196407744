"""Generic standard cells: one table, from which the Liberty text and the evaluator are made.

Figures follow the method of logical effort: I. Sutherland, R. Sproull, D. Harris, *Logical
Effort: Designing Fast CMOS Circuits*, Morgan Kaufmann, 1999, chapter 4. A pMOS transistor is
twice as wide as an nMOS transistor of the same conductance, transistors in series are widened
until the gate drives like an inverter of widths 1 and 2, and the gate capacitance of a pin is
the total width of its transistors (inverter 3, NAND2 4, NOR2 5, …). Cells of several stages are
compositions of such gates. Area is the total transistor width, in gate equivalents (NAND2 = 1).
"""

from dataclasses import dataclass

__all__ = ["ABC_SCRIPT", "CELLS", "CELLS_NAME", "OUTPUT_LOAD", "Cell", "liberty"]

CELLS_NAME = "qosnets-generic-1"
"""Identifies this table; to be changed with any figure in it."""

ABC_SCRIPT = "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;dch,-f;map,-a"
"""Script for Yosys's ``abc``: optimise, then map for area alone, since the cells have no delays."""


@dataclass(frozen=True)
class _Stage:
    """A single-stage static CMOS gate: per input pin the nMOS and the pMOS width."""

    widths: tuple[tuple[int, int], ...]

    @property
    def capacitances(self) -> tuple[int, ...]:
        return tuple(nmos + pmos for nmos, pmos in self.widths)


_INV = _Stage(((1, 2),))
_NAND2 = _Stage(((2, 2),) * 2)
_NAND3 = _Stage(((3, 2),) * 3)
_NOR2 = _Stage(((1, 4),) * 2)
_NOR3 = _Stage(((1, 6),) * 3)
_AOI21 = _Stage(((2, 4), (2, 4), (1, 4)))
_OAI21 = _Stage(((2, 4), (2, 4), (2, 2)))

_NAND2_WIDTH = sum(_NAND2.capacitances)

OUTPUT_LOAD = sum(_INV.capacitances)
"""Capacitance that a primary output drives: one inverter."""


@dataclass(frozen=True)
class Cell:
    """A cell with one output.

    ``stages`` lists the gates of the cell, each with the nets on its inputs: a pin of the cell,
    or a lower-case name for a net inside.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    function: str
    """Boolean expression of the inputs in ``~ & ^ |``; of a flip-flop, its next state."""
    stages: tuple[tuple[_Stage, tuple[str, ...]], ...]
    clock: str | None = None
    """Clock pin of a rising-edge flip-flop."""

    @property
    def area_ge(self) -> float:
        """Total transistor width relative to NAND2."""
        width = sum(sum(stage.capacitances) for stage, _ in self.stages)
        return width / _NAND2_WIDTH

    def capacitance(self, pin: str) -> int:
        """Return the capacitance of an input pin; an inverter has 3."""
        return sum(
            capacitance
            for stage, nets in self.stages
            for net, capacitance in zip(nets, stage.capacitances, strict=True)
            if net == pin
        )


_AB = ("A", "B")
_ABC = ("A", "B", "C")

CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("INV", ("A",), "Y", "~A", ((_INV, ("A",)),)),
        Cell("BUF", ("A",), "Y", "A", ((_INV, ("A",)), (_INV, ("n",)))),
        Cell("NAND2", _AB, "Y", "~(A & B)", ((_NAND2, _AB),)),
        Cell("NAND3", _ABC, "Y", "~(A & B & C)", ((_NAND3, _ABC),)),
        Cell("NOR2", _AB, "Y", "~(A | B)", ((_NOR2, _AB),)),
        Cell("NOR3", _ABC, "Y", "~(A | B | C)", ((_NOR3, _ABC),)),
        Cell("AND2", _AB, "Y", "A & B", ((_NAND2, _AB), (_INV, ("n",)))),
        Cell("OR2", _AB, "Y", "A | B", ((_NOR2, _AB), (_INV, ("n",)))),
        Cell("AOI21", _ABC, "Y", "~((A & B) | C)", ((_AOI21, _ABC),)),
        Cell("OAI21", _ABC, "Y", "~((A | B) & C)", ((_OAI21, _ABC),)),
        Cell("XOR2", _AB, "Y", "A ^ B", ((_NOR2, _AB), (_AOI21, ("A", "B", "n")))),
        Cell("XNOR2", _AB, "Y", "~(A ^ B)", ((_NAND2, _AB), (_OAI21, ("A", "B", "n")))),
        Cell(
            "MUX2",
            ("A", "B", "S"),
            "Y",
            "(S & B) | (~S & A)",
            ((_INV, ("S",)), (_NAND2, ("A", "s")), (_NAND2, ("B", "S")), (_NAND2, ("m", "n"))),
        ),
        # The edge-triggered flip-flop of six NAND gates (the 7474 without set and reset).
        Cell(
            "DFF",
            ("D", "CK"),
            "Q",
            "D",
            (
                (_NAND2, ("k", "s")),
                (_NAND2, ("n", "CK")),
                (_NAND3, ("s", "CK", "k")),
                (_NAND2, ("r", "D")),
                (_NAND2, ("s", "p")),
                (_NAND2, ("r", "q")),
            ),
            clock="CK",
        ),
    )
}
"""The cells by name."""


def liberty() -> str:
    """Return the cells as a Liberty library; areas in GE, capacitances with an inverter as 3."""
    return f"""\
/* Generic cells for technology-independent mapping. Input capacitances and areas follow the
   method of logical effort (Sutherland, Sproull, Harris: Logical Effort, 1999): capacitance in
   transistor widths (inverter 3), area in gate equivalents (NAND2 1). */
library("{CELLS_NAME}") {{
  delay_model : table_lookup;
  capacitive_load_unit (1, ff);
{"".join(_liberty_cell(cell) for cell in CELLS.values())}}}
"""


def _liberty_cell(cell: Cell) -> str:
    function = cell.function.replace("~", "!")
    state = ""
    if cell.clock:
        state = f'    ff (IQ, IQN) {{ clocked_on : "{cell.clock}"; next_state : "{function}"; }}\n'
        function = "IQ"
    pins = "".join(
        f"    pin ({pin}) {{ direction : input; capacitance : {cell.capacitance(pin)};"
        f"{' clock : true;' if pin == cell.clock else ''} }}\n"
        for pin in cell.inputs
    )
    return f"""\
  cell ({cell.name}) {{
    area : {cell.area_ge:g};
{state}{pins}    pin ({cell.output}) {{ direction : output; function : "{function}"; }}
  }}
"""
