# amaranth: UnusedElaboratable=no
"""Register block behind AXI4-Lite against a model of a few lines, the map, and its documents."""

import hashlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator
from qosnets.errors import InputError
from qosnets_hw.config import ArrayConfig
from qosnets_hw.defaults import Isolation
from qosnets_hw.registers.axi_lite import Response
from qosnets_hw.registers.counters import EventCounters
from qosnets_hw.registers.documents import register_documents
from qosnets_hw.registers.parameters import RegisterParameters
from qosnets_hw.registers.point_source import PointSource
from qosnets_hw.registers.rdl import compile_rdl
from qosnets_hw.registers.register_block import RegisterBlock
from qosnets_hw.registers.register_map import FieldKind, read_register_map

OKAY, SLVERR = Response.OKAY, Response.SLVERR
OPS_SHA256 = hashlib.sha256(b"ops.json").hexdigest()


def config(n_points: int = 3, **changes: int) -> ArrayConfig:
    plain = {
        "rows": 3,
        "cols": 64,
        "n_multipliers": 8,
        "max_product": 65_025,
        "k_max": 1 << 20,
        "psum_depth": 1 << 16,
        "n_tiles": 9,
        "assignments": ((0, 1),) * n_points,
    }
    return ArrayConfig(**plain | changes)


def parameters(*arguments, isolation=Isolation.BOTH, ops_sha256=OPS_SHA256, **changes):
    sizes = config(*arguments, **changes)
    return RegisterParameters(config=sizes, isolation=isolation, ops_sha256=ops_sha256)


def address_map(**changes):
    return parameters(**changes).compile()


MAP = read_register_map(address_map())
OFFSETS = {register.name: register.offset for register in MAP.registers}
PULSES = [
    field.path
    for field in MAP.fields
    if field.kind is FieldKind.PULSE and not field.path.startswith("ERROR_CLEAR.")
]
WRITTEN = [f"{field.path}_written" for field in MAP.fields if field.written_strobe]


class Model:
    """What software sees, one transfer after the other."""

    def __init__(self):
        self.values = {field.path: field.reset for field in MAP.fields}
        self.inputs = {field.path: 0 for field in MAP.fields if field.kind is FieldKind.STATUS}

    def event(self, path):
        self.values[path] = 1
        self._settle()

    def read(self, address):
        register = self._register(address)
        if register is None or not register.readable:
            return 0, SLVERR
        for field in MAP.fields:
            if field.captured_by and field.captured_by.partition(".")[0] == register.name:
                self.values[field.path] = self.inputs[field.path]
        return sum(self._read_field(field) << field.lsb for field in register.fields), OKAY

    def write(self, address, data, strobes):
        """Return the response and the strobes that follow, by port."""
        register = self._register(address)
        if register is None or not register.writable or strobes != 0b1111:
            return SLVERR, {}
        if register.refused_while and self.inputs[register.refused_while]:
            return SLVERR, {}
        parts = [(f, data >> f.lsb & ((1 << f.width) - 1)) for f in register.fields if f.writable]
        for field, part in parts:
            if field.highest is not None and part > field.highest:
                self.event(field.refusal_sets)
                return SLVERR, {}
        strobes = {}
        for field, part in parts:
            if field.kind is FieldKind.SETTING:
                self.values[field.path] = part
                if field.written_strobe:
                    strobes[f"{field.path}_written"] = 1
            elif field.kind is FieldKind.STICKY:
                self.values[field.path] &= ~part
            elif part:
                strobes[field.path] = part
                for other in MAP.fields:
                    if other.cleared_by == field.path:
                        self.values[other.path] = 0
        self._settle()
        return OKAY, {path: value for path, value in strobes.items() if path not in CLEARS}

    @property
    def interrupt(self):
        return int(any(self.values[f.path] & self.values[f.enabled_by] for f in ENABLED))

    def _settle(self):
        errors = [f for f in MAP.by_name["STATUS"].fields if f.kind is FieldKind.STICKY]
        if any(self.values[field.path] for field in errors):
            self.values["INTERRUPT_PENDING.error"] = 1

    def _read_field(self, field):
        if not field.readable:
            return 0
        direct = field.kind is FieldKind.STATUS and not field.captured_by
        return (self.inputs if direct else self.values)[field.path]

    @staticmethod
    def _register(address):
        return next((r for r in MAP.registers if r.offset == address), None)


CLEARS = {field.cleared_by for field in MAP.fields if field.cleared_by}
ENABLED = [field for field in MAP.fields if field.enabled_by]
EVENTS = [f.path for f in MAP.fields if f.kind is FieldKind.STICKY and not f.set_by_sticky_of]
SETTINGS = [
    field.path
    for field in MAP.fields
    if field.kind is FieldKind.SETTING and not field.path.startswith("INTERRUPT_ENABLE.")
]


