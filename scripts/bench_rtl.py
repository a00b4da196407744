"""Speed of the RTL simulation of an accelerator: build time, and cycles per second on the network.

    python scripts/bench_rtl.py [OPS] [--rows R] [--cols C]

OPS is an ops.json with vectors of 60 images or more, by default that of `make demo`. The netlists
are simulated flat, and with the processing element compiled once (`hierarchical`, which `sim`
does); the look-ups flat (which `sim --multiplier-model lut` does). Times are those of a processor,
all processes of a build together, and do not depend on what else the machine does. Cycles are
those of the array's jobs; per second they come from the difference of two runs with few and more
images, so that start-up does not count.
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from qosnets.files import publish
from qosnets.ops import OpsFile
from qosnets_hw.generate import generate
from qosnets_library.store import all_libraries
from qosnets_sim.design import Design
from qosnets_sim.job import BENCH_VARIABLE, BenchJob
from qosnets_sim.multiplier_model import TABLES_VARIABLE, MultiplierModel, write_tables
from qosnets_sim.results import SimulationResult
from qosnets_sim.simulate import ACCELERATOR_BENCH, build_accelerator
from qosnets_sim.verilator import build_model, run_model

FEW, MORE = 10, 60
PROCESSING_ELEMENT = ("processing_element",)
VARIANTS = {
    "netlists, flat": (MultiplierModel.NETLIST, ()),
    "netlists, hierarchical": (MultiplierModel.NETLIST, PROCESSING_ELEMENT),
    "look-ups, flat": (MultiplierModel.LUT, ()),
}
"""Multiplier model and hierarchical modules by name; the first is the reference of ratios."""


def processor_seconds(call):
    """Return the processor seconds of the processes that ``call`` starts, and its result."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, result


def run(model, design, ops, n_images, tables):
    """Return the clock cycles of the jobs of ``n_images`` at every operating point."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        job = BenchJob(
            design=str(design.folder),
            ops=str(ops.path.resolve()),
            seed=1,
            n_images=n_images,
            stalls=0.0,
            result=str(work / "result.json"),
            progress=str(work / "progress"),
        )
        job.save(work / "job.json")
        environment = {BENCH_VARIABLE: str(work / "job.json"), TABLES_VARIABLE: str(tables)}
        run_model(model, ACCELERATOR_BENCH, environment=environment, folder=work)
        result = SimulationResult.load(Path(job.result))
    assert result.mismatches == 0, result
    return sum(point.cycles for point in result.points)


def measure(design, ops, tables, multiplier_model, hierarchical):
    """Return build time in seconds and simulation speed in cycles per second."""
    build, model = processor_seconds(
        lambda: build_accelerator(design, multiplier_model, hierarchical)
    )
    few, few_cycles = processor_seconds(lambda: run(model, design, ops, FEW, tables))
    more, more_cycles = processor_seconds(lambda: run(model, design, ops, MORE, tables))
    return build, (more_cycles - few_cycles) / (more - few)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ops", nargs="?", type=Path, default=Path("build/demo/ops.json"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--cols", type=int, default=8)
    arguments = parser.parse_args()
    ops = OpsFile.load(arguments.ops)
    start = time.process_time()
    seconds, generated = processor_seconds(
        lambda: generate(ops, all_libraries(), rows=arguments.rows, cols=arguments.cols)
    )
    seconds += time.process_time() - start
    size = f"{arguments.rows}x{arguments.cols}, {len(ops.ops.multipliers)} multipliers"
    print(f"{size}: generated in {seconds:.1f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "design"
        publish(folder, generated.files, force=False, manifest=generated.manifest)
        design, tables = Design.open(folder), Path(name) / "tables"
        write_tables(design.product_tables(ops), tables)
        os.environ["XDG_CACHE_HOME"] = name  # cold, but for Verilator's runtime
        build_model([folder / "rtl" / "operand_gate.v"], "operand_gate")
        print(f"{'':24}{'build [s]':>10}{'cycles/s':>10}{'ratio':>7}")
        reference = None
        for variant, (multiplier_model, hierarchical) in VARIANTS.items():
            build, speed = measure(design, ops, tables, multiplier_model, hierarchical)
            reference = reference or speed
            print(f"{variant:24}{build:10.1f}{speed:10.0f}{speed / reference:7.2f}", flush=True)


if __name__ == "__main__":
    main()
