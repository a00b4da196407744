"""Clock of the array: the longest paths by stage, multiplier and operating point.

    python scripts/array_clock.py [OPS] [--rows R] [--cols C] [--liberty FILE]

The claim under test: the stage with the multiplier takes no longer than the slowest selected
multiplier by itself, an operand gate and the AND-OR behind it, and no other stage takes longer.
"""

import argparse
import tempfile
from pathlib import Path

from array_variants import add_arguments, load_ops, markdown, variants
from qosnets_hw.clock import Stage, clock_report
from qosnets_hw.synthesis import map_design
from qosnets_library.liberty import load_liberty
from qosnets_library.store import all_libraries
from qosnets_library.yosys import yosys_version

PARTS = ("alone_ns", "register_ns", "gate_ns", "member_ns", "join_ns", "setup_ns", "stage_ns")


def stage_row(found):
    """Return a row of stages."""
    times = [f"{found.stages[stage].time_ns:.3f}" for stage in Stage]
    longest = max(found.stages.values(), key=lambda stage: stage.time_ns)
    path = f"{longest.start} to {longest.end}"
    return [f"{found.period_ns:.3f}", f"{1000 / found.period_ns:.0f}", *times, path]


def main():
    """Analyse and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_arguments(parser)
    arguments = parser.parse_args()
    liberty, libraries = load_liberty(arguments.liberty), all_libraries()
    sizes = {"rows": arguments.rows, "cols": arguments.cols}
    members, periods, exact_ns = [], [], None
    with tempfile.TemporaryDirectory() as name:
        file = load_ops(arguments.ops, libraries, Path(name))
        for label, ops, design in variants(file, libraries, sizes, Path(name)):
            mapped = map_design(design, liberty)
            clock = clock_report(mapped, design.manifest, ops.ops)
            for member in clock.members:
                exact_ns = exact_ns or member.stage_ns
                bound = member.stage_ns - member.member_ns + member.alone_ns
                members.append(
                    [
                        label,
                        member.name,
                        *(f"{getattr(member, part):.3f}" for part in PARTS),
                        f"{bound:.3f}",
                        f"{member.stage_ns / exact_ns - 1:+.1%}",
                    ]
                )
            periods.append([label, "any", *stage_row(clock)])
            periods += [[label, point.name, *stage_row(point)] for point in clock.points]
    print(
        f"{arguments.rows}x{arguments.cols}, cells {liberty.name}, Yosys {yosys_version()}, static"
        " timing of qosnets-hw; ns, register to register, ideal clock, no wires\n"
    )
    print("Path through the selected multiplier; the bound has it as fast as it is alone:\n")
    titles = ["array", "multiplier", *(part.removesuffix("_ns") for part in PARTS)]
    print(markdown([*titles, "bound", "to exact only"], members))
    print("Longest path by stage; `any`: whatever is selected, changes of the select included:\n")
    titles = ["array", "point", "period", "MHz", *(stage.value for stage in Stage), "longest"]
    print(markdown(titles, periods))


if __name__ == "__main__":
    main()
