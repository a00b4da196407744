"""Streams between a bench and a design: the beats are moved by compiled code, cycle by cycle.

Python fills and reads whole buffers and wakes up when they are through. The structures here are
those of ``cpp/stream_player.cpp``, which runs in the same process.
"""

import ctypes
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from cocotb.triggers import ValueChange

from .harness import StreamPort
from .records import Records, unpack_field

__all__ = ["HangError", "Stream", "StreamPlayer"]

MAX_STREAMS = 16
QUIET_CYCLES = 4096
"""Cycles without any transfer after which a wait counts as hung."""

_FOREVER = (1 << 64) - 1


class HangError(Exception):
    """Nothing moved for :data:`QUIET_CYCLES` cycles; says what was left."""


class _Reason(IntEnum):
    NONE = 0
    COMPLETE = 1
    QUIET = 2
    STOPPED = 3


class _StreamState(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_uint64),  # records to offer, or room for records
        ("position", ctypes.c_uint64),  # records transferred
        ("random", ctypes.c_uint64),  # state of the generator of stalls
        ("stall", ctypes.c_uint64),  # share of cycles to stall in, times 2^64
        ("role", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),  # of a record
        ("word", ctypes.c_uint32),  # where the payload is in what passes between bench and player
        ("awaited", ctypes.c_uint32),  # its end is waited for
        ("active", ctypes.c_uint32),  # offers a record, or is ready for one
        ("unused", ctypes.c_uint32),
    )


class _PlayerState(ctypes.Structure):
    _fields_ = (
        ("cycle", ctypes.c_uint64),
        ("stop_cycle", ctypes.c_uint64),
        ("quiet", ctypes.c_uint64),  # cycles since the last transfer
        ("quiet_limit", ctypes.c_uint64),
        ("n_streams", ctypes.c_uint32),
        ("n_awaited", ctypes.c_uint32),
        ("waiting", ctypes.c_uint32),
        ("reason", ctypes.c_uint32),  # that the last wait ended for
        ("event", ctypes.c_uint32),  # changes when a wait ends
        ("unused", ctypes.c_uint32),
        ("streams", _StreamState * MAX_STREAMS),
    )


class Stream:
    """A stream of the design, as the bench sees it."""

    def __init__(self, port: StreamPort, state: Any, seed: int):
        self.name = port.name
        self._port, self._state = port, state
        state.role, state.bytes, state.word, state.random = port.role, port.bytes, port.word, seed
        self.withdraw()

    @property
    def position(self) -> int:
        """Records transferred since the buffer was set."""
        return int(self._state.position)

    @property
    def left(self) -> int:
        """Records not yet transferred."""
        return max(0, int(self._state.length) - self.position)

    @property
    def awaited(self) -> bool:
        """Whether the player waits for the end of the stream."""
        return bool(self._state.awaited)

    @awaited.setter
    def awaited(self, value: bool) -> None:
        self._state.awaited = value

    def stall(self, share: float) -> None:
        """Stall in a ``share`` of the cycles, 0 to below 1."""
        self._state.stall = int(share * 2.0**64)

    def send(self, records: Records) -> None:
        """Offer ``records``, uint8 ``[n, bytes]``, in place of those not yet taken."""
        assert records.shape[1] == self._port.bytes, self.name
        self._set(np.ascontiguousarray(records, np.uint8))

    def receive(self, n: int) -> None:
        """Make room for ``n`` records, and forget those received."""
        self._set(np.zeros((n, self._port.bytes), np.uint8))

    @property
    def received(self) -> Records:
        """Records received so far, uint8 ``[n, bytes]``."""
        return self._buffer[: self.position]

    def field(self, signal: str) -> npt.NDArray[np.int64]:
        """Return the values of a signal of the payload in the records received so far."""
        offset = 0
        for name, width in self._port.fields:
            if name == signal:
                field = {"offset": offset, "width": width, "signed": False}
                return unpack_field(self.received, field)
            offset += width
        raise KeyError(signal)

    def withdraw(self) -> None:
        """Offer nothing, receive nothing."""
        self._set(np.empty((0, self._port.bytes), np.uint8))

    def _set(self, buffer: Records) -> None:
        self._buffer = buffer  # keeps the memory alive
        self._state.data = buffer.ctypes.data
        self._state.length = len(buffer)
        self._state.position = 0


class StreamPlayer:
    """All streams of a bench.

    Parameters
    ----------
    dut
        Bench with the module of a :class:`.Harness`.
    ports
        Its streams, in the same order.
    random
        Source of the stalls.
    """

    def __init__(self, dut: Any, ports: Sequence[StreamPort], random: np.random.Generator):
        assert len(ports) <= MAX_STREAMS
        self._state = _PlayerState(n_streams=len(ports))
        self._event = ValueChange(dut.stream_event)
        self.streams: dict[str, Stream] = {}
        for index, port in enumerate(ports):
            seed = int(random.integers(1 << 63))
            self.streams[port.name] = Stream(port, self._state.streams[index], seed)
        dut.stream_player.value = ctypes.addressof(self._state)

    def __getitem__(self, name: str) -> Stream:
        return self.streams[name]

    @property
    def cycle(self) -> int:
        """Rising edges of the clock so far."""
        return int(self._state.cycle)

    def withdraw(self) -> None:
        """Offer and receive nothing on all streams."""
        for stream in self.streams.values():
            stream.withdraw()

    async def finish(self, *names: str) -> None:
        """Wait until everything is transferred on the streams ``names``.

        Raises
        ------
        HangError
            If nothing moves on any stream for :data:`QUIET_CYCLES` cycles.
        """
        if await self._wait(names, _FOREVER, QUIET_CYCLES) is _Reason.QUIET:
            left = [f"{s.name} {s.left}" for s in self.streams.values() if s.left]
            raise HangError(f"nothing moved for {QUIET_CYCLES} cycles; left: {', '.join(left)}")

    async def run(self, n_cycles: int, *names: str) -> bool:
        """Let ``n_cycles`` pass, less if ``names`` finish before; returns whether they did."""
        stop = self.cycle + max(1, n_cycles)
        return await self._wait(names, stop, _FOREVER) is _Reason.COMPLETE

    async def _wait(self, names: Sequence[str], stop_cycle: int, quiet_limit: int) -> _Reason:
        state = self._state
        for name, stream in self.streams.items():
            stream.awaited = name in names
        state.n_awaited = len(names)
        state.stop_cycle, state.quiet_limit, state.quiet = stop_cycle, quiet_limit, 0
        state.waiting = 1
        await self._event
        return _Reason(state.reason)
