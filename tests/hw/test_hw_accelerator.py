# amaranth: UnusedElaboratable=no
"""The accelerator around a stand-in for the array: registers, queue, streams, recovery."""

import functools
import struct

import numpy as np
import pytest
from accelerators import Bench, BusError, address_map, build, small_config
from amaranth.sim import Simulator
from qosnets_hw.accelerator import build_accelerator
from qosnets_hw.job_queue import JOB_QUEUE_DEPTH, JobQueue
from qosnets_hw.parameter_reader import ParameterReader
from qosnets_hw.registers.register_map import read_register_map

CONFIG = small_config()
MAP = read_register_map(address_map(CONFIG))


def simulate(dut, bench) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class Software:
    """Registers and fields by name, over a bench."""

    def __init__(self, bench: Bench):
        self.bench = bench

    def read(self, name: str) -> int:
        """Return a register, or a field of one for ``REGISTER.field``."""
        register, _, field = name.partition(".")
        word = self.bench.read32(MAP.by_name[register].offset)
        return word >> MAP.by_path[name].lsb & (1 << MAP.by_path[name].width) - 1 if field else word

    def write(self, name: str, value: int = 0, **fields: int) -> None:
        for field, part in fields.items():
            value |= part << MAP.by_path[f"{name}.{field}"].lsb
        self.bench.write32(MAP.by_name[name].offset, value)

    def load(self, layer: int, *, k_tiles=1, n_tiles=1, base=0, clamp_low=0, **shape) -> None:
        self.write("LAYER_K_TILES", k_tiles)
        self.write("LAYER_N_TILES", n_tiles)
        self.write("LAYER_BASE", base)
        self.write("LAYER_SHAPE", clamp_low=clamp_low, **shape)
        self.write("LAYER_WRITE", layer)

    def job(self, layer=0, positions=1, tile_offset=0, *, last=1) -> None:
        self.write("JOB_LAYER", layer)
        self.write("JOB_POSITIONS", positions)
        self.write("JOB_TILE_OFFSET", tile_offset)
        self.write("JOB_START", last)

    def errors(self) -> set[str]:
        names = [f.name for f in MAP.by_name["STATUS"].fields if f.kind.value == "sticky"]
        return {name for name in names if self.read(f"STATUS.{name}")}


class Setup:
    def __init__(self, bench, stub):
        self.bench, self.stub, self.software = bench, stub, Software(bench)

    def feed(self, positions: int, *, weights=0x0201, last_at: int | None = None) -> list[int]:
        """Send the beats of a job; return the results to be expected, for a lower clamp of 0."""
        sources, last = self.bench.sources, positions - 1 if last_at is None else last_at
        codes = [int(c) for c in self.bench.random.integers(0, 256, positions)]
        sources["weights"].beats.append((weights, 1))
        sources["activations"].beats.extend((c | 0x5A00, i == last) for i, c in enumerate(codes))
        return [sum((((weights >> 8 * col) + c) & 255) << 8 * col for col in (0, 1)) for c in codes]

    def idle(self) -> None:
        self.bench.wait_until(lambda: not self.software.read("STATUS.busy"))


@functools.cache
def simulation(**options) -> Setup:
    dut, stub = build(small_config(**options))
    return Setup(Bench(dut), stub)


@pytest.fixture
def make():
    def make(**options) -> Setup:
        made = simulation(**options)
        made.bench.restart()
        return made

    return make