def port(dut, path):
    register, _, name = path.partition(".")
    return getattr(getattr(dut, register.lower()), name)


class Manager:
    """AXI4-Lite manager that stalls at random and watches over the rules of the protocol."""

    def __init__(self, ctx, dut, rng, rate):
        self.ctx, self.dut, self.axi, self.rng, self.rate = ctx, dut, dut.axi, rng, rate
        self.strobes = []
        self.cycles = 0

    def outputs(self):
        axi = self.axi
        signals = (axi.aw.ready, axi.w.ready, axi.ar.ready, axi.b.valid, axi.r.valid)
        return [self.ctx.get(s) for s in (*signals, axi.b.resp, axi.r.data, axi.r.resp)]

    async def tick(self):
        for path in [*PULSES, *WRITTEN]:
            if value := self.ctx.get(port(self.dut, path)):
                self.strobes.append((path, value))
        await self.ctx.tick()
        self.cycles += 1

    async def run(self, writes=(), reads=()):
        """Make writes (address, data, strobes) and reads (address) at once; return the answers."""
        ctx, axi = self.ctx, self.axi
        todo = {
            "aw": [{"addr": address} for address, _, _ in writes],
            "w": [{"data": data, "strb": strobes} for _, data, strobes in writes],
            "ar": [{"addr": address} for address in reads],
        }
        taken, answers = dict.fromkeys(todo, 0), {"b": [], "r": []}
        while len(answers["b"]) < len(writes) or len(answers["r"]) < len(reads):
            for name, transfers in todo.items():
                channel, waiting = getattr(axi, name), taken[name] < len(transfers)
                if waiting and not ctx.get(channel.valid) and self.rng.random() < self.rate:
                    ctx.set(channel.valid, 1)
                    for key, value in transfers[taken[name]].items():
                        ctx.set(getattr(channel, key), value)
            for name in answers:
                ctx.set(getattr(axi, name).ready, bool(self.rng.random() < self.rate))
            fired = {
                name: ctx.get(getattr(axi, name).valid) and ctx.get(getattr(axi, name).ready)
                for name in "aw w ar b r".split()
            }
            if fired["b"]:
                answers["b"].append(ctx.get(axi.b.resp))
            if fired["r"]:
                answers["r"].append((ctx.get(axi.r.data), ctx.get(axi.r.resp)))
            before = self.outputs()
            await self.tick()
            self._check_waiting(before, self.outputs(), fired)
            for name in todo:
                if fired[name]:
                    taken[name] += 1
                    self._leave_idle(name)
            assert len(answers["b"]) + ctx.get(axi.b.valid) <= min(taken["aw"], taken["w"])
            assert len(answers["r"]) + ctx.get(axi.r.valid) <= taken["ar"]
            assert self.cycles < 100_000
        ctx.set(axi.b.ready, 0)
        ctx.set(axi.r.ready, 0)
        return answers["b"], answers["r"]

    async def write(self, register, data, strobes=0b1111):
        return (await self.run(writes=[(OFFSETS[register], data, strobes)]))[0][0]

    async def read(self, register):
        return (await self.run(reads=[OFFSETS[register]]))[1][0]

    def _check_waiting(self, before, after, fired):
        """What was offered and not taken is still offered."""
        if before[3] and not fired["b"]:
            assert (after[3], after[5]) == (1, before[5])
        if before[4] and not fired["r"]:
            assert (after[4], after[6], after[7]) == (1, before[6], before[7])

    def _leave_idle(self, name):
        channel = getattr(self.axi, name)
        self.ctx.set(channel.valid, 0)
        for key in ("addr", "data", "strb"):
            if hasattr(channel, key):
                self.ctx.set(getattr(channel, key), int(self.rng.integers(4096)))


def simulate(bench, *, rate=1.0, seed=0, dut=None, top=None):
    dut = dut or RegisterBlock(register_map=MAP)
    simulator = Simulator(top or dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, dut, Manager(ctx, dut, np.random.default_rng(seed), rate))

    simulator.add_testbench(testbench)
    simulator.run()


async def state(ctx, dut, bus):
    """Return everything that software and hardware can see."""
    readable = [register.name for register in MAP.registers if register.readable]
    words = {name: await bus.read(name) for name in readable}
    return words, {path: ctx.get(port(dut, path)) for path in SETTINGS}, ctx.get(dut.irq)


def random_transfer(rng):
    """Return an address, data and byte strobes that are often, but not always, legal."""
    mapped = int(rng.choice([register.offset for register in MAP.registers]))
    kind = rng.random()
    address = mapped if kind < 0.85 else mapped + 1 + int(rng.integers(3)) if kind < 0.9 else None
    address = int(rng.integers(4096)) if address is None else address
    data = [0, (1 << 32) - 1, int(rng.integers(6)), int(rng.integers(1 << 32))][rng.integers(4)]
    strobes = 0b1111 if rng.random() < 0.9 else int(rng.integers(15))
    return address, data, strobes


