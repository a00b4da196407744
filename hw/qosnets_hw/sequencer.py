"""The layer sequencer: turns jobs into weight tiles and activation beats."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .issuer import BeatIssuer
from .layouts import (
    beat_tag_layout,
    count_shape,
    index_shape,
    job_layout,
    layer_layout,
    layer_shape,
)
from .loader import WeightLoader
from .tiles import TileCounter

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs one job after the other.

    A job takes, for each column tile and in it for each row tile, ``rows`` weight beats and
    ``positions`` activation beats. It ends when its last result has left. The layer's select word
    is looked up when the job starts; an inference lasts from its first job to the end of the job
    with ``last``. A stream whose beat with ``last`` is not the final one of the job stops
    everything until reset: the beats that are left are taken and dropped.

    Parameters
    ----------
    config : :class:`ArrayConfig`
    select_words : sequence of int
        Word for the banks by select code.
    select_shape : :class:`Shape`

    Members
    -------
    entry_of : ``Out(layer_shape)``
        Layer of the job that is offered.
    entry, written : ``In(layer_layout)``, ``In(1)``
        Its entry in the layer table, and whether there is one. A running job keeps the entry that
        it started with.
    jobs : ``In(stream.Signature(job_layout))``
        A job of a layer that is unknown or has no entry yet, that leaves the parameter bank, or
        with no positions or too many, is refused.
    weight_valid, weight_last, weight_ready, activation_valid, activation_last, activation_ready
        Handshakes of the weight and activation streams.
    point : ``In``
        Active operating point.
    hold : ``In(1)``
        No job is accepted.
    boundary : ``Out(1)``
        No inference is running.
    select, active_rows, swap, shift, tag, issued
        Control of the array, at the time of the beat.
    job, layer : ``Out``
        The running job and its layer's entry.
    start : ``Out(1)``
        Strobe: ``job`` and ``layer`` are those of a new job.
    delivered : ``In(1)``
        Strobe: a result left.
    idle : ``Out(1)``
        No job is running.
    inference_done, job_refused : ``Out(1)``
        Strobes.
    stream_short, stream_long : ``Out(1)``
        Strobes: a beat with ``last`` came before the end of the job, or the final beat without.
    faulted : ``Out(1)``
        One of these has come.
    job_cycles : ``Out(32)``
        Clock cycles of the last finished job, from its acceptance until the next can be accepted.
    """

    module_name = "sequencer"

    def __init__(self, *, config: ArrayConfig, select_words: Sequence[int], select_shape: Shape):
        self._config, self._select_words = config, tuple(select_words)
        super().__init__(
            {
                "entry_of": Out(layer_shape(config)),
                "entry": In(layer_layout(config)),
                "written": In(1),
                "jobs": In(stream.Signature(job_layout(config))),
                "weight_valid": In(1),
                "weight_last": In(1),
                "weight_ready": Out(1),
                "activation_valid": In(1),
                "activation_last": In(1),
                "activation_ready": Out(1),
                "point": In(index_shape(config.n_points)),
                "hold": In(1),
                "boundary": Out(1),
                "select": Out(select_shape),
                "active_rows": Out(count_shape(config.rows)),
                "swap": Out(1),
                "shift": Out(config.rows),
                "tag": Out(beat_tag_layout(config)),
                "issued": Out(1),
                "job": Out(job_layout(config)),
                "layer": Out(layer_layout(config)),
                "start": Out(1),
                "delivered": In(1),
                "idle": Out(1),
                "inference_done": Out(1),
                "job_refused": Out(1),
                "stream_short": Out(1),
                "stream_long": Out(1),
                "faulted": Out(1),
                "job_cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        """Return job control, loader and issuer."""
        m = Module()
        config = self._config
        m.submodules.loader = loader = WeightLoader(rows=config.rows)
        m.submodules.issuer = issuer = BeatIssuer(config=config)
        m.submodules.load_tiles = load_tiles = TileCounter(config=config)
        m.submodules.issue_tiles = issue_tiles = TileCounter(config=config)
        for tiles, advance in ((load_tiles, loader.done), (issue_tiles, issuer.swap)):
            m.d.comb += [
                tiles.k_tiles.eq(self.layer.k_tiles),
                tiles.n_tiles.eq(self.layer.n_tiles),
                tiles.start.eq(self.start),
                tiles.advance.eq(advance),
            ]
        m.d.comb += [
            loader.wanted.eq(load_tiles.left),
            loader.swap.eq(issuer.swap),
            loader.valid.eq(self.weight_valid & ~self.faulted),
            self.weight_ready.eq(loader.ready | self.faulted),
            self.shift.eq(loader.shift),
            issuer.positions.eq(self.job.positions),
            issuer.last_rows.eq(self.layer.last_rows),
            issuer.loaded.eq(loader.loaded),
            issuer.first.eq(issue_tiles.first),
            issuer.last.eq(issue_tiles.last),
            issuer.final.eq(issue_tiles.final),
            issuer.valid.eq(self.activation_valid & ~self.faulted),
            issuer.delivered.eq(self.delivered),
            self.activation_ready.eq(issuer.ready | self.faulted),
            self.swap.eq(issuer.swap),
            self.active_rows.eq(issuer.active_rows),
            self.tag.eq(issuer.tag),
            self.issued.eq(issuer.issued),
        ]
        if config.depthwise_k_max:
            m.d.comb += self.tag.depthwise.eq(self.layer.depthwise)
        beats = (
            (loader.taken, loader.done & load_tiles.final, self.weight_last),
            (issuer.issued, issuer.ends_job, self.activation_last),
        )
        m.d.comb += [
            self.stream_short.eq(Cat(taken & last & ~final for taken, final, last in beats).any()),
            self.stream_long.eq(Cat(final & ~last for _, final, last in beats).any()),
        ]
        with m.If(self.stream_short | self.stream_long):
            m.d.sync += self.faulted.eq(1)
        done = issuer.idle & ~issue_tiles.left & ~self.faulted
        self._control_jobs(m, done)
        return m

    def _control_jobs(self, m: Module, done):
        config = self._config
        in_inference, known = Signal(), Signal()
        offered = self.jobs.payload
        cycles = Signal.like(self.job_cycles, reset_less=True)
        m.d.comb += [
            self.boundary.eq(~in_inference),
            self.entry_of.eq(offered.layer),
        ]
        selects = Array(
            Array(Const(self._select_words[select], len(self.select)) for select in assignment)
            for assignment in config.assignments
        )
        m.d.sync += cycles.eq(cycles + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), self.jobs.ready.eq(~self.hold)]
                m.d.sync += [
                    self.job.eq(offered),
                    self.layer.eq(self.entry),
                    known.eq(self.written),
                    self.select.eq(selects[self.point][offered.layer]),
                    cycles.eq(1),
                ]
                with m.If(self.jobs.valid & self.jobs.ready):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(known & self._legal()):
                    m.d.sync += in_inference.eq(1)
                    m.next = "START"
                with m.Else():
                    m.d.comb += self.job_refused.eq(1)
                    m.next = "IDLE"
            with m.State("START"):
                m.d.comb += self.start.eq(1)
                m.next = "RUN"
            with m.State("RUN"), m.If(done):
                m.d.comb += self.inference_done.eq(self.job.last)
                m.d.sync += [in_inference.eq(~self.job.last), self.job_cycles.eq(cycles + 1)]
                m.next = "IDLE"

    def _legal(self):
        """Return whether ``job`` can be run with ``layer``."""
        config, job, layer = self._config, self.job, self.layer
        return (
            (job.positions > 0)
            & (job.positions <= config.psum_depth)
            & (layer.k_tiles > 0)
            & (layer.n_tiles > 0)
            & (layer.base + job.tile_offset + layer.n_tiles <= config.n_tiles)
        )
