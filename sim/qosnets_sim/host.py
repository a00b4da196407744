"""The host of an accelerator: drives it through its AXI interfaces."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock

from .design import Design
from .harness import CORE_RESULTS, Harness
from .records import Records, unpack_field, with_last
from .registers import Registers
from .streams import HangError, StreamPlayer
from .words import SOFT_RESET, Points, Status, Write, job_writes, layer_writes, parameter_records

__all__ = ["Feed", "Host", "JobResult"]

CLOCK_NS = 10
RESET_CYCLES = 3
JOB_END_CYCLES = 8
"""In so many cycles after its last result was taken a job has ended."""
TIMEOUT_READS = 1000


@dataclass(frozen=True)
class Feed:
    """A job with its streams."""

    request: Mapping[str, int]
    weights: Records
    """uint8 ``[n, cols]``."""
    activations: Records
    """uint8 ``[n, rows]``."""
    n_results: int


@dataclass(frozen=True)
class JobResult:
    """The results of a job."""

    acc: npt.NDArray[np.int64]
    """[beat, cols]."""
    out: Records
    """[beat, cols]."""
    points: frozenset[int]
    """Tags of the results."""
    lasts: tuple[int, ...]
    """Beats that are marked as the last one."""
    cycles: int | None
    """As the accelerator counted them; None if another job followed at once."""


class Host:
    """Drives one accelerator.

    Parameters
    ----------
    dut
        Harness of ``design``.
    design
    random
        Source of the stalls.
    """

    def __init__(self, dut: Any, design: Design, random: np.random.Generator):
        self.dut = dut
        self.design = design
        self.player = StreamPlayer(dut, Harness.of(design.manifest).streams, random)
        self.registers = Registers(self.player, design.manifest["registers"])

    async def start(self, stalls: float) -> None:
        """Start the clock and reset; every stream stalls in a share ``stalls`` of the cycles."""
        self.dut.point_pins.value = 0
        self.dut.record_activity.value = 0
        self.stall(stalls)
        Clock(self.dut.aclk, CLOCK_NS, unit="ns").start()
        await self.reset()

    def stall(self, share: float) -> None:
        """Stall every stream in a ``share`` of the cycles, 0 to below 1."""
        self.stalls = share
        for stream in self.player.streams.values():
            stream.stall(share)

    async def reset(self) -> None:
        """Reset the accelerator: the parameter bank keeps its content, the layer table is empty."""
        self.dut.aresetn.value = 0
        self.player.withdraw()
        await self.player.run(RESET_CYCLES)
        self.dut.aresetn.value = 1
        await self.player.run(1)

    async def idle(self) -> None:
        """Wait until no inference is running and a point asked for is active."""
        for _ in range(TIMEOUT_READS):
            if not await self.status() & (Status.BUSY | Status.SWITCHING):
                return
        raise TimeoutError(f"busy or switching in {TIMEOUT_READS} reads of STATUS")

    async def status(self) -> Status:
        """Return the register STATUS."""
        return Status(*await self.registers.read("STATUS"))

    async def points(self) -> Points:
        """Return the operating points in force."""
        (word,) = await self.registers.read("POINT_STATUS")
        return Points(*word.to_bytes(4, "little")[:3])

    async def recover(self) -> None:
        """Drop what is running and what is on the way, and clear all errors.

        Raises
        ------
        HangError
            If beats on the way are not drained.
        """
        await self.registers.write(("CONTROL", SOFT_RESET))
        await self.player.finish("weights", "activations", "parameters")
        for name in ("results", CORE_RESULTS):
            self.player[name].withdraw()
        await self.registers.write(("CONTROL", 0), ("ERROR_CLEAR", 0xFFFFFFFF))

    async def write_layer(self, layer: int, entry: Mapping[str, int]) -> None:
        """Write an entry of the layer table."""
        await self.registers.write(*layer_writes(layer, entry))

    async def write_parameters(
        self, point: int, words: Iterable[tuple[int, int, Mapping[str, int]]]
    ) -> None:
        """Write words (tile, column, word) of the parameter bank of an operating point."""
        await self.send_parameters(parameter_records(point, words))

    async def send_parameters(self, records: npt.NDArray[np.void]) -> None:
        """Send records of the type :data:`PARAMETER_RECORD`."""
        self.player["parameters"].send(records.view(np.uint8).reshape(len(records), -1))
        await self.player.finish("parameters")

    async def request_point(self, point: int) -> bool:
        """Ask for an operating point; returns whether it was accepted."""
        return await self.registers.try_write(("POINT_REQUEST", point))

    def start_jobs(self, feeds: Sequence[Feed], writes: Sequence[Write] | None = None) -> None:
        """Begin to feed jobs and to take their results.

        Parameters
        ----------
        feeds
            The jobs, one after the other.
        writes
            Registers to write; by default those that queue the jobs.
        """
        player = self.player
        self._n_results = [feed.n_results for feed in feeds]
        player["weights"].send(np.concatenate([with_last(feed.weights) for feed in feeds]))
        player["activations"].send(np.concatenate([with_last(feed.activations) for feed in feeds]))
        for name in ("results", CORE_RESULTS):
            player[name].receive(sum(self._n_results))
        queued = [write for feed in feeds for write in job_writes(feed.request)]
        self.registers.start_writing(queued if writes is None else writes)

    async def jobs_accepted(self) -> None:
        """Wait until the jobs that were started are queued.

        Raises
        ------
        RefusedError
            If one is refused at once.
        """
        await self.player.finish(self.registers.responses)
        self.registers.check()

    async def finish_jobs(self) -> list[JobResult]:
        """Return the results of the jobs that were started and accepted.

        Raises
        ------
        HangError
            If nothing moves any more.
        """
        try:
            await self.player.finish("weights", "activations", "results", CORE_RESULTS)
        except HangError as error:
            raise HangError(f"{error}; STATUS {await self.status()!r}") from None
        await self.player.run(JOB_END_CYCLES)
        (cycles,) = await self.registers.read("JOB_CYCLES")
        return self._collect(cycles)

    def _collect(self, cycles: int) -> list[JobResult]:
        stream, core = self.player["results"], self.player[CORE_RESULTS]
        last, point = (stream.field(f"m_axis_results_{name}") for name in ("tlast", "tuser"))
        fields = self.design.manifest["array"]["ports"]["results__payload"]["fields"]
        acc = unpack_field(core.received, fields["acc"])
        out = stream.received[:, : self.design.cols]
        ends = np.cumsum(self._n_results).tolist()
        return [
            JobResult(
                acc=acc[end - n : end],
                out=out[end - n : end],
                points=frozenset(point[end - n : end].tolist()),
                lasts=tuple(np.flatnonzero(last[end - n : end]).tolist()),
                cycles=cycles if end == ends[-1] else None,
            )
            for end, n in zip(ends, self._n_results, strict=True)
        ]
