"""Verilog of a merged multiplier, in the form of canonical netlists, with a port for the select.

    module multiplier(A, B, S, O);
      input [7:0] A;
      input [7:0] B;
      input [n-1:0] S;              # the select word of the mode, 0: product 0
      output [15:0] O;
      …

The rest is as in :mod:`qosnets.netlist`, with ``S[k]`` among the operands of gates. An exact
multiplier without a select is a canonical netlist itself.
"""

from enum import StrEnum

from .masks import MergedMasks
from .tree import FIRST_SUM, Tree

__all__ = ["Gating", "merged_verilog"]


class Gating(StrEnum):
    """Where the select enters a partial product; mapping to cells may restructure it."""

    PRODUCT = "product"
    """(a & b) & keep."""
    A = "a"
    """(a & keep) & b; partial products of one bit of A and one level share the gate."""
    B = "b"
    """(b & keep) & a."""


def merged_verilog(
    masks: MergedMasks, tree: Tree, *, gating: Gating = Gating.A, select: bool = True
) -> str:
    """Return the netlist of a merged multiplier.

    Parameters
    ----------
    masks, tree
        What the modes compute, and how bits are added.
    gating
        Where the select enters.
    select
        False leaves the select out; for an exact multiplier alone.
    """
    if not select and masks.n_modes != 1:
        raise ValueError("several modes need a select")
    writer = _Writer()
    bits = [
        _partial_product(writer, masks, gating, select, i, j) for i in range(8) for j in range(8)
    ]
    bits += [""] * (2 * len(tree.columns))
    for adder in tree.order():
        x, y, z = (bits[bit] if bit >= 0 else None for bit in tree.inputs[adder].tolist())
        assert x is not None and y is not None
        bits[FIRST_SUM + 2 * adder : FIRST_SUM + 2 * adder + 2] = _add(writer, x, y, z)
    product = [bits[bit] if bit >= 0 else "1'b0" for bit in tree.product.tolist()]
    return writer.module(product, masks.select_width if select else 0)


class _Writer:
    """Gates of a module; equal ones are shared."""

    def __init__(self) -> None:
        self._gates: dict[str, str] = {}

    def gate(self, expression: str) -> str:
        """Return the wire of a gate."""
        return self._gates.setdefault(expression, f"n{len(self._gates)}")

    def module(self, product: list[str], select_width: int) -> str:
        """Return the text."""
        ports = "A, B, S, O" if select_width else "A, B, O"
        lines = [f"module multiplier({ports});", "  input [7:0] A;", "  input [7:0] B;"]
        lines += [f"  input [{select_width - 1}:0] S;"] if select_width else []
        lines += ["  output [15:0] O;", *(f"  wire {wire};" for wire in self._gates.values())]
        lines += [f"  assign {wire} = {gate};" for gate, wire in self._gates.items()]
        lines += [f"  assign O[{bit}] = {net};" for bit, net in enumerate(product)]
        return "\n".join([*lines, "endmodule", ""])


def _partial_product(
    writer: _Writer, masks: MergedMasks, gating: Gating, select: bool, i: int, j: int
) -> str:
    a, b = f"A[{i}]", f"B[{j}]"
    if not select:
        return writer.gate(f"{a} & {b}")
    keep = f"S[{masks.kill_level[i, j] - 1}]"
    if gating is Gating.PRODUCT:
        kept = writer.gate(f"{writer.gate(f'{a} & {b}')} & {keep}")
    elif gating is Gating.A:
        kept = writer.gate(f"{writer.gate(f'{a} & {keep}')} & {b}")
    else:
        kept = writer.gate(f"{writer.gate(f'{b} & {keep}')} & {a}")
    level = int(masks.force_level[i, j])
    if level == masks.n_modes:
        return kept
    dropped = writer.gate(f"~S[{level - 1}]")
    forced = writer.gate(f"{dropped} & S[{masks.n_modes - 1}]")
    return writer.gate(f"{kept} | {forced}")


def _add(writer: _Writer, x: str, y: str, z: str | None) -> tuple[str, str]:
    """Return sum and carry."""
    half, generate = writer.gate(f"{x} ^ {y}"), writer.gate(f"{x} & {y}")
    if z is None:
        return half, generate
    propagate = writer.gate(f"{half} & {z}")
    return writer.gate(f"{half} ^ {z}"), writer.gate(f"{generate} | {propagate}")
