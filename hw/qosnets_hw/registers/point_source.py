"""Where requests for operating points come from: the register or the pins."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["PointSource"]


class PointSource(wiring.Component):
    """Passes on the requests of the register, or those of the pins where these are enabled.

    The pins are levels from any clock domain. A value is requested once it has been the same for
    ``hold_cycles + 2`` cycles, and not again before another one was. A value that is no operating
    point is requested like any other: who takes the request refuses it.

    Enabling the pins requests their value (once it is steady), disabling them requests that of
    the register.

    Parameters
    ----------
    pins_width : int
        Number of pins.
    point_width : int
        Width of the register, at least ``pins_width``.

    Members
    -------
    pins : ``In(pins_width)``
        Asynchronous; two cycles of delay.
    pins_enable : ``In(1)``
    hold_cycles : ``In(32)``
    register_point, register_written : ``In(point_width)``, ``In(1)``
        The register's request, and a strobe for a new one.
    point, write : ``Out(point_width)``, ``Out(1)``
        A request, valid in the cycle of the strobe.
    """

    module_name = "point_source"

    def __init__(self, *, pins_width: int, point_width: int):
        super().__init__(
            {
                "pins": In(pins_width),
                "pins_enable": In(1),
                "hold_cycles": In(32),
                "register_point": In(point_width),
                "register_written": In(1),
                "point": Out(point_width),
                "write": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return synchroniser, hysteresis and selection."""
        m = Module()
        level = Signal.like(self.pins)
        m.submodules.synchroniser = FFSynchronizer(self.pins, level)
        candidate, requested = Signal.like(self.pins), Signal.like(self.pins)
        held = Signal(32)
        steady, was_enabled, was_requested = Signal(), Signal(), Signal()

        m.d.comb += steady.eq((level == candidate) & (held >= self.hold_cycles))
        with m.If(level != candidate):
            m.d.sync += [candidate.eq(level), held.eq(0)]
        with m.Elif(~steady):
            m.d.sync += held.eq(held + 1)

        m.d.sync += was_enabled.eq(self.pins_enable)
        with m.If(self.pins_enable):
            m.d.comb += [
                self.point.eq(candidate),
                self.write.eq(steady & ~(was_requested & (requested == candidate))),
            ]
            with m.If(self.write):
                m.d.sync += [requested.eq(candidate), was_requested.eq(1)]
        with m.Else():
            m.d.comb += [
                self.point.eq(self.register_point),
                self.write.eq(self.register_written | was_enabled),
            ]
            m.d.sync += was_requested.eq(0)
        return m
