"""Canonical netlists for tests."""

from collections.abc import Sequence

import numpy as np

SOURCES = ("1'b0", "1'b1", *(f"{port}[{bit}]" for port in "AB" for bit in range(8)))
GATES = ("~{}", "{} & {}", "{} | {}", "{} ^ {}", "~({} ^ {})", "{} ? {} : {}")


def netlist(gates: Sequence[str], outputs: Sequence[str]) -> str:
    """Return the text with the right sides of the gates and of the 16 product bits."""
    lines = [
        "module multiplier(A, B, O);",
        "  input [7:0] A;",
        "  input [7:0] B;",
        "  output [15:0] O;",
        *(f"  wire n{index};" for index in range(len(gates))),
        *(f"  assign n{index} = {gate};" for index, gate in enumerate(gates)),
        *(f"  assign O[{bit}] = {net};" for bit, net in enumerate(outputs)),
        "endmodule",
    ]
    return "\n".join([*lines, ""])


def random_netlist(seed: int, n_gates: int) -> str:
    """Return gates over any earlier nets; late ones feed the product."""
    rng = np.random.default_rng(seed)
    nets, gates = list(SOURCES), []
    for index in range(n_gates):
        gate = str(rng.choice(GATES))
        gates.append(gate.format(*rng.choice(nets, gate.count("{}"))))
        nets.append(f"n{index}")
    return netlist(gates, list(map(str, rng.choice(nets[-32:], 16))))
