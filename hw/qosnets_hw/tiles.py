"""Order of the tiles of a job: column tiles outside, row tiles inside."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import count_shape

__all__ = ["TileCounter"]


class TileCounter(wiring.Component):
    """Names the next tile of a job.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    k_tiles, n_tiles : ``In``
        Tiles of the job, at least one each; constant while it runs.
    start : ``In(1)``
        Begin with the first tile.
    advance : ``In(1)``
        The tile named now is taken.
    left : ``Out(1)``
        A tile is named.
    first, last : ``Out(1)``
        It is the first, the last row tile of its column tile.
    final : ``Out(1)``
        It is the last of all.
    """

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "k_tiles": In(count_shape(config.max_k_tiles)),
                "n_tiles": In(count_shape(config.n_tiles)),
                "start": In(1),
                "advance": In(1),
                "left": Out(1),
                "first": Out(1),
                "last": Out(1),
                "final": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return the two counters."""
        m = Module()
        k_tile = Signal.like(self.k_tiles)
        n_tile = Signal.like(self.n_tiles)
        m.d.comb += [
            self.first.eq(k_tile == 0),
            self.last.eq(k_tile + 1 == self.k_tiles),
            self.final.eq(self.last & (n_tile + 1 == self.n_tiles)),
        ]
        with m.If(self.start):
            m.d.sync += [k_tile.eq(0), n_tile.eq(0), self.left.eq(1)]
        with m.Elif(self.advance):
            m.d.sync += k_tile.eq(k_tile + 1)
            with m.If(self.last):
                m.d.sync += [k_tile.eq(0), n_tile.eq(n_tile + 1)]
                with m.If(self.final):
                    m.d.sync += self.left.eq(0)
        return m
