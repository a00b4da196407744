"""Compare a checkout of EvoApproxLib v2022 with its published figures and with our library.

Prints Markdown: hashes, the homogeneous figures of the QoS-Nets paper, correlation of estimated
with published figures for every Liberty file, exact multipliers, and for every inexact circuit
of EvoApproxLib ours of no more error and least power. `compare_evoapprox.md` is what it printed:

    git clone --branch v2022 https://github.com/ehw-fit/evoapproxlib
    python scripts/compare_evoapprox.py evoapproxlib --liberty generic \\
        --liberty osu018_stdcells.lib --liberty sky130_fd_sc_hd__tt_025C_1v80.lib
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from qosnets.library import Estimates, Published
from qosnets.lut import lut_sha256
from qosnets_library.characterise import error_metrics, estimate_netlists
from qosnets_library.default import EXACT, default_library
from qosnets_library.families import embedded_library
from qosnets_library.liberty import Liberty, load_liberty
from qosnets_library.netlist import canonical_netlist
from qosnets_library.published import check_published
from qosnets_library.sources import read_circuits
from qosnets_library.yosys import run_yosys
from scipy.stats import pearsonr, spearmanr

REFERENCE = "mul8u_1JJQ"
"""EvoApproxLib's exact multiplier."""

TABLE_4 = ("mul8u_8U3", "mul8u_NLX", "mul8u_1DMU")
"""The homogeneous configurations of the paper's Table 4."""


class Multiplier(NamedTuple):
    """A circuit to compare."""

    name: str
    netlist: str
    mse: float
    constant: bool
    published: Published | None = None


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of EvoApproxLib, branch v2022")
    parser.add_argument(
        "--liberty", type=Path, action="append", help="Liberty file, repeatable [the one in force]"
    )
    arguments = parser.parse_args()
    liberties = [load_liberty(path) for path in arguments.liberty or [None]]
    circuits = read_circuits(arguments.checkout).circuits
    check = check_published({circuit.name: lut_sha256(circuit.lut) for circuit in circuits})
    print("# EvoApproxLib v2022 and the default library\n")
    print(f"{check.n_equal} of {check.n_published} LUT hashes are the published ones.\n")
    theirs = [
        Multiplier(
            circuit.name,
            circuit.netlist,
            error_metrics(circuit.lut).mse,
            bool((circuit.lut == circuit.lut[0, 0]).all()),
            circuit.published,
        )
        for circuit in circuits
        if circuit.netlist and circuit.published
    ]
    library = default_library()
    ours = [
        Multiplier(entry.name, library.netlist(entry.name), entry.metrics.mse, constant=False)
        for entry in library.entries.values()
    ]
    flows = [(liberty, _estimates([*theirs, *ours, *_exact()], liberty)) for liberty in liberties]
    _print_table_4(theirs)
    _print_correlations(theirs, flows)
    _print_exact(flows)
    _print_domination(theirs, ours, flows)


def _exact() -> list[Multiplier]:
    """Return exact multipliers of other makes: ariths-gen's, and what Yosys makes of `*`."""
    families = embedded_library()
    exact = [
        Multiplier(entry.name, families.netlist(entry.name), 0.0, constant=False)
        for entry in families.entries.values()
        if entry.metrics.wce == 0
    ]
    verilog = "module m(input [7:0] a, input [7:0] b, output [15:0] o); assign o = a * b; endmodule"
    passes = ("booth", "techmap", "opt", "flatten", "write_verilog -noattr booth.v")
    script = ("read_verilog m.v", "hierarchy -top m", "proc", "wreduce", *passes)
    booth = run_yosys(script, {"m.v": verilog}, ("booth.v",)).outputs["booth.v"]
    for name, text in (("Yosys *", verilog.encode()), ("Yosys booth", booth)):
        netlist = canonical_netlist({"m.v": text}, top="m", where=name)
        exact.append(Multiplier(name, netlist, 0.0, constant=False))
    return exact


def _estimates(multipliers: Sequence[Multiplier], liberty: Liberty) -> dict[str, Estimates]:
    library = default_library()
    netlists = {multiplier.name: multiplier.netlist for multiplier in multipliers}
    return estimate_netlists(netlists, reference=library.netlist(EXACT), liberty=liberty)


