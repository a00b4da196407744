"""The multiplier bank: n netlists behind one interface, of which one works at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from qosnets.lut import ActivationPort

from .block import Block
from .layouts import index_shape

__all__ = ["BankMember", "MultiplierBank", "OperandGate"]


@dataclass(frozen=True)
class BankMember:
    """A multiplier in the bank."""

    module_name: str
    """Verilog module with ports ``A``, ``B`` (8 bits) and ``O`` (16 bits)."""
    activation_port: ActivationPort


class OperandGate(wiring.Component):
    """Holds an operand at zero while its multiplier is not selected.

    A module of its own so that synthesis keeps it: merged into the logic around it, the gating
    gets restructured away and the idle multipliers toggle again.

    Members
    -------
    operand : ``In(8)``
    enable : ``In(1)``
    gated : ``Out(8)``
    """

    module_name = "operand_gate"
    clocked = False

    operand: In(8)
    enable: In(1)
    gated: Out(8)

    def elaborate(self, platform):
        """Return the gates."""
        m = Module()
        m.d.comb += self.gated.eq(self.operand & self.enable.replicate(8))
        return m


class MultiplierBank(wiring.Component):
    """Combinational ``select → product`` over n multiplier netlists.

    Both operands of a member are held at zero unless it is selected, and the products are joined
    by AND-OR, so a member may have any output while idle. Without ``active`` no member is
    selected and the product is zero: that masks the unused rows of a partial tile.

    Parameters
    ----------
    members : sequence of :class:`BankMember`
        By select code.
    gate : :class:`OperandGate`

    Members
    -------
    activation, weight : ``In(8)``
    select : ``In(range(n))``
        A code that is no member's selects none.
    active : ``In(1)``
    product : ``Out(16)``
    """

    module_name = "multiplier_bank"
    clocked = False

    def __init__(self, *, members: Sequence[BankMember], gate: OperandGate):
        if not members:
            raise ValueError("Members must not be empty")
        self._members = tuple(members)
        self._gate = gate
        super().__init__(
            {
                "activation": In(8),
                "weight": In(8),
                "select": In(index_shape(len(members))),
                "active": In(1),
                "product": Out(16),
            }
        )

    def elaborate(self, platform):
        """Return members, gates and AND-OR."""
        m = Module()
        masked = Const(0, 16)
        for code, member in enumerate(self._members):
            enable = Signal(name=f"enable_{code}")
            m.d.comb += enable.eq(self.active & (self.select == code))
            gated = {}
            for operand in ("activation", "weight"):
                m.submodules[f"{operand}_gate_{code}"] = block = Block(self._gate)
                m.d.comb += [block.operand.eq(getattr(self, operand)), block.enable.eq(enable)]
                gated[operand] = block.gated
            product = Signal(16, name=f"product_{code}")
            a, b = gated["activation"], gated["weight"]
            if member.activation_port is ActivationPort.B:
                a, b = b, a
            m.submodules[f"multiplier_{code}"] = Instance(
                member.module_name, i_A=a, i_B=b, o_O=product
            )
            masked = masked | (product & enable.replicate(16))
        m.d.comb += self.product.eq(masked)
        return m
