"""Requantisation of one column: from a sum of products to an output code."""

from amaranth.hdl import Module, Mux, Shape, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import parameter_layout

__all__ = ["Requantiser"]


class Requantiser(wiring.Component):
    """The exact side path of a column; twin of :func:`qosnets.golden.requantise`.

    ``acc = products − weight_zero_point·activations + bias`` (int32, wrapping), then
    ``out = clamp(offset + ((acc·mult + 2^(shift−1)) >> shift))``. A value a cycle;
    ``acc`` and ``out`` come :attr:`LATENCY` enabled cycles after their inputs.

    Parameters
    ----------
    products_shape, activations_shape : unsigned :class:`Shape`

    Members
    -------
    enable : ``In(1)``
        Advances the pipeline.
    products : ``In(products_shape)``
    activations : ``In(activations_shape)``
    parameters : ``In(parameter_layout())``
    clamp_low, clamp_high : ``In(8)``
        Constant while values are in the pipeline.
    acc : ``Out(signed(32))``
    out : ``Out(8)``
    """

    module_name = "requantiser"
    LATENCY = 5

    def __init__(self, *, products_shape: Shape, activations_shape: Shape):
        super().__init__(
            {
                "enable": In(1),
                "products": In(products_shape),
                "activations": In(activations_shape),
                "parameters": In(parameter_layout()),
                "clamp_low": In(8),
                "clamp_high": In(8),
                "acc": Out(signed(32)),
                "out": Out(8),
            }
        )

    def elaborate(self, platform):
        """Return the pipeline, a comment a stage."""
        m = Module()
        parameters = self.parameters

        def register(value, name, shape=None):
            stage = Signal(shape or value.shape(), name=name, reset_less=True)
            with m.If(self.enable):
                m.d.sync += stage.eq(value)
            return stage

        # 1: the correction for the weight's zero point.
        correction = register(parameters.weight_zero_point * self.activations, "correction")
        biased = register(self.products + parameters.bias, "biased", signed(32))
        mult, shift, offset = (
            register(getattr(parameters, field), f"{field}_1")
            for field in ("mult", "shift", "offset")
        )
        # 2: the accumulator.
        acc = register(biased - correction, "acc_2", signed(32))
        mult, shift, offset = (
            register(value, f"{name}_2")
            for name, value in (("mult", mult), ("shift", shift), ("offset", offset))
        )
        # 3: the product, 47 bits and sign.
        scaled = register(acc * mult, "scaled")
        shift, offset = register(shift, "shift_3"), register(offset, "offset_3")
        acc = register(acc, "acc_3")
        # 4: all but the last bit of the shift; that one rounds, ties upwards.
        shifted = register(scaled >> (shift - 1)[: len(shift)], "shifted")
        offset, acc = register(offset, "offset_4"), register(acc, "acc_4")
        # 5: offset and clamp.
        code = Signal(signed(len(shifted) + 1))
        m.d.comb += code.eq(((shifted + 1) >> 1) + offset)
        low, high = self.clamp_low, self.clamp_high
        clamped = Mux(code < low, low, Mux(code > high, high, code[:8]))
        m.d.comb += [
            self.out.eq(register(clamped, "out_5", unsigned(8))),
            self.acc.eq(register(acc, "acc_5")),
        ]
        return m
