"""The reconfigurable MAC array: the top of the generated hardware."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .accumulator import Accumulator
from .block import Block
from .config import ArrayConfig
from .grid import Grid
from .layer_table import LayerTable
from .layouts import (
    beat_layout,
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

_EVENTS = ("inference_done", "job_refused", "stream_short", "stream_long")


class MacArray(wiring.Component):
    """Weight-stationary array whose multipliers are selected per layer and operating point.

    The host loads the layer table and the parameter bank once. For each layer (group, part of
    the output positions) of an inference it sends a job, then per column tile and row tile
    ``rows`` beats of weights (last row first) and a beat of activations per output position, and
    takes the results: ``acc`` and ``out`` per position and column; :mod:`qosnets.tiling` has the
    order. ``acc`` serves hosts that want raw accumulators; left open, its registers disappear in
    synthesis.

    Members
    -------
    soft_reset : ``In(1)``
        Drops the running inference. Everything is reset but the operating point, the layer table
        and the parameter bank; beats are taken and dropped, jobs wait.
    point_request, point_write : ``In``
        Ask for an operating point; it becomes active between inferences.
    point_active, point_pending : ``Out``
        The point in force and the one asked for.
    point_refused, point_switched : ``Out(1)``
        Strobes: the point being asked for does not exist; the one in force is about to change.
    layer_writes : ``In`` stream
        Always accepted.
    parameter_writes : ``In`` stream
        Accepted while no job runs.
    jobs : ``In`` stream
        Accepted while no job runs.
    weights : ``In`` stream, ``beat_layout(cols)``
    activations : ``In`` stream, ``beat_layout(rows)``
        Rows that take no part are ignored.
    results : ``Out`` stream
    busy : ``Out(1)``
        An inference is running.
    inference_done, job_refused, stream_short, stream_long, faulted, job_cycles
        See :class:`Sequencer`.
    """

    module_name = "qosnets_array"

    def __init__(
        self,
        *,
        config: ArrayConfig,
        grid: Grid,
        accumulator: Accumulator,
        output: OutputStage,
        layer_table: LayerTable,
        sequencer: Sequencer,
        operating_point: OperatingPointRegister,
    ):
        self._config = config
        self._grid, self._accumulator, self._output = grid, accumulator, output
        self._layer_table, self._sequencer = layer_table, sequencer
        self._operating_point = operating_point
        index = index_shape(config.n_points)
        super().__init__(
            {
                "soft_reset": In(1),
                "point_request": In(point_shape(config)),
                "point_write": In(1),
                "point_active": Out(index),
                "point_pending": Out(index),
                "point_refused": Out(1),
                "point_switched": Out(1),
                "layer_writes": In(stream.Signature(layer_write_layout(config))),
                "parameter_writes": In(stream.Signature(parameter_write_layout(config))),
                "jobs": In(stream.Signature(job_layout(config))),
                "weights": In(stream.Signature(beat_layout(config.cols))),
                "activations": In(stream.Signature(beat_layout(config.rows))),
                "results": Out(stream.Signature(result_layout(config))),
                "busy": Out(1),
                **{name: Out(1) for name in _EVENTS},
                "faulted": Out(1),
                "job_cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        """Return the blocks and their connections."""
        m = Module()
        reset = self.soft_reset
        m.submodules.grid = grid = Block(self._grid, reset=reset)
        m.submodules.accumulator = accumulator = Block(self._accumulator, reset=reset)
        m.submodules.output_stage = output = Block(self._output, reset=reset)
        m.submodules.sequencer = sequencer = Block(self._sequencer, reset=reset)
        m.submodules.layer_table = layer_table = Block(self._layer_table)
        m.submodules.operating_point = point = Block(self._operating_point)

        connect(m, flipped(self.layer_writes), layer_table.writes)
        connect(m, flipped(self.jobs), sequencer.jobs)
        connect(m, flipped(self.parameter_writes), output.parameter_writes)
        connect(m, accumulator.complete, output.complete)
        connect(m, output.results, flipped(self.results))
        self._connect_point(m, point, sequencer)
        for stream_, name in ((self.weights, "weight"), (self.activations, "activation")):
            m.d.comb += [
                getattr(sequencer, f"{name}_valid").eq(stream_.valid),
                getattr(sequencer, f"{name}_last").eq(stream_.payload.last),
                stream_.ready.eq(getattr(sequencer, f"{name}_ready") | reset),
                getattr(grid, f"{name}_beat").eq(stream_.payload.codes),
            ]

        m.d.comb += [
            layer_table.layer.eq(sequencer.entry_of),
            sequencer.entry.eq(layer_table.entry),
            sequencer.written.eq(layer_table.written),
            sequencer.hold.eq(point.committing | reset),
            sequencer.delivered.eq(output.results.valid & output.results.ready),
            grid.select.eq(sequencer.select),
            grid.active_rows.eq(sequencer.active_rows),
            grid.swap.eq(sequencer.swap),
            grid.shift.eq(sequencer.shift),
            accumulator.sums.eq(grid.sums),
            accumulator.tag.eq(sequencer.tag),
            accumulator.valid.eq(sequencer.issued),
            output.idle.eq(sequencer.idle),
            output.start.eq(sequencer.start),
            output.job.eq(sequencer.job),
            output.layer.eq(sequencer.layer),
            output.point.eq(point.active),
            self.busy.eq(~sequencer.boundary),
            self.faulted.eq(sequencer.faulted),
            self.job_cycles.eq(sequencer.job_cycles),
        ]
        m.d.comb += [getattr(self, name).eq(getattr(sequencer, name)) for name in _EVENTS]
        if self._config.depthwise_k_max:
            m.d.comb += grid.depthwise.eq(sequencer.layer.depthwise)
        return m

    def _connect_point(self, m: Module, point, sequencer):
        m.d.comb += [
            point.request.eq(self.point_request),
            point.write.eq(self.point_write),
            point.boundary.eq(sequencer.boundary),
            sequencer.point.eq(point.active),
            self.point_active.eq(point.active),
            self.point_pending.eq(point.pending),
            self.point_refused.eq(point.refused),
            self.point_switched.eq(point.committing),
        ]
