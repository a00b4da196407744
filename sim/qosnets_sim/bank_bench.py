"""cocotb bench: every product of the multiplier bank, for every select code."""

from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer
from qosnets.lut import oriented
from qosnets.ops import OpsFile

from .design import Design
from .job import BenchJob
from .results import Comparison, SimulationResult


@cocotb.test()
async def exhaustive(dut: Any) -> None:
    """Compare all 65 536 products of each member with its LUT, and the masked bank with 0."""
    job = BenchJob.from_environment()
    ops = OpsFile.load(Path(job.ops))
    luts = Design.open(Path(job.design)).luts(ops)
    comparison = Comparison()
    for code, (multiplier, lut) in enumerate(zip(ops.ops.multipliers, luts, strict=True)):
        dut.select.value = code
        dut.active.value = 1
        expected = oriented(lut, multiplier.activation_port)
        found = np.empty_like(expected)
        for activation in range(256):
            dut.activation.value = activation
            for weight in range(256):
                dut.weight.value = weight
                await Timer(1, "ns")
                found[activation, weight] = int(dut.product.value)
            job.report_progress(code * 256 + activation + 1, 256 * len(luts))
        comparison.check(f"bank: {multiplier.name}", expected, found)
        await _check_masked(dut, comparison, multiplier.name)
    SimulationResult(job.seed, bank=comparison).save(Path(job.result))


async def _check_masked(dut: Any, comparison: Comparison, name: str) -> None:
    """An inactive bank must give 0 for any operands; 0 and 255 are those LUTs err most at."""
    dut.active.value = 0
    for activation, weight in ((0, 0), (0, 255), (255, 0), (255, 255), (85, 170)):
        dut.activation.value, dut.weight.value = activation, weight
        await Timer(1, "ns")
        found = np.array([int(dut.product.value)])
        comparison.check(f"bank: {name} masked", np.zeros(1, np.int64), found)
