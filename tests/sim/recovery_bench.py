"""A bench of nothing but faults and recoveries."""

from pathlib import Path
from typing import Any

import cocotb
from qosnets_sim.bench import Bench
from qosnets_sim.job import BenchJob
from qosnets_sim.recovery import check_recovery
from qosnets_sim.results import Comparison, SimulationResult

N_FAULTS = 300


@cocotb.test()
async def recovery(dut: Any) -> None:
    job = BenchJob.from_environment()
    bench, rules = Bench(dut, job), Comparison()
    await bench.start()
    await check_recovery(bench, rules, N_FAULTS)
    for point in bench.start_record():
        rules.add(point.comparison)
    SimulationResult(job.seed, rules=rules).save(Path(job.result))
