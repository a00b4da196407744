"""cocotb bench: the network, or drawn layers, through the accelerator at every operating point."""

from pathlib import Path
from typing import Any

import cocotb

from .bench import Bench
from .job import BenchJob
from .recovery import check_recovery
from .results import Comparison, SimulationResult
from .rules import check_rules

N_DRAWN_INFERENCES = 4
"""Inferences of drawn layers at each operating point."""
N_FAULTS = 12
"""Random faults to recover from, at the end."""


@cocotb.test()
async def network(dut: Any) -> None:
    """Run images with the operating point switched between consecutive ones; check every value."""
    await run(Bench(dut, BenchJob.from_environment()))


async def run(bench: Bench) -> None:
    """Run ``bench`` and write its result."""
    await bench.start()
    await run_network(bench)
    points = bench.start_record()
    rules = Comparison()
    await check_rules(bench, rules)
    await check_recovery(bench, rules, N_FAULTS)
    for point in bench.start_record():
        rules.add(point.comparison)
    SimulationResult(bench.job.seed, rules=rules, points=points).save(Path(bench.job.result))


async def run_network(bench: Bench) -> None:
    """Run the images, or drawn layers where there are none."""
    job = bench.job
    n_points, vectors = bench.network.n_points, bench.network.vectors
    n_images = len(vectors["input"]) if vectors else 0
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
