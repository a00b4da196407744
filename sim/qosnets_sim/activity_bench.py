"""cocotb bench: layers at one operating point while the toggles of all nets are recorded."""

from pathlib import Path
from typing import Any

import cocotb

from .bench import Bench
from .job import BenchJob
from .results import SimulationResult


@cocotb.test()
async def activity(dut: Any) -> None:
    """Run drawn inferences until enough cycles are recorded."""
    job = BenchJob.from_environment()
    bench = Bench(dut, job, raw_accumulators=False)
    await bench.start()
    await bench.host.request_point(job.point)
    await bench.host.idle()
    player = bench.host.player
    dut.record_activity.value = 1
    end = player.cycle + job.min_cycles
    while player.cycle < end:
        await bench.run_drawn_inference(job.point)
    dut.record_activity.value = 0
    await player.run(2)
    SimulationResult(job.seed, points=bench.points).save(Path(job.result))
