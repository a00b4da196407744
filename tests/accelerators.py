# amaranth: UnusedElaboratable=no
"""The accelerator in Amaranth's simulator: a stand-in for the array, and a bench for it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from unittest.mock import patch

import numpy as np
import qosnets_hw.accelerator
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.sim import Simulator
from qosnets.lut import ActivationPort
from qosnets_hw.accelerator import Accelerator, build_accelerator
from qosnets_hw.bank import BankMember, MultiplierBank, OperandGate
from qosnets_hw.config import ArrayConfig
from qosnets_hw.defaults import Isolation
from qosnets_hw.layouts import job_layout, layer_layout
from qosnets_hw.modules import build_modules
from qosnets_hw.operating_point import OperatingPointRegister
from qosnets_hw.registers.parameters import RegisterParameters
from qosnets_hw.registers.register_map import read_register_map

OPS_SHA256 = "0123456789abcdef" * 4
SLVERR = 2


def small_config(**changes) -> ArrayConfig:
    plain = {
        "rows": 3,
        "cols": 2,
        "n_multipliers": 2,
        "max_product": 65_025,
        "k_max": 20,
        "psum_depth": 16,
        "n_tiles": 9,
        "assignments": ((0, 1), (1, 0), (1, 1)),
    }
    return ArrayConfig(**plain | changes)


def address_map(config: ArrayConfig, isolation: Isolation = Isolation.BOTH):
    return RegisterParameters(config=config, isolation=isolation, ops_sha256=OPS_SHA256).compile()


class ArrayStub(wiring.Component):
    """Has the ports and the rules of the array, and results that are easy to predict.

    A job takes one beat of weights and as many beats of activations as it has positions; column c
    of a result is the weight of that column plus the first activation plus the layer's lower clamp.
    """

    def __init__(self, config: ArrayConfig, array: wiring.Component):
        self._config = config
        super().__init__(array.signature)
        layout = data.ArrayLayout(layer_layout(config), config.n_layers)
        self.table = Signal(layout)

    def elaborate(self, platform):
        m, config = Module(), self._config
        m.submodules.point = point = OperatingPointRegister(config=config)
        job = Signal(job_layout(config))
        running, has_weights, in_inference = Signal(), Signal(), Signal()
        left, cycles = Signal(32), Signal(32)
        entry = self.table[self.jobs.payload.layer]
        takes_jobs = Signal()
        offered = self.jobs.payload
        legal = (offered.positions > 0) & (offered.layer < config.n_layers) & (entry.k_tiles > 0)
        beats = self.activations
        result = self.results
        m.d.comb += [
            point.request.eq(self.point_request),
            point.write.eq(self.point_write),
            point.boundary.eq(~in_inference),
            self.point_active.eq(point.active),
            self.point_pending.eq(point.pending),
            self.point_refused.eq(point.refused),
            self.point_switched.eq(point.committing),
            self.layer_writes.ready.eq(1),
            self.parameter_writes.ready.eq(~running),
            self.busy.eq(in_inference),
            takes_jobs.eq(~running & ~point.committing & ~self.soft_reset & ~self.faulted),
            self.jobs.ready.eq(takes_jobs),
            self.job_refused.eq(self.jobs.valid & takes_jobs & ~legal),
        ]
        drained = self.soft_reset | self.faulted
        takes_beat = running & has_weights & (left > 0) & ~result.valid
        m.d.comb += self.weights.ready.eq((running & ~has_weights) | drained)
        m.d.comb += beats.ready.eq(takes_beat | drained)
        with m.If(self.layer_writes.valid):
            m.d.sync += self.table[self.layer_writes.payload.layer].eq(
                self.layer_writes.payload.entry
            )
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(self.jobs.valid & takes_jobs & legal):
            m.d.sync += [running.eq(1), in_inference.eq(1), has_weights.eq(0), job.eq(offered)]
            m.d.sync += [left.eq(offered.positions), cycles.eq(1)]
        weights = Signal.like(self.weights.payload.codes)
        with m.If(self.weights.valid & running & ~has_weights & ~drained):
            m.d.sync += [has_weights.eq(1), weights.eq(self.weights.payload.codes)]
        clamp = self.table[job.layer].clamp_low
        with m.If(beats.valid & takes_beat & ~drained):
            m.d.comb += self.stream_short.eq(beats.payload.last & (left > 1))
            m.d.comb += self.stream_long.eq(~beats.payload.last & (left == 1))
            with m.If(self.stream_short | self.stream_long):
                m.d.sync += self.faulted.eq(1)
            with m.Else():
                m.d.sync += [left.eq(left - 1), result.valid.eq(1)]
                m.d.sync += [
                    result.payload.last.eq(left == 1),
                    result.payload.point.eq(point.active),
                ]
                for col in range(config.cols):
                    total = weights[col] + beats.payload.codes[0] + clamp
                    m.d.sync += result.payload.out[col].eq(total)
        with m.If(result.valid & result.ready):
            m.d.sync += result.valid.eq(0)
            with m.If(result.payload.last):
                m.d.sync += [running.eq(0), self.job_cycles.eq(cycles)]
                with m.If(job.last):
                    m.d.comb += self.inference_done.eq(1)
                    m.d.sync += in_inference.eq(0)
        with m.If(self.soft_reset):
            m.d.sync += [running.eq(0), in_inference.eq(0), self.faulted.eq(0), result.valid.eq(0)]
        return m


def build(config: ArrayConfig, isolation: Isolation = Isolation.BOTH):
    """Return accelerator and stand-in; the blocks are parts of it in place of instances."""
    members = [BankMember(f"m{code}", ActivationPort.A) for code in range(config.n_multipliers)]
    gate = OperandGate()
    bank = MultiplierBank(members=members, gate=gate, isolation=isolation)
    array = build_modules(config, [gate, bank])[-1]
    stub = ArrayStub(config, array)
    register_map = read_register_map(address_map(config, isolation))
    return build_accelerator(config, stub, register_map)[-1], stub


class BusError(OSError):
    """An access was answered with SLVERR."""


@dataclass
class Stream:
    """Beats to be sent into a stream, or those that came out of one."""

    prefix: str
    rate: float = 1.0
    """Share of cycles in which valid, or ready, may be given."""
    beats: deque = field(default_factory=deque)
    waiting: bool = False
    """A beat is offered and has not been taken."""


class Bench:
    """Drives an accelerator; the simulation goes on while registers are accessed.

    ``read32`` and ``write32`` serve drivers, from outside of the simulator's own coroutines.
    """

    def __init__(self, dut: Accelerator):
        self.dut, self.cycle = dut, 0
        self.sources = {
            name: Stream(f"s_axis_{name}") for name in ("weights", "activations", "parameters")
        }
        self.results = Stream("m_axis_results")
        self.watchers: list[Callable] = []
        """Called with the context before each rising edge."""
        self._access, self._answer = None, None
        # Blocks as parts of the design in place of instances of their Verilog.
        with patch.object(qosnets_hw.accelerator, "Block", lambda component: component):
            self._simulator = Simulator(dut)
        self._simulator.add_testbench(self._run)
        self.restart()

    def restart(self) -> None:
        """Reset the accelerator and forget everything that was under way."""
        self.random = np.random.default_rng(0)
        self.pins, self.watchers = 0, []
        for stream in (*self.sources.values(), self.results):
            stream.rate, stream.waiting = 1.0, False
            stream.beats.clear()
        self.reset = 1
        self.wait(2)
        self.reset = 0
        self.wait(1)

    def wait(self, cycles: int) -> None:
        """Let clock cycles pass."""
        end = self.cycle + cycles
        while self.cycle < end:
            self._simulator.advance()

    def wait_until(self, condition: Callable[[], bool], limit: int = 2000) -> None:
        end = self.cycle + limit
        while not condition():
            assert self.cycle < end, "hangs"
            self._simulator.advance()

    def read32(self, offset: int) -> int:
        return self._transfer(("ar", "r"), {"araddr": offset})

    def write32(self, offset: int, value: int) -> None:
        self._transfer(("aw", "b"), {"awaddr": offset, "wdata": value, "wstrb": 0b1111})

    def _transfer(self, channels, values):
        self._access, self._answer = (channels, values), None
        self.wait_until(lambda: self._answer is not None)
        data_, response = self._answer
        if response == SLVERR:
            raise BusError(5, "SLVERR")
        return data_

    async def _run(self, ctx):
        dut = self.dut
        while True:
            ctx.set(dut.aresetn, not self.reset)
            ctx.set(dut.point_pins, self.pins)
            taken = [self._offer(ctx, stream) for stream in self.sources.values()]
            ready = bool(self.random.random() < self.results.rate)
            ctx.set(dut.m_axis_results_tready, ready)
            self._step_access(ctx)
            for watch in self.watchers:
                watch(ctx)
            if ready and ctx.get(dut.m_axis_results_tvalid):
                names = ("tdata", "tlast", "tuser")
                beat = tuple(ctx.get(getattr(dut, f"m_axis_results_{name}")) for name in names)
                self.results.beats.append(beat)
            for stream, was_taken in zip(self.sources.values(), taken, strict=True):
                if was_taken:
                    stream.beats.popleft()
            ctx.set(dut.aclk, 1)
            await ctx.delay(5e-7)
            ctx.set(dut.aclk, 0)
            await ctx.delay(5e-7)
            self.cycle += 1

    def _offer(self, ctx, stream: Stream) -> bool:
        """Offer the next beat; return whether it is being taken."""
        offered = bool(stream.beats) and (stream.waiting or self.random.random() < stream.rate)
        ctx.set(getattr(self.dut, f"{stream.prefix}_tvalid"), offered)
        if offered:
            word, last = stream.beats[0]
            ctx.set(getattr(self.dut, f"{stream.prefix}_tdata"), word)
            if hasattr(self.dut, f"{stream.prefix}_tlast"):
                ctx.set(getattr(self.dut, f"{stream.prefix}_tlast"), last)
        taken = offered and bool(ctx.get(getattr(self.dut, f"{stream.prefix}_tready")))
        stream.waiting = offered and not taken
        return taken

    def _step_access(self, ctx) -> None:
        """Hand over address and data in one cycle, take the answer in a later one."""
        dut = self.dut
        for channel in ("aw", "w", "ar"):
            ctx.set(getattr(dut, f"s_axi_{channel}valid"), 0)
        ctx.set(dut.s_axi_bready, 1)
        ctx.set(dut.s_axi_rready, 1)
        if self._access is not None:
            (request, _), values = self._access
            for name, value in values.items():
                ctx.set(getattr(dut, f"s_axi_{name}"), value)
            for channel in {"ar": ["ar"], "aw": ["aw", "w"]}[request]:
                assert ctx.get(getattr(dut, f"s_axi_{channel}ready"))
                ctx.set(getattr(dut, f"s_axi_{channel}valid"), 1)
            self._access = None
        if ctx.get(dut.s_axi_rvalid):
            self._answer = (ctx.get(dut.s_axi_rdata), ctx.get(dut.s_axi_rresp))
        if ctx.get(dut.s_axi_bvalid):
            self._answer = (0, ctx.get(dut.s_axi_bresp))