Flows = Sequence[tuple[Liberty, Mapping[str, Estimates]]]


def _print_table_4(theirs: Sequence[Multiplier]) -> None:
    published = {one.name: one.published.power_mw for one in theirs if one.published}
    figures = [f"{name} {published[name] / published[REFERENCE]:.2%}" for name in TABLE_4]
    print(f"Homogeneous figures of the paper, from the published powers: {', '.join(figures)}.\n")


def _print_correlations(theirs: Sequence[Multiplier], flows: Flows) -> None:
    print(f"## Estimated against published figures, {len(theirs)} circuits (Pearson / Spearman)\n")
    print("| cells | power | area | delay |\n|---|---|---|---|")
    for liberty, estimates in flows:
        row = [liberty.name]
        for estimated, published in (
            ("power_uw", "power_mw"),
            ("area_um2", "area_um2"),
            ("delay_ns", "delay_ns"),
        ):
            x = [getattr(estimates[one.name], estimated) for one in theirs]
            y = [getattr(one.published, published) for one in theirs]
            row.append(f"{pearsonr(x, y).statistic:.4f} / {spearmanr(x, y).statistic:.4f}")
        print(f"| {' | '.join(row)} |")
    print()


def _print_exact(flows: Flows) -> None:
    print(f"## Exact multipliers, relative to {REFERENCE} (power / area / delay)\n")
    print(f"| multiplier | {' | '.join(liberty.name for liberty, _ in flows)} |")
    print("|---" * (1 + len(flows)) + "|")
    for name in (EXACT, *(one.name for one in _exact()), REFERENCE):
        row = []
        for _, estimates in flows:
            one, base = estimates[name], estimates[REFERENCE]
            ratios = (
                one.power_uw / base.power_uw,
                one.area_um2 / base.area_um2,
                one.delay_ns / base.delay_ns,
            )
            row.append(" / ".join(f"{ratio:.3f}" for ratio in ratios))
        print(f"| {name} | {' | '.join(row)} |")
    print()


def _print_domination(
    theirs: Sequence[Multiplier], ours: Sequence[Multiplier], flows: Flows
) -> None:
    inexact = sorted(
        (one for one in theirs if one.mse and not one.constant), key=lambda one: one.mse
    )
    print("## Circuits of no more error and no more power\n")
    for liberty, estimates in flows:
        best = {one.name: _best(one, ours, estimates) for one in inexact}
        lost = [
            one.name
            for one in inexact
            if estimates[best[one.name].name].power_uw > estimates[one.name].power_uw
        ]
        print(
            f"### {liberty.name}: {len(inexact) - len(lost)} of {len(inexact)} are dominated"
            f"{'; lost: ' + ', '.join(lost) if lost else ''}\n"
        )
        print("Power relative to our exact multiplier, and to that of EvoApproxLib (1JJQ).\n")
        print(
            "| EvoApproxLib | MSE | power | to 1JJQ | delay [ns]"
            " | ours | MSE | power | to 1JJQ | delay [ns] | power saved |"
        )
        print("|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|")
        base = estimates[REFERENCE].relative_power
        for one in inexact:
            other = best[one.name]
            power, least = (estimates[x.name].relative_power for x in (one, other))
            delay, others_delay = (estimates[x.name].delay_ns for x in (one, other))
            print(
                f"| {one.name} | {one.mse:.6g} | {power:.3f} | {power / base:.3f} | {delay:.3f}"
                f" | {other.name} | {other.mse:.6g} | {least:.3f} | {least / base:.3f}"
                f" | {others_delay:.3f} | {1 - least / power:.1%} |"
            )
        print()


def _best(
    one: Multiplier, ours: Sequence[Multiplier], estimates: Mapping[str, Estimates]
) -> Multiplier:
    """Return the circuit of least power among ours with no more error."""
    usable = [other for other in ours if other.mse <= one.mse]
    return min(usable, key=lambda other: estimates[other.name].power_uw)


if __name__ == "__main__":
    main()
