"""A bench that shares no protocol code with ours: the AXI models of cocotbext-axi, with pauses."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)
from qosnets_sim.job import BenchJob
from qosnets_sim.network import Job, Network
from qosnets_sim.results import Comparison, SimulationResult
from qosnets_sim.words import Write, job_writes, layer_writes, parameter_records

DRIVEN = (
    (
        "m_axis_results_tvalid",
        "m_axis_results_tready",
        "m_axis_results_t",
        ("data", "last", "user"),
    ),
    ("s_axi_bvalid", "s_axi_bready", "s_axi_b", ("resp",)),
    ("s_axi_rvalid", "s_axi_rready", "s_axi_r", ("data", "resp")),
)
"""Channels that the accelerator drives: valid, ready, prefix and names of the payload."""
N_INFERENCES = 2


class ProtocolBench:
    def __init__(self, dut: Any, job: BenchJob):
        self.dut, self.stalls = dut, job.stalls
        self.network = Network(job)
        self.comparison = Comparison()
        clock = {"clock": dut.aclk, "reset": dut.aresetn, "reset_active_level": False}
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), **clock)
        rows, cols = self.network.design.rows, self.network.design.cols

        def bus(prefix: str) -> AxiStreamBus:
            return AxiStreamBus.from_prefix(dut, prefix)

        self.weights = AxiStreamSource(bus("s_axis_weights"), **clock, byte_lanes=cols)
        self.activations = AxiStreamSource(bus("s_axis_activations"), **clock, byte_lanes=rows)
        self.parameters = AxiStreamSource(bus("s_axis_parameters"), **clock, byte_lanes=16)
        self.results = AxiStreamSink(bus("m_axis_results"), **clock, byte_lanes=cols)
        lite = self.registers
        for channel in (
            *(lite.write_if.aw_channel, lite.write_if.w_channel, lite.write_if.b_channel),
            *(lite.read_if.ar_channel, lite.read_if.r_channel),
            *(self.weights, self.activations, self.parameters, self.results),
        ):
            channel.set_pause_generator(self.pauses())

    def pauses(self) -> Iterator[bool]:
        random = np.random.default_rng(int(self.network.random.integers(1 << 32)))
        while True:
            yield bool(random.random() < self.stalls)

    def check(self, what: str, expected: Any, found: Any) -> None:
        self.comparison.check(what, np.asarray(expected), np.asarray(found))

    async def start(self) -> None:
        self.dut.point_pins.value = 0
        self.dut.aresetn.value = 0
        Clock(self.dut.aclk, 10, unit="ns").start()
        await ClockCycles(self.dut.aclk, 3)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)
        for channel in DRIVEN:
            cocotb.start_soon(self.watch(*channel))

    async def watch(self, valid: str, ready: str, prefix: str, names: Sequence[str]) -> None:
        """Check that what is offered stays until it is taken."""
        signals = [getattr(self.dut, f"{prefix}{name}") for name in names]
        valid_signal, ready_signal = getattr(self.dut, valid), getattr(self.dut, ready)
        waiting: list[int] | None = None
        while True:
            await RisingEdge(self.dut.aclk)
            offered = [int(s.value) for s in signals] if int(valid_signal.value) else None
            if waiting is not None:
                self.check(f"{valid} stays until {ready}", waiting, offered or [])
            waiting = None if int(ready_signal.value) else offered

    async def write(self, writes: Sequence[Write]) -> list[AxiResp]:
        """Write registers without waiting for the responses in between."""
        offsets = self.network.design.manifest["registers"]
        operations = [
            self.registers.init_write(offsets[name], word.to_bytes(4, "little"))
            for name, word in writes
        ]
        for operation in operations:
            await operation.wait()
        return [operation.data.resp for operation in operations]

    async def load(self) -> None:
        for layer, entry in enumerate(self.network.table_entries()):
            responses = await self.write(layer_writes(layer, entry))
            self.check("layer table", [AxiResp.OKAY] * len(responses), responses)
        for point in range(self.network.n_points):
            records = parameter_records(point, self.network.parameter_words(point))
            await self.parameters.send(AxiStreamFrame(records.tobytes()))
        await self.parameters.wait()

    async def run(self, point: int, job: Job) -> None:
        beats, cols = self.network.beats(job), self.network.design.cols
        for name in ("weights", "activations"):
            await getattr(self, name).send(AxiStreamFrame(beats[name].tobytes()))
        responses = await self.write(job_writes(self.network.request(job)))
        self.check("job", [AxiResp.OKAY] * len(responses), responses)
        frame = await self.results.recv()
        tiling = self.network.tilings[job.layer]
        found = np.frombuffer(bytes(frame.tdata), np.uint8).reshape(-1, cols)
        self.check("results", [self.network.n_results(job)], [len(found)])
        _, expected = self.network.expected(point, job)
        self.check(f"point {point}, layer {job.layer}: out", expected, tiling.results(found))
        users = frame.tuser if isinstance(frame.tuser, list) else [frame.tuser]
        self.check("point", [point] * len(users), users)

    async def check_registers(self) -> None:
        """Accesses that must be answered with an error."""
        end = max(self.network.design.manifest["registers"].values()) + 4
        control = self.network.design.manifest["registers"]["CONTROL"]
        for what, address, data in (
            ("no register there", end, bytes(4)),
            ("read only", 0, bytes(4)),
            ("part of a word", control, bytes(1)),
        ):
            response = await self.registers.write(address, data)
            self.check(what, [AxiResp.SLVERR], [response.resp])
        response = await self.registers.read(end, 4)
        self.check("no register there", [AxiResp.SLVERR], [response.resp])
        response = await self.registers.read(0, 4)
        self.check("ID", list(b"NSOQ"), list(response.data))


@cocotb.test()
async def protocol(dut: Any) -> None:
    job = BenchJob.from_environment()
    bench = ProtocolBench(dut, job)
    network = bench.network
    await bench.start()
    await bench.check_registers()
    await bench.load()
    for _ in range(N_INFERENCES):
        for point in range(network.n_points):
            bench.check("point", [AxiResp.OKAY], await bench.write([("POINT_REQUEST", point)]))
            for layer in range(network.n_layers):
                last = layer == network.n_layers - 1
                await bench.run(point, network.draw_job(layer, last=last))
    SimulationResult(job.seed, rules=bench.comparison).save(Path(job.result))