@pytest.fixture
def setup(make) -> Setup:
    return make()


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_inference(setup, rate):
    """Jobs of an inference, results with tags, interrupt, counters."""
    bench, software = setup.bench, setup.software
    for source in bench.sources.values():
        source.rate = rate if rate == 1.0 else 0.1
    bench.results.rate = rate
    watched = watch(bench)
    software.load(0)
    software.load(1, clamp_low=3)
    software.write("INTERRUPT_ENABLE", inference_done=1)
    software.write("CONTROL", counting=1, clear_counters=1)
    watched.update(dict.fromkeys(watched, 0))
    software.job(0, 5, last=0)
    expected = setup.feed(5)
    software.job(1, 2, last=1)
    setup.feed(2, weights=0)
    bench.wait_until(lambda: len(bench.results.beats) == 7)
    bench.wait(2)
    words = [beat[0] for beat in bench.results.beats]
    assert words[:5] == expected
    assert [beat[1] for beat in bench.results.beats] == [0] * 4 + [1, 0, 1]
    assert watched["irq"] > 0
    software.write("CONTROL", 0)
    for name in ("cycles", "stall_activations", "stall_weights", "stall_results"):
        low, high = (software.read(f"{name.upper()}_{half}") for half in ("LO", "HI"))
        assert (low, high) == (watched[name], 0)
        assert low > 0 or rate == 1.0, name
    assert software.read("INTERRUPT_PENDING.inference_done") == 1
    software.write("INTERRUPT_PENDING", inference_done=1)
    watched["irq"] = 0
    bench.wait(3)
    assert watched["irq"] == 0
    assert software.errors() == set()


def watch(bench) -> dict[str, int]:
    """Count, at the ports, what the counters count."""
    counts = dict.fromkeys(("irq", "cycles", "stall_activations", "stall_weights"), 0)
    counts["stall_results"] = 0
    dut = bench.dut

    def step(ctx):
        counts["irq"] += ctx.get(dut.irq)
        counts["cycles"] += ctx.get(dut._array.busy)
        for name in ("activations", "weights"):
            valid, ready = (getattr(dut, f"s_axis_{name}_t{n}") for n in ("valid", "ready"))
            counts[f"stall_{name}"] += ctx.get(ready) and not ctx.get(valid)
        waits = ctx.get(dut.m_axis_results_tvalid) and not ctx.get(dut.m_axis_results_tready)
        counts["stall_results"] += waits

    bench.watchers.append(step)
    return counts


def test_job_cycles_and_busy(setup):
    bench, software = setup.bench, setup.software
    software.load(0)
    assert software.read("JOB_CYCLES") == 0
    for positions in (1, 7):
        setup.feed(positions)
        software.job(0, positions)
        assert software.read("STATUS.busy") == 1
        setup.idle()
        assert software.read("JOB_CYCLES") == 1 + 2 * positions
    assert len(bench.results.beats) == 8


def test_layer_table(make):
    """Every field of every entry, in a design with a depthwise mode and in one without."""
    for options in ({}, {"depthwise_k_max": 9}):
        made = make(**options)
        flag = {"depthwise": 1} if options else {}
        entries = [
            {"k_tiles": 7, "last_rows": 3, "n_tiles": 9, "base": 0, "clamp_low": 1},
            {"k_tiles": 2, "last_rows": 1, "n_tiles": 1, "base": 8, "clamp_low": 255},
        ]
        seen = {}
        made.bench.watchers.append(
            lambda ctx, stub=made.stub, seen=seen: seen.update(
                {
                    i: {n: ctx.get(stub.table[i][n]) for n, _ in stub.table[i].shape()}
                    for i in (0, 1)
                }
            )
        )
        for index in (1, 0):
            made.software.load(index, clamp_high=128 + index, **entries[index], **flag)
        made.bench.wait(2)
        expected = [entry | flag | {"clamp_high": 128 + i} for i, entry in enumerate(entries)]
        assert seen == dict(enumerate(expected))


ILLEGAL = {
    "unknown layer": ("JOB_LAYER", 2, "wrong_job"),
    "layer beyond its field": ("JOB_LAYER", 1 << 31, "wrong_job"),
    "too many positions": ("JOB_POSITIONS", 17, "wrong_job"),
    "tile beyond the bank": ("JOB_TILE_OFFSET", 9, "wrong_job"),
    "unknown table entry": ("LAYER_WRITE", 2, "wrong_table_write"),
    "too many row tiles": ("LAYER_K_TILES", 8, "wrong_table_write"),
    "too many column tiles": ("LAYER_N_TILES", 10, "wrong_table_write"),
    "base beyond the bank": ("LAYER_BASE", 9, "wrong_table_write"),
    "too many rows": ("LAYER_SHAPE", 4, "wrong_table_write"),
    "depthwise without the mode": ("LAYER_SHAPE", 1 << 24, "wrong_table_write"),
    "unknown operating point": ("POINT_REQUEST", 3, "wrong_point"),
}


