"""The layer sequencer: what a job makes of its streams, and what is refused."""

import numpy as np
import pytest
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

LAYERS = [
    {"k_tiles": 1, "last_rows": 3, "n_tiles": 2, "base": 0, "clamp_low": 0, "clamp_high": 255},
    {"k_tiles": 4, "last_rows": 1, "n_tiles": 1, "base": 2, "clamp_low": 3, "clamp_high": 250},
    {"k_tiles": 2, "last_rows": 2, "n_tiles": 3, "base": 3, "clamp_low": 9, "clamp_high": 9},
]


def simulate(bench) -> None:
    dut = Sequencer(config=CONFIG)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, dut)

    simulator.add_testbench(testbench)
    simulator.run()


async def load_layers(ctx, dut) -> None:
    ctx.set(dut.layer_writes.valid, 1)
    for layer, entry in enumerate(LAYERS):
        ctx.set(dut.layer_writes.payload, {"layer": layer, "entry": entry})
        assert ctx.get(dut.layer_writes.ready)
        await ctx.tick()
    ctx.set(dut.layer_writes.valid, 0)


async def offer(ctx, dut, job) -> None:
    ctx.set(dut.jobs.payload, job)
    ctx.set(dut.jobs.valid, 1)
    assert ctx.get(dut.jobs.ready)
    await ctx.tick()
    ctx.set(dut.jobs.valid, 0)


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
    for cycle in range(2000):
        ctx.set(dut.weight_valid, bool(rng.random() < rate))
        ctx.set(dut.activation_valid, bool(rng.random() < rate))
        ctx.set(dut.delivered, cycle in due)
        if ctx.get(dut.idle):
            ctx.set(dut.weight_valid, 0)
            ctx.set(dut.activation_valid, 0)
            return beats, shifts
        assert not ctx.get(dut.jobs.ready)
        assert not ctx.get(dut.layer_writes.ready)
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
        await load_layers(ctx, dut)
        for number in range(18):
            point, layer = divmod(number // 2, 3)
            job = {"layer": layer, "positions": 1 + number % 5, "last": number % 2}
            job["tile_offset"] = number % 9
            ctx.set(dut.point, point)
            assert ctx.get(dut.boundary) == (number % 2 == 0)
            await offer(ctx, dut, job)
            beats, shifts = await run(ctx, dut, job, rng, rate)
            assert ctx.get(dut.select) == CONFIG.assignments[point][layer]
            assert beats == expected_beats(job)
            n_tiles = LAYERS[layer]["n_tiles"] * LAYERS[layer]["k_tiles"]
            assert shifts == [0b001, 0b011, 0b111] * n_tiles
            assert ctx.get(dut.boundary) == job["last"]
        assert not ctx.get(dut.error)

    simulate(bench)


LEGAL = {"layer": 2, "positions": 5, "tile_offset": 0, "last": 1}


@pytest.mark.parametrize(
    "change", [{"layer": 3}, {"positions": 0}, {"positions": 6}, {"positions": 7}]
)
def test_illegal_jobs_are_dropped(change):
    async def bench(ctx, dut):
        await load_layers(ctx, dut)
        ctx.set(dut.weight_valid, 1)
        ctx.set(dut.activation_valid, 1)
        await offer(ctx, dut, LEGAL | change)
        for _ in range(5):
            assert ctx.get(dut.error)
            assert ctx.get(dut.idle) and ctx.get(dut.boundary) and ctx.get(dut.jobs.ready)
            assert not ctx.get(dut.start) and not ctx.get(dut.swap) and not ctx.get(dut.issued)
            assert not ctx.get(dut.weight_ready) and not ctx.get(dut.activation_ready)
            await ctx.tick()
        # The next job runs as ever, and the error stays.
        await offer(ctx, dut, LEGAL)
        beats, _ = await run(ctx, dut, LEGAL, np.random.default_rng(2), 1.0)
        assert beats == expected_beats(LEGAL)
        assert ctx.get(dut.error)

    simulate(bench)


def test_no_job_starts_on_hold():
    async def bench(ctx, dut):
        await load_layers(ctx, dut)
        ctx.set(dut.jobs.payload, LEGAL)
        ctx.set(dut.jobs.valid, 1)
        ctx.set(dut.hold, 1)
        for _ in range(3):
            assert not ctx.get(dut.jobs.ready)
            await ctx.tick()
            assert ctx.get(dut.idle) and ctx.get(dut.boundary)
        ctx.set(dut.hold, 0)
        await ctx.tick()
        assert not ctx.get(dut.idle) and not ctx.get(dut.boundary)

    simulate(bench)


def test_a_write_to_the_layer_table_waits_for_the_end_of_the_job():
    async def bench(ctx, dut):
        await load_layers(ctx, dut)
        job = LEGAL | {"positions": 2}
        await offer(ctx, dut, job)
        ctx.set(dut.layer_writes.payload, {"layer": 2, "entry": LAYERS[0]})
        ctx.set(dut.layer_writes.valid, 1)
        beats, _ = await run(ctx, dut, job, np.random.default_rng(3), 1.0)
        assert beats == expected_beats(job)  # of the old entry
        assert ctx.get(dut.layer_writes.ready)
        await ctx.tick()
        ctx.set(dut.layer_writes.valid, 0)
        await offer(ctx, dut, job)
        assert ctx.get(dut.layer.k_tiles) == LAYERS[0]["k_tiles"]

    simulate(bench)


def test_the_select_code_is_that_of_the_point_at_the_start_of_the_job():
    async def bench(ctx, dut):
        await load_layers(ctx, dut)
        ctx.set(dut.point, 1)
        await offer(ctx, dut, LEGAL)
        ctx.set(dut.point, 2)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.select) == CONFIG.assignments[1][2]

    simulate(bench)
