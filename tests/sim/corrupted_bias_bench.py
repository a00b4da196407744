"""A bench whose parameter bank has one wrong bit, which the comparison must notice."""

from typing import Any

import cocotb
from qosnets_sim.accelerator_bench import run
from qosnets_sim.bench import Bench
from qosnets_sim.job import BenchJob

POINT = 1


class CorruptedBench(Bench):
    async def load_parameters(self) -> None:
        await super().load_parameters()
        tile, column, word = self.network.parameter_words(POINT)[0]
        corrupted = {**word, "bias": word["bias"] ^ 1}
        await self.host.write_parameters(POINT, [(tile, column, corrupted)])


@cocotb.test()
async def network(dut: Any) -> None:
    await run(CorruptedBench(dut, BenchJob.from_environment()))
