"""Speed of the RTL simulation of an array: build time, and cycles per second on the network.

    python scripts/bench_rtl.py [OPS] [--rows R] [--cols C]

OPS is an ops.json with vectors of 60 images or more, by default that of `make demo`. The baseline
in the same run has the signals of the processing elements public, too, as `verilator
--public-depth 1` makes them (with all signals public, cocotb's default, the build takes many
minutes). Cycles per second come from the difference of two runs with few and more images, so that
start-up does not count.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from qosnets.files import publish
from qosnets.ops import OpsFile
from qosnets_hw.generate import generate
from qosnets_library.store import all_libraries
from qosnets_sim import verilator
from qosnets_sim.design import Design
from qosnets_sim.simulate import HIERARCHICAL, simulate

FEW, MORE = 20, 60


def blocks_public(top, hierarchical, control=verilator._control):
    """Return a control file that makes the signals of hierarchical blocks public, too."""
    lines = [f'public_flat_rw -module "{module}" -var "*"\n' for module in hierarchical]
    return control(top, hierarchical) + "".join(lines)


def timed(call):
    """Return the seconds that ``call`` takes, and its result."""
    start = time.monotonic()
    result = call()
    return time.monotonic() - start, result


def measure(folder, ops):
    """Return build time in seconds and simulation speed in cycles per second."""
    design = Design.open(folder)
    top = design.manifest["top"]["module"]
    build, _ = timed(lambda: verilator.build_model(design.sources, top, hierarchical=HIERARCHICAL))

    def run(n_images):
        return simulate(folder, ops, n_images=n_images, progress=lambda *_: None)

    run(FEW)  # builds the bank, warms up
    (few, a), (more, b) = timed(lambda: run(FEW)), timed(lambda: run(MORE))
    assert a.mismatches == b.mismatches == 0
    cycles = sum(point.cycles for point in b.points) - sum(point.cycles for point in a.points)
    return build, cycles / (more - few), cycles / len(b.points) / (MORE - FEW)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ops", nargs="?", type=Path, default=Path("build/demo/ops.json"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--cols", type=int, default=8)
    arguments = parser.parse_args()
    ops = OpsFile.load(arguments.ops)
    generation, design = timed(
        lambda: generate(ops, all_libraries(), rows=arguments.rows, cols=arguments.cols)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "design"
        publish(folder, design.files, force=False, manifest=design.manifest)
        os.environ["XDG_CACHE_HOME"] = name  # cold, but for Verilator's runtime
        verilator.build_model([folder / "rtl" / "operand_gate.v"], "operand_gate")
        build, speed, per_image = measure(folder, ops)
        verilator._control = blocks_public
        baseline_build, baseline, _ = measure(folder, ops)
    size = f"{arguments.rows}x{arguments.cols}, {len(ops.ops.multipliers)} multipliers"
    print(f"{size}: generated in {generation:.1f} s, {per_image:.0f} cycles per image")
    print("                    build [s]   cycles/s")
    print(f"only the top public {build:9.1f} {speed:10.0f}")
    print(f"also the blocks'    {baseline_build:9.1f} {baseline:10.0f}")
    print(f"ratio               {build / baseline_build:9.2f} {speed / baseline:10.2f}")


if __name__ == "__main__":
    main()
