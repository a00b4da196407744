"""The layer sequencer: turns jobs into weight tiles and activation beats."""

from amaranth.hdl import Array, Const, Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .issuer import BeatIssuer
from .layouts import (
    beat_tag_layout,
    count_shape,
    index_shape,
    job_layout,
    layer_layout,
    layer_write_layout,
    select_shape,
)
from .loader import WeightLoader
from .tiles import TileCounter

__all__ = ["Sequencer"]


class Sequencer(wiring.Component):
    """Runs one job after the other.

    A job takes, for each column tile and in it for each row tile, ``rows`` weight beats and
    ``positions`` activation beats. It ends when its last result has left. The layer's select code
    is looked up when the job starts; an inference lasts from its first job to the end of the job
    with ``last``.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    layer_writes : ``In(stream.Signature(layer_write_layout))``
        Accepted between jobs.
    jobs : ``In(stream.Signature(job_layout))``
        A job of a layer that is unknown or has no entry yet, with no positions or too many, is
        dropped and sets ``error``.
    weight_valid, weight_ready, activation_valid, activation_ready
        Handshakes of the weight and activation streams.
    point : ``In``
        Active operating point.
    hold : ``In(1)``
        No inference may start.
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
    error : ``Out(1)``
        A job was dropped; sticky until reset.
    """

    module_name = "sequencer"

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "layer_writes": In(stream.Signature(layer_write_layout(config))),
                "jobs": In(stream.Signature(job_layout(config))),
                "weight_valid": In(1),
                "weight_ready": Out(1),
                "activation_valid": In(1),
                "activation_ready": Out(1),
                "point": In(index_shape(config.n_points)),
                "hold": In(1),
                "boundary": Out(1),
                "select": Out(select_shape(config)),
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
                "error": Out(1),
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
            loader.valid.eq(self.weight_valid),
            self.weight_ready.eq(loader.ready),
            self.shift.eq(loader.shift),
            issuer.positions.eq(self.job.positions),
            issuer.last_rows.eq(self.layer.last_rows),
            issuer.loaded.eq(loader.loaded),
            issuer.first.eq(issue_tiles.first),
            issuer.last.eq(issue_tiles.last),
            issuer.valid.eq(self.activation_valid),
            issuer.delivered.eq(self.delivered),
            self.activation_ready.eq(issuer.ready),
            self.swap.eq(issuer.swap),
            self.active_rows.eq(issuer.active_rows),
            self.tag.eq(issuer.tag),
            self.issued.eq(issuer.issued),
        ]
        done = issuer.idle & ~issue_tiles.left
        self._control_jobs(m, done)
        return m

    def _control_jobs(self, m: Module, done):
        config = self._config
        m.submodules.table = table = memory.Memory(
            shape=layer_layout(config), depth=config.n_layers, init=[]
        )
        read, write = table.read_port(domain="comb"), table.write_port()
        in_inference = Signal()
        offered = self.jobs.payload
        legal = (
            (offered.layer < config.n_layers)
            & (offered.positions > 0)
            & (offered.positions <= config.psum_depth)
            & (read.data.k_tiles > 0)
            & (read.data.n_tiles > 0)
        )
        m.d.comb += [
            self.boundary.eq(~in_inference),
            read.addr.eq(offered.layer),
            write.addr.eq(self.layer_writes.payload.layer),
            write.data.eq(self.layer_writes.payload.entry),
            write.en.eq(self.layer_writes.valid & self.layer_writes.ready),
        ]
        selects = Array(
            Array(Const(select, select_shape(config)) for select in assignment)
            for assignment in config.assignments
        )
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [
                    self.idle.eq(1),
                    self.layer_writes.ready.eq(1),
                    self.jobs.ready.eq(~self.hold),
                ]
                with m.If(self.jobs.valid & self.jobs.ready):
                    with m.If(legal):
                        m.d.sync += [
                            self.job.eq(offered),
                            self.layer.eq(read.data),
                            self.select.eq(selects[self.point][offered.layer]),
                            in_inference.eq(1),
                        ]
                        m.next = "START"
                    with m.Else():
                        m.d.sync += self.error.eq(1)
            with m.State("START"):
                m.d.comb += self.start.eq(1)
                m.next = "RUN"
            with m.State("RUN"), m.If(done):
                m.d.sync += in_inference.eq(~self.job.last)
                m.next = "IDLE"
