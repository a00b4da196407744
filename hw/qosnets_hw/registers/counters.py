"""Counters of events, to be read through registers."""

from collections.abc import Sequence

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["EventCounters"]


class EventCounters(wiring.Component):
    """Counts events of several kinds, modulo 2^64.

    Parameters
    ----------
    events : sequence of str
        Names of the kinds.

    Members
    -------
    counting : ``In(1)``
        Events count in this cycle.
    clear : ``In(1)``
        Sets all counters to 0; events in the same cycle are not counted.
    events.<name> : ``In(1)``
        One event per cycle.
    counts.<name> : ``Out(64)``
        Events so far, this cycle excluded.
    """

    module_name = "event_counters"

    def __init__(self, *, events: Sequence[str]):
        self._names = tuple(events)
        super().__init__(
            {
                "counting": In(1),
                "clear": In(1),
                "events": Out(wiring.Signature({name: In(1) for name in self._names})),
                "counts": Out(wiring.Signature({name: Out(64) for name in self._names})),
            }
        )

    def elaborate(self, platform):
        """Return a counter for each kind."""
        m = Module()
        for name in self._names:
            count = getattr(self.counts, name)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(self.counting & getattr(self.events, name)):
                m.d.sync += count.eq(count + 1)
        return m
