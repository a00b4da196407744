"""Generic standard cells: one table, and the Liberty text that is made from it.

Figures follow the method of logical effort: I. Sutherland, R. Sproull, D. Harris, *Logical
Effort: Designing Fast CMOS Circuits*, Morgan Kaufmann, 1999, chapters 3 and 4. A pMOS transistor
is twice as wide as an nMOS transistor of the same conductance, transistors in series are widened
until the gate drives like an inverter of widths 1 and 2. The gate capacitance of a pin is the
total width of its transistors (inverter 3, NAND2 4, NOR2 5, …), the parasitic capacitance of an
output the total width of the drains on it. Cells of several stages are compositions of such
gates. Area is the total transistor width, in gate equivalents (NAND2 = 1).
"""

from dataclasses import dataclass

__all__ = ["CELLS", "CELLS_NAME", "Cell", "Stage"]

CELLS_NAME = "qosnets-generic-2"
"""Identifies this table; to be changed with any figure in it."""


@dataclass(frozen=True)
class Stage:
    """A single-stage static CMOS gate, which inverts."""

    widths: tuple[tuple[int, int], ...]
    """Width of the nMOS and of the pMOS transistor per input."""
    drains: int
    """Width of the transistors on the output, where series stacks end in their least."""
    function: str
    """Boolean expression of ``x0``, ``x1``, …, the inputs."""

    @property
    def capacitances(self) -> tuple[int, ...]:
        """Width of the transistors per input."""
        return tuple(nmos + pmos for nmos, pmos in self.widths)


_INV = Stage(((1, 2),), 3, "!x0")
_NAND2 = Stage(((2, 2),) * 2, 6, "!(x0 & x1)")
_NAND3 = Stage(((3, 2),) * 3, 9, "!(x0 & x1 & x2)")
_NOR2 = Stage(((1, 4),) * 2, 6, "!(x0 | x1)")
_NOR3 = Stage(((1, 6),) * 3, 9, "!(x0 | x1 | x2)")
_AOI21 = Stage(((2, 4), (2, 4), (1, 4)), 7, "!((x0 & x1) | x2)")
_OAI21 = Stage(((2, 4), (2, 4), (2, 2)), 8, "!((x0 | x1) & x2)")

_NAND2_WIDTH = sum(_NAND2.capacitances)


@dataclass(frozen=True)
class Cell:
    """A cell with one output.

    ``stages`` lists the gates of the cell, each with the name of its output and the nets on its
    inputs. Nets are pins of the cell or, in lower case, inside it; inputs come before outputs,
    but for the loops of a flip-flop.
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    function: str
    """Boolean expression of the inputs in the syntax of Liberty; of a flip-flop, its next state."""
    stages: tuple[tuple[str, Stage, tuple[str, ...]], ...]
    clock: str | None = None
    """Clock pin of a rising-edge flip-flop."""

    @property
    def area_ge(self) -> float:
        """Total transistor width relative to NAND2."""
        width = sum(sum(stage.capacitances) for _, stage, _ in self.stages)
        return width / _NAND2_WIDTH

    def capacitance(self, net: str) -> int:
        """Return the width of the transistors with a gate on a net; an inverter has 3."""
        return sum(
            capacitance
            for _, stage, nets in self.stages
            for source, capacitance in zip(nets, stage.capacitances, strict=True)
            if source == net
        )


_AB = ("A", "B")
_ABC = ("A", "B", "C")

CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("INV", ("A",), "Y", "!A", (("Y", _INV, ("A",)),)),
        Cell("BUF", ("A",), "Y", "A", (("n", _INV, ("A",)), ("Y", _INV, ("n",)))),
        Cell("NAND2", _AB, "Y", "!(A & B)", (("Y", _NAND2, _AB),)),
        Cell("NAND3", _ABC, "Y", "!(A & B & C)", (("Y", _NAND3, _ABC),)),
        Cell("NOR2", _AB, "Y", "!(A | B)", (("Y", _NOR2, _AB),)),
        Cell("NOR3", _ABC, "Y", "!(A | B | C)", (("Y", _NOR3, _ABC),)),
        Cell("AND2", _AB, "Y", "A & B", (("n", _NAND2, _AB), ("Y", _INV, ("n",)))),
        Cell("OR2", _AB, "Y", "A | B", (("n", _NOR2, _AB), ("Y", _INV, ("n",)))),
        Cell("AOI21", _ABC, "Y", "!((A & B) | C)", (("Y", _AOI21, _ABC),)),
        Cell("OAI21", _ABC, "Y", "!((A | B) & C)", (("Y", _OAI21, _ABC),)),
        Cell("XOR2", _AB, "Y", "A ^ B", (("n", _NOR2, _AB), ("Y", _AOI21, ("A", "B", "n")))),
        Cell("XNOR2", _AB, "Y", "!(A ^ B)", (("n", _NAND2, _AB), ("Y", _OAI21, ("A", "B", "n")))),
        Cell(
            "MUX2",
            ("A", "B", "S"),
            "Y",
            "(S & B) | (!S & A)",
            (
                ("s", _INV, ("S",)),
                ("m", _NAND2, ("A", "s")),
                ("n", _NAND2, ("B", "S")),
                ("Y", _NAND2, ("m", "n")),
            ),
        ),
        # The edge-triggered flip-flop of six NAND gates (the 7474 without set and reset).
        Cell(
            "DFF",
            ("D", "CK"),
            "Q",
            "D",
            (
                ("n", _NAND2, ("k", "s")),
                ("s", _NAND2, ("n", "CK")),
                ("r", _NAND3, ("s", "CK", "k")),
                ("k", _NAND2, ("r", "D")),
                ("Q", _NAND2, ("s", "q")),
                ("q", _NAND2, ("r", "Q")),
            ),
            clock="CK",
        ),
    )
}
"""The cells by name."""
