"""Edge, side sum and accumulator: what leaves them, and when."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator
from qosnets_hw.accumulator import Accumulator
from qosnets_hw.column import SumColumn
from qosnets_hw.config import ArrayConfig
from qosnets_hw.edge import Edge


def simulate(dut, bench) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 2), (2, 5), (5, 1)])
def test_edge_delays(rows, cols):
    dut = Edge(rows=rows, cols=cols, select=unsigned(3))
    rng = np.random.default_rng(1)
    n = 60
    x = {
        "activation_beat": rng.integers(0, 256, (n, rows)).tolist(),
        "weight_beat": rng.integers(0, 256, (n, cols)).tolist(),
        "select": rng.integers(0, 8, n).tolist(),
        "active_rows": rng.integers(0, rows + 1, n).tolist(),
        "swap": rng.integers(0, 2, n).tolist(),
        "shift": rng.integers(0, 2**rows, n).tolist(),
    }

    async def bench(ctx):
        for t in range(n):
            for name, values in x.items():
                ctx.set(getattr(dut, name), values[t])
            for row in range(min(rows, t)):
                then = t - row - 1
                control = ctx.get(dut.control[row])
                assert ctx.get(dut.activation[row]) == x["activation_beat"][then][row]
                assert control.select == x["select"][then]
                assert control.active == (row < x["active_rows"][then])
                assert control.swap == x["swap"][then]
                # Rows shift at the time of the beat, not in a wave.
                assert control.shift == x["shift"][t - 1] >> row & 1
            for col in range(min(cols, t)):
                assert ctx.get(dut.weight[col]) == x["weight_beat"][t - col - 1][col]
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_side_sum(rows):
    """Row r gets its activation r cycles after row 0; rows + 1 cycles after row 0, the sum."""
    dut = SumColumn(rows=rows, total_shape=unsigned((rows * 255).bit_length()))
    rng = np.random.default_rng(rows)
    n = 80
    x = rng.integers(0, 256, (n, rows))
    active = rng.integers(0, 2, (n, rows))
    x[:2], active[:2] = 255, 1
    expected = (x * active).sum(axis=1).tolist()

    async def bench(ctx):
        for t in range(n):
            for row in range(min(rows, t + 1)):
                ctx.set(dut.activation[row], int(x[t - row, row]))
            bits = (int(active[t - row, row]) << row for row in range(min(rows, t + 1)))
            ctx.set(dut.active, sum(bits))
            if t > rows:
                assert ctx.get(dut.total) == expected[t - rows - 1]
            await ctx.tick()

    simulate(dut, bench)
    assert expected[0] == rows * 255


def config(**changes: int) -> ArrayConfig:
    plain = {"rows": 3, "cols": 2, "max_product": 65_535, "k_max": 11, "psum_depth": 7}
    return ArrayConfig(n_multipliers=1, n_tiles=1, assignments=((0,),), **plain | changes)


@pytest.mark.parametrize(
    ("positions", "gap", "accepts"),
    [(7, 0.0, 1.0), (2, 0.0, 1.0), (5, 0.4, 0.5), (1, 0.3, 0.7), (3, 0.0, 0.2)],
)
def test_accumulator(positions, gap, accepts):
    """Sums over 1 to 4 row tiles, positions two cycles or more apart, a queue that fills up."""
    cfg = config()
    dut = Accumulator(config=cfg)
    rng = np.random.default_rng(positions)
    beats, expected = [], []
    for k_tiles in (1, 4, 2, 3, 4, 1, 1, 4):
        products = rng.integers(0, cfg.column_psum_max + 1, (k_tiles, positions, cfg.cols))
        sums = rng.integers(0, cfg.column_sum_max + 1, (k_tiles, positions))
        if k_tiles == 4:  # the largest that fit: 11 of 12 rows at their maximum
            products[:] = cfg.k_max * cfg.max_product // 4
            sums[:] = cfg.k_max * 255 // 4
        for k, position in np.ndindex(k_tiles, positions):
            tag = {"position": position, "first": int(k == 0), "last": int(k == k_tiles - 1)}
            sent = {
                "products": products[k, position].tolist(),
                "activations": int(sums[k, position]),
            }
            beats.append((tag, sent))
        for position in range(positions):
            total = products[:, position].sum(axis=0)
            expected.append((total.tolist(), int(sums[:, position].sum())))
    received = []

    async def bench(ctx):
        under_way, announced, last_at = 0, None, {}
        queue = list(beats)
        for cycle in range(5000):
            if announced:
                ctx.set(dut.sums, announced)
            else:  # sums without a tag are nobody's
                ctx.set(dut.sums, {"products": [77] * cfg.cols, "activations": 5})
            announced = None
            tag = queue[0][0] if queue else None
            may = tag and cycle - last_at.get(tag["position"], -2) >= 2
            may = may and (not tag["last"] or under_way < cfg.fifo_depth)
            if may and rng.random() >= gap:
                _, announced = queue.pop(0)
                ctx.set(dut.tag, tag)
                last_at[tag["position"]] = cycle
                under_way += tag["last"]
            ctx.set(dut.valid, announced is not None)
            ready = bool(rng.random() < accepts)
            ctx.set(dut.complete.ready, ready)
            if ready and ctx.get(dut.complete.valid):
                payload = ctx.get(dut.complete.payload)
                received.append((list(payload.products), payload.activations))
                under_way -= 1
            if len(received) == len(expected):
                return
            await ctx.tick()

    simulate(dut, bench)
    assert received == expected


def test_accumulator_wraps_at_32_bits():
    """Sums of 2²⁰ products need more than an accumulator holds; export proves that none is met."""
    cfg = config(k_max=2**20, rows=64, cols=1, psum_depth=1)
    dut = Accumulator(config=cfg)
    n, largest = 2**10 + 5, cfg.column_psum_max
    received = []

    async def bench(ctx):
        ctx.set(dut.complete.ready, 1)
        ctx.set(dut.sums, {"products": [largest], "activations": 64 * 255})
        for beat in range(n):
            ctx.set(dut.tag, {"position": 0, "first": beat == 0, "last": beat == n - 1})
            ctx.set(dut.valid, 1)
            await ctx.tick()
            ctx.set(dut.valid, 0)
            await ctx.tick()
        while not ctx.get(dut.complete.valid):
            await ctx.tick()
        payload = ctx.get(dut.complete.payload)
        received.append((payload.products[0], payload.activations))

    simulate(dut, bench)
    assert received == [(n * largest % 2**32, n * 64 * 255)]
    assert n * largest >= 2**32


@pytest.mark.parametrize("n_cycles", [1, 5])
def test_complete_sums_wait_for_who_takes_them(n_cycles):
    cfg = config(psum_depth=8)
    dut = Accumulator(config=cfg)

    async def bench(ctx):
        for number in range(cfg.fifo_depth + 1):
            # The sums of a beat come a cycle after its tag.
            late = max(number - 1, 0)
            ctx.set(dut.sums, {"products": [late] * 2, "activations": late})
            ctx.set(dut.tag, {"position": number % 8, "first": 1, "last": 1})
            ctx.set(dut.valid, number < cfg.fifo_depth)
            await ctx.tick()
        await ctx.tick().repeat(n_cycles)
        ctx.set(dut.complete.ready, 1)
        for number in range(cfg.fifo_depth):
            assert ctx.get(dut.complete.valid)
            payload = ctx.get(dut.complete.payload)
            assert (list(payload.products), payload.activations) == ([number] * 2, number)
            await ctx.tick()
        assert not ctx.get(dut.complete.valid)

    simulate(dut, bench)
