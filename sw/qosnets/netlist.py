"""Canonical netlists: the gates of a multiplier as text, and what they compute.

A canonical netlist is one module of continuous assignments, a line each::

    module multiplier(A, B, O);
      input [7:0] A;
      input [7:0] B;
      output [15:0] O;
      wire n0;                      # as many as there are gates, numbered
      assign n0 = A[0] & B[0];      # one gate each, in the order of the wires
      assign O[0] = n0;             # all 16 product bits, from the least significant
    endmodule

A gate is ``~x``, ``x & y``, ``x | y``, ``x ^ y``, ``~(x ^ y)`` or ``s ? x : y``. Its operands are
constants (``1'b0``, ``1'b1``), port bits, and the outputs of gates above it. The reader accepts
nothing else, so that every tool that reads the text as Verilog sees the same circuit.

A merged multiplier has one more port, behind B, and its bits among the operands of gates::

    module multiplier(A, B, S, O);
      input [2:0] S;                # select word; as wide as the circuit needs

With S tied to a word it is a canonical netlist.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NoReturn

import numpy as np

from .errors import InputError, shorten
from .lut import Lut
from .words import Words, pack, unpack

__all__ = ["netlist_lut", "netlist_of_word", "netlist_select_width"]

_N_PRODUCT_BITS = 16
_MAX_GATES = 1 << 15
"""Evaluation takes 8 KiB for each; a multiplier of more is a table in disguise."""

_HEADER = (
    "module multiplier(A, B, O);",
    "  input [7:0] A;",
    "  input [7:0] B;",
    "  output [15:0] O;",
)
_OPERAND = r"(1'b[01]|[AB]\[[0-7]\]|n(?:0|[1-9][0-9]*))"
_GATE = re.compile(
    rf"~{_OPERAND}|{_OPERAND} ([&|^]) {_OPERAND}|~\({_OPERAND} \^ {_OPERAND}\)"
    rf"|{_OPERAND} \? {_OPERAND} : {_OPERAND}"
)
_SELECT_BIT = re.compile(r"S\[(0|[1-9][0-9]*)\]")
_GATE_RULE = "a gate must be ~x, x & y, x | y, x ^ y, ~(x ^ y) or s ? x : y"


def netlist_lut(text: str, *, where: str = "netlist") -> Lut:
    """Return the products of all operand pairs, uint16 ``[256, 256]``.

    Parameters
    ----------
    text
        A canonical netlist.
    where
        What the text is called in messages.

    Raises
    ------
    InputError
        If the text is not a canonical netlist; the message names the line.
    """
    lines = _Lines(text, where)
    for line in _HEADER:
        lines.expect(line)
    n_gates = 0
    while lines.line == f"  wire n{n_gates};":
        n_gates += 1
        lines.advance()
    if n_gates > _MAX_GATES:
        raise InputError(f"{where}: must have at most {_MAX_GATES} gates, not {n_gates}")
    nets = dict(_sources())
    for index in range(n_gates):
        expression = lines.assigned(f"n{index}")
        nets[f"n{index}"] = _evaluate(expression, nets, lines)
        lines.advance()
    table = np.zeros(1 << 16, dtype=np.uint16)
    for bit in range(_N_PRODUCT_BITS):
        net = lines.assigned(f"O[{bit}]")
        if net not in nets:
            lines.refuse("a product bit must be a constant, a port bit or a gate", net)
        table |= unpack(nets[net]) << np.uint16(bit)
        lines.advance()
    lines.expect("endmodule")
    lines.expect_end()
    return table.reshape(256, 256)


def netlist_select_width(text: str, *, where: str = "netlist") -> int:
    """Return the bits of the select of a merged netlist.

    Raises
    ------
    InputError
        If the text does not start like a merged netlist; the message names the line.
    """
    return _skip_merged_header(_Lines(text, where))


def netlist_of_word(text: str, word: int, *, where: str = "netlist") -> str:
    """Return the canonical netlist that a merged netlist is for one select word.

    What follows the ports is not checked here but where the result is read.

    Parameters
    ----------
    text
        A merged netlist.
    word
        Value of the select.
    where
        What the text is called in messages.

    Raises
    ------
    InputError
        If the text does not start like a merged netlist, or its select cannot have the value.
    """
    lines = _Lines(text, where)
    width = _skip_merged_header(lines)
    if not 0 <= word < 1 << width:
        raise InputError(f"{where}: select word must be 0..{(1 << width) - 1}, not {word}")

    def tied(found: re.Match[str]) -> str:
        bit = int(found[1])
        return f"1'b{word >> bit & 1}" if bit < width else found[0]

    return "\n".join([*_HEADER, *(_SELECT_BIT.sub(tied, line) for line in lines.rest)])


def _skip_merged_header(lines: "_Lines") -> int:
    """Advance behind the ports of a merged netlist; return the width of the select."""
    module, *operands, product = _HEADER
    for line in (module.replace("O", "S, O"), *operands):
        lines.expect(line)
    found = re.fullmatch(r"  input \[([0-7]):0\] S;", lines.line)
    if found is None:
        lines.refuse("must be '  input [n:0] S;' with n = 0..7", lines.line)
    lines.advance()
    lines.expect(product)
    return int(found[1]) + 1


class _Lines:
    """A text read line by line; ``line`` is the current one, empty past the end."""

    def __init__(self, text: str, where: str) -> None:
        self._lines = text.split("\n")
        self._index = 0
        self._where = where
        self.line = self._lines[0]

    @property
    def rest(self) -> list[str]:
        """The current line and those below."""
        return self._lines[self._index :]

    def advance(self) -> None:
        """Go to the next line."""
        self._index += 1
        self.line = self._lines[self._index] if self._index < len(self._lines) else ""

    def refuse(self, rule: str, found: str) -> NoReturn:
        """Raise the error of the current line."""
        raise InputError(f"{self._where}: line {self._index + 1}: {rule}, not {shorten(found)}")

    def expect(self, line: str) -> None:
        """Demand that the current line be ``line``, and advance."""
        if self.line != line:
            self.refuse(f"must be {line!r}", self.line)
        self.advance()

    def expect_end(self) -> None:
        """Demand that the line before be the last one, and complete."""
        rest = "\n".join(self.rest)
        if rest or self._index == len(self._lines):
            self.refuse("the text must end with a complete line 'endmodule'", rest)

    def assigned(self, net: str) -> str:
        """Return what the current line assigns to ``net``."""
        prefix = f"  assign {net} = "
        if not (self.line.startswith(prefix) and self.line.endswith(";")):
            self.refuse(f"must be '{prefix}…;'", self.line)
        return self.line[len(prefix) : -1]


def _evaluate(expression: str, nets: Mapping[str, Words], lines: _Lines) -> Words:
    """Return the output of the gate that the current line describes."""
    found = _GATE.fullmatch(expression)
    if found is None:
        lines.refuse(_GATE_RULE, expression)
    inverted, x, operator, y, x_same, y_same, select, high, low = found.groups()
    try:
        if inverted is not None:
            return ~nets[inverted]
        if operator == "&":
            return nets[x] & nets[y]
        if operator == "|":
            return nets[x] | nets[y]
        if operator == "^":
            return nets[x] ^ nets[y]
        if x_same is not None:
            return ~(nets[x_same] ^ nets[y_same])
        return nets[low] ^ (nets[select] & (nets[high] ^ nets[low]))
    except KeyError as error:
        lines.refuse("a gate must read gates above it", error.args[0])


@cache
def _sources() -> dict[str, Words]:
    """Return the constants and port bits by name."""
    zeros = np.zeros((1 << 16) // 64, dtype=np.uint64)
    sources = {"1'b0": zeros, "1'b1": ~zeros}
    pairs = np.arange(1 << 16, dtype=np.uint16)
    for port, first in (("A", 8), ("B", 0)):
        for bit in range(8):
            sources[f"{port}[{bit}]"] = pack(pairs >> np.uint16(first + bit) & np.uint16(1))
    return sources
