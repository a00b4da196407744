"""From complete sums to results: the parameter bank and the requantisers."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .block import Block
from .config import ArrayConfig
from .layouts import (
    complete_sums_layout,
    count_shape,
    index_shape,
    job_layout,
    layer_layout,
    parameter_layout,
    parameter_write_layout,
    result_layout,
)
from .requantiser import Requantiser

__all__ = ["OutputStage"]


class OutputStage(wiring.Component):
    """Requantises the complete sums with the parameters of the active operating point.

    The bank holds the parameters of all operating points; a switch between points reads another
    part of it and moves no data.

    Parameters
    ----------
    config : :class:`ArrayConfig`
    requantiser : :class:`Requantiser`
    bank : :class:`Block` of a :class:`Ram`
        For the words of all columns, of each tile at each operating point, written by column.

    Members
    -------
    parameter_writes : ``In(stream.Signature(parameter_write_layout))``
        Accepted between jobs.
    idle, start : ``In(1)``
        No job is running; a new job starts.
    job, layer, point : ``In``
        The running job, its layer's entry, and the active operating point.
    complete : ``In(stream.Signature(complete_sums_layout))``
        By column tile, then output position.
    results : ``Out(stream.Signature(result_layout))``
    """

    module_name = "output_stage"

    def __init__(self, *, config: ArrayConfig, requantiser: Requantiser, bank: wiring.Component):
        self._config, self._requantiser, self._bank = config, requantiser, bank
        super().__init__(
            {
                "parameter_writes": In(stream.Signature(parameter_write_layout(config))),
                "idle": In(1),
                "start": In(1),
                "job": In(job_layout(config)),
                "layer": In(layer_layout(config)),
                "point": In(index_shape(config.n_points)),
                "complete": In(stream.Signature(complete_sums_layout(config))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform):
        """Return bank, requantisers and their handshake."""
        m = Module()
        config = self._config
        enable = Signal()
        m.d.comb += [
            enable.eq(~self.results.valid | self.results.ready),
            self.complete.ready.eq(enable),
        ]
        parameters, last = self._look_up(m, enable)

        # One stage for the look-up, then those of the requantisers.
        sums = Signal(self.complete.payload.shape(), reset_less=True)
        valid = self.complete.valid
        with m.If(enable):
            m.d.sync += sums.eq(self.complete.payload)
        for stage in range(1 + Requantiser.LATENCY):
            next_valid = Signal(name=f"valid_{stage}")
            next_last = Signal(name=f"last_{stage}", reset_less=True)
            with m.If(enable):
                m.d.sync += [next_valid.eq(valid), next_last.eq(last)]
            valid, last = next_valid, next_last
        result = self.results.payload
        m.d.comb += [
            self.results.valid.eq(valid),
            result.last.eq(last),
            result.point.eq(self.point),
        ]

        for col in range(config.cols):
            place = f"requantiser_{col}"
            m.submodules[place] = lane = Block(self._requantiser, name=place)
            products, activations = self._parts(sums, col)
            m.d.comb += [
                lane.enable.eq(enable),
                lane.products.eq(products),
                lane.activations.eq(activations),
                lane.parameters.eq(parameters[col]),
                lane.clamp_low.eq(self.layer.clamp_low),
                lane.clamp_high.eq(self.layer.clamp_high),
                result.acc[col].eq(lane.acc),
                result.out[col].eq(lane.out),
            ]
        return m

    def _parts(self, sums, col: int):
        """Return the sums of products and of activations of a column."""
        config, word = self._config, sums.words[col]
        products, activations = word[: config.psum_width], sums.activations
        if col >= config.depthwise_lanes:
            return products, activations
        width = config.depthwise_product_width
        depthwise = self.layer.depthwise
        return (
            Mux(depthwise, word[:width], products),
            Mux(depthwise, word[width:], activations),
        )

    def _look_up(self, m: Module, enable):
        """Return the parameters of all columns a cycle after a sum, and whether it is the last."""
        config = self._config
        m.submodules.bank = bank = self._bank
        request = self.parameter_writes.payload
        m.d.comb += [
            self.parameter_writes.ready.eq(self.idle),
            bank.write_address.eq(request.point * config.n_tiles + request.tile),
            bank.write_data.eq(request.word.as_value().replicate(config.cols)),
            bank.write_enable.eq(
                (self.parameter_writes.valid & self.parameter_writes.ready) << request.column
            ),
        ]
        address = Signal(range(config.n_points * config.n_tiles + 1))
        tiles_left = Signal(count_shape(config.n_tiles))
        position = Signal(count_shape(config.psum_depth))
        last_position = position + 1 == self.job.positions
        m.d.comb += [bank.read_address.eq(address), bank.read_enable.eq(enable)]
        with m.If(self.start):
            base = self.point * config.n_tiles + self.layer.base + self.job.tile_offset
            m.d.sync += [address.eq(base), tiles_left.eq(self.layer.n_tiles), position.eq(0)]
        with m.Elif(self.complete.valid & enable):
            m.d.sync += position.eq(position + 1)
            with m.If(last_position):
                m.d.sync += [
                    position.eq(0),
                    address.eq(address + 1),
                    tiles_left.eq(tiles_left - 1),
                ]
        words = data.ArrayLayout(parameter_layout(), config.cols)(bank.read_data)
        return words, last_position & (tiles_left == 1)
