"""Evolve the default library of the package; prints the circuits.

Repeats, with the versions of `recipe.json`, what the package holds:

    python scripts/evolve_default_library.py --force

The bounds spread over the error range of EvoApproxLib v2022's unsigned 8x8 multipliers, at or a
little below the errors of its own, so that both can be compared.
"""

import argparse

from qosnets_library.default import DEFAULT, DEFAULT_FOLDER
from qosnets_library.evolution.goal import Cost, Metric
from qosnets_library.evolution.library import Effort, evolve_library
from qosnets_library.families import embedded_library
from qosnets_library.liberty import generic
from qosnets_library.operands import UNIFORM

# fmt: off
BOUNDS = (
    0, 0.25, 1.5, 5, 17, 58, 212, 600, 1000, 1500, 2000, 2760, 3840, 7000, 12_600, 21_000, 33_600,
    39_800, 52_800, 100_000, 172_000, 209_000, 305_000, 386_000, 645_000, 919_000, 1_600_000,
    3_080_000, 3_680_000, 5_450_000, 12_000_000, 20_000_000, 29_300_000, 33_600_000, 42_800_000,
    69_800_000,
)
# fmt: on


def main() -> None:
    """Run the evolution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="processes [all cores]")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument("--force", action="store_true", help="replace the library")
    arguments = parser.parse_args()
    families = embedded_library()
    exact = [entry.name for entry in families.entries.values() if entry.metrics.wce == 0]
    library = evolve_library(
        DEFAULT_FOLDER,
        DEFAULT,
        metric=Metric.MSE,
        bounds=BOUNDS,
        cost=Cost.POWER,
        operands=UNIFORM,
        liberty=generic(),
        seeds={name: families.netlist(name) for name in exact},
        reference=None,
        effort=Effort(islands=2, rounds=10, evaluations=500_000, n_jobs=arguments.jobs),
        seed=1,
        resume=arguments.resume,
        force=arguments.force,
        progress=lambda done, total, _: print(f"{done} of {total}", end="\r", flush=True),
    )
    for entry in library.entries.values():
        assert entry.estimates is not None
        print(f"{entry.name:20} {entry.metrics.mse:14.1f} {entry.estimates.relative_power:6.3f}")


if __name__ == "__main__":
    main()
