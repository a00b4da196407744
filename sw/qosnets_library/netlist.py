"""Canonical netlists: any combinational Verilog of an 8x8 multiplier, as one plain module.

A canonical netlist depends on the circuit only, not on names, files or the order of statements:
gates are numbered in depth first from the product bits. Its hash therefore identifies a netlist.
"""

from collections.abc import Mapping

from .elaborate import elaborate
from .gates import GateNetlist

__all__ = ["canonical_netlist", "canonical_text"]

_VERILOG = {
    "$_NOT_": "~{0}",
    "$_AND_": "{0} & {1}",
    "$_OR_": "{0} | {1}",
    "$_XOR_": "{0} ^ {1}",
    "$_XNOR_": "~({0} ^ {1})",
    "$_MUX_": "{2} ? {1} : {0}",
}


def canonical_netlist(verilog: Mapping[str, bytes], *, top: str | None = None, where: str) -> str:
    """Return the canonical Verilog of a combinational multiplier.

    Parameters, and the errors raised, are those of :func:`.elaborate.elaborate`. The text is one
    ``module multiplier(A, B, O)`` of continuous assignments, and canonical itself.
    """
    return canonical_text(elaborate(verilog, top=top, where=where))


def canonical_text(netlist: GateNetlist) -> str:
    """Return the canonical Verilog of gates in the order of :class:`GateNetlist`."""
    first = netlist.FIRST_GATE
    names = ["1'b0", "1'b1"]
    names += [f"{port}[{bit}]" for port in "AB" for bit in range(8)]
    names += [f"n{index}" for index in range(len(netlist.gates))]
    lines = [
        "module multiplier(A, B, O);",
        "  input [7:0] A;",
        "  input [7:0] B;",
        "  output [15:0] O;",
    ]
    lines += [f"  wire {name};" for name in names[first:]]
    lines += [
        f"  assign {name} = {_VERILOG[gate.type].format(*(names[net] for net in gate.inputs))};"
        for name, gate in zip(names[first:], netlist.gates, strict=True)
    ]
    lines += [f"  assign O[{bit}] = {names[net]};" for bit, net in enumerate(netlist.outputs)]
    return "\n".join([*lines, "endmodule", ""])
