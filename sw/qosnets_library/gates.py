"""Gate-level multipliers and their bit-parallel evaluation over operand pairs.

Nets hold the bits of operand pairs in machine words (:mod:`qosnets.words`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from qosnets.lut import Lut
from qosnets.words import Words, pack, unpack

from .boolean import compile_function

__all__ = [
    "ALL_PAIRS",
    "LOGIC_GATES",
    "Gate",
    "GateError",
    "GateNetlist",
    "GateType",
]

ALL_PAIRS: npt.NDArray[np.uint16] = np.arange(1 << 16, dtype=np.uint16)
"""Every operand pair, in the order of the flattened LUT."""


@dataclass(frozen=True)
class GateType:
    """A combinational gate with one output."""

    inputs: tuple[str, ...]
    output: str
    function: str
    """Boolean expression of the inputs in the syntax of :mod:`.boolean`."""


LOGIC_GATES: dict[str, GateType] = {
    "$_NOT_": GateType(("A",), "Y", "!A"),
    "$_AND_": GateType(("A", "B"), "Y", "A & B"),
    "$_OR_": GateType(("A", "B"), "Y", "A | B"),
    "$_XOR_": GateType(("A", "B"), "Y", "A ^ B"),
    "$_XNOR_": GateType(("A", "B"), "Y", "!(A ^ B)"),
    "$_MUX_": GateType(("A", "B", "S"), "Y", "(S & B) | (!S & A)"),
}
"""What ``simplemap`` of Yosys leaves of combinational operators, by cell type."""

# Cell types that are not gates, by what people call them.
_SEQUENTIAL = (
    ("DLATCH", "a latch"),
    ("DFF", "a flip-flop"),
    ("$_SR_", "a latch"),
    ("$mem", "a memory"),
)


class GateError(ValueError):
    """A netlist that is not a combinational circuit of known gates; the message says why."""


@dataclass(frozen=True)
class Gate:
    """A gate of a netlist; its output is the net that its position numbers."""

    type: str
    inputs: tuple[int, ...]
    """Nets on the inputs, in the order of the gate type."""


@dataclass(frozen=True)
class GateNetlist:
    """A combinational 8x8 multiplier in topological order.

    Nets are numbered: 0 and 1 are the constants, 2..9 the bits of port A, 10..17 those of port B,
    both from the least significant, and ``FIRST_GATE + i`` is the output of gate ``i``.
    """

    FIRST_GATE: ClassVar[int] = 18

    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]
    """Nets of the 16 product bits, from the least significant."""
    gate_types: Mapping[str, GateType]
    """What the types of the gates mean."""

    @classmethod
    def from_json(
        cls,
        module: Mapping[str, Any],
        gate_types: Mapping[str, GateType],
        *,
        a: str,
        b: str,
        product: str,
    ) -> "GateNetlist":
        """Build the netlist of a flat module, as ``write_json`` of Yosys describes it.

        The order of the gates depends on the circuit only: they are visited in depth first from
        the product bits, inputs first. Gates that no product bit depends on are left out.

        Parameters
        ----------
        module
            An item of ``modules`` of the JSON file.
        gate_types
            The gates that the module may consist of.
        a, b, product
            Names of the ports.

        Raises
        ------
        GateError
            For cells that are not gates, combinational loops, and nets without a value or with
            several drivers.
        """
        bits = {name: port["bits"] for name, port in module["ports"].items()}
        nets: dict[int | str, int] = {"0": 0, "1": 1}
        nets |= {bit: 2 + index for index, bit in enumerate([*bits[a], *bits[b]])}
        drivers: dict[int | str, Mapping[str, Any]] = {}
        for cell in module["cells"].values():
            gate_type = gate_types.get(cell["type"])
            if gate_type is None:
                raise GateError(
                    f"must consist of combinational gates, not hold {_describe(cell['type'])}"
                )
            (output,) = cell["connections"][gate_type.output]
            if output in drivers or output in nets:
                raise GateError("a net must have one driver, not several")
            drivers[output] = cell
        gates: list[Gate] = []
        for index, bit in enumerate(bits[product]):
            where = f"bit {index} of {product}"
            _visit(bit, where, drivers, gate_types, nets, gates)
        return cls(tuple(gates), tuple(nets[bit] for bit in bits[product]), gate_types)

    def evaluate(self, pairs: npt.NDArray[np.uint16]) -> Words:
        """Return the value of every net, ``uint64[n_nets, n/64]``, for ``n`` operand pairs.

        ``n`` must be a multiple of 64.
        """
        values = np.empty((self.FIRST_GATE + len(self.gates), len(pairs) // 64), dtype=np.uint64)
        values[0], values[1] = 0, ~np.uint64(0)
        for port, shift in ((2, 8), (10, 0)):
            for bit in range(8):
                values[port + bit] = pack(pairs >> np.uint16(shift + bit) & np.uint16(1))
        for net, gate in enumerate(self.gates, self.FIRST_GATE):
            gate_type = self.gate_types[gate.type]
            function = compile_function(gate_type.function, gate_type.inputs)
            values[net] = function([values[source] for source in gate.inputs])
        return values

    def lut(self) -> Lut:
        """Return the product of all operand pairs."""
        values = self.evaluate(ALL_PAIRS)
        lut = np.zeros(1 << 16, dtype=np.uint16)
        for bit, net in enumerate(self.outputs):
            lut |= unpack(values[net]) << np.uint16(bit)
        return lut.reshape(256, 256)


def _visit(
    root: int | str,
    where: str,
    drivers: Mapping[int | str, Mapping[str, Any]],
    gate_types: Mapping[str, GateType],
    nets: dict[int | str, int],
    gates: list[Gate],
) -> None:
    """Append the gates that ``root`` depends on and number their nets."""
    open_nets: set[int | str] = set()
    stack = [root]
    while stack:
        bit = stack[-1]
        if bit in nets:
            stack.pop()
            continue
        if bit not in drivers:
            raise GateError(f"{where} depends on a net without a value (undriven, x or z)")
        cell = drivers[bit]
        sources = [cell["connections"][pin][0] for pin in gate_types[cell["type"]].inputs]
        pending = [source for source in sources if source not in nets]
        if pending and bit in open_nets:
            raise GateError(f"{where} depends on a combinational loop")
        if pending:
            open_nets.add(bit)
            stack += reversed(pending)
            continue
        gates.append(Gate(cell["type"], tuple(nets[source] for source in sources)))
        nets[bit] = GateNetlist.FIRST_GATE + len(gates) - 1
        stack.pop()


def _describe(cell_type: str) -> str:
    for part, name in _SEQUENTIAL:
        if cell_type.startswith("$") and part in cell_type:
            return name
    return f"a cell of type {cell_type}"
