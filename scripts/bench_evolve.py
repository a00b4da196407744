"""Throughput of the evolution on one core, against a plain evaluation of every candidate.

An evaluation decides whether a changed circuit keeps the bound of its mean squared error and what
it costs. The baseline decides the same for the same kind of candidates with NumPy: it simulates
all gates for all operand pairs on machine words and computes the error from the table. The
evolution compiles, simulates the first eighth, and stops as soon as cost or error decide.

    python scripts/bench_evolve.py [--evaluations N]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from qosnets.lut import exact_lut
from qosnets_library.evolution.climb import climb
from qosnets_library.evolution.genome import Genome
from qosnets_library.evolution.goal import Cost, Metric
from qosnets_library.evolution.stimuli import Stimuli, stimuli
from qosnets_library.evolution.trees import truncated_multipliers
from qosnets_library.evolution.weights import cost_weights
from qosnets_library.gates import ALL_PAIRS, GateNetlist
from qosnets_library.operands import UNIFORM, Operands

N_SPARE = 60
N_BASELINE = 100

# Partial products left out of the Dadda tree that the climb starts from, and what it is like.
STARTS = ((0, "exact"), (21, "like mul8u_NLX"), (34, "like mul8u_197B"), (41, "like mul8u_17C8"))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=300_000)
    n_evaluations = parser.parse_args().evaluations
    trees = list(truncated_multipliers())
    half_normal = Operands(
        "half-normal", tuple(np.exp(-((np.arange(256) / 60) ** 2) / 2)), (1.0,) * 256
    )
    # Compilation is not part of the throughput.
    _climb(trees[0].genome(), stimuli(UNIFORM), 0.0, 1)
    print(f"{'start':18} {'gates':>6} {'MSE bound':>10} {'operands':>12}", end="")
    print(f" {'evaluations/s':>14} {'baseline/s':>11} {'ratio':>7}")
    for n_left_out, kind in STARTS:
        genome = trees[n_left_out].genome()
        bound = 1.1 * _evaluate(genome.netlist())[0]
        baseline = N_BASELINE / _seconds(_evaluate, genome.netlist(), repetitions=N_BASELINE)
        for operands in (UNIFORM, half_normal):
            rate = n_evaluations / _seconds(_climb, genome, stimuli(operands), bound, n_evaluations)
            print(f"{kind:18} {len(genome.nodes):6} {bound:10.0f} {operands.name:>12}", end="")
            print(f" {rate:14,.0f} {baseline:11,.0f} {rate / baseline:7.0f}")


def _climb(genome: Genome, lanes: Stimuli, bound: float, n_evaluations: int) -> None:
    start = genome.scattered(N_SPARE, np.random.default_rng(1))
    weights = cost_weights(Cost.POWER)
    climb(
        start.nodes, start.outputs, lanes, Metric.MSE.code, bound, weights, True, n_evaluations, 1
    )


def _evaluate(netlist: GateNetlist) -> tuple[float, int]:
    """Return error and summed switching activity of all nets, as the baseline finds them."""
    values = netlist.evaluate(ALL_PAIRS)
    table = np.zeros(len(ALL_PAIRS), dtype=np.int64)
    for bit, net in enumerate(netlist.outputs):
        table |= (
            np.unpackbits(values[net].view(np.uint8), bitorder="little").astype(np.int64) << bit
        )
    error = table - exact_lut().ravel()
    ones = np.bitwise_count(values).sum(axis=1, dtype=np.int64)
    return float((error * error).mean()), int((ones * (len(ALL_PAIRS) - ones)).sum())


def _seconds(run: Callable[..., object], *arguments: object, repetitions: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        run(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
