"""The reconfigurable MAC array: the top of the generated hardware."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .accumulator import Accumulator
from .block import Block
from .config import ArrayConfig
from .edge import delayed
from .grid import Grid
from .layouts import (
    index_shape,
    job_layout,
    layer_write_layout,
    parameter_write_layout,
    point_shape,
    result_layout,
)
from .operating_point import OperatingPointRegister
from .output import OutputStage
from .sequencer import Sequencer

__all__ = ["MacArray"]


class MacArray(wiring.Component):
    """Weight-stationary array whose multipliers are selected per layer and operating point.

    The host loads the layer table and the parameter bank once. For each layer (group, part of
    the output positions) of an inference it sends a job, then per column tile and row tile
    ``rows`` beats of weights (last row first) and a beat of activations per output position, and
    takes the results: ``acc`` and ``out`` per position and column. ``acc`` serves hosts that want
    raw accumulators; left open, its registers disappear in synthesis.

    Members
    -------
    point_request, point_write : ``In``
        Ask for an operating point; it becomes active between inferences.
    point_active, point_pending, point_error : ``Out``
        The point in force, the one asked for, and whether a wrong one was (sticky).
    layer_writes, parameter_writes : ``In`` streams
        Accepted while no job runs.
    jobs : ``In`` stream
    weights : ``In`` stream, ``cols`` x 8 bits
    activations : ``In`` stream, ``rows`` x 8 bits
        Rows beyond the end of a reduction are ignored.
    results : ``Out`` stream
    busy : ``Out(1)``
        An inference is running.
    job_error : ``Out(1)``
        A job was dropped as illegal; sticky.
    """

    module_name = "qosnets_array"

    def __init__(
        self,
        *,
        config: ArrayConfig,
        grid: Grid,
        accumulator: Accumulator,
        output: OutputStage,
        sequencer: Sequencer,
        operating_point: OperatingPointRegister,
    ):
        self._config = config
        self._grid, self._accumulator, self._output = grid, accumulator, output
        self._sequencer, self._operating_point = sequencer, operating_point
        index = index_shape(config.n_points)
        codes = {n: data.ArrayLayout(unsigned(8), n) for n in (config.rows, config.cols)}
        super().__init__(
            {
                "point_request": In(point_shape(config)),
                "point_write": In(1),
                "point_active": Out(index),
                "point_pending": Out(index),
                "point_error": Out(1),
                "layer_writes": In(stream.Signature(layer_write_layout(config))),
                "parameter_writes": In(stream.Signature(parameter_write_layout(config))),
                "jobs": In(stream.Signature(job_layout(config))),
                "weights": In(stream.Signature(codes[config.cols])),
                "activations": In(stream.Signature(codes[config.rows])),
                "results": Out(stream.Signature(result_layout(config))),
                "busy": Out(1),
                "job_error": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return the blocks and their connections."""
        m = Module()
        m.submodules.grid = grid = Block(self._grid)
        m.submodules.accumulator = accumulator = Block(self._accumulator)
        m.submodules.output_stage = output = Block(self._output)
        m.submodules.sequencer = sequencer = Block(self._sequencer)
        m.submodules.operating_point = point = Block(self._operating_point)

        connect(m, flipped(self.layer_writes), sequencer.layer_writes)
        connect(m, flipped(self.jobs), sequencer.jobs)
        connect(m, flipped(self.parameter_writes), output.parameter_writes)
        connect(m, accumulator.complete, output.complete)
        connect(m, output.results, flipped(self.results))

        # The sums of a beat come array_latency cycles later, its tag one cycle before them.
        latency = self._config.array_latency - 1
        announced = delayed(m, sequencer.issued, latency, "issued", reset_less=False)
        m.d.comb += [
            point.request.eq(self.point_request),
            point.write.eq(self.point_write),
            point.boundary.eq(sequencer.boundary),
            self.point_active.eq(point.active),
            self.point_pending.eq(point.pending),
            self.point_error.eq(point.error),
            sequencer.point.eq(point.active),
            sequencer.hold.eq(point.committing),
            sequencer.weight_valid.eq(self.weights.valid),
            self.weights.ready.eq(sequencer.weight_ready),
            sequencer.activation_valid.eq(self.activations.valid),
            self.activations.ready.eq(sequencer.activation_ready),
            sequencer.delivered.eq(output.results.valid & output.results.ready),
            grid.activation_beat.eq(self.activations.payload),
            grid.weight_beat.eq(self.weights.payload),
            grid.select.eq(sequencer.select),
            grid.active_rows.eq(sequencer.active_rows),
            grid.swap.eq(sequencer.swap),
            grid.shift.eq(sequencer.shift),
            accumulator.sums.eq(grid.sums),
            accumulator.tag.eq(delayed(m, sequencer.tag, latency, "tag")),
            accumulator.valid.eq(announced),
            output.idle.eq(sequencer.idle),
            output.start.eq(sequencer.start),
            output.job.eq(sequencer.job),
            output.layer.eq(sequencer.layer),
            output.point.eq(point.active),
            self.busy.eq(~sequencer.boundary),
            self.job_error.eq(sequencer.error),
        ]
        return m
