"""Edge, side sum and accumulator: what leaves them, and when."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.sim import Simulator
from qosnets_hw.accumulator import Accumulator
from qosnets_hw.column import SumColumn
from qosnets_hw.config import ArrayConfig
from qosnets_hw.edge import Edge
from qosnets_hw.layouts import complete_sums_layout
from qosnets_hw.pe import row_control_layout
from qosnets_hw.ram import Ram


def simulate(dut, bench) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 2), (2, 5), (5, 1)])
def test_edge_delays(rows, cols):
    layout = row_control_layout(unsigned(3), depthwise=True)
    dut = Edge(rows=rows, cols=cols, control=layout)
    rng = np.random.default_rng(1)
    n = 60
    x = {
        "activation_beat": rng.integers(0, 256, (n, rows)).tolist(),
        "weight_beat": rng.integers(0, 256, (n, cols)).tolist(),
        "select": rng.integers(0, 8, n).tolist(),
        "active_rows": rng.integers(0, rows + 1, n).tolist(),
        "swap": rng.integers(0, 2, n).tolist(),
        "depthwise": rng.integers(0, 2, n).tolist(),
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
                active = row < x["active_rows"][then]
                assert control.select == (x["select"][then] if active else 0)
                assert control.depthwise == x["depthwise"][then]
                assert control.swap == x["swap"][then]
                # Rows shift at the time of the beat, not in a wave.
                assert control.shift == x["shift"][t - 1] >> row & 1
            for col in range(min(cols, t)):
                assert ctx.get(dut.weight[col]) == x["weight_beat"][t - col - 1][col]
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("rows", "lanes"), [(1, None), (2, None), (5, None), (1, 1), (5, 5), (5, 2), (6, 2), (7, 3)]
)
def test_side_sums(rows, lanes):
    """Row r gets its activation r cycles after row 0; rows + 1 cycles after row 0, the sums."""
    taps = rows // lanes if lanes else 0
    own_shape = lanes and data.ArrayLayout(unsigned((taps * 255).bit_length()), lanes)
    total_shape = unsigned((rows * 255).bit_length())
    dut = SumColumn(rows=rows, total_shape=total_shape, own_shape=own_shape)
    rng = np.random.default_rng(rows)
    n = 80
    x = rng.integers(0, 256, (n, rows))
    active = rng.integers(0, 2, (n, rows))
    x[:2], active[:2] = 255, 1
    expected = (x * active).sum(axis=1).tolist()
    if lanes:
        own = (x * active)[:, : taps * lanes].reshape(n, taps, lanes).sum(axis=1).tolist()

    async def bench(ctx):
        for t in range(n):
            for row in range(min(rows, t + 1)):
                ctx.set(dut.activation[row], int(x[t - row, row]))
            bits = (int(active[t - row, row]) << row for row in range(min(rows, t + 1)))
            ctx.set(dut.active, sum(bits))
            if t > rows:
                assert ctx.get(dut.total) == expected[t - rows - 1]
                if lanes:
                    assert [ctx.get(dut.own[lane]) for lane in range(lanes)] == own[t - rows - 1]
            await ctx.tick()

    simulate(dut, bench)
    assert expected[0] == rows * 255


def config(**changes: int) -> ArrayConfig:
    plain = {"rows": 3, "cols": 2, "max_product": 65_535, "k_max": 11, "psum_depth": 7}
    return ArrayConfig(n_multipliers=1, n_tiles=1, assignments=((0,),), **plain | changes)


def psum_memory(cfg):
    return Ram(module_name="psums", depth=cfg.psum_depth, width=complete_sums_layout(cfg).size)


class Announcer:
    """Feeds an accumulator: tags at once, the sums of a beat ``array_latency`` cycles later."""

    def __init__(self, ctx, dut, cfg):
        self._ctx, self._dut = ctx, dut
        # Sums without a tag are nobody's.
        nobodys = {"products": [77] * cfg.cols, "activations": 5}
        if cfg.depthwise_k_max:
            nobodys["own"] = [3] * cfg.depthwise_lanes
        self._line = [nobodys] * cfg.array_latency
        self._nobodys = nobodys

    async def tick(self, beat=None):
        """Announce ``beat``, a pair of tag and sums, and wait a cycle."""
        tag, sums = beat or (None, self._nobodys)
        if tag:
            self._ctx.set(self._dut.tag, tag)
        self._ctx.set(self._dut.valid, tag is not None)
        self._ctx.set(self._dut.sums, self._line[0])
        self._line = [*self._line[1:], sums]
        await self._ctx.tick()


def word(cfg, products: int, own: int) -> int:
    """Return what is accumulated for a column in a depthwise layer."""
    return products | own << cfg.depthwise_product_width


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(
    ("positions", "gap", "accepts"),
    [(7, 0.0, 1.0), (2, 0.0, 1.0), (5, 0.4, 0.5), (1, 0.3, 0.7), (3, 0.0, 0.2)],
)
def test_accumulator(positions, gap, accepts, depthwise):
    """Sums over 1 to 4 row tiles, positions two cycles or more apart, a queue that fills up."""
    cfg = config(**({"rows": 2, "cols": 3, "depthwise_k_max": 4} if depthwise else {}))
    dut = Accumulator(config=cfg, psums=psum_memory(cfg))
    rng = np.random.default_rng(positions)
    beats, expected = [], []
    for number, k_tiles in enumerate((1, 4, 2, 3, 4, 1, 1, 4)):
        own_layer = depthwise and number % 2
        shape, limit = (k_tiles, positions), cfg.column_psum_max
        if own_layer:
            limit = cfg.depthwise_taps * cfg.max_product
        products = rng.integers(0, limit + 1, (*shape, cfg.cols))
        sums = rng.integers(0, cfg.column_sum_max + 1, shape)
        own = rng.integers(0, cfg.depthwise_taps * 255 + 1, (*shape, cfg.depthwise_lanes))
        if k_tiles == 4:  # the largest that fit
            products[:] = limit if own_layer else min(limit, cfg.k_max * cfg.max_product // 4)
            sums[:] = min(cfg.column_sum_max, cfg.k_max * 255 // 4)
            own[:] = cfg.depthwise_taps * 255
        for k, position in np.ndindex(k_tiles, positions):
            tag = {"position": position, "first": int(k == 0), "last": int(k == k_tiles - 1)}
            sent = {
                "products": products[k, position].tolist(),
                "activations": int(sums[k, position]),
            }
            if depthwise:
                tag["depthwise"] = int(own_layer)
                sent["own"] = own[k, position].tolist()
            beats.append((tag, sent))
        for position in range(positions):
            words = products[:, position].sum(axis=0).tolist()
            if own_layer:
                owns = own[:, position].sum(axis=0).tolist()
                words = [word(cfg, *pair) for pair in zip(words, [*owns, 0], strict=True)]
            expected.append((words, int(sums[:, position].sum())))
    received = []

    async def bench(ctx):
        under_way, last_at = 0, {}
        announcer, queue = Announcer(ctx, dut, cfg), list(beats)
        for cycle in range(5000):
            tag = queue[0][0] if queue else None
            may = tag and cycle - last_at.get(tag["position"], -2) >= 2
            may = may and (not tag["last"] or under_way < cfg.fifo_depth)
            beat = None
            if may and rng.random() >= gap:
                beat = queue.pop(0)
                last_at[tag["position"]] = cycle
                under_way += tag["last"]
            ready = bool(rng.random() < accepts)
            ctx.set(dut.complete.ready, ready)
            if ready and ctx.get(dut.complete.valid):
                payload = ctx.get(dut.complete.payload)
                received.append((list(payload.words), payload.activations))
                under_way -= 1
            if len(received) == len(expected):
                return
            await announcer.tick(beat)

    simulate(dut, bench)
    assert received == expected


def test_accumulator_wraps_at_32_bits():
    """Sums of 2²⁰ products need more than an accumulator holds; export proves that none is met."""
    cfg = config(k_max=2**20, rows=64, cols=1, psum_depth=1)
    dut = Accumulator(config=cfg, psums=psum_memory(cfg))
    n, largest = 2**10 + 5, cfg.column_psum_max
    received = []

    async def bench(ctx):
        announcer = Announcer(ctx, dut, cfg)
        sums = {"products": [largest], "activations": 64 * 255}
        for beat in range(n):
            tag = {"position": 0, "first": beat == 0, "last": beat == n - 1}
            await announcer.tick((tag, sums))
            await announcer.tick()
        while not ctx.get(dut.complete.valid):
            await announcer.tick()
        payload = ctx.get(dut.complete.payload)
        received.append((payload.words[0], payload.activations))

    simulate(dut, bench)
    assert received == [(n * largest % 2**32, n * 64 * 255)]
    assert n * largest >= 2**32


@pytest.mark.parametrize("n_cycles", [1, 5])
def test_complete_sums_wait_for_who_takes_them(n_cycles):
    cfg = config(psum_depth=8)
    dut = Accumulator(config=cfg, psums=psum_memory(cfg))

    async def bench(ctx):
        announcer = Announcer(ctx, dut, cfg)
        for number in range(cfg.fifo_depth):
            tag = {"position": number % 8, "first": 1, "last": 1}
            await announcer.tick((tag, {"products": [number] * 2, "activations": number}))
        for _ in range(cfg.array_latency + n_cycles):
            await announcer.tick()
        ctx.set(dut.complete.ready, 1)
        for number in range(cfg.fifo_depth):
            assert ctx.get(dut.complete.valid)
            payload = ctx.get(dut.complete.payload)
            assert (list(payload.words), payload.activations) == ([number] * 2, number)
            await ctx.tick()
        assert not ctx.get(dut.complete.valid)

    simulate(dut, bench)