@pytest.mark.parametrize(("register", "value", "error"), ILLEGAL.values(), ids=ILLEGAL)
def test_illegal_values_are_refused_at_once(setup, register, value, error):
    software = setup.software
    before = software.read(register)
    with pytest.raises(BusError):
        software.write(register, value)
    assert software.read(register) == before
    assert software.errors() == {error}
    software.write("ERROR_CLEAR", **{error: 1})
    assert software.errors() == set()


@pytest.mark.parametrize("job", [{"positions": 0}, {"layer": 1}])
def test_jobs_that_the_array_refuses(setup, job):
    """No positions, or a layer without an entry; the next job runs as ever."""
    bench, software = setup.bench, setup.software
    software.load(0)
    software.job(**job)
    bench.wait(3)
    assert software.errors() == {"wrong_job"} and not software.read("STATUS.busy")
    expected = setup.feed(3)
    software.job(0, 3)
    setup.idle()
    assert [beat[0] for beat in bench.results.beats] == expected


def taken(bench, stream) -> list:
    """Collect what is taken from a stream into the array."""
    payloads = []

    def watch(ctx):
        if ctx.get(stream.valid) and ctx.get(stream.ready):
            payload = ctx.get(stream.payload)
            payloads.append({name: payload[name] for name, _ in stream.payload.shape()})

    bench.watchers.append(watch)
    return payloads


def test_jobs_reach_the_array_as_they_were_written(setup):
    bench, software = setup.bench, setup.software
    jobs = taken(bench, setup.stub.jobs)
    software.load(1)
    expected = [(1, 16, 0, 1), (0, 1, 8, 0), (1, 0, 5, 1)]
    for layer, positions, tile_offset, last in expected:
        setup.feed(positions)
        software.job(layer, positions, tile_offset, last=last)
        bench.wait(60)
    assert [tuple(job.values()) for job in jobs] == expected


def test_counters_are_cleared(setup):
    software = setup.software
    software.load(0)
    software.write("CONTROL", counting=1)
    setup.feed(3)
    software.job(0, 3)
    setup.idle()
    assert software.read("CYCLES_LO") > 0
    software.write("CONTROL", counting=1, clear_counters=1)
    assert software.read("CYCLES_LO") == 0
    assert software.read("CONTROL.counting") == 1


def test_a_result_counts_when_it_is_taken(setup):
    bench, software = setup.bench, setup.software
    software.load(0)
    software.write("POINT_REQUEST", 2)
    bench.results.rate = 0.0
    setup.feed(1)
    software.job(0, 1)
    bench.wait(20)
    assert software.read("POINT_STATUS.result") == 0
    assert software.read("STATUS.busy") and not software.read("INTERRUPT_PENDING.inference_done")
    bench.results.rate = 1.0
    bench.wait(5)
    assert software.read("POINT_STATUS.result") == 2
    assert software.read("INTERRUPT_PENDING.inference_done")


def test_jobs_wait_in_a_queue(setup):
    """As many as stated; one more is refused without effect; they run in order."""
    bench, software = setup.bench, setup.software
    software.load(0)
    software.job(0, 1, last=0)  # runs, and waits for beats
    for waiting in range(JOB_QUEUE_DEPTH):
        assert software.read("JOB_QUEUE.free") == JOB_QUEUE_DEPTH - waiting
        assert not software.read("JOB_QUEUE.full")
        software.job(0, waiting + 2, last=waiting == JOB_QUEUE_DEPTH - 1)
    assert software.read("JOB_QUEUE") == 1 << 8
    with pytest.raises(BusError):
        software.job(0, 16)
    assert software.errors() == set()
    expected = [word for positions in range(1, 6) for word in setup.feed(positions)]
    setup.idle()
    assert [beat[0] for beat in bench.results.beats] == expected
    assert software.read("JOB_QUEUE.free") == JOB_QUEUE_DEPTH
    bench.wait(50)
    assert len(bench.results.beats) == len(expected)


