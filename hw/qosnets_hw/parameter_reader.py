"""Parameters from their stream into the bank."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import parameter_write_layout

__all__ = ["RECORD_LAYOUT", "ParameterReader"]

RECORD_LAYOUT = data.StructLayout(
    {
        "point": 8,
        "column": 8,
        "shift": 8,
        "weight_zero_point": 8,
        "tile": 32,
        "bias": signed(32),
        "mult": signed(16),
        "offset": signed(16),
    }
)
"""16 bytes, little-endian: the parameters of an output channel at an operating point."""

SHIFT_RANGE = range(1, 48)
"""Shifts that requantisation knows."""


class ParameterReader(wiring.Component):
    """Turns records into writes of the parameter bank and drops those that are out of range.

    A record out of range names an operating point, a column or a tile that the array does not
    have, or has a shift that is not 1..47. The others are offered a cycle after they were taken;
    one record per cycle.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    records : ``In(stream.Signature(RECORD_LAYOUT))``
    drain : ``In(1)``
        Records are taken and dropped, whatever they hold.
    writes : ``Out(stream.Signature(parameter_write_layout))``
    refused : ``Out(1)``
        Strobe: a record was out of range.
    """

    module_name = "parameter_reader"

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "records": In(stream.Signature(RECORD_LAYOUT)),
                "drain": In(1),
                "writes": Out(stream.Signature(parameter_write_layout(config))),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return the register of the record and its check."""
        m = Module()
        record, held = Signal(RECORD_LAYOUT, reset_less=True), Signal()
        legal, done = Signal(), Signal()
        m.d.comb += [
            legal.eq(self._is_legal(record)),
            done.eq(~legal | self.writes.ready),
            self.writes.valid.eq(held & legal & ~self.drain),
            self.refused.eq(held & ~legal & ~self.drain),
            self.records.ready.eq(~held | done | self.drain),
        ]
        with m.If(self.records.ready):
            m.d.sync += [record.eq(self.records.payload), held.eq(self.records.valid & ~self.drain)]
        write = self.writes.payload
        for name in ("point", "tile", "column"):
            m.d.comb += getattr(write, name).eq(getattr(record, name))
        for name in ("bias", "mult", "shift", "offset", "weight_zero_point"):
            m.d.comb += getattr(write.word, name).eq(getattr(record, name))
        return m

    def _is_legal(self, record):
        config = self._config
        return (
            (record.point < config.n_points)
            & (record.column < config.cols)
            & (record.tile < config.n_tiles)
            & (record.shift >= SHIFT_RANGE.start)
            & (record.shift < SHIFT_RANGE.stop)
        )
