"""ALWANN: multipliers for tiles, and layers to tiles, by a genetic algorithm; no retraining.

V. Mrazek et al., *ALWANN: Automatic Layer-Wise Approximation of Deep Neural Network Accelerators
without Retraining*, ICCAD 2019.

A chromosome holds the multiplier of each of n tiles, then the tile of each layer. NSGA-II (Deb et
al. 2002, as in pymoo) minimises the loss of accuracy and the power; weights are tuned for the
multiplier that they meet (:mod:`.weight_tuning`).

Assumptions
-----------
Public, from the paper and the data that the authors published: the chromosome, the objectives,
the weight tuning, a population of 50, 30 generations, and a first generation of homogeneous
solutions, one for each multiplier.

Assumed, for rates are not published: uniform crossover of 90 % of the pairs; a gene mutates to any
of its values with the probability 1/(number of genes); in the first generation the layers' tiles,
which make no difference there, are random. The power is Σ c_l/C · P with the true number of
multiplications (the authors' own count: :mod:`.padded_count`). The front is that of all solutions
evaluated, and solutions that differ only in the order of tiles are evaluated once.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

from .evaluations import BudgetSpentError, Evaluations, Key, Request
from .problem import Multiplier, RivalLayer, RivalPoint, mean, relative_power
from .weight_tuning import tuned_table

__all__ = ["N_GENERATIONS", "POPULATION", "search"]

POPULATION = 50
N_GENERATIONS = 30
CROSSOVER_RATE = 0.9

Chromosomes: TypeAlias = npt.NDArray[np.int64]
"""``[individual, tile or layer]``."""


def search(
    layers: Sequence[RivalLayer],
    multipliers: Sequence[Multiplier],
    evaluations: Evaluations,
    *,
    n_tiles: int,
    seed: int,
    max_activation: int = 255,
) -> list[RivalPoint]:
    """Return the assignments that none beats in both accuracy and power, by growing power.

    Parameters
    ----------
    layers
        Of the network.
    multipliers
        On offer. Where they are more than the population, the first generation has as many as it
        can hold, spread evenly in the order of their power, first and last included.
    evaluations
        A candidate's key is the index of each layer's multiplier.
    n_tiles
        Most different multipliers, at least 1.
    seed
        Of the algorithm.
    max_activation
        Largest activation code that occurs; weights are tuned for those up to it.

    Raises
    ------
    InputError
        If there is no tile or no multiplier.
    """
    if n_tiles < 1:
        raise InputError(f"ALWANN: must have at least 1 tile, not {n_tiles}")
    if not multipliers:
        raise InputError("ALWANN: must have a multiplier, has none")
    powers = [item.relative_power for item in multipliers]
    tables = [tuned_table(item.table, max_activation=max_activation) for item in multipliers]

    def power(assignment: Key) -> float:
        return relative_power(layers, [powers[index] for index in assignment])

    def objectives(assignment: Key) -> tuple[float, float]:
        found = evaluations.accuracies(
            assignment, lambda: Request(tuple(tables[index] for index in assignment))
        )
        return 1 - mean(found), power(assignment)

    generator = np.random.default_rng(seed)
    first = _homogeneous(powers, n_tiles, len(layers), generator)
    _evolve(first, len(multipliers), n_tiles, objectives, seed)
    return [
        RivalPoint(
            label="ALWANN",
            arithmetics=tuple(tables[index] for index in assignment),
            relative_power=power(assignment),
            accuracy_on_sample=mean(evaluations.asked[assignment]),
            layer_powers=tuple(powers[index] for index in assignment),
            layer_circuits=tuple((multipliers[index].name,) for index in assignment),
        )
        for assignment in _front(evaluations, power)
    ]


def _homogeneous(
    powers: Sequence[float], n_tiles: int, n_layers: int, generator: np.random.Generator
) -> Chromosomes:
    """Return a first generation, an individual for each multiplier as far as there is room."""
    by_power = np.argsort(powers, kind="stable")
    places = np.linspace(0, len(powers) - 1, min(len(powers), POPULATION)).round().astype(int)
    multipliers = by_power[places]
    tiles = np.repeat(multipliers[:, None], n_tiles, axis=1)
    layers = generator.integers(n_tiles, size=(len(multipliers), n_layers))
    return np.concatenate([tiles, layers], axis=1)


def _evolve(
    first: Chromosomes,
    n_multipliers: int,
    n_tiles: int,
    objectives: Callable[[Key], tuple[float, float]],
    seed: int,
) -> None:
    """Run NSGA-II until generations or evaluations are at their end."""
    # Imported late: other methods do without pymoo.
    from pymoo.algorithms.moo.nsga2 import NSGA2  # type: ignore[import-untyped]
    from pymoo.core.evaluator import Evaluator  # type: ignore[import-untyped]
    from pymoo.core.mutation import Mutation  # type: ignore[import-untyped]
    from pymoo.core.problem import Problem  # type: ignore[import-untyped]
    from pymoo.operators.crossover.ux import UX  # type: ignore[import-untyped]
    from pymoo.problems.static import StaticProblem  # type: ignore[import-untyped]

    n_genes = first.shape[1]
    n_values = np.where(np.arange(n_genes) < n_tiles, n_multipliers, n_tiles)

    class Reset(Mutation):  # type: ignore[misc]
        """Give genes new values, all equally likely."""

        def _do(
            self, problem: Any, X: Chromosomes, random_state: Any = None, **_: Any
        ) -> Chromosomes:
            mutates = random_state.random(X.shape) < 1 / n_genes
            return np.where(mutates, random_state.integers(n_values, size=X.shape), X)

    problem = Problem(n_var=n_genes, n_obj=2, xl=0, xu=n_values - 1, vtype=int)
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=first,
        crossover=UX(prob=CROSSOVER_RATE),
        mutation=Reset(),
        eliminate_duplicates=True,
    )
    algorithm.setup(problem, termination=("n_gen", N_GENERATIONS + 1), seed=seed)
    with contextlib.suppress(BudgetSpentError):
        # There is no offspring where all that is possible has been tried.
        while algorithm.has_next() and (offspring := algorithm.ask()) is not None:
            assignments = [
                tuple(genes[genes[n_tiles:]].tolist()) for genes in offspring.get("X").astype(int)
            ]
            values = np.array([objectives(assignment) for assignment in assignments])
            Evaluator().eval(StaticProblem(problem, F=values), offspring)
            algorithm.tell(infills=offspring)


def _front(evaluations: Evaluations, power: Callable[[Key], float]) -> list[Key]:
    """Return the assignments evaluated that none beats, by growing power."""
    ordered = sorted(
        (power(assignment), -mean(found), assignment)
        for assignment, found in evaluations.asked.items()
    )
    front: list[Key] = []
    least_loss = math.inf
    for _, loss, assignment in ordered:
        if loss < least_loss:
            least_loss = loss
            front.append(assignment)
    return front