def test_writes_of_jobs_without_a_pause(setup):
    """The queue is never told of more jobs than fit, however fast they come."""
    bench, software = setup.bench, setup.software
    software.load(0)
    software.job(0, 1, last=0)
    accepted = 0
    for _ in range(2 * JOB_QUEUE_DEPTH):
        try:
            software.write("JOB_START", 0)
            accepted += 1
        except BusError:
            pass
    assert accepted == JOB_QUEUE_DEPTH
    for _ in range(accepted + 1):
        setup.feed(1)
    bench.wait_until(lambda: len(bench.results.beats) == accepted + 1)
    bench.wait(50)
    assert len(bench.results.beats) == accepted + 1


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_points_of_results_and_switches(setup, rate):
    """A request waits for the end of the inference; results carry the point they have."""
    bench, software = setup.bench, setup.software
    software.load(0)
    software.write("INTERRUPT_ENABLE", point_switched=1)
    for switches, point in enumerate((2, 1, 0, 2)):
        bench.results.rate = 0.0
        setup.feed(3)
        software.job(0, 3)
        software.write("POINT_REQUEST", point)
        active = software.read("POINT_STATUS.active")
        assert software.read("POINT_STATUS.pending") == point != active
        assert software.read("STATUS.switching") == software.read("STATUS.busy") == 1
        bench.results.rate = rate
        setup.idle()
        bench.wait(2)
        assert software.read("POINT_STATUS.result") == active
        assert {beat[2] for beat in list(bench.results.beats)[-3:]} == {active}
        assert (
            software.read("POINT_STATUS.active") == software.read("POINT_STATUS.pending") == point
        )
        assert software.read("SWITCHES") == switches + 1
        assert software.read("INTERRUPT_PENDING.point_switched") == 1
        software.write("INTERRUPT_PENDING", point_switched=1)


def test_points_from_the_pins(setup):
    bench, software = setup.bench, setup.software
    software.write("POINT_HOLD", 60)
    bench.pins = 1
    bench.wait(20)
    software.write("POINT_PINS", enable=1)
    bench.wait(20)
    assert software.read("POINT_STATUS.active") == 0
    software.write("POINT_HOLD", 4)
    bench.wait(20)
    assert software.read("POINT_STATUS.active") == 1
    bench.pins = 3  # no such point
    bench.wait(20)
    assert software.read("POINT_STATUS.active") == 1
    assert software.errors() == {"wrong_point"}
    bench.pins = 2
    bench.wait(3)
    bench.pins = 1
    bench.wait(20)
    assert software.read("POINT_STATUS.active") == 1
    software.write("POINT_PINS", enable=0)
    bench.wait(5)
    assert software.read("POINT_STATUS.active") == 0


