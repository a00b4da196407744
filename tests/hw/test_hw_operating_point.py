"""Operating-point register against a reference of a few lines, and its rules one by one."""

import numpy as np
import pytest
from amaranth.sim import Simulator
from qosnets_hw.config import ArrayConfig
from qosnets_hw.operating_point import OperatingPointRegister


def register(n_points: int) -> OperatingPointRegister:
    return OperatingPointRegister(
        config=ArrayConfig(
            rows=1,
            cols=1,
            n_multipliers=1,
            max_product=1,
            k_max=1,
            psum_depth=1,
            n_tiles=1,
            assignments=((0,),) * n_points,
        )
    )


def rtl(n_points: int, cycles) -> list[tuple[int, int, int, int]]:
    """Return (active, pending, committing, refused) by cycle of (request or None, boundary)."""
    dut, trace = register(n_points), []

    async def bench(ctx):
        for request, boundary in cycles:
            ctx.set(dut.write, request is not None)
            ctx.set(dut.request, request or 0)
            ctx.set(dut.boundary, boundary)
            outputs = (dut.active, dut.pending, dut.committing, dut.refused)
            trace.append(tuple(ctx.get(output) for output in outputs))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


def reference(n_points: int, cycles) -> list[tuple[int, int, int, int]]:
    active = pending = 0
    trace = []
    for request, boundary in cycles:
        committing = int(boundary and active != pending)
        refused = int(request is not None and request >= n_points)
        trace.append((active, pending, committing, refused))
        active = pending if committing else active
        if request is not None and not refused:
            pending = request
    return trace


@pytest.mark.parametrize(("n_points", "n_codes"), [(1, 2), (2, 4), (3, 4), (4, 8), (5, 8)])
def test_random_requests(n_points, n_codes):
    """With and without wrong requests; every code that the port can carry is asked for."""
    rng = np.random.default_rng(n_points)
    for highest in (n_points, n_codes):
        cycles = [
            (int(rng.integers(highest)) if rng.random() < 0.4 else None, int(rng.random() < 0.3))
            for _ in range(300)
        ]
        trace = rtl(n_points, cycles)
        assert trace == reference(n_points, cycles)
        assert any(refused for *_, refused in trace) == (highest > n_points)


def test_commits_at_a_boundary_only():
    trace = rtl(3, [(2, 0), (None, 0), (None, 0), (None, 1), (None, 0)])
    assert [active for active, *_ in trace] == [0, 0, 0, 0, 2]
    assert [pending for _, pending, *_ in trace] == [0, 2, 2, 2, 2]
    assert [committing for _, _, committing, _ in trace] == [0, 0, 0, 1, 0]


def test_a_write_in_the_cycle_of_commit_waits_for_the_next_boundary():
    trace = rtl(3, [(2, 0), (1, 1), (None, 0), (None, 1), (None, 0)])
    assert [active for active, *_ in trace] == [0, 0, 2, 2, 1]
    assert [committing for _, _, committing, _ in trace] == [0, 1, 0, 1, 0]


def test_a_request_can_be_withdrawn():
    trace = rtl(2, [(1, 0), (0, 0), (None, 1), (None, 1)])
    assert all(active == committing == 0 for active, _, committing, _ in trace)


def test_a_wrong_request_changes_nothing_and_is_reported():
    trace = rtl(3, [(1, 0), (3, 0), (None, 1), (0, 0), (None, 1), (None, 1)])
    assert [active for active, *_ in trace] == [0, 0, 0, 1, 1, 0]
    assert [refused for *_, refused in trace] == [0, 1, 0, 0, 0, 0]
