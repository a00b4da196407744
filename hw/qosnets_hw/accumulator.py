"""Accumulation over the row tiles, in a partial-sum memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .delay import delayed
from .layouts import beat_tag_layout, column_sums_layout, complete_sums_layout

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    """Adds up the sums of the row tiles and queues the complete ones.

    A beat is announced by its tag when it is issued, ``array_latency`` cycles before its sums. The
    memory is read in the cycle before these and written in the next, so the beats of one position
    must be two cycles or more apart. The queue
    has no back-pressure on its input: whoever announces beats keeps at most ``fifo_depth``
    complete ones under way.

    Parameters
    ----------
    config : :class:`ArrayConfig`
    psums : :class:`Ram` or its :class:`Block`
        For ``psum_depth`` times ``complete_sums_layout``.

    Members
    -------
    tag : ``In(beat_tag_layout)``
    valid : ``In(1)``
        ``tag`` announces a beat.
    sums : ``In(column_sums_layout)``
    complete : ``Out(stream.Signature(complete_sums_layout))``
    """

    module_name = "accumulator"

    def __init__(self, *, config: ArrayConfig, psums: wiring.Component):
        self._config, self._psums = config, psums
        super().__init__(
            {
                "tag": In(beat_tag_layout(config)),
                "valid": In(1),
                "sums": In(column_sums_layout(config)),
                "complete": Out(stream.Signature(complete_sums_layout(config))),
            }
        )

    def elaborate(self, platform):
        """Return memory, adders and queue."""
        m = Module()
        config = self._config
        layout = complete_sums_layout(config)
        m.submodules.psums = psums = self._psums
        previous = layout(psums.read_data)
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=layout.size, depth=config.fifo_depth
        )

        announced = self.tag.shape()(delayed(m, self.tag, config.array_latency - 1, "tag"))
        reading = delayed(m, self.valid, config.array_latency - 1, "announced", reset_less=False)
        tag = Signal(self.tag.shape(), reset_less=True)
        valid, continues = Signal(), Signal()
        total = Signal(layout)
        m.d.sync += [tag.eq(announced), valid.eq(reading)]
        m.d.comb += [
            psums.read_address.eq(announced.position),
            psums.read_enable.eq(reading),
            continues.eq(~tag.first),
        ]
        for col in range(config.cols):
            kept = previous.words[col] & continues.replicate(config.word_width)
            m.d.comb += total.words[col].eq(kept + self._operand(tag, col))
        kept = previous.activations & continues.replicate(config.sum_width)
        m.d.comb += [
            total.activations.eq(kept + self.sums.activations),
            psums.write_address.eq(tag.position),
            psums.write_data.eq(total),
            psums.write_enable.eq(valid & ~tag.last),
            queue.w_data.eq(total),
            queue.w_en.eq(valid & tag.last),
            self.complete.payload.eq(queue.r_data),
            self.complete.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.complete.ready),
        ]
        return m

    def _operand(self, tag, col: int):
        """Return what a beat adds to the word of a column.

        In a depthwise layer the sum of products needs few bits, and the column's own sum of
        activations is accumulated in the same word above it.
        """
        products = self.sums.products[col]
        if col >= self._config.depthwise_lanes:
            return products
        own = self.sums.own[col]
        masked = own & tag.depthwise.replicate(len(own))
        return products | (masked << self._config.depthwise_product_width)
