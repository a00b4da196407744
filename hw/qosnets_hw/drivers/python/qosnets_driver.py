"""Driver of the qosnets accelerator: one file, nothing but the standard library.

It works over any object with ``read32(offset) -> int`` and ``write32(offset, value)``, which raise
``OSError`` for an access that failed; that of PYNQ, a debugger, a mapped ``/dev/mem``. Streams
(weights, activations, parameters, results) are moved by the platform, for example by DMA::

    accelerator = Accelerator(bus, ops_sha256=manifest["ops_sha256"])
    accelerator.self_test()

Methods check what they are asked for before they touch the bus: on many platforms an access that
the accelerator refuses is a fatal exception.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Protocol

__all__ = [
    "Accelerator",
    "AcceleratorError",
    "Bus",
    "Counters",
    "Errors",
    "Interrupts",
    "Job",
    "Layer",
    "Parameter",
    "Points",
    "QueueFullError",
    "Register",
]

_ID = 0x514F534E
_VERSION_MAJOR = 1
_N_HASH_WORDS = 8
_LONGEST_SHIFT = 47
_RECORD = struct.Struct("<BBBBIihh")
_STORAGE_PATTERNS = (0x00000000, 0xFFFFFFFF, 0x55555555, 0xAAAAAAAA, 0x12345678)

_BUSY = 1 << 0
_FAULTED = 1 << 2
_COUNTING = 1 << 0
_CLEAR_COUNTERS = 1 << 1
_SOFT_RESET = 1 << 2
_QUEUE_FULL = 1 << 8


class Register(IntEnum):
    """Byte offsets of the registers."""

    ID = 0x000
    VERSION = 0x004
    GEOMETRY = 0x008
    FEATURES = 0x00C
    CAPACITY_LAYERS = 0x010
    CAPACITY_TILES = 0x014
    CAPACITY_PSUM = 0x018
    CAPACITY_K = 0x01C
    CAPACITY_K_TILES = 0x020
    STATUS = 0x040
    ERROR_CLEAR = 0x044
    CONTROL = 0x048
    INTERRUPT_ENABLE = 0x050
    INTERRUPT_PENDING = 0x054
    POINT_REQUEST = 0x060
    POINT_STATUS = 0x064
    POINT_HOLD = 0x06C
    SWITCHES = 0x070
    CYCLES_LO = 0x080
    STALL_ACTIVATIONS_LO = 0x088
    STALL_WEIGHTS_LO = 0x090
    STALL_RESULTS_LO = 0x098
    OPS_HASH_0 = 0x0E0
    LAYER_K_TILES = 0x100
    LAYER_N_TILES = 0x104
    LAYER_BASE = 0x108
    LAYER_SHAPE = 0x10C
    LAYER_WRITE = 0x110
    JOB_LAYER = 0x120
    JOB_POSITIONS = 0x124
    JOB_TILE_OFFSET = 0x128
    JOB_START = 0x12C
    JOB_QUEUE = 0x130
    JOB_CYCLES = 0x134


class Errors(IntFlag):
    """Bits of STATUS that report errors, set until cleared."""

    WRONG_POINT = 1 << 8
    WRONG_JOB = 1 << 9
    WRONG_TABLE_WRITE = 1 << 10
    STREAM_SHORT = 1 << 11
    STREAM_LONG = 1 << 12


class Interrupts(IntFlag):
    """Events that can raise the interrupt."""

    INFERENCE_DONE = 1 << 0
    POINT_SWITCHED = 1 << 1
    ERROR = 1 << 2


class AcceleratorError(Exception):
    """The accelerator is not the one expected, reports an error, or does not answer in time."""


class QueueFullError(AcceleratorError):
    """No job can be queued now."""


class Bus(Protocol):
    """Access to the registers, by byte offset from the address of the accelerator."""

    def read32(self, offset: int) -> int:
        """Return a register."""

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """An entry of the layer table."""

    k_tiles: int
    n_tiles: int
    base: int
    last_rows: int
    clamp_low: int
    clamp_high: int
    depthwise: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """Some output positions of one group of a layer."""

    layer: int
    positions: int
    tile_offset: int = 0
    last: bool
    """Ends the inference."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Parameters of an output channel at an operating point."""

    point: int
    tile: int
    column: int
    bias: int
    mult: int
    shift: int
    offset: int
    weight_zero_point: int