@pytest.mark.parametrize("rate", [1.0, 0.6, 0.2])
def test_random_transfers(rate):
    """Every answer, every output and every strobe, with inputs that change between transfers."""

    async def bench(ctx, dut, bus):
        rng, model, seen = np.random.default_rng(int(100 * rate)), Model(), set()
        for _ in range(250):
            for path in rng.choice(list(model.inputs), 4):
                width = MAP.by_path[path].width
                model.inputs[path] = int(rng.integers(1 << width))
                ctx.set(port(dut, path), model.inputs[path])
            if rng.random() < 0.2:
                path = str(rng.choice(EVENTS))
                ctx.set(port(dut, path), 1)
                await bus.tick()
                ctx.set(port(dut, path), 0)
                await bus.tick()
                model.event(path)
            address, data, strobes = random_transfer(rng)
            bus.strobes = []
            if rng.random() < 0.5:
                answer, expected = (await bus.run(reads=[address]))[1][0], model.read(address)
                assert answer == expected
                expected_strobes = {}
            else:
                answer = (await bus.run(writes=[(address, data, strobes)]))[0][0]
                expected, expected_strobes = model.write(address, data, strobes)
                assert answer == expected
            await bus.tick()
            await bus.tick()
            assert sorted(bus.strobes) == sorted(expected_strobes.items())
            assert {path: ctx.get(port(dut, path)) for path in SETTINGS} == {
                path: model.values[path] for path in SETTINGS
            }
            assert ctx.get(dut.irq) == model.interrupt
            seen.add((expected if isinstance(expected, Response) else expected[1], address % 4 > 0))
        assert len(seen) == 3

    simulate(bench, rate=rate)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_reads_and_writes_at_once(rate):
    """Neither direction waits for the other; answers come in order; two cycles a transfer."""
    rng = np.random.default_rng(7)
    values = [int(value) for value in rng.integers(1 << 32, size=40)]
    writes = [(OFFSETS["POINT_HOLD" if v % 3 else "ID"], v, 0b1111) for v in values]
    constants = [f"OPS_HASH_{index}" for index in range(8)] * 5

    async def bench(ctx, dut, bus):
        responses, data = await bus.run(writes, [OFFSETS[name] for name in constants])
        assert responses == [OKAY if value % 3 else SLVERR for value in values]
        assert "".join(f"{word:08x}" for word, _ in data) == OPS_SHA256 * 5
        if rate == 1.0:
            assert bus.cycles == 2 * len(writes) + 1
        last = [value for value in values if value % 3][-1]
        assert await bus.read("POINT_HOLD") == (last, OKAY)

    simulate(bench, rate=rate)


def test_no_output_depends_on_an_input_of_the_same_cycle():
    async def bench(ctx, dut, bus):
        rng, axi = np.random.default_rng(3), dut.axi
        inputs = [axi.aw.valid, axi.aw.addr, axi.w.valid, axi.w.data, axi.w.strb, axi.b.ready]
        inputs += [axi.ar.valid, axi.ar.addr, axi.r.ready]
        seen = set()
        for _ in range(200):
            outputs = bus.outputs()
            for _ in range(3):
                for signal in inputs:
                    value = rng.choice(list(OFFSETS.values())) if len(signal) == 12 else None
                    random = rng.integers(1 << len(signal)) if value is None else value
                    ctx.set(signal, int(random))
                assert bus.outputs() == outputs
            seen.add(tuple(outputs[:5]))
            await ctx.tick()
        assert len(seen) > 10

    simulate(bench)


def test_addresses_without_a_register():
    """The whole window, word by word, and bytes within words."""
    holes = sorted(set(range(0, 4096, 4)) - set(OFFSETS.values()))
    settings = ("POINT_REQUEST", "POINT_PINS", "CONTROL")
    holes += [OFFSETS[name] + byte for name in settings for byte in (1, 2, 3)]

    async def bench(ctx, dut, bus):
        before = await state(ctx, dut, bus)
        responses, data = await bus.run([(hole, ~0 & 0xFFFF_FFFF, 15) for hole in holes], holes)
        assert set(responses) == {SLVERR} and set(data) == {(0, SLVERR)}
        assert await state(ctx, dut, bus) == before and bus.strobes == []

    simulate(bench)


def test_a_wider_address_does_not_alias():
    dut = RegisterBlock(register_map=MAP, addr_width=16)

    async def bench(ctx, dut, bus):
        addresses = [OFFSETS["POINT_HOLD"] + (page << 12) for page in (0, 1, 8)]
        responses, _ = await bus.run([(a, page, 15) for page, a in enumerate(addresses)])
        assert responses == [OKAY, SLVERR, SLVERR]
        assert (await bus.run(reads=addresses))[1] == [(0, OKAY), (0, SLVERR), (0, SLVERR)]

    simulate(bench, dut=dut)
    with pytest.raises(InputError, match="addr_width: must be at least 12, not 11"):
        RegisterBlock(register_map=MAP, addr_width=11)


