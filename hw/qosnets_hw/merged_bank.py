"""The multiplier bank made of one circuit with several modes."""

from collections.abc import Sequence

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from qosnets.lut import ActivationPort

__all__ = ["MergedBank"]


class MergedBank(wiring.Component):
    """Combinational ``select → product`` of a merged multiplier; see :class:`.MultiplierBank`.

    The circuit itself gives the product 0 for the word 0.

    Parameters
    ----------
    circuit : str
        Verilog module with ports ``A``, ``B`` (8 bits), ``S`` and ``O`` (16 bits).
    select_width : int
        Bits of ``S``.
    select_words : sequence of int
        Value of ``S`` for each select code, not 0.
    activation_port : ActivationPort
        Port of the activation in all modes.

    Members
    -------
    activation, weight : ``In(8)``
    select : ``In``
    product : ``Out(16)``
    """

    module_name = "multiplier_bank"
    domain_ports = ()

    def __init__(
        self,
        *,
        circuit: str,
        select_width: int,
        select_words: Sequence[int],
        activation_port: ActivationPort,
    ):
        for word in select_words:
            if not 0 < word < 1 << select_width:
                raise ValueError(f"Select word must be 1..{(1 << select_width) - 1}, not {word!r}")
        self._circuit, self._activation_port = circuit, activation_port
        self.select_words = tuple(select_words)
        super().__init__(
            {
                "activation": In(8),
                "weight": In(8),
                "select": In(select_width),
                "product": Out(16),
            }
        )

    def elaborate(self, platform):
        """Return the circuit."""
        m = Module()
        a, b = self.activation, self.weight
        if self._activation_port is ActivationPort.B:
            a, b = b, a
        m.submodules.multiplier = Instance(
            self._circuit, i_A=a, i_B=b, i_S=self.select, o_O=self.product
        )
        return m
