"""The layer sequencer: what a job makes of its streams, and what is refused."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator
from qosnets_hw.config import ArrayConfig
from qosnets_hw.sequencer import Sequencer

CONFIG = ArrayConfig(
    rows=3,
    cols=2,
    n_multipliers=5,
    max_product=65_025,
    k_max=12,
    psum_depth=5,
    n_tiles=9,
    assignments=((0, 1, 2), (4, 3, 1), (2, 2, 0)),
)

WORDS = (1, 2, 4, 8, 16)

LAYERS = [
    {"k_tiles": 1, "last_rows": 3, "n_tiles": 2, "base": 0, "clamp_low": 0, "clamp_high": 255},
    {"k_tiles": 4, "last_rows": 1, "n_tiles": 1, "base": 2, "clamp_low": 3, "clamp_high": 250},
    {"k_tiles": 2, "last_rows": 2, "n_tiles": 3, "base": 3, "clamp_low": 9, "clamp_high": 9},
]


def simulate(bench, watch=None) -> None:
    dut = Sequencer(config=CONFIG, select_words=WORDS, select_shape=unsigned(5))
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, dut)

    async def watching(ctx):
        await watch(ctx, dut)

    simulator.add_testbench(testbench)
    if watch:
        simulator.add_testbench(watching, background=True)
    simulator.run()


def offer_entry(ctx, dut, layer) -> None:
    """Answer like the layer table."""
    ctx.set(dut.written, layer < len(LAYERS))
    ctx.set(dut.entry, LAYERS[layer % len(LAYERS)])


async def offer(ctx, dut, job) -> None:
    offer_entry(ctx, dut, job["layer"])
    ctx.set(dut.jobs.payload, job)
    ctx.set(dut.jobs.valid, 1)
    assert ctx.get(dut.entry_of) == job["layer"]
    assert ctx.get(dut.jobs.ready)
    await ctx.tick()
    ctx.set(dut.jobs.valid, 0)
    assert ctx.get(dut.idle) == 0
    await ctx.tick()


def expected_beats(job):
    entry = LAYERS[job["layer"]]
    return [
        (
            position,
            int(k == 0),
            int(k == entry["k_tiles"] - 1),
            entry["last_rows"] if k == entry["k_tiles"] - 1 else CONFIG.rows,
        )
        for _ in range(entry["n_tiles"])
        for k in range(entry["k_tiles"])
        for position in range(job["positions"])
    ]


async def run(ctx, dut, job, rng, rate):
    """Feed the streams of the running job until it ends; return its beats and weight beats."""
    beats, shifts, due = [], [], []
    entry = LAYERS[job["layer"]]
    n_tiles = entry["k_tiles"] * entry["n_tiles"]
    for cycle in range(2000):
        ctx.set(dut.weight_valid, bool(rng.random() < rate))
        ctx.set(dut.weight_last, len(shifts) == n_tiles * CONFIG.rows - 1)
        ctx.set(dut.activation_valid, bool(rng.random() < rate))
        ctx.set(dut.activation_last, len(beats) == n_tiles * job["positions"] - 1)
        ctx.set(dut.delivered, cycle in due)
        if ctx.get(dut.idle):
            ctx.set(dut.weight_valid, 0)
            ctx.set(dut.activation_valid, 0)
            # Two cycles of acceptance and check came before.
            assert ctx.get(dut.job_cycles) == cycle + 2
            return beats, shifts
        assert not ctx.get(dut.jobs.ready)
        assert not ctx.get(dut.boundary)
        assert ctx.get(dut.start) == (cycle == 0)
        assert (
            ctx.get(dut.layer).as_bits() == dut.layer.shape().const(LAYERS[job["layer"]]).as_bits()
        )
        assert ctx.get(dut.job.tile_offset) == job["tile_offset"]
        if ctx.get(dut.weight_valid) and ctx.get(dut.weight_ready):
            shifts.append(ctx.get(dut.shift))
        if ctx.get(dut.issued):
            tag = dut.tag
            fields = (tag.position, tag.first, tag.last, dut.active_rows)
            beats.append(tuple(ctx.get(field) for field in fields))
            if ctx.get(tag.last):
                due.append(max([cycle + 1, *(late + 1 for late in due)]) + int(rng.integers(4)))
        await ctx.tick()
    raise AssertionError("the job never ends")


@pytest.mark.parametrize("rate", [1.0, 0.6])
def test_jobs(rate):
    """Every layer at every operating point, in inferences of two jobs each."""
    rng = np.random.default_rng(1)

    async def bench(ctx, dut):
        for number in range(18):
            point, layer = divmod(number // 2, 3)
            job = {"layer": layer, "positions": 1 + number % 5, "last": number % 2}
            job["tile_offset"] = number % (9 - LAYERS[layer]["base"] - LAYERS[layer]["n_tiles"] + 1)
            ctx.set(dut.point, point)
            assert ctx.get(dut.boundary) == (number % 2 == 0)
            await offer(ctx, dut, job)
            beats, shifts = await run(ctx, dut, job, rng, rate)
            assert ctx.get(dut.select) == WORDS[CONFIG.assignments[point][layer]]
            assert beats == expected_beats(job)
            n_tiles = LAYERS[layer]["n_tiles"] * LAYERS[layer]["k_tiles"]
            assert shifts == [0b001, 0b011, 0b111] * n_tiles
            assert ctx.get(dut.boundary) == job["last"]

    simulate(bench)


LEGAL = {"layer": 2, "positions": 5, "tile_offset": 0, "last": 1}


@pytest.mark.parametrize(
    "change",
    [{"layer": 3}, {"positions": 0}, {"positions": 6}, {"positions": 7}, {"tile_offset": 4}],
)
def test_illegal_jobs_are_dropped(change):
    refused = []

    async def bench(ctx, dut):
        ctx.set(dut.weight_valid, 1)
        ctx.set(dut.activation_valid, 1)
        await offer(ctx, dut, LEGAL | change)
        for _ in range(5):
            assert ctx.get(dut.idle) and ctx.get(dut.boundary) and ctx.get(dut.jobs.ready)
            assert not ctx.get(dut.start) and not ctx.get(dut.swap) and not ctx.get(dut.issued)
            assert not ctx.get(dut.weight_ready) and not ctx.get(dut.activation_ready)
            await ctx.tick()
        # The next job runs as ever.
        await offer(ctx, dut, LEGAL)
        beats, _ = await run(ctx, dut, LEGAL, np.random.default_rng(2), 1.0)
        assert beats == expected_beats(LEGAL)

    async def watch(ctx, dut):
        async for _, _, strobe in ctx.tick().sample(dut.job_refused):
            refused.append(strobe)

    simulate(bench, watch)
    assert sum(refused) == 1


def test_no_job_starts_on_hold():
    async def bench(ctx, dut):
        offer_entry(ctx, dut, LEGAL["layer"])
        ctx.set(dut.jobs.payload, LEGAL)
        ctx.set(dut.jobs.valid, 1)
        ctx.set(dut.hold, 1)
        for _ in range(3):
            assert not ctx.get(dut.jobs.ready)
            await ctx.tick()
            assert ctx.get(dut.idle) and ctx.get(dut.boundary)
        ctx.set(dut.hold, 0)
        await ctx.tick()
        assert not ctx.get(dut.idle) and ctx.get(dut.boundary)
        await ctx.tick()
        assert not ctx.get(dut.boundary)

    simulate(bench)


def test_the_entry_is_that_at_the_start_of_the_job():
    async def bench(ctx, dut):
        job = LEGAL | {"positions": 2}
        await offer(ctx, dut, job)
        ctx.set(dut.entry, LAYERS[0])
        beats, _ = await run(ctx, dut, job, np.random.default_rng(3), 1.0)
        assert beats == expected_beats(job)

    simulate(bench)


@pytest.mark.parametrize("stream", ["weight", "activation"])
@pytest.mark.parametrize(("wrong", "event"), [(-1, "stream_short"), (0, "stream_long")])
def test_a_stream_of_another_length_stops_everything(stream, wrong, event):
    """``last`` a beat too early, or missing at the end; what is left is taken and dropped."""
    layer = LAYERS[1]
    n_tiles = layer["k_tiles"] * layer["n_tiles"]
    job = {"layer": 1, "positions": 4, "tile_offset": 0, "last": 1}
    lengths = {"weight": n_tiles * CONFIG.rows, "activation": n_tiles * job["positions"]}
    events = []

    async def bench(ctx, dut):
        await offer(ctx, dut, job)
        taken = {"weight": 0, "activation": 0}
        for _ in range(200):
            for name, length in lengths.items():
                final = length - 1 + (wrong if name == stream else 0)
                absent = name == stream and event == "stream_long"
                ctx.set(getattr(dut, f"{name}_valid"), 1)
                ctx.set(getattr(dut, f"{name}_last"), taken[name] == final and not absent)
            if ctx.get(dut.faulted):
                break
            for name in lengths:
                taken[name] += ctx.get(getattr(dut, f"{name}_ready"))
            await ctx.tick()
        assert taken[stream] == lengths[stream] + wrong
        for _ in range(5):
            assert ctx.get(dut.faulted) and not ctx.get(dut.idle) and not ctx.get(dut.jobs.ready)
            assert ctx.get(dut.weight_ready) and ctx.get(dut.activation_ready)
            assert not ctx.get(dut.shift) and not ctx.get(dut.issued)
            await ctx.tick()

    async def watch(ctx, dut):
        names = ("stream_short", "stream_long", "inference_done")
        async for _, _, *strobes in ctx.tick().sample(*(getattr(dut, name) for name in names)):
            events.extend(name for name, strobe in zip(names, strobes, strict=True) if strobe)

    simulate(bench, watch)
    assert events == [event]


def test_the_select_code_is_that_of_the_point_at_the_start_of_the_job():
    async def bench(ctx, dut):
        ctx.set(dut.point, 1)
        await offer(ctx, dut, LEGAL)
        ctx.set(dut.point, 2)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.select) == WORDS[CONFIG.assignments[1][2]]

    simulate(bench)
