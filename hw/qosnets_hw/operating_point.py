"""The operating-point register: a shadow that becomes active between inferences only."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import index_shape, point_shape

__all__ = ["OperatingPointRegister"]


class OperatingPointRegister(wiring.Component):
    """Takes a request at any time and commits it at the next inference boundary.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    request : ``In``
        The operating point asked for; one bit wider than needed, so that wrong ones exist.
    write : ``In(1)``
        Stores ``request``. A value that is no operating point changes nothing.
    boundary : ``In(1)``
        No inference is running.
    active, pending : ``Out``
        The point in force, and the one that will be at the next boundary.
    committing : ``Out(1)``
        ``active`` is about to change: no inference may start in this cycle.
    refused : ``Out(1)``
        ``request`` is being written and is no operating point.
    """

    module_name = "operating_point_register"

    def __init__(self, *, config: ArrayConfig):
        self._n_points = config.n_points
        super().__init__(
            {
                "request": In(point_shape(config)),
                "write": In(1),
                "boundary": In(1),
                "active": Out(index_shape(config.n_points)),
                "pending": Out(index_shape(config.n_points)),
                "committing": Out(1),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return shadow and active register."""
        m = Module()
        legal = self.request < self._n_points
        m.d.comb += self.refused.eq(self.write & ~legal)
        with m.If(self.write & legal):
            m.d.sync += self.pending.eq(self.request)
        m.d.comb += self.committing.eq(self.boundary & (self.active != self.pending))
        with m.If(self.committing):
            m.d.sync += self.active.eq(self.pending)
        return m
