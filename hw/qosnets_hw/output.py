"""From complete sums to results: the parameter bank and the requantisers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .block import Block
from .config import ArrayConfig
from .layouts import (
    count_shape,
    index_shape,
    job_layout,
    layer_layout,
    parameter_layout,
    parameter_write_layout,
    result_layout,
    sums_layout,
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

    Members
    -------
    parameter_writes : ``In(stream.Signature(parameter_write_layout))``
        Accepted between jobs.
    idle, start : ``In(1)``
        No job is running; a new job starts.
    job, layer, point : ``In``
        The running job, its layer's entry, and the active operating point.
    complete : ``In(stream.Signature(sums_layout(column=False)))``
        By column tile, then output position.
    results : ``Out(stream.Signature(result_layout))``
    """

    module_name = "output_stage"

    def __init__(self, *, config: ArrayConfig, requantiser: Requantiser):
        self._config, self._requantiser = config, requantiser
        super().__init__(
            {
                "parameter_writes": In(stream.Signature(parameter_write_layout(config))),
                "idle": In(1),
                "start": In(1),
                "job": In(job_layout(config)),
                "layer": In(layer_layout(config)),
                "point": In(index_shape(config.n_points)),
                "complete": In(stream.Signature(sums_layout(config, column=False))),
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
            m.submodules[f"requantiser_{col}"] = lane = Block(self._requantiser)
            m.d.comb += [
                lane.enable.eq(enable),
                lane.products.eq(sums.products[col]),
                lane.activations.eq(sums.activations),
                lane.parameters.eq(parameters[col]),
                lane.clamp_low.eq(self.layer.clamp_low),
                lane.clamp_high.eq(self.layer.clamp_high),
                result.acc[col].eq(lane.acc),
                result.out[col].eq(lane.out),
            ]
        return m

    def _look_up(self, m: Module, enable):
        """Return the parameters of all columns a cycle after a sum, and whether it is the last."""
        config = self._config
        m.submodules.bank = bank = memory.Memory(
            shape=data.ArrayLayout(parameter_layout(), config.cols),
            depth=config.n_points * config.n_tiles,
            init=[],
        )
        read, write = bank.read_port(), bank.write_port(granularity=1)
        request = self.parameter_writes.payload
        m.d.comb += [
            self.parameter_writes.ready.eq(self.idle),
            write.addr.eq(request.point * config.n_tiles + request.tile),
            write.data.as_value().eq(request.word.as_value().replicate(config.cols)),
            write.en.eq(
                (self.parameter_writes.valid & self.parameter_writes.ready) << request.column
            ),
        ]
        address = Signal(range(config.n_points * config.n_tiles + 1))
        tiles_left = Signal(count_shape(config.n_tiles))
        position = Signal(count_shape(config.psum_depth))
        last_position = position + 1 == self.job.positions
        m.d.comb += [read.addr.eq(address), read.en.eq(enable)]
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
        return read.data, last_position & (tiles_left == 1)
