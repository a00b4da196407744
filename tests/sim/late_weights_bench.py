"""A bench whose weights come late, so that jobs take longer than the cycle model says."""

from typing import Any

import cocotb
from qosnets_sim.accelerator_bench import run
from qosnets_sim.bench import Bench
from qosnets_sim.job import BenchJob


class LateBench(Bench):
    async def start(self) -> None:
        await super().start()
        self.host.player["weights"].stall(0.9)


@cocotb.test()
async def network(dut: Any) -> None:
    await run(LateBench(dut, BenchJob.from_environment()))
