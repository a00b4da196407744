"""The multiplier bank: n netlists behind one interface, of which one works at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from qosnets.lut import ActivationPort

from .block import Block
from .defaults import Isolation

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
    domain_ports = ()

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

    What is known of a bank outside is :attr:`select_words` and that the word 0 gives the product
    0, which masks the unused rows of a partial tile. Here a word is one-hot. The operands of a
    multiplier that is not selected are held at zero according to ``isolation``, and the products
    are joined by AND-OR, so a member may have any output while idle.

    Parameters
    ----------
    members : sequence of :class:`BankMember`
        By select code.
    gate : :class:`OperandGate`
    isolation : :class:`Isolation`

    Members
    -------
    activation, weight : ``In(8)``
    select : ``In(n)``
    product : ``Out(16)``
    """

    module_name = "multiplier_bank"
    domain_ports = ()

    def __init__(self, *, members: Sequence[BankMember], gate: OperandGate, isolation: Isolation):
        if not members:
            raise ValueError("Members must not be empty")
        self._members = tuple(members)
        self._gate = gate
        gated = {Isolation.NONE: (), Isolation.ACTIVATION: ("activation",)}
        self._gated = gated.get(isolation, ("activation", "weight"))
        super().__init__(
            {
                "activation": In(8),
                "weight": In(8),
                "select": In(len(members)),
                "product": Out(16),
            }
        )

    @property
    def select_words(self) -> tuple[int, ...]:
        """Value of ``select`` for each select code."""
        return tuple(1 << code for code in range(len(self._members)))

    def elaborate(self, platform):
        """Return members, gates and AND-OR."""
        m = Module()
        masked = Const(0, 16)
        for code, member in enumerate(self._members):
            enable = self.select[code]
            operands = {"activation": self.activation, "weight": self.weight}
            for name in self._gated:
                place = f"{name}_gate_{code}"
                m.submodules[place] = gate = Block(self._gate, name=place)
                m.d.comb += [gate.operand.eq(operands[name]), gate.enable.eq(enable)]
                operands[name] = gate.gated
            product = Signal(16, name=f"product_{code}")
            a, b = operands["activation"], operands["weight"]
            if member.activation_port is ActivationPort.B:
                a, b = b, a
            m.submodules[f"multiplier_{code}"] = Instance(
                member.module_name, i_A=a, i_B=b, o_O=product
            )
            masked = masked | (product & enable.replicate(16))
        m.d.comb += self.product.eq(masked)
        return m