REFUSED = {
    "a constant": ("ID", 1, 0b1111),
    "a status": ("CYCLES_LO", 1, 0b1111),
    "error bits": ("STATUS", 0xFFFF_FFFF, 0b1111),
    "one byte": ("POINT_REQUEST", 1, 0b0001),
    "three bytes": ("POINT_HOLD", 1, 0b0111),
    "no byte": ("CONTROL", 0b110, 0b0000),
    "part of a clear": ("INTERRUPT_PENDING", 0b111, 0b0011),
    "part of an illegal value": ("POINT_REQUEST", 3, 0b1110),
}


@pytest.mark.parametrize(("register", "data", "strobes"), REFUSED.values(), ids=REFUSED)
def test_a_refused_write_changes_nothing(register, data, strobes):
    async def bench(ctx, dut, bus):
        for path in EVENTS:
            ctx.set(port(dut, path), path.startswith("INTERRUPT"))
        await bus.tick()
        for path in EVENTS:
            ctx.set(port(dut, path), 0)
        before = await state(ctx, dut, bus)
        assert await bus.write(register, data, strobes) is SLVERR
        assert await state(ctx, dut, bus) == before and bus.strobes == []

    simulate(bench)


def test_a_register_that_can_only_be_written():
    async def bench(ctx, dut, bus):
        assert await bus.read("ERROR_CLEAR") == (0, SLVERR)
        assert await bus.write("ERROR_CLEAR", 0) is OKAY

    simulate(bench)


@pytest.mark.parametrize("point", [3, 4, 255, 256, 1 << 16, 1 << 31, (1 << 32) - 1])
def test_a_wrong_point_is_refused_and_remembered(point):
    async def bench(ctx, dut, bus):
        await bus.write("POINT_REQUEST", 2)
        bus.strobes = []
        (words, settings, interrupt) = await state(ctx, dut, bus)
        assert await bus.write("POINT_REQUEST", point) is SLVERR
        words["STATUS"] = (1 << MAP.by_path["STATUS.wrong_point"].lsb, OKAY)
        words["INTERRUPT_PENDING"] = (1 << MAP.by_path["INTERRUPT_PENDING.error"].lsb, OKAY)
        assert await state(ctx, dut, bus) == (words, settings, interrupt) and bus.strobes == []
        assert words["POINT_REQUEST"] == (2, OKAY)

    simulate(bench)


LIMITED = {field.path: field for field in MAP.fields if field.highest is not None}
BELONGS_TO = {"LAYER": "wrong_table_write", "JOB": "wrong_job", "POINT": "wrong_point"}


@pytest.mark.parametrize("path", LIMITED)
def test_the_largest_legal_value_and_the_next(path):
    """The largest can be read back; one more is refused and sets the sticky bit of its kind."""
    field, register = LIMITED[path], path.partition(".")[0]
    sticky = f"STATUS.{BELONGS_TO[register.partition('_')[0]]}"

    async def bench(ctx, dut, bus):
        largest = field.highest << field.lsb
        assert await bus.write(register, largest) is OKAY
        assert await bus.read(register) == (largest, OKAY)
        assert (await bus.read("STATUS"))[0] == 0
        assert await bus.write(register, (field.highest + 1) << field.lsb) is SLVERR
        assert await bus.read(register) == (largest, OKAY)
        assert (await bus.read("STATUS"))[0] == 1 << MAP.by_path[sticky].lsb
        assert ctx.get(port(dut, path)) == field.highest

    simulate(bench)


