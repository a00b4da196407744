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
    LATENCY = 8

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

        def registers(stage, **values):
            return [register(value, f"{name}_{stage}") for name, value in values.items()]

        # 1: the correction for the weight's zero point.
        correction = register(parameters.weight_zero_point * self.activations, "correction")
        biased = register(self.products + parameters.bias, "biased", signed(32))
        mult, shift, offset = registers(
            1, mult=parameters.mult, shift=parameters.shift, offset=parameters.offset
        )
        # 2: the accumulator.
        acc = register(biased - correction, "acc_2", signed(32))
        mult, shift, offset = registers(2, mult=mult, shift=shift, offset=offset)
        # 3: its products with four parts of the multiplier. All but the last bit of the shift are
        # done at once; that one rounds.
        parts = [
            register(acc * (mult[low:].as_signed() if low == 12 else mult[low : low + 4]), name)
            for low, name in ((0, "part_0"), (4, "part_4"), (8, "part_8"), (12, "part_12"))
        ]
        early_shift = register((shift - 1)[: len(shift)], "early_shift_3")
        offset, acc = registers(3, offset=offset, acc=acc)
        # 4, 5: their sum, 47 bits and sign.
        low_half = register(parts[0] + (parts[1] << 4), "low_half")
        high_half = register(parts[2] + (parts[3] << 4), "high_half")
        early_shift, offset, acc = registers(4, early_shift=early_shift, offset=offset, acc=acc)
        scaled = register((low_half + (high_half << 8))[:48].as_signed(), "scaled")
        early_shift, offset, acc = registers(5, early_shift=early_shift, offset=offset, acc=acc)
        # 6: the shift.
        shifted = register(scaled >> early_shift, "shifted")
        offset, acc = registers(6, offset=offset, acc=acc)
        # 7: rounding, ties upwards, and offset.
        code = register(((shifted + 1) >> 1) + offset, "code")
        (acc,) = registers(7, acc=acc)
        # 8: clamp.
        lowest, highest = self.clamp_low, self.clamp_high
        clamped = Mux(code < lowest, lowest, Mux(code > highest, highest, code[:8]))
        m.d.comb += [
            self.out.eq(register(clamped, "out_8", unsigned(8))),
            self.acc.eq(register(acc, "acc_8")),
        ]
        return m
