"""Order of tiles, loading of weights and issue of beats, each against a small reference."""

from itertools import pairwise

import numpy as np
import pytest
from amaranth.sim import Simulator
from qosnets_hw.config import ArrayConfig
from qosnets_hw.issuer import BeatIssuer
from qosnets_hw.loader import WeightLoader
from qosnets_hw.tiles import TileCounter

CONFIG = ArrayConfig(
    rows=3,
    cols=1,
    n_multipliers=2,
    max_product=65_025,
    k_max=12,
    psum_depth=6,
    n_tiles=5,
    assignments=((0,),),
)


def simulate(dut, bench) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(("k_tiles", "n_tiles"), [(1, 1), (4, 1), (1, 5), (3, 2), (4, 5)])
def test_tile_counter(k_tiles, n_tiles):
    """Row tiles inside, column tiles outside; a second job starts over."""
    dut = TileCounter(config=CONFIG)
    rng = np.random.default_rng(1)
    expected = [
        (int(k == 0), int(k == k_tiles - 1), int((k, n) == (k_tiles - 1, n_tiles - 1)))
        for n in range(n_tiles)
        for k in range(k_tiles)
    ]

    async def bench(ctx):
        ctx.set(dut.k_tiles, k_tiles)
        ctx.set(dut.n_tiles, n_tiles)
        for _ in range(2):
            assert ctx.get(dut.left) == 0
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            seen = []
            while ctx.get(dut.left):
                advance = bool(rng.random() < 0.5)
                if advance:
                    seen.append(tuple(map(ctx.get, (dut.first, dut.last, dut.final))))
                ctx.set(dut.advance, advance)
                await ctx.tick()
            ctx.set(dut.advance, 0)
            assert seen == expected

    simulate(dut, bench)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_weight_loader(rows):
    """A tile takes ``rows`` beats; row r skips the first r of them; then it waits for the swap."""
    dut = WeightLoader(rows=rows)
    rng = np.random.default_rng(rows)

    async def bench(ctx):
        beats, loaded = 0, False
        for _ in range(400):
            wanted, valid = rng.random(2) < 0.7
            swap = bool(loaded and rng.random() < 0.3)
            ctx.set(dut.wanted, bool(wanted))
            ctx.set(dut.valid, bool(valid))
            ctx.set(dut.swap, swap)
            taken = bool(wanted and valid and not loaded)
            assert ctx.get(dut.loaded) == loaded
            assert ctx.get(dut.ready) == bool(wanted and not loaded)
            assert ctx.get(dut.shift) == (2 ** (beats + 1) - 1 if taken else 0)
            assert ctx.get(dut.taken) == taken
            assert ctx.get(dut.done) == (taken and beats == rows - 1)
            await ctx.tick()
            beats += taken
            if swap:
                loaded = False
            if beats == rows:
                beats, loaded = 0, True

    simulate(dut, bench)


