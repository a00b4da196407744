"""cocotb bench: the network, or drawn layers, through the array at every operating point."""

from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from .bench import ArrayBench
from .job import BenchJob
from .results import Comparison, SimulationResult

N_DRAWN_INFERENCES = 4
"""Inferences of drawn layers at each operating point."""


@cocotb.test()
async def network(dut: Any) -> None:
    """Run images with the operating point switched between consecutive ones; check every value."""
    await run(ArrayBench(dut, BenchJob.from_environment()))


async def run(bench: ArrayBench) -> None:
    """Run ``bench`` and write its result."""
    job = bench.job
    await bench.start()
    n_points = len(bench.points)
    n_images = len(bench.vectors["input"]) if bench.vectors else 0
    if job.n_images is not None:
        n_images = min(n_images, job.n_images)
    n_inferences = n_images or N_DRAWN_INFERENCES
    for number in range(n_inferences):
        for point in range(n_points):
            await bench.host.request_point(point)
            if n_images:
                await bench.run_image(point, number)
            else:
                await bench.run_drawn_inference(point)
            job.report_progress(number * n_points + point + 1, n_inferences * n_points)
    rules = await check_rules(bench)
    SimulationResult(job.seed, rules=rules, points=bench.points).save(Path(job.result))


async def check_rules(bench: ArrayBench) -> Comparison:
    """Check what the array promises about operating points and jobs, apart from arithmetic."""
    dut, host = bench.host.dut, bench.host
    n_points, n_layers = len(bench.points), len(bench.ops.layers)
    rules = Comparison()

    def expect(rule: str, expected: int, found: Any) -> None:
        rules.check(f"rule: {rule}", np.array([expected]), np.array([int(found.value)]))

    first, second = 0, n_points - 1
    await host.request_point(first)
    await host.idle()
    expect("a point asked for between inferences is active", first, dut.point_active)
    for layer in range(n_layers):
        await bench.run_drawn_layer(first, layer, last=layer == n_layers - 1)
        if layer < n_layers - 1:
            await host.request_point(second)
            expect("a point asked for during an inference waits", first, dut.point_active)
            expect("and is pending", second, dut.point_pending)
    if n_layers > 1:
        await host.idle()
        expect("it is active once the inference has ended", second, dut.point_active)

    expect("no error before an illegal point", 0, dut.point_error)
    before = int(dut.point_pending.value)
    await host.request_point(n_points)
    expect("an illegal point raises a sticky error", 1, dut.point_error)
    expect("and changes nothing", before, dut.point_pending)

    expect("no error before an illegal job", 0, dut.job_error)
    await host.send_job({"layer": n_layers, "positions": 1, "tile_offset": 0, "last": 1})
    await host.idle()
    expect("an illegal job raises a sticky error", 1, dut.job_error)
    expect("and starts nothing", 0, dut.busy)

    await host.reset()
    expect("a reset clears the errors", 0, dut.point_error)
    expect("a reset clears the errors", 0, dut.job_error)
    expect("a reset returns to the first point", 0, dut.point_active)
    await bench.run_drawn_inference(0)
    return rules