@pytest.mark.parametrize(("last_at", "error"), [(1, "stream_short"), (9, "stream_long")])
def test_recovery_from_a_stream_of_wrong_length(setup, last_at, error):
    """Nothing hangs, everything is drained, and the next inference is as ever."""
    bench, software = setup.bench, setup.software
    software.load(0)
    setup.feed(4, last_at=last_at)
    software.job(0, 4)
    software.job(0, 4)  # would run next
    bench.wait_until(lambda: software.read("STATUS.faulted"))
    setup.feed(9)
    written = taken(bench, setup.stub.parameter_writes)
    bench.sources["parameters"].beats.extend([(1 << 16, 0)] * 3)
    software.write("CONTROL", soft_reset=1)
    assert software.read("CONTROL.soft_reset") == 1
    assert software.read("JOB_QUEUE") == 1 << 8
    with pytest.raises(BusError):
        software.job(0, 4)
    bench.wait_until(lambda: not any(source.beats for source in bench.sources.values()))
    software.write("CONTROL", 0)
    bench.wait(20)
    assert written == []
    assert software.errors() == {error}
    assert not software.read("STATUS.faulted") and not software.read("STATUS.busy")
    assert software.read("JOB_QUEUE.free") == JOB_QUEUE_DEPTH
    software.write("ERROR_CLEAR", **{error: 1})
    software.write("INTERRUPT_PENDING", 0b111)
    bench.results.beats.clear()
    expected = setup.feed(3)
    software.job(0, 3)
    setup.idle()
    assert [beat[0] for beat in bench.results.beats] == expected
    assert software.errors() == set()
    assert software.read("INTERRUPT_PENDING") == 1


@pytest.mark.parametrize("reset", [0, 1])
def test_drained_beats_are_no_stalls(setup, reset):
    """After a fault, and during a soft reset."""
    software = setup.software
    software.load(0)
    setup.feed(2, last_at=0)
    software.job(0, 2)
    setup.bench.wait_until(lambda: software.read("STATUS.faulted"))
    software.write("CONTROL", soft_reset=reset)
    software.write("CONTROL", soft_reset=reset, counting=1)
    setup.bench.wait(20)
    software.write("CONTROL", soft_reset=reset)
    assert software.read("STATUS.faulted") == 1 - reset
    assert (software.read("CYCLES_LO") == 0) == reset
    for name in ("ACTIVATIONS", "WEIGHTS", "RESULTS"):
        assert software.read(f"STALL_{name}_LO") == 0


def test_reset_puts_everything_back(setup):
    bench, software = setup.bench, setup.software
    names = [register.name for register in MAP.registers if register.readable]
    fresh = {name: software.read(name) for name in names}
    software.load(1, clamp_low=9)
    software.write("POINT_REQUEST", 2)
    software.write("INTERRUPT_ENABLE", 7)
    bench.wait(3)
    setup.feed(3)
    software.job(1, 3)
    software.job(1, 3)
    with pytest.raises(BusError):
        software.write("JOB_LAYER", 9)
    bench.wait(2)
    assert {name: software.read(name) for name in names} != fresh
    for source in bench.sources.values():
        source.beats.clear()
        source.waiting = False
    bench.reset = 1
    bench.wait(2)
    bench.reset = 0
    bench.wait(1)
    assert {name: software.read(name) for name in names} == fresh


def test_parts_of_another_size_are_refused():
    wide = small_config(cols=3)
    _, stub = build(wide)
    with pytest.raises(ValueError, match="Array must have 16 bits of weights, not 24"):
        build_accelerator(CONFIG, stub, MAP)


def record(rng) -> dict[str, int]:
    """Draw a parameter record, legal more often than not."""

    def index(n):
        return int(rng.integers(n)) if rng.random() < 0.9 else int(rng.choice([n, n + 1, 255]))

    shifts = [0, 48, 64, 1, 47, *range(2, 47), *range(2, 47)]
    return {
        "point": index(CONFIG.n_points),
        "column": index(CONFIG.cols),
        "shift": int(rng.choice(shifts)),
        "weight_zero_point": int(rng.integers(256)),
        "tile": index(CONFIG.n_tiles) if rng.random() < 0.9 else 1 << 31,
        "bias": int(rng.integers(-(1 << 31), 1 << 31)),
        "mult": int(rng.integers(-(1 << 15), 1 << 15)),
        "offset": int(rng.integers(-(1 << 15), 1 << 15)),
    }


