"""Issue of activation beats into the array."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import beat_tag_layout, count_shape

__all__ = ["BeatIssuer"]


class BeatIssuer(wiring.Component):
    """Swaps tiles in and issues one beat per output position for each of them.

    A swap takes place as soon as a tile is loaded and the beats of the one before are issued, at
    the earliest together with the last of these. (After a single beat it waits a cycle: the
    accumulator needs the beats of a position two cycles apart.) Beats that complete a sum wait
    while ``fifo_depth`` of them are under way.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    positions : ``In``
        Output positions of the job, at least 1.
    last_rows : ``In``
        Rows used by the last row tile.
    loaded, first, last, final : ``In(1)``
        A tile is loaded; it is the first, the last row tile of a sum, the last tile of the job.
    swap : ``Out(1)``
        Strobe: that tile goes into use.
    valid, ready : ``In(1)``, ``Out(1)``
        Handshake of the activation stream.
    active_rows : ``Out``
        Rows that take part in the beat.
    tag : ``Out(beat_tag_layout)``
    issued, ends_job : ``Out(1)``
        A beat, the last beat of the job is issued in this cycle.
    delivered : ``In(1)``
        Strobe: a complete sum left the array as a result.
    idle : ``Out(1)``
        No beats are to be issued for a tile and no complete sum is under way.
    """

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "positions": In(count_shape(config.psum_depth)),
                "last_rows": In(count_shape(config.rows)),
                "loaded": In(1),
                "first": In(1),
                "last": In(1),
                "final": In(1),
                "swap": Out(1),
                "valid": In(1),
                "ready": Out(1),
                "active_rows": Out(count_shape(config.rows)),
                "tag": Out(beat_tag_layout(config)),
                "issued": Out(1),
                "ends_job": Out(1),
                "delivered": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return position counter and credit counter."""
        m = Module()
        config = self._config
        running = Signal()
        position = Signal(count_shape(config.psum_depth))
        under_way = Signal(range(config.fifo_depth + 1))
        last_position, credit, completes = Signal(), Signal(), Signal()
        ends_tile, final = Signal(), Signal()

        m.d.comb += [
            self.tag.position.eq(position),
            credit.eq(under_way < config.fifo_depth),
            self.ready.eq(running & (~self.tag.last | credit)),
            self.issued.eq(self.valid & self.ready),
            last_position.eq(position + 1 == self.positions),
            ends_tile.eq(self.issued & last_position & (position != 0)),
            self.swap.eq(self.loaded & (~running | ends_tile)),
            self.ends_job.eq(self.issued & last_position & final),
            completes.eq(self.issued & self.tag.last),
            self.idle.eq(~running & (under_way == 0)),
        ]
        m.d.sync += under_way.eq(under_way + completes - self.delivered)
        with m.If(self.issued):
            m.d.sync += position.eq(position + 1)
            with m.If(last_position):
                m.d.sync += running.eq(0)
        with m.If(self.swap):
            m.d.sync += [
                running.eq(1),
                position.eq(0),
                self.tag.first.eq(self.first),
                self.tag.last.eq(self.last),
                final.eq(self.final),
                self.active_rows.eq(Mux(self.last, self.last_rows, config.rows)),
            ]
        return m