def test_limits_are_those_of_the_design():
    limits = {path: field.highest for path, field in LIMITED.items()}
    assert limits == {
        "POINT_REQUEST.point": 2,
        "LAYER_K_TILES.k_tiles": -(-(1 << 20) // 3),
        "LAYER_N_TILES.n_tiles": 9,
        "LAYER_BASE.base": 8,
        "LAYER_SHAPE.last_rows": 3,
        "LAYER_SHAPE.depthwise": 0,
        "LAYER_WRITE.layer": 1,
        "JOB_LAYER.layer": 1,
        "JOB_POSITIONS.positions": 1 << 16,
        "JOB_TILE_OFFSET.tile_offset": 8,
    }
    depthwise = read_register_map(address_map(depthwise_k_max=9))
    assert depthwise.by_path["LAYER_SHAPE.depthwise"].highest is None  # both values are legal


@pytest.mark.parametrize("isolation", Isolation)
@pytest.mark.parametrize(("depthwise_k_max", "lanes"), [(0, 0), (9, 3)])
def test_features(isolation, depthwise_k_max, lanes):
    features = read_register_map(
        address_map(isolation=isolation, depthwise_k_max=depthwise_k_max)
    ).by_name["FEATURES"]
    values = {field.name: field.reset for field in features.fields}
    code = {"none": 0, "activation": 1, "both": 2}[isolation]
    assert values == {"depthwise_lanes": lanes, "isolation": code}


def test_a_register_is_refused_while_its_status_is_set(tmp_path):
    """Without any effect: not even an illegal value is remembered."""
    path = tmp_path / "map.rdl"
    path.write_text(
        REFUSED_WHILE
        + """
        property highest { type = longint unsigned; component = field; };
        property refusal_sets { type = ref; component = field; };
        addrmap m {
            default regwidth = 32;
            reg { field { sw = r; hw = w; } busy[0:0]; } S @ 0;
            reg { field { sw = r; hw = na; hwset; precedence = hw; } e[0:0] = 0; } E @ 4;
            reg { field { sw = rw; hw = r; swmod; highest = 5; } v[7:0] = 1; } R @ 8;
            R.v->refusal_sets = E.e;
            R->refused_while = S.busy;
        };
        """
    )
    dut = RegisterBlock(register_map=read_register_map(compile_rdl(path, {})))

    async def write(ctx, data):
        axi = dut.axi
        ctx.set(axi.aw.addr, 8)
        ctx.set(axi.w.data, data)
        ctx.set(axi.w.strb, 0b1111)
        for valid in (1, 0):
            ctx.set(axi.aw.valid, valid)
            ctx.set(axi.w.valid, valid)
            await ctx.tick()
        response = ctx.get(axi.b.resp)
        assert ctx.get(axi.b.valid)
        await ctx.tick()
        return response, ctx.get(dut.r.v)

    async def errors(ctx):
        ctx.set(dut.axi.ar.addr, 4)
        for valid in (1, 0):
            ctx.set(dut.axi.ar.valid, valid)
            await ctx.tick()
        return ctx.get(dut.axi.r.data)

    async def bench(ctx):
        ctx.set(dut.axi.b.ready, 1)
        ctx.set(dut.axi.r.ready, 1)
        ctx.set(dut.s.busy, 1)
        assert [await write(ctx, value) for value in (3, 7)] == [(SLVERR, 1)] * 2
        assert await errors(ctx) == 0
        ctx.set(dut.s.busy, 0)
        assert [await write(ctx, value) for value in (3, 7)] == [(OKAY, 3), (SLVERR, 3)]
        assert await errors(ctx) == 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("path", EVENTS)
def test_an_event_wins_over_its_clearing(path):
    """An event in any cycle around a clearing write: lost before it, kept from then on."""
    field = MAP.by_path[path]
    register = "INTERRUPT_PENDING" if field.writable else "ERROR_CLEAR"

    async def after(ctx, dut, bus, cycle):
        """Return the bit when the event comes ``cycle`` cycles after the write was offered."""
        axi = dut.axi
        for channel in (axi.aw, axi.w):
            ctx.set(channel.valid, 1)
        ctx.set(axi.aw.addr, OFFSETS[register])
        ctx.set(axi.w.data, 1 << field.lsb)
        ctx.set(axi.w.strb, 0b1111)
        ctx.set(axi.b.ready, 1)
        for now in range(6):
            ctx.set(port(dut, path), now == cycle)
            await bus.tick()
            ctx.set(axi.aw.valid, 0)
            ctx.set(axi.w.valid, 0)
        return (await bus.read(path.partition(".")[0]))[0] >> field.lsb & 1

    async def bench(ctx, dut, bus):
        bits = [await after(ctx, dut, bus, cycle) for cycle in (0, 1, 2, 3, 4, 5, 6)]
        # A transfer is held in cycle 1; a bit is cleared then, or by the pulse of cycle 2.
        first_kept = 1 if field.writable else 2
        assert bits == [int(first_kept <= cycle <= 5) for cycle in range(7)]

    simulate(bench)


def test_interrupt_is_pending_and_enabled():
    sources = ["inference_done", "point_switched"]

    async def bench(ctx, dut, bus):
        for pending in range(4):
            for enable in range(8):
                await bus.write("INTERRUPT_PENDING", 0b111)
                await bus.write("INTERRUPT_ENABLE", enable)
                for bit, name in enumerate(sources):
                    ctx.set(port(dut, f"INTERRUPT_PENDING.{name}"), pending >> bit & 1)
                await bus.tick()
                for name in sources:
                    ctx.set(port(dut, f"INTERRUPT_PENDING.{name}"), 0)
                assert ctx.get(dut.irq) == bool(pending & enable)
                assert await bus.read("INTERRUPT_PENDING") == (pending, OKAY)

    simulate(bench)


@pytest.mark.parametrize("path", [path for path in EVENTS if path.startswith("STATUS.")])
def test_an_error_interrupts_until_it_is_cleared(path):
    error = 1 << MAP.by_path["INTERRUPT_PENDING.error"].lsb

    async def bench(ctx, dut, bus):
        await bus.write("INTERRUPT_ENABLE", error)
        ctx.set(port(dut, path), 1)
        await bus.tick()
        ctx.set(port(dut, path), 0)
        await bus.tick()
        assert ctx.get(dut.irq)
        await bus.write("INTERRUPT_PENDING", error)
        assert await bus.read("INTERRUPT_PENDING") == (error, OKAY)  # the error is still there
        clear = (OFFSETS["ERROR_CLEAR"], 1 << MAP.by_path[path].lsb, 15)
        await bus.run(writes=[clear, (OFFSETS["INTERRUPT_PENDING"], error, 15)])
        assert not ctx.get(dut.irq)
        assert await bus.read("STATUS") == await bus.read("INTERRUPT_PENDING") == (0, OKAY)

    simulate(bench)


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_halves_of_a_counter_belong_together(rate):
    """The carry falls in every cycle before, between and after the reads of the halves."""
    dut, top, now = RegisterBlock(register_map=MAP), Module(), Signal(64)
    top.submodules.dut = dut
    top.d.sync += now.eq(now + 1)
    top.d.comb += [dut.cycles_lo.value.eq(now[:32]), dut.cycles_hi.value.eq(now[32:])]

    async def bench(ctx, dut, bus):
        between = 0
        for distance in range(12):
            ctx.set(now, (5 << 32) - distance)
            started = ctx.get(now)
            low, _ = await bus.read("CYCLES_LO")
            ended = ctx.get(now)
            assert await bus.read("STALL_RESULTS_LO") == (0, OKAY)  # a counter of its own
            high, _ = await bus.read("CYCLES_HI")
            assert started <= (high << 32 | low) <= ended
            between += high != ctx.get(now) >> 32
        assert between > 2

    simulate(bench, rate=rate, dut=dut, top=top)


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 0x80, 0x400, 0x800])
def test_a_refused_read_captures_nothing(distance):
    async def bench(ctx, dut, bus):
        ctx.set(dut.cycles_hi.value, 7)
        await bus.read("CYCLES_LO")
        ctx.set(dut.cycles_hi.value, 8)
        await bus.run(reads=[OFFSETS["CYCLES_LO"] ^ distance])
        assert await bus.read("CYCLES_HI") == (7, OKAY)

    simulate(bench)