def is_legal(values) -> bool:
    return (
        values["point"] < CONFIG.n_points
        and values["column"] < CONFIG.cols
        and values["tile"] < CONFIG.n_tiles
        and 1 <= values["shift"] <= 47
    )


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_parameter_records(rate):
    """All legal records and no others get to the bank, in order; one a cycle without stalls."""
    dut, rng = ParameterReader(config=CONFIG), np.random.default_rng(3)
    records = [record(rng) for _ in range(300)]
    writes, refused = [], 0

    async def bench(ctx):
        nonlocal refused
        left, cycles, offered = list(records), 0, False
        while left or len(writes) + refused < len(records):
            offered = bool(left) and (offered or rng.random() < rate)
            ctx.set(dut.records.valid, offered)
            if offered:
                word = struct.pack("<BBBBIihh", *left[0].values())
                ctx.set(
                    dut.records.payload,
                    dut.records.payload.shape().from_bits(int.from_bytes(word, "little")),
                )
            ctx.set(dut.writes.ready, bool(rng.random() < rate))
            if ctx.get(dut.writes.valid) and ctx.get(dut.writes.ready):
                writes.append(ctx.get(dut.writes.payload.as_value()))
            refused += ctx.get(dut.refused)
            if offered and ctx.get(dut.records.ready):
                left.pop(0)
                offered = False
            await ctx.tick()
            cycles += 1
            assert cycles < 10 * len(records), "hangs"
        assert cycles == len(records) + 1 or rate < 1

    simulate(dut, bench)
    legal = [values for values in records if is_legal(values)]
    assert 0 < refused == len(records) - len(legal)
    layout = dut.writes.payload.shape()
    for bits, values in zip(writes, legal, strict=True):
        payload = layout.from_bits(bits)
        found = {name: getattr(payload, name) for name in ("point", "tile", "column")}
        found |= {name: getattr(payload.word, name) for name, _ in layout["word"].shape}
        assert found == values


def test_parameter_records_are_drained():
    dut = ParameterReader(config=CONFIG)

    async def bench(ctx):
        ctx.set(dut.records.valid, 1)  # a record of zeros: shift 0 is illegal
        ctx.set(dut.records.payload.shift, 1)
        await ctx.tick()
        await ctx.tick()
        assert ctx.get(dut.writes.valid) and not ctx.get(dut.records.ready)
        ctx.set(dut.drain, 1)
        ctx.set(dut.records.payload.shift, 0)
        for _ in range(5):
            assert ctx.get(dut.records.ready)
            assert not ctx.get(dut.writes.valid) and not ctx.get(dut.refused)
            await ctx.tick()
        ctx.set(dut.drain, 0)
        ctx.set(dut.records.valid, 0)
        for _ in range(3):
            assert not ctx.get(dut.writes.valid) and not ctx.get(dut.refused)
            await ctx.tick()

    simulate(dut, bench)


def test_job_queue():
    """Against a list, with pushes, takes and drains at random."""
    dut, rng = JobQueue(config=CONFIG), np.random.default_rng(4)

    async def bench(ctx):
        expected, taken = [], 0
        for _ in range(600):
            drain = bool(rng.random() < 0.02)
            job = {"layer": int(rng.integers(2)), "positions": int(rng.integers(17))}
            job |= {"tile_offset": int(rng.integers(9)), "last": int(rng.integers(2))}
            ctx.set(dut.drain, drain)
            assert ctx.get(dut.full) == (drain or len(expected) == JOB_QUEUE_DEPTH)
            assert ctx.get(dut.free) == (0 if drain else JOB_QUEUE_DEPTH - len(expected))
            push = bool(rng.random() < 0.6) and not ctx.get(dut.full)
            ctx.set(dut.job, job)
            ctx.set(dut.push, push)
            ctx.set(dut.jobs.ready, bool(rng.random() < 0.5) and not drain)
            assert ctx.get(dut.jobs.valid) == bool(expected)
            if ctx.get(dut.jobs.ready) and expected:
                payload = ctx.get(dut.jobs.payload)
                first = expected.pop(0)
                assert {name: payload[name] for name in first} == first
                taken += 1
            expected = [] if drain else expected + [job] * push
            await ctx.tick()
        assert taken > 100

    simulate(dut, bench)
