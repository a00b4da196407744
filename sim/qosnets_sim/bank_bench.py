"""cocotb bench: every product of the multiplier bank, for every select code."""

from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer
from qosnets.ops import OpsFile

from .design import Design
from .job import BenchJob
from .results import Comparison, SimulationResult

NO_MULTIPLIER = 0
"""Word on the port ``select``."""


@cocotb.test()
async def exhaustive(dut: Any) -> None:
    """Compare all 65 536 products of each member with its LUT, and the masked bank with 0."""
    job = BenchJob.from_environment()
    ops = OpsFile.load(Path(job.ops))
    design = Design.open(Path(job.design))
    tables, words = design.product_tables(ops), design.manifest["bank"]["select_words"]
    comparison = Comparison()
    for code, (multiplier, expected) in enumerate(zip(ops.ops.multipliers, tables, strict=True)):
        dut.select.value = words[code]
        found = np.empty_like(expected)
        for activation in range(256):
            dut.activation.value = activation
            for weight in range(256):
                dut.weight.value = weight
                await Timer(1, "ns")
                found[activation, weight] = int(dut.product.value)
            job.report_progress(code * 256 + activation + 1, 256 * len(tables))
        comparison.check(f"bank: {multiplier.name}", expected, found)
        await _check_masked(dut, comparison, multiplier.name)
    SimulationResult(job.seed, bank=comparison).save(Path(job.result))


async def _check_masked(dut: Any, comparison: Comparison, name: str) -> None:
    """Without a multiplier the product is 0 for any operands; LUTs err most at 0 and 255."""
    dut.select.value = NO_MULTIPLIER
    for activation, weight in ((0, 0), (0, 255), (255, 0), (255, 255), (85, 170)):
        dut.activation.value, dut.weight.value = activation, weight
        await Timer(1, "ns")
        found = np.array([int(dut.product.value)])
        comparison.check(f"bank: {name} masked", np.zeros(1, np.int64), found)