def test_constants_of_a_design():
    async def bench(ctx, dut, bus):
        words = [(await bus.read(f"OPS_HASH_{index}"))[0] for index in range(8)]
        assert b"".join(word.to_bytes(4, "big") for word in words).hex() == OPS_SHA256
        assert (await bus.read("ID"))[0].to_bytes(4, "big") == b"QOSN"
        assert await bus.read("GEOMETRY") == (3 | 64 << 8 | 8 << 16 | 3 << 24, OKAY)
        for name, value in (("LAYERS", 2), ("TILES", 9), ("PSUM", 1 << 16), ("K", 1 << 20)):
            assert await bus.read(f"CAPACITY_{name}") == (value, OKAY)

    simulate(bench)


def test_parameters_that_do_not_fit():
    assert parameters(255).compile()
    with pytest.raises(InputError, match="operating_points: must be at most 255, not 256"):
        parameters(256)
    with pytest.raises(InputError, match="ops_sha256: must be 64 hexadecimal digits, not 'A"):
        parameters(ops_sha256="A" * 64)


def test_every_field_is_described():
    assert all(field.desc for field in MAP.fields)
    assert all(register.title for register in MAP.registers)


REFUSED_WHILE = "property refused_while { type = ref; component = reg; };"
STATUS_FIELD = "field {sw = r; hw = w;} f[0:0];"
HWSET = "sw = r; hw = na; hwset; precedence = hw"
CLEAR = "A.f->hwclr = B.g;"
WRONG_MAPS = {
    "registers overlap": (
        f"reg {{{STATUS_FIELD}}} A @ 0x10; reg {{{STATUS_FIELD}}} B @ 0x10;",
        "line 1: Instance 'B' at offset +0x10:0x13 overlaps with 'A' at offset +0x10:0x13",
    ),
    "fields overlap": (
        "reg {field {sw=r; hw=w;} f[3:0]; field {sw=r; hw=w;} g[4:3];} A;",
        "line 1: Field 'g[4:3]' overlaps with field 'f[3:0]'",
    ),
    "reset too large": (
        "reg {field {sw=rw; hw=r;} f[3:0] = 16;} A;",
        "line 1: The reset value (16) of field 'f' cannot fit within its width (4)",
    ),
    "syntax": ("reg {", "line 1: mismatched input"),
    "unknown property": ("reg {field {sw=r; hw=w; foo;} f;} A;", "line 1: Unrecognized property"),
    "unused bits wide": (
        f"reg {{regwidth = 64; {STATUS_FIELD}}} A;",
        "A: must have 32 bits, not 64",
    ),
    "array": (f"reg {{{STATUS_FIELD}}} A[2];", "A[0]: must be a single register, not an array"),
    "register file": (
        f"regfile {{reg {{{STATUS_FIELD}}} A;}} R;",
        "R: must be a single register, not regfile",
    ),
    "beyond the window": (
        f"reg {{{STATUS_FIELD}}} A @ 0x1000;",
        "A: offset must be a multiple of 4 up to 0xffc, not 0x1000",
    ),
    "storage without reset": (
        "reg {field {sw=rw; hw=r;} f;} A;",
        "A.f: a setting field must have a reset value",
    ),
    "hardware writes a setting": (
        "reg {field {sw=rw; hw=rw;} f = 0;} A;",
        "A.f: no kind of field is like this: sw = rw, hw = rw and what goes with it",
    ),
    "software wins": (
        "reg {field {sw = r; hw = na; hwset;} f = 0;} A;",
        "A.f: no kind of field is like this: sw = r, hw = na and what goes with it",
    ),
    "wide sticky": (
        f"reg {{field {{{HWSET};}} f[1:0] = 0;}} A;",
        "A.f: no kind of field is like this: sw = r, hw = na and what goes with it",
    ),
    "property of another kind": (
        "reg {field {sw = rw; hw = r; rclr;} f = 0;} A;",
        "A.f: a setting field cannot have rclr",
    ),
    "refused while something is written": (
        "reg {field {sw=rw; hw=r;} f = 0;} A; A->refused_while = A.f;",
        "A: refused_while must refer to a status field",
    ),
    "refused while a number": (
        "reg {field {sw=rw; hw=r;} f = 0; field {sw=r; hw=w;} g[2:1];} A; A->refused_while = A.g;",
        "A: refused_while must refer to a field of one bit",
    ),
    "cleared by nothing": (
        f"reg {{field {{{HWSET}; hwclr;}} f = 0;}} A;",
        "A.f: hwclr must refer to a pulse field",
    ),
    "cleared by a setting": (
        f"reg {{field {{{HWSET};}} f = 0;}} A; reg {{field {{sw=rw; hw=r;}} g = 0;}} B; {CLEAR}",
        "A.f: hwclr must refer to a pulse field",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG_MAPS.values(), ids=WRONG_MAPS)
def test_wrong_maps_are_refused(tmp_path, content, message):
    path = tmp_path / "map.rdl"
    path.write_text(f"{REFUSED_WHILE} addrmap m {{ default regwidth = 32; {content} }};")
    with pytest.raises(InputError) as error:
        read_register_map(compile_rdl(path, {}))
    text = str(error.value)
    assert text.removeprefix("map.rdl: ").startswith(message) and "\n" not in text


def test_unknown_parameter(tmp_path):
    path = tmp_path / "map.rdl"
    path.write_text(f"addrmap m {{ reg {{{STATUS_FIELD}}} A; }};")
    with pytest.raises(InputError, match=r"map\.rdl: .*parameter 'FOO'"):
        compile_rdl(path, {"FOO": 1})


@pytest.fixture(scope="module")
def documents():
    return register_documents(address_map())


def test_documents_are_the_same_everywhere(documents, tmp_path):
    script = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from test_hw_registers import address_map, digest, register_documents\n"
        "print(digest(register_documents(address_map())))"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    for seed in "12":
        environment = {"PYTHONHASHSEED": seed, "TMPDIR": str(tmp_path), "PATH": ""}
        run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert (run.returncode, run.stdout.strip(), run.stderr) == (0, digest(documents), "")


def digest(documents):
    return hashlib.sha256(repr(sorted(documents.items())).encode()).hexdigest()


def test_documents_have_no_paths_dates_or_remote_parts(documents):
    assert {"qosnets_registers.h", "qosnets_registers.xml", "html/index.html"} < set(documents)
    folders = {str(Path(__file__).parents[2]), str(Path.home()), "/tmp", "site-packages"}
    for name, content in documents.items():
        if not re.search(r"\.(woff2|png|bat|css)$", name):
            text = content.decode()
            assert not [folder for folder in folders if folder + "/" in text], name
            assert not re.search(r"\b20[2-9]\d-\d\d|\b1[6-9]\d{8}\b", text), name
            assert not re.search(r"""<(script|link|img)[^>]*(src|href)=["']https?:""", text), name
    assert sum(map(len, documents.values())) < 2_000_000


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_c_header(documents, tmp_path, language):
    """It compiles without warnings, and agrees with the map."""
    if language == "c++" and shutil.which("c++") is None:
        pytest.skip("no C++ compiler")
    (tmp_path / "qosnets_registers.h").write_bytes(documents["qosnets_registers.h"])
    lines = ['#include "qosnets_registers.h"', "#include <stddef.h>"]
    for register in MAP.registers:
        name = register.name
        lines.append(f"static_assert(offsetof(qosnets_t, {name}) == {register.offset}, {name!r});")
        for field in register.fields:
            prefix = f"QOSNETS__{name}__{field.name.upper()}"
            mask = ((1 << field.width) - 1) << field.lsb
            lines.append(f"static_assert({prefix}_bm == {mask:#x}u, {field.path!r});")
            if field.kind is not FieldKind.STATUS:
                lines.append(f"static_assert({prefix}_reset == {field.reset:#x}u, {field.path!r});")
    source = tmp_path / "check.c"
    source.write_text("\n".join(lines).replace("'", '"') + "\n")
    command = ["cc" if language == "c" else "c++", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    result = subprocess.run([*command, "-x", language, source], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_ip_xact(documents):
    space = "{http://www.accellera.org/XMLSchema/IPXACT/1685-2014}"
    root = ElementTree.fromstring(documents["qosnets_registers.xml"])

    def number(node, name):
        return int(node.find(f".//{space}{name}").text.removeprefix("'h"), 16)

    assert root.find(f"{space}version").text == "1.0"
    registers = root.findall(f".//{space}register")
    assert len(registers) == len(MAP.registers)
    for node in registers:
        register = MAP.by_name[node.find(f"{space}name").text]
        assert number(node, "addressOffset") == register.offset
        fields = node.findall(f"{space}field")
        assert [f.find(f"{space}name").text for f in fields] == [f.name for f in register.fields]
        for field_node, field in zip(fields, register.fields, strict=True):
            assert int(field_node.find(f"{space}bitOffset").text) == field.lsb
            assert int(field_node.find(f"{space}bitWidth").text) == field.width
            if field.kind is not FieldKind.STATUS:
                assert number(field_node, "value") == field.reset


def test_html_has_a_page_for_each_register(documents):
    pages = [text.decode() for name, text in documents.items() if "/content/" in name]
    assert len(pages) == 1 + len(MAP.registers)
    for register in MAP.registers:
        assert sum(f">{register.name}<" in page for page in pages) >= 1


def test_counters():
    names = ("cycles", "stalls")
    dut, rng = EventCounters(events=names), np.random.default_rng(5)
    expected = dict.fromkeys(names, 0)

    async def bench(ctx):
        for _ in range(300):
            counting, clear = bool(rng.random() < 0.7), bool(rng.random() < 0.02)
            ctx.set(dut.counting, counting)
            ctx.set(dut.clear, clear)
            for name in names:
                event = int(rng.integers(2))
                ctx.set(getattr(dut.events, name), event)
                assert ctx.get(getattr(dut.counts, name)) == expected[name]
                expected[name] = 0 if clear else expected[name] + (counting and event)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class PointSourceReference:
    """Requests as a function of the pins' history."""

    def __init__(self, hold):
        self.hold, self.history, self.requested, self.was_enabled = hold, [], None, False

    def cycle(self, pins, enable, point, written):
        """Return the request of this cycle, or None."""
        level = self.history[-2] if len(self.history) > 1 else 0  # the synchroniser
        # The level has to be in the register it is compared with, and then `hold` cycles more.
        levels = [0] * (self.hold + 2) + self.history[:-1]
        steady = len(set(levels[-(self.hold + 2) :])) == 1
        self.history.append(pins)
        if enable:
            request = level if steady and level != self.requested else None
            self.requested = self.requested if request is None else request
        else:
            self.requested, request = None, point if written or self.was_enabled else None
        self.was_enabled = enable
        return request


@pytest.mark.parametrize("hold", [0, 1, 4])
def test_point_source(hold):
    """Pins that change at random against their history; too short a change has no effect."""
    dut = PointSource(pins_width=2, point_width=4)
    rng, reference = np.random.default_rng(hold), PointSourceReference(hold)

    async def bench(ctx):
        pins, enable, requests = 0, 0, 0
        ctx.set(dut.hold_cycles, hold)
        for cycle in range(1500):
            pins = int(rng.integers(4)) if rng.random() < 0.2 else pins
            enable = enable ^ int(cycle > 10 and rng.random() < 0.02)
            written, point = int(rng.random() < 0.1), int(rng.integers(16))
            ctx.set(dut.pins, pins)
            ctx.set(dut.pins_enable, enable)
            ctx.set(dut.register_written, written)
            ctx.set(dut.register_point, point)
            request = ctx.get(dut.point) if ctx.get(dut.write) else None
            assert request == reference.cycle(pins, enable, point, written)
            requests += request is not None
            await ctx.tick()
        assert requests > 50

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
