"""The processing element of the weight-stationary array."""

from amaranth.hdl import Module, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .bank import MultiplierBank
from .block import Block

__all__ = ["ProcessingElement", "row_control_layout"]


def row_control_layout(select: Shape, *, depthwise: bool) -> data.StructLayout:
    """Return what travels along a row beside the activation."""
    return data.StructLayout(
        {
            "select": select,  # word for the banks; 0 in a row that takes no part in this tile
            "swap": 1,  # the activations after this one meet the weight loaded last
            "shift": 1,  # take the weight of the row above into the shadow register
            **({"depthwise": 1} if depthwise else {}),  # only banks of the own column work
        }
    )


class ProcessingElement(wiring.Component):
    """Multiplies the activation passing by with its weight and adds to the sum from above.

    The activation and its controls are registered and leave to the right after one cycle; the
    multiplier works on the registers. The product is registered before the addition, so that a
    slow multiplier does not share a path with the adder: a sum leaves three cycles after its
    activation came in. Two weight registers let the next tile load while this one computes;
    ``swap`` may come with the last activation of a tile.

    Parameters
    ----------
    bank : :class:`MultiplierBank`
    psum_shape : unsigned :class:`Shape`
        Shape of the sums in the column.
    depthwise : bool
        Whether there are depthwise layers.

    Members
    -------
    activation_in : ``In(8)``
    control_in : ``In(row_control_layout(...))``
    activation_out : ``Out(8)``
    control_out : ``Out(row_control_layout(...))``
    weight_in : ``In(8)``
        Shadow register of the row above, or the weight being loaded.
    weight_out : ``Out(8)``
        Shadow register.
    psum_in, psum_out : ``In(psum_shape)``, ``Out(psum_shape)``
    own : ``In(1)``
        With ``depthwise`` only. The row's activation is that of this column in depthwise layers;
        constant.
    """

    module_name = "processing_element"

    def __init__(self, *, bank: MultiplierBank, psum_shape: Shape, depthwise: bool):
        self._bank, self.depthwise = bank, depthwise
        control = row_control_layout(bank.select.shape(), depthwise=depthwise)
        super().__init__(
            {
                "activation_in": In(8),
                "control_in": In(control),
                "activation_out": Out(8),
                "control_out": Out(control),
                "weight_in": In(8),
                "weight_out": Out(8),
                "psum_in": In(psum_shape),
                "psum_out": Out(psum_shape),
                **({"own": In(1)} if depthwise else {}),
            }
        )

    def elaborate(self, platform):
        """Return registers, bank and adder."""
        m = Module()
        m.submodules.bank = bank = Block(self._bank)
        activation = Signal(unsigned(8), reset_less=True)
        shadow = Signal(unsigned(8), reset_less=True)
        weight = Signal(unsigned(8), reset_less=True)
        product = Signal(unsigned(16), reset_less=True)
        psum = Signal.like(self.psum_out, reset_less=True)

        m.d.sync += [
            activation.eq(self.activation_in),
            self.control_out.eq(self.control_in),
            product.eq(bank.product),
            psum.eq(self.psum_in + product),
        ]
        with m.If(self.control_in.shift):
            m.d.sync += shadow.eq(self.weight_in)
        with m.If(self.control_out.swap):
            m.d.sync += weight.eq(shadow)

        select = self.control_out.select
        if self.depthwise:
            # A register of its own: logic behind it would lengthen the path through the bank.
            select = Signal.like(self.control_out.select, name="own_select")
            takes_part = self.own | ~self.control_in.depthwise
            m.d.sync += select.eq(self.control_in.select & takes_part.replicate(len(select)))
        m.d.comb += [
            self.activation_out.eq(activation),
            self.weight_out.eq(shadow),
            self.psum_out.eq(psum),
            bank.activation.eq(activation),
            bank.weight.eq(weight),
            bank.select.eq(select),
        ]
        return m
