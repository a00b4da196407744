"""What an accelerator promises apart from arithmetic: registers, operating points, refusals."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .bench import Bench
from .results import Comparison
from .words import PARAMETER_RECORD, Status, Write, job_writes

__all__ = ["check_rules"]

_ID = int.from_bytes(b"QOSN", "big")
_MAX_QUEUE = 256
_INFERENCE_DONE = 1 << 0
REFUSAL_CYCLES = 8
"""In so many cycles what was handed over has been refused."""

Expect = Callable[[str, Any, Any], None]


async def check_rules(bench: Bench, rules: Comparison) -> None:
    """Check the rules one after the other; the accelerator is idle before and after."""

    def expect(rule: str, expected: Any, found: Any) -> None:
        rules.check(f"rule: {rule}", np.array([expected]), np.array([found]))

    await bench.host.idle()
    for check in (
        _check_identity,
        _check_points,
        _check_queue,
        _check_illegal_point,
        _check_illegal_jobs,
        _check_illegal_tables,
        _check_full_queue,
        _check_interrupt,
        _check_reset,
    ):
        await check(bench, expect)


async def _check_identity(bench: Bench, expect: Expect) -> None:
    design, registers = bench.network.design, bench.host.registers
    expect("ID", _ID, *await registers.read("ID"))
    sizes = (design.rows, design.cols, len(bench.network.ops.multipliers), bench.network.n_points)
    geometry = int.from_bytes(bytes(sizes), "little")
    expect("GEOMETRY", geometry, *await registers.read("GEOMETRY"))
    digits = bench.network.file.sha256
    expected = [int(digits[start : start + 8], 16) for start in range(0, 64, 8)]
    words = await registers.read(*(f"OPS_HASH_{index}" for index in range(8)))
    expect("hash of ops.json", expected, words)


async def _check_points(bench: Bench, expect: Expect) -> None:
    host = bench.host
    n_layers, first, second = bench.network.n_layers, 0, bench.network.n_points - 1
    await host.request_point(first)
    await host.idle()
    expect("a point asked for between inferences is active", first, (await host.points()).active)
    for layer in range(n_layers - 1):
        await bench.run_drawn_layer(first, layer, last=False)
        await host.request_point(second)
        points = await host.points()
        expect("a point asked for during an inference waits", first, points.active)
        expect("and is pending", second, points.pending)
    (switches,) = await host.registers.read("SWITCHES")
    await bench.run_drawn_layer(first, n_layers - 1, last=True)
    await host.request_point(second)
    await host.idle()
    points = await host.points()
    expect("it is active once the inference has ended", second, points.active)
    expect("results carry the point that they were computed at", first, points.result)
    switched = int(first != second)
    expect("switches are counted", [switches + switched], await host.registers.read("SWITCHES"))
    await host.registers.write(("POINT_REQUEST", first))
    await bench.run_drawn_inference(first)


async def _check_queue(bench: Bench, expect: Expect) -> None:
    """Queue jobs of two inferences at once, each with a request for an operating point before."""
    host, network = bench.host, bench.network
    (word,) = await host.registers.read("JOB_QUEUE")
    free = word & 0xFF
    expect("the queue takes two jobs at least", True, free >= 2)
    n_jobs = min(free // 2, network.n_layers)
    writes: list[Write] = []
    jobs = []
    for point in (network.n_points - 1, 0):
        writes.append(("POINT_REQUEST", point))
        for layer in range(n_jobs):
            job = network.draw_job(layer, last=layer == n_jobs - 1)
            jobs.append((point, job))
            writes += job_writes(network.request(job))
    host.start_jobs([bench.feed(job) for _, job in jobs], writes)
    await host.jobs_accepted()
    for (point, job), result in zip(jobs, await host.finish_jobs(), strict=True):
        bench.compare(point, job, result)
    await host.idle()


async def _check_illegal_point(bench: Bench, expect: Expect) -> None:
    host = bench.host
    before = await host.points()
    expect("an illegal point is refused", False, await host.request_point(bench.network.n_points))
    expect("and changes nothing", before, await host.points())
    await _check_error(bench, expect, Status.WRONG_POINT, "an illegal point is an error")


async def _check_illegal_jobs(bench: Bench, expect: Expect) -> None:
    design, registers = bench.network.design, bench.host.registers
    n_tiles = design.manifest["n_tiles"]
    refused_at_once = (
        ("JOB_LAYER", bench.network.n_layers),
        ("JOB_POSITIONS", design.psum_depth + 1),
        ("JOB_TILE_OFFSET", n_tiles),
    )
    for name, value in refused_at_once:
        rule = f"{name} {value} is refused"
        expect(rule, False, await registers.try_write((name, value)))
        await _check_error(bench, expect, Status.WRONG_JOB, rule)
    await _refuse_job(bench, expect, {"positions": 0}, "a job without positions")
    past_the_end = n_tiles - bench.network.tilings[0].n_tiles + 1
    if past_the_end < n_tiles:
        await _refuse_job(bench, expect, {"tile_offset": past_the_end}, "a job past the bank")
    await bench.run_drawn_inference((await bench.host.points()).active)


async def _check_illegal_tables(bench: Bench, expect: Expect) -> None:
    host, n_tiles = bench.host, bench.network.design.manifest["n_tiles"]
    for name, value in (("LAYER_N_TILES", n_tiles + 1), ("LAYER_WRITE", bench.network.n_layers)):
        rule = f"{name} {value} is refused"
        expect(rule, False, await host.registers.try_write((name, value)))
        await _check_error(bench, expect, Status.WRONG_TABLE_WRITE, rule)
    legal = {"shift": 1}
    for field, value in (
        ("point", bench.network.n_points),
        ("column", bench.network.design.cols),
        ("tile", n_tiles),
        ("shift", 0),
        ("shift", 48),
    ):
        record = np.zeros(1, PARAMETER_RECORD)
        for name, content in {**legal, field: value}.items():
            record[name] = content
        await host.send_parameters(record)
        await host.player.run(REFUSAL_CYCLES)
        rule = f"a parameter record with {field} {value} is dropped"
        await _check_error(bench, expect, Status.WRONG_TABLE_WRITE, rule)
    await bench.run_drawn_inference((await host.points()).active)


async def _check_full_queue(bench: Bench, expect: Expect) -> None:
    """Without beats the first job waits, and those behind it fill the queue."""
    host = bench.host
    job = job_writes({"layer": 0, "positions": 1, "tile_offset": 0, "last": 1})
    accepted = 0
    while accepted < _MAX_QUEUE and await host.registers.try_write(*job):
        accepted += 1
    expect("a full queue refuses jobs", True, accepted < _MAX_QUEUE)
    expect("the array is busy", Status.BUSY, await host.status())
    await host.recover()
    expect("a soft reset ends the inference", Status(0), await host.status())
    await bench.run_drawn_inference((await host.points()).active)


async def _check_interrupt(bench: Bench, expect: Expect) -> None:
    host = bench.host
    everything = ("INTERRUPT_PENDING", 0x7)
    await host.registers.write(everything, ("INTERRUPT_ENABLE", _INFERENCE_DONE))
    expect("no interrupt before the end of an inference", 0, int(host.dut.irq.value))
    await bench.run_drawn_inference((await host.points()).active)
    expect("the end of an inference interrupts", 1, int(host.dut.irq.value))
    await host.registers.write(everything)
    expect("writing 1 ends the interrupt", 0, int(host.dut.irq.value))


async def _check_reset(bench: Bench, expect: Expect) -> None:
    host = bench.host
    await host.request_point(bench.network.n_points)
    await host.request_point(bench.network.n_points - 1)
    await host.reset()
    expect("a reset clears errors", Status(0), await host.status())
    points = await host.points()
    expect("a reset returns to the first point", (0, 0), (points.active, points.pending))
    await _refuse_job(bench, expect, {}, "a reset empties the layer table: a job")
    await bench.load_layers()
    await bench.run_drawn_inference(0)


async def _refuse_job(bench: Bench, expect: Expect, change: Mapping[str, int], what: str) -> None:
    """Queue a job that is refused when its turn comes."""
    job = {"layer": 0, "positions": 1, "tile_offset": 0, "last": 1}
    await bench.host.registers.write(*job_writes({**job, **change}))
    await bench.host.player.run(REFUSAL_CYCLES)
    await _check_error(bench, expect, Status.WRONG_JOB, f"{what} is refused")


async def _check_error(bench: Bench, expect: Expect, error: Status, rule: str) -> None:
    """Check that ``error`` and no other is set, stays, and can be cleared; nothing runs."""
    host = bench.host
    for _ in range(2):
        expect(rule, error, await host.status())
    await host.registers.write(("ERROR_CLEAR", error))
    expect(f"{rule}, which can be cleared", Status(0), await host.status())
