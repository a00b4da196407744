"""Accumulation over the row tiles, in a partial-sum memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import beat_tag_layout, sums_layout

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    """Adds up the sums of the row tiles and queues the complete ones.

    A beat is announced by its tag one cycle before its sums. The memory is read then and written
    in the next cycle, so the beats of one position must be two cycles or more apart. The queue
    has no back-pressure on its input: whoever announces beats keeps at most ``fifo_depth``
    complete ones under way.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    tag : ``In(beat_tag_layout)``
    valid : ``In(1)``
        ``tag`` announces a beat.
    sums : ``In(sums_layout(column=True))``
    complete : ``Out(stream.Signature(sums_layout(column=False)))``
    """

    module_name = "accumulator"

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "tag": In(beat_tag_layout(config)),
                "valid": In(1),
                "sums": In(sums_layout(config, column=True)),
                "complete": Out(stream.Signature(sums_layout(config, column=False))),
            }
        )

    def elaborate(self, platform):
        """Return memory, adders and queue."""
        m = Module()
        config = self._config
        layout = sums_layout(config, column=False)
        m.submodules.psums = psums = memory.Memory(shape=layout, depth=config.psum_depth, init=[])
        read, write = psums.read_port(), psums.write_port()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=layout.size, depth=config.fifo_depth
        )

        tag = Signal(self.tag.shape(), reset_less=True)
        valid = Signal()
        total = Signal(layout)
        m.d.sync += [tag.eq(self.tag), valid.eq(self.valid)]
        m.d.comb += [read.addr.eq(self.tag.position), read.en.eq(self.valid)]
        for col in range(config.cols):
            previous = read.data.products[col] & (~tag.first).replicate(config.psum_width)
            m.d.comb += total.products[col].eq(previous + self.sums.products[col])
        previous = read.data.activations & (~tag.first).replicate(config.sum_width)
        m.d.comb += [
            total.activations.eq(previous + self.sums.activations),
            write.addr.eq(tag.position),
            write.data.eq(total),
            write.en.eq(valid & ~tag.last),
            queue.w_data.eq(total),
            queue.w_en.eq(valid & tag.last),
            self.complete.payload.eq(queue.r_data),
            self.complete.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.complete.ready),
        ]
        return m
