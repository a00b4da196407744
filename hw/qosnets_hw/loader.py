"""Loading of weight tiles into the shadow registers of the array."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .layouts import index_shape

__all__ = ["WeightLoader"]


class WeightLoader(wiring.Component):
    """Takes ``rows`` weight beats a tile, last row first, while the shadow registers are free.

    Parameters
    ----------
    rows : int

    Members
    -------
    wanted : ``In(1)``
        A tile is left to load.
    swap : ``In(1)``
        The loaded tile goes into use, the shadow registers become free.
    valid, ready : ``In(1)``, ``Out(1)``
        Handshake of the weight stream.
    shift : ``Out(rows)``
        Rows that take this beat: row r skips the first r beats, see :class:`Edge`.
    loaded : ``Out(1)``
        The shadow registers hold a tile.
    taken, done : ``Out(1)``
        Strobes: a beat, the last beat of a tile is being taken.
    """

    def __init__(self, *, rows: int):
        self._rows = rows
        super().__init__(
            {
                "wanted": In(1),
                "swap": In(1),
                "valid": In(1),
                "ready": Out(1),
                "shift": Out(rows),
                "loaded": Out(1),
                "taken": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return the beat counter."""
        m = Module()
        beat = Signal(index_shape(self._rows))
        m.d.comb += [
            self.ready.eq(self.wanted & ~self.loaded),
            self.taken.eq(self.valid & self.ready),
            self.done.eq(self.taken & (beat == self._rows - 1)),
        ]
        for row in range(self._rows):
            m.d.comb += self.shift[row].eq(self.taken & (beat >= row))
        with m.If(self.swap):
            m.d.sync += self.loaded.eq(0)
        with m.If(self.taken):
            m.d.sync += beat.eq(beat + 1)
            with m.If(self.done):
                m.d.sync += [beat.eq(0), self.loaded.eq(1)]
        return m
