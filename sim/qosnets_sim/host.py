"""The host of an array: drives its ports cycle by cycle from the bench."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from .design import Design, pack, unpack

__all__ = ["Host", "JobResult"]

TIMEOUT_CYCLES = 4096
"""Cycles without any transfer after which the array counts as hung."""


@dataclass(frozen=True)
class JobResult:
    """The results of a job."""

    acc: npt.NDArray[np.int64]
    """[positions, n_tiles·cols]."""
    out: npt.NDArray[np.int64]
    point: int
    """Tag of the results."""
    cycles: int


class Host:
    """Drives one array.

    Handshakes of the array depend on its registers only. So what is read at a falling edge holds
    at the next rising edge, and one wake-up a cycle suffices.
    """

    def __init__(self, dut: Any, design: Design, random: np.random.Generator):
        self.dut = dut
        self.design = design
        self.random = random
        self.cycles = 0
        self._edge = FallingEdge(dut.clk)

    async def start(self) -> None:
        """Start the clock and reset the array."""
        dut = self.dut
        for name, port in self.design.manifest["top"]["ports"].items():
            if port["direction"] == "input":
                getattr(dut, name).value = 0
        cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
        await self.reset()

    async def reset(self) -> None:
        """Reset the array; its tables keep their content."""
        self.dut.rst.value = 1
        for _ in range(3):
            await self._cycle()
        self.dut.rst.value = 0
        await self._cycle()

    async def idle(self) -> None:
        """Wait until no inference is running and a point asked for is active."""
        await self._cycle()
        for _ in range(TIMEOUT_CYCLES):
            await self._cycle()
            dut = self.dut
            if not int(dut.busy.value) and int(dut.point_active.value) == int(
                dut.point_pending.value
            ):
                return
        raise TimeoutError(f"array busy for {TIMEOUT_CYCLES} cycles")

    async def _cycle(self) -> None:
        await self._edge
        self.cycles += 1

    async def write_layer(self, layer: int, entry: Mapping[str, int]) -> None:
        """Write an entry of the layer table."""
        await self._send("layer_writes", {"layer": layer, "entry": entry})

    async def write_parameters(
        self, point: int, tile: int, column: int, word: Mapping[str, int]
    ) -> None:
        """Write a word of the parameter bank."""
        request = {"point": point, "tile": tile, "column": column, "word": word}
        await self._send("parameter_writes", request)

    async def send_job(self, job: Mapping[str, int]) -> None:
        """Hand over a job without feeding it."""
        await self._send("jobs", job)

    async def _send(self, stream: str, value: Mapping[str, Any]) -> None:
        valid, ready = getattr(self.dut, f"{stream}__valid"), getattr(self.dut, f"{stream}__ready")
        payload = getattr(self.dut, f"{stream}__payload")
        payload.value = pack(self.design.port(f"{stream}__payload"), value)
        valid.value = 1
        for _ in range(TIMEOUT_CYCLES):
            accepted = int(ready.value)
            await self._cycle()
            if accepted:
                valid.value = 0
                return
        raise TimeoutError(f"{stream}: not ready for {TIMEOUT_CYCLES} cycles")

    async def request_point(self, point: int) -> None:
        """Ask for an operating point."""
        self.dut.point_request.value = point
        self.dut.point_write.value = 1
        await self._cycle()
        self.dut.point_write.value = 0
        await self._cycle()

    async def run_job(
        self,
        job: Mapping[str, int],
        weights: Sequence[int],
        activations: Sequence[int],
        n_results: int,
        stalls: float,
    ) -> JobResult:
        """Run a job: feed its beats, collect its results.

        Each stream stalls on its own, in a share ``stalls`` of the cycles, 0..1.

        Raises
        ------
        TimeoutError
            If nothing moves for :data:`TIMEOUT_CYCLES` cycles.
        """
        dut, start = self.dut, self.cycles
        await self.send_job(job)
        weight_source = _Source(dut, "weights", weights, self._stall(stalls))
        activation_source = _Source(dut, "activations", activations, self._stall(stalls))
        results = _Sink(dut, "results", self._stall(stalls))
        quiet = 0
        while len(results.values) < n_results:
            # Every source and the sink act in each cycle, hence no short cut.
            moved = [port.step() for port in (weight_source, activation_source, results)]
            quiet = 0 if any(moved) else quiet + 1
            if quiet > TIMEOUT_CYCLES:
                raise TimeoutError(
                    f"array hangs: {len(results.values)} of {n_results} results,"
                    f" {weight_source.left} weight and {activation_source.left} activation"
                    " beats left"
                )
            await self._cycle()
        for port in (weight_source, activation_source, results):
            port.stop()
        return self._collect(results.values, job, self.cycles - start)

    def _stall(self, share: float) -> Callable[[], bool]:
        if not share:
            return lambda: False
        return lambda: bool(self.random.random() < share)

    def _collect(self, values: Sequence[int], job: Mapping[str, int], cycles: int) -> JobResult:
        layout = self.design.port("results__payload")
        records = [unpack(layout, value) for value in values]
        lasts = [index for index, record in enumerate(records) if record["last"]]
        if lasts != [len(records) - 1]:
            raise AssertionError(f"'last' must mark the last of {len(records)} results: {lasts}")
        points = {record["point"] for record in records}
        if len(points) != 1:
            raise AssertionError(f"results of one job carry operating points {sorted(points)}")

        def positions_first(field: str) -> npt.NDArray[np.int64]:
            lanes = np.stack([record[field] for record in records])
            tiles = lanes.reshape(-1, job["positions"], self.design.cols)
            return tiles.transpose(1, 0, 2).reshape(job["positions"], -1)

        return JobResult(positions_first("acc"), positions_first("out"), points.pop(), cycles)


class _Source:
    """Feeds a list of payloads into a stream."""

    def __init__(self, dut: Any, stream: str, values: Sequence[int], stall: Callable[[], bool]):
        self._valid = getattr(dut, f"{stream}__valid")
        self._ready = getattr(dut, f"{stream}__ready")
        self._payload = getattr(dut, f"{stream}__payload")
        self._values, self._stall = values, stall
        self._next, self._valid_now, self._waiting = 0, False, False

    @property
    def left(self) -> int:
        """Payloads not yet taken."""
        return len(self._values) - self._next

    def step(self) -> bool:
        """Choose what to offer at the next rising edge; return whether it will be taken."""
        # A payload once offered stays until it is taken.
        offer = self.left > 0 and (self._waiting or not self._stall())
        if offer != self._valid_now:
            self._valid.value = self._valid_now = offer
        if not offer:
            return False
        self._payload.value = self._values[self._next]
        taken = int(self._ready.value) == 1
        self._waiting = not taken
        self._next += taken
        return taken

    def stop(self) -> None:
        """Withdraw."""
        self._valid.value = 0


class _Sink:
    """Collects the payloads of a stream."""

    def __init__(self, dut: Any, stream: str, stall: Callable[[], bool]):
        self._valid = getattr(dut, f"{stream}__valid")
        self._ready = getattr(dut, f"{stream}__ready")
        self._payload = getattr(dut, f"{stream}__payload")
        self._stall = stall
        self.values: list[int] = []

    def step(self) -> bool:
        """Choose ready for the next rising edge; return whether a payload will be taken."""
        stalled = self._stall()
        self._ready.value = not stalled
        taken = not stalled and int(self._valid.value) == 1
        if taken:
            self.values.append(int(self._payload.value))
        return taken

    def stop(self) -> None:
        """Withdraw."""
        self._ready.value = 0
