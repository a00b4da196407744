"""A bench that withholds activations, which must be noticed and reported."""

from typing import Any

import cocotb
from qosnets_sim.accelerator_bench import run
from qosnets_sim.bench import Bench
from qosnets_sim.job import BenchJob
from qosnets_sim.network import Job
from qosnets_sim.records import with_last

WITHHELD = 1


class WithholdingBench(Bench):
    def start_job(self, job: Job) -> None:
        super().start_job(job)
        beats = with_last(self.network.beats(job)["activations"])
        self.host.player["activations"].send(beats[:-WITHHELD])


@cocotb.test()
async def network(dut: Any) -> None:
    await run(WithholdingBench(dut, BenchJob.from_environment()))