def issue(positions, tiles, *, valid, loaded, delay):
    """Run tiles of (first, last) and return the beats, the swaps and the number of cycles.

    A beat is (cycle, position, first, last, active rows). The n-th tile is loaded as soon as
    ``loaded(n, cycle)``; a complete sum is delivered ``delay`` cycles after its beat.
    """
    dut = BeatIssuer(config=CONFIG)
    beats, swaps, delivered = [], [], []
    n_complete = sum(last for _, last in tiles) * positions

    async def bench(ctx):
        ctx.set(dut.positions, positions)
        ctx.set(dut.last_rows, 2)
        due = []
        for cycle in range(3000):
            n = len(swaps)
            ctx.set(dut.loaded, n < len(tiles) and loaded(n, cycle))
            first, last = tiles[min(n, len(tiles) - 1)]
            ctx.set(dut.first, first)
            ctx.set(dut.last, last)
            ctx.set(dut.final, n == len(tiles) - 1)
            ctx.set(dut.valid, valid(cycle))
            ctx.set(dut.delivered, cycle in due)
            delivered.append(cycle in due)
            assert sum(beat[3] for beat in beats) - sum(delivered[:-1]) <= CONFIG.fifo_depth
            if len(beats) == positions * len(tiles) and sum(delivered[:-1]) == n_complete:
                assert ctx.get(dut.idle)
                return
            if beats and sum(beat[3] for beat in beats) > sum(delivered[:-1]):
                assert not ctx.get(dut.idle)
            if ctx.get(dut.swap):
                assert ctx.get(dut.loaded)
                swaps.append(cycle)
            if ctx.get(dut.issued):
                assert valid(cycle) and ctx.get(dut.ready)
                tag = dut.tag
                fields = (tag.position, tag.first, tag.last, dut.active_rows)
                beats.append((cycle, *(ctx.get(field) for field in fields)))
                assert ctx.get(dut.ends_job) == (len(beats) == positions * len(tiles))
                if beats[-1][3] and delay is not None:
                    due.append(cycle + delay)
            await ctx.tick()
        assert delay is None, "the tiles never end"

    simulate(dut, bench)
    return beats, swaps


def expected_beats(positions, tiles):
    return [
        (position, first, last, 2 if last else CONFIG.rows)
        for first, last in tiles
        for position in range(positions)
    ]


TILES = [(1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 1)]
RANDOM = np.random.default_rng(9).random(4000)


@pytest.mark.parametrize("positions", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("valid", "loaded", "delay"),
    [
        (lambda cycle: True, lambda n, cycle: True, 9),
        (lambda cycle: bool(RANDOM[cycle] < 0.5), lambda n, cycle: True, 4),
        (lambda cycle: True, lambda n, cycle: cycle >= 11 * n, 1),
        (lambda cycle: bool(RANDOM[cycle] < 0.6), lambda n, cycle: bool(RANDOM[-cycle] < 0.2), 30),
    ],
    ids=["full rate", "activations stall", "weights stall", "all stall"],
)
def test_issued_beats(positions, valid, loaded, delay):
    beats, swaps = issue(positions, TILES, valid=valid, loaded=loaded, delay=delay)
    assert [beat[1:] for beat in beats] == expected_beats(positions, TILES)
    # The accumulator needs the beats of a position two cycles apart.
    for position in range(positions):
        cycles = [beat[0] for beat in beats if beat[1] == position]
        assert all(later - earlier >= 2 for earlier, later in pairwise(cycles))
    # A tile is not swapped away before its last beat, nor into before it is loaded.
    assert len(swaps) == len(TILES)
    for n, swap in enumerate(swaps):
        assert swap < beats[n * positions][0]
        assert n == 0 or swap >= beats[n * positions - 1][0]


@pytest.mark.parametrize("positions", [2, 6])
def test_loaded_tiles_follow_without_a_gap(positions):
    beats, swaps = issue(
        positions, TILES, valid=lambda cycle: True, loaded=lambda n, cycle: True, delay=1
    )
    assert [beat[0] for beat in beats] == list(range(1, 1 + positions * len(TILES)))
    assert swaps == [positions * n for n in range(len(TILES))]


def test_a_single_position_takes_two_cycles():
    beats, _ = issue(1, TILES, valid=lambda cycle: True, loaded=lambda n, cycle: True, delay=1)
    assert [beat[0] for beat in beats] == [1 + 2 * n for n in range(len(TILES))]


def test_complete_sums_under_way_are_limited():
    """Without deliveries; a beat that completes no sum needs no credit."""
    assert CONFIG.fifo_depth == 19
    tiles = [(1, 1)] * 3 + [(1, 0), (0, 0), (0, 1)]
    beats, _ = issue(6, tiles, valid=lambda c: True, loaded=lambda n, c: True, delay=None)
    assert [beat[1:] for beat in beats] == expected_beats(6, tiles)[:-5]
