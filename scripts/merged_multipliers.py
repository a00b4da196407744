"""Make the library of merged multipliers of the package; prints their costs.

Costs are relative to those of the best exact multiplier of the default library.

Repeats, with the versions of `recipe.json`, what the package holds, on one core in ten minutes:

    python scripts/merged_multipliers.py --force

The bounds of the approximate modes are the mean squared errors of EvoApproxLib v2022's mul8u_NLX,
mul8u_197B and mul8u_17C8, so that both can be compared.
"""

import argparse
from dataclasses import replace

import numpy as np
from qosnets_library.default import MERGED, MERGED_FOLDER
from qosnets_library.liberty import generic
from qosnets_library.merge import merge_library, merged_costs
from qosnets_library.merged.goal import ErrorCriterion, mse_goal
from qosnets_library.operands import UNIFORM, Operands

BOUNDS = (2764.0, 21_037.0, 209_723.0)

MODE_WEIGHTS = (1.0, 1.5, 1.0)
"""With equal weights the middle mode takes more power than a mux with mul8u_197B does."""

MAX_DELAY_NS = 0.646
"""Delay of EvoApproxLib's exact mul8u_1JJQ in these cells."""

_CODES = np.arange(256)
# Rounded, so that every machine has the same.
_ACTIVATIONS = np.rint(1000 * np.exp(-((_CODES / 60) ** 2) / 2))
_WEIGHTS = np.rint(1000 * np.exp(-(((_CODES - 128) / 30) ** 2) / 2))
_ACTIVATIONS[0] += _ACTIVATIONS.sum()
LAYER = Operands("layer", tuple(_ACTIVATIONS.tolist()), tuple(_WEIGHTS.tolist()))
"""Operands like those of a layer behind a ReLU: half of A is 0 and the rest falls off like one
side of a normal distribution, B is normal."""

GOALS = {
    "mul8u_merged": mse_goal(BOUNDS, weights=MODE_WEIGHTS),
    # At most four masked products make a mode.
    "mul8u_merged_pairs": mse_goal(BOUNDS, weights=MODE_WEIGHTS, row_pairs=True),
    # A product with 0 is 0; the mean of the error is left to the biases of the layers.
    "mul8u_merged_zero": replace(
        mse_goal(BOUNDS, weights=MODE_WEIGHTS), criterion=ErrorCriterion.VARIANCE
    ),
}


def main() -> None:
    """Make the library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="replace the library")
    arguments = parser.parse_args()
    library = merge_library(
        MERGED_FOLDER,
        MERGED,
        GOALS,
        liberty=generic(),
        streams=(UNIFORM, LAYER),
        max_delay_ns=MAX_DELAY_NS,
        seed=1,
        force=arguments.force,
        progress=lambda n, total, name: print(f"{name}: {n} of {total}", end="\r", flush=True),
    )
    print(f"{'':28}{'MSE':>10}{'area':>8}{'delay':>8}{'power':>8}{'with glitches':>15}")
    costs = merged_costs(library, liberty=generic())
    base = costs[0].estimates
    for cost in costs:
        found = cost.estimates
        print(
            f"{cost.name:28}{cost.mse:10.0f}{found.area_um2 / base.area_um2:8.3f}"
            f"{found.delay_ns / base.delay_ns:8.3f}{found.relative_power:8.3f}"
            f"{cost.relative_glitching:15.3f}"
        )


if __name__ == "__main__":
    main()
