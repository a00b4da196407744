"""A bench whose parameter bank has one wrong bit, which the comparison must notice."""

from typing import Any

import cocotb
from qosnets_sim.array_bench import run
from qosnets_sim.bench import ArrayBench
from qosnets_sim.job import BenchJob
from qosnets_sim.schedule import parameter_words

POINT = 1


class CorruptedBench(ArrayBench):
    async def load_tables(self) -> None:
        await super().load_tables()
        layer = self.ops.layers[0].name
        values = self.parameters.requantisation[self.ops.operating_points[POINT].name, layer]
        words = parameter_words(self.plans[0], self.parameters.weights[layer], values)
        tile, column, word = next(words)
        await self.host.write_parameters(POINT, tile, column, word | {"bias": word["bias"] ^ 1})


@cocotb.test()
async def network(dut: Any) -> None:
    await run(CorruptedBench(dut, BenchJob.from_environment()))