@dataclass(frozen=True)
class Points:
    """Operating points: in force, asked for, of the last result."""

    active: int
    pending: int
    result: int


@dataclass(frozen=True)
class Counters:
    """Clock cycles of inferences and of stalled streams."""

    cycles: int
    stall_activations: int
    stall_weights: int
    stall_results: int


class Accelerator:
    """An accelerator at a bus.

    Parameters
    ----------
    bus : Bus
    ops_sha256 : str or None
        Hash of the ``ops.json`` that the design must have been generated from; None: any.

    Raises
    ------
    AcceleratorError
        If there is no accelerator, its registers are not known here, or it is another design.
    """

    def __init__(self, bus: Bus, *, ops_sha256: str | None = None):
        self._bus = bus
        if (found := self._read(Register.ID)) != _ID:
            raise AcceleratorError(f"ID: must be {_ID:#010x}, not {found:#010x}")
        if (major := self._read(Register.VERSION) >> 16) != _VERSION_MAJOR:
            raise AcceleratorError(f"VERSION: major must be {_VERSION_MAJOR}, not {major}")
        offsets = range(Register.OPS_HASH_0, Register.OPS_HASH_0 + 4 * _N_HASH_WORDS, 4)
        self.ops_sha256 = "".join(f"{self._bus.read32(offset):08x}" for offset in offsets)
        """Hash of the ``ops.json`` that the design was generated from."""
        if ops_sha256 not in (None, self.ops_sha256):
            raise AcceleratorError(f"OPS_HASH: must be {ops_sha256}, not {self.ops_sha256}")
        geometry = self._read(Register.GEOMETRY)
        self.rows, self.cols, self.n_multipliers, self.n_points = geometry.to_bytes(4, "little")
        self.depthwise_lanes = self._read(Register.FEATURES) & 0xFF
        self.n_layers = self._read(Register.CAPACITY_LAYERS)
        self.n_tiles = self._read(Register.CAPACITY_TILES)
        self.psum_depth = self._read(Register.CAPACITY_PSUM)
        self.k_max = self._read(Register.CAPACITY_K)
        self.max_k_tiles = self._read(Register.CAPACITY_K_TILES)

    def _read(self, register: Register) -> int:
        return self._bus.read32(int(register))

    def _write(self, register: Register, value: int) -> None:
        self._bus.write32(int(register), int(value))

    def load_layer(self, index: int, layer: Layer) -> None:
        """Write an entry of the layer table; it counts for jobs that start later.

        Raises
        ------
        ValueError
            If anything is out of range.
        """
        _check("layer", index, 0, self.n_layers - 1)
        _check("k_tiles", layer.k_tiles, 0, self.max_k_tiles)
        _check("n_tiles", layer.n_tiles, 0, self.n_tiles)
        _check("base", layer.base, 0, self.n_tiles - 1)
        _check("last_rows", layer.last_rows, 0, self.rows)
        _check("clamp_low", layer.clamp_low, 0, 255)
        _check("clamp_high", layer.clamp_high, 0, 255)
        _check("depthwise", layer.depthwise, 0, int(self.depthwise_lanes > 0))
        shape = layer.last_rows | layer.clamp_low << 8 | layer.clamp_high << 16
        self._write(Register.LAYER_K_TILES, layer.k_tiles)
        self._write(Register.LAYER_N_TILES, layer.n_tiles)
        self._write(Register.LAYER_BASE, layer.base)
        self._write(Register.LAYER_SHAPE, shape | layer.depthwise << 24)
        self._write(Register.LAYER_WRITE, index)

    def pack_parameter(self, parameter: Parameter) -> bytes:
        """Return a record of 16 bytes for the parameter stream.

        Raises
        ------
        ValueError
            If anything is out of range.
        """
        _check("point", parameter.point, 0, self.n_points - 1)
        _check("tile", parameter.tile, 0, self.n_tiles - 1)
        _check("column", parameter.column, 0, self.cols - 1)
        _check("bias", parameter.bias, -(1 << 31), (1 << 31) - 1)
        _check("mult", parameter.mult, -(1 << 15), (1 << 15) - 1)
        _check("shift", parameter.shift, 1, _LONGEST_SHIFT)
        _check("offset", parameter.offset, -(1 << 15), (1 << 15) - 1)
        _check("weight_zero_point", parameter.weight_zero_point, 0, 255)
        return _RECORD.pack(
            parameter.point,
            parameter.column,
            parameter.shift,
            parameter.weight_zero_point,
            parameter.tile,
            parameter.bias,
            parameter.mult,
            parameter.offset,
        )

    def start_job(self, job: Job) -> None:
        """Queue a job.

        Raises
        ------
        ValueError
            If anything is out of range.
        QueueFullError
            If no job can be queued now.
        """
        _check("layer", job.layer, 0, self.n_layers - 1)
        _check("positions", job.positions, 1, self.psum_depth)
        _check("tile_offset", job.tile_offset, 0, self.n_tiles - 1)
        if self._read(Register.JOB_QUEUE) & _QUEUE_FULL:
            raise QueueFullError("JOB_QUEUE: is full")
        self._write(Register.JOB_LAYER, job.layer)
        self._write(Register.JOB_POSITIONS, job.positions)
        self._write(Register.JOB_TILE_OFFSET, job.tile_offset)
        self._write(Register.JOB_START, int(job.last))

    @property
    def job_cycles(self) -> int:
        """Clock cycles of the last job that ended."""
        return self._read(Register.JOB_CYCLES)

    def wait_inference(self, *, max_polls: int = 1_000_000) -> None:
        """Wait for the end of an inference: its last result has been taken.

        Earlier ends are forgotten by :meth:`acknowledge`, errors by :meth:`clear_errors`.

        Raises
        ------
        AcceleratorError
            If an error bit is set, or after ``max_polls`` looks.
        """
        for _ in range(max_polls):
            if self._read(Register.INTERRUPT_PENDING) & Interrupts.INFERENCE_DONE:
                self._write(Register.INTERRUPT_PENDING, Interrupts.INFERENCE_DONE)
                return
            if errors := self.errors:
                raise AcceleratorError(f"STATUS: {errors!r}")
        raise AcceleratorError(f"no inference ended within {max_polls} polls")

    def request_point(self, point: int) -> None:
        """Ask for an operating point; it becomes active between inferences.

        Raises
        ------
        ValueError
            If there is no such point.
        """
        _check("point", point, 0, self.n_points - 1)
        self._write(Register.POINT_REQUEST, point)

    def wait_point(self, point: int, *, max_polls: int = 1_000_000) -> None:
        """Wait until an operating point is active.

        Raises
        ------
        AcceleratorError
            After ``max_polls`` looks.
        """
        for _ in range(max_polls):
            if self.points.active == point:
                return
        raise AcceleratorError(f"operating point {point} not active within {max_polls} polls")

    @property
    def points(self) -> Points:
        """The operating points."""
        active, pending, result, _ = self._read(Register.POINT_STATUS).to_bytes(4, "little")
        return Points(active, pending, result)

    @property
    def errors(self) -> Errors:
        """The error bits of STATUS."""
        return Errors(self._read(Register.STATUS) & _all(Errors))

    def clear_errors(self, errors: int | None = None) -> None:
        """Clear error bits; None: all."""
        chosen = _all(Errors) if errors is None else errors & _all(Errors)
        self._write(Register.ERROR_CLEAR, chosen)
        self._write(Register.INTERRUPT_PENDING, Interrupts.ERROR)

    def begin_recovery(self) -> None:
        """Drop the running inference and everything that waits.

        From now on the accelerator takes and drops all beats, so transfers into it end by
        themselves. Stop the one out of it, then call :meth:`end_recovery`. Layer table,
        parameters and operating point are kept.
        """
        self._write_control(set_bits=_SOFT_RESET)

    def end_recovery(self) -> None:
        """Take up work again, without error bits and pending events."""
        self._write_control(clear_bits=_SOFT_RESET)
        self.clear_errors()
        self.acknowledge()

    def _write_control(self, *, set_bits: int = 0, clear_bits: int = 0) -> None:
        control = self._read(Register.CONTROL)
        self._write(Register.CONTROL, control & ~clear_bits | set_bits)

    def enable_interrupts(self, interrupts: int) -> None:
        """Choose which events raise the interrupt.

        Raises
        ------
        ValueError
            If there are bits of no event.
        """
        _check("interrupts", interrupts, 0, _all(Interrupts))
        self._write(Register.INTERRUPT_ENABLE, interrupts)

    def acknowledge(self) -> Interrupts:
        """Return the events that are pending, enabled or not, and forget them."""
        pending = self._read(Register.INTERRUPT_PENDING)
        self._write(Register.INTERRUPT_PENDING, pending)
        return Interrupts(pending)

    def start_counters(self) -> None:
        """Set the counters to 0 and let them count."""
        self._write_control(set_bits=_COUNTING | _CLEAR_COUNTERS)

    def stop_counters(self) -> Counters:
        """Stop the counters and return them."""
        self._write_control(clear_bits=_COUNTING)
        return Counters(
            self._read_counter(Register.CYCLES_LO),
            self._read_counter(Register.STALL_ACTIVATIONS_LO),
            self._read_counter(Register.STALL_WEIGHTS_LO),
            self._read_counter(Register.STALL_RESULTS_LO),
        )

    def _read_counter(self, register: Register) -> int:
        low = self._read(register)
        return self._bus.read32(register + 4) << 32 | low

    def self_test(self, *, max_polls: int = 1000) -> None:
        """Test what can be tested without streams.

        Registers, every operating point, interrupts, job queue and counters. For an accelerator
        that is idle and does not take its operating point from the pins. Registers are left as
        they were, except that pending events, error bits and counters are cleared.

        Raises
        ------
        AcceleratorError
            If anything is not as it must be.
        """
        self._expect(Register.STATUS, _BUSY, 0)
        self.clear_errors()
        self._test_storage()
        self._test_points(max_polls)
        self._test_soft_reset()
        self.start_counters()
        if (counters := self.stop_counters()).cycles:
            raise AcceleratorError(f"counters: cycles must be 0, not {counters.cycles}")

    def test_refusals(self) -> None:
        """Test that wrong accesses are refused: only where such an access raises ``OSError``.

        Raises
        ------
        AcceleratorError
            If anything is not as it must be.
        """
        for register, value in ((Register.ID, 0), (Register.POINT_REQUEST, self.n_points)):
            try:
                self._write(register, value)
            except OSError:
                continue
            raise AcceleratorError(f"{register.name}: must refuse {value}")
        self._expect(Register.STATUS, _all(Errors), Errors.WRONG_POINT)
        self.clear_errors(Errors.WRONG_POINT)
        self._expect(Register.STATUS, _all(Errors), 0)

    def _test_storage(self) -> None:
        before = self._read(Register.POINT_HOLD)
        for pattern in _STORAGE_PATTERNS:
            self._write(Register.POINT_HOLD, pattern)
            self._expect(Register.POINT_HOLD, 0xFFFFFFFF, pattern)
        self._write(Register.POINT_HOLD, before)

    def _test_points(self, max_polls: int) -> None:
        before, switches = self.points.active, self._read(Register.SWITCHES)
        for step in range(1, self.n_points + 1):
            point = (before + step) % self.n_points
            self.acknowledge()
            self.request_point(point)
            self.wait_point(point, max_polls=max_polls)
            switched = Interrupts.POINT_SWITCHED if self.n_points > 1 else 0
            self._expect(Register.INTERRUPT_PENDING, Interrupts.POINT_SWITCHED, switched)
        made = self.n_points if self.n_points > 1 else 0
        self._expect(Register.SWITCHES, 0xFFFFFFFF, (switches + made) & 0xFFFFFFFF)

    def _test_soft_reset(self) -> None:
        self.begin_recovery()
        self._expect(Register.CONTROL, _SOFT_RESET, _SOFT_RESET)
        self._expect(Register.JOB_QUEUE, _QUEUE_FULL, _QUEUE_FULL)
        self.end_recovery()
        self._expect(Register.JOB_QUEUE, _QUEUE_FULL, 0)
        self._expect(Register.STATUS, _FAULTED, 0)
        self._expect(Register.INTERRUPT_PENDING, _all(Interrupts), 0)

    def _expect(self, register: Register, mask: int, expected: int) -> None:
        if (found := self._read(register) & mask) != expected:
            name = register.name
            raise AcceleratorError(f"{name} & {mask:#x}: must be {expected:#x}, not {found:#x}")


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{name}: must be {lowest}..{highest}, not {value}")


def _all(flags: type[IntFlag]) -> int:
    return sum(flags)
