"""Evolution of multipliers under bounds of their error, on islands that run in parallel.

Every bound has its islands. In a round each island climbs on its own; then the circuits are
mapped to cells, the cheapest of each bound is kept, and circuits migrate: one that keeps a lower
bound also keeps the higher ones.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np

from ..elaborate import elaborate
from ..gates import GateNetlist
from ..liberty import Liberty
from ..mapping import map_netlists
from ..netlist import canonical_netlist, canonical_text
from ..operands import Operands
from ..power import estimate_power
from ..timing import static_timing
from .climb import assess, climb
from .genome import Genome
from .goal import Cost
from .population import Found, Island, Population
from .recipe import Recipe
from .stimuli import Stimuli, stimuli
from .trees import truncated_multipliers
from .weights import cost_weights

__all__ = ["evolve"]

_SPARE_NODES = 60
"""Inactive nodes of a genome at the start of a round."""


def evolve(
    recipe: Recipe,
    *,
    operands: Operands,
    liberty: Liberty,
    seeds: Sequence[str],
    checkpoint: Path,
    n_jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Return the cheapest circuit that was found for each bound, as canonical netlists.

    The result depends on the arguments but ``n_jobs``, and on nothing else: neither on
    interruptions nor on the number of processes.

    Parameters
    ----------
    recipe
        Bounds, effort and seed.
    operands, liberty, seeds
        What the recipe names by hash: the distribution, the cells, canonical netlists.
    checkpoint
        File that the state is kept in; where it exists, the run goes on from there.
    n_jobs
        Processes; the work goes through joblib, whose backends can be chosen from outside
        (``joblib.parallel_config``).
    progress
        Called as ``progress(n_done, n_total)`` in units of one island's round.

    Raises
    ------
    InputError
        If the checkpoint is damaged or belongs to another recipe.
    ToolError
        If Yosys is missing or fails.
    """
    lanes = stimuli(operands)
    if checkpoint.exists():
        population = Population.load(checkpoint, recipe)
    else:
        population = _founders(recipe, lanes, seeds)
    n_total = len(population.islands) * recipe.rounds
    for number in range(recipe.rounds + 1):
        waiting = [index for index, one in enumerate(population.islands) if one.round < number]
        advance = joblib.delayed(_advance)
        tasks = (advance(population.islands[index], recipe, lanes) for index in waiting)
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
        for index, island in zip(waiting, results, strict=True):
            population.islands[index] = island
            population.save(checkpoint)
            if progress:
                progress(sum(one.round for one in population.islands), n_total)
        if population.mapped_round < number:
            _map(population, operands, liberty)
            _migrate(population)
            population.mapped_round = number
            population.save(checkpoint)
    return [
        canonical_netlist({"evolved.v": found.netlist.encode()}, where="evolved circuit")
        for found in population.found
        if found is not None
    ]


def _founders(recipe: Recipe, lanes: Stimuli, seeds: Sequence[str]) -> Population:
    """Return islands that hold the cheapest seeds within their bounds."""
    genomes = [tree.genome() for tree in truncated_multipliers()]
    for text in seeds:
        netlist = elaborate({"seed.v": text.encode()}, top="multiplier", where="seed")
        genomes.append(Genome.from_netlist(netlist))
    islands = []
    for index, bound in enumerate(recipe.bounds):
        costs = [_assess(genome, bound, recipe, lanes) for genome in genomes]
        # There always is one: the first of the truncated multipliers is exact.
        usable = [which for which, cost in enumerate(costs) if cost >= 0]
        cheapest = sorted(usable, key=lambda which: costs[which])
        for number in range(recipe.islands):
            which = cheapest[number % len(cheapest)]
            empty = Island(bound=index, number=number, round=0, cost=0, nodes=[], outputs=[0] * 16)
            islands.append(empty.holding(genomes[which], costs[which]))
    return Population(recipe=recipe, islands=islands, found=[None] * len(recipe.bounds))


def _assess(genome: Genome, bound: float, recipe: Recipe, lanes: Stimuli) -> int:
    by_activity = recipe.cost is Cost.POWER
    weights = cost_weights(recipe.cost)
    code = recipe.metric.code
    return int(assess(genome.nodes, genome.outputs, lanes, code, bound, weights, by_activity))


def _advance(island: Island, recipe: Recipe, lanes: Stimuli) -> Island:
    """Return the island after one more round."""
    sequence = np.random.SeedSequence((recipe.seed, island.bound, island.number, island.round))
    random = np.random.Generator(np.random.PCG64(sequence))
    start = island.genome.scattered(_SPARE_NODES, random)
    nodes, outputs, cost = climb(
        start.nodes,
        start.outputs,
        lanes,
        recipe.metric.code,
        recipe.bounds[island.bound],
        cost_weights(recipe.cost),
        recipe.cost is Cost.POWER,
        recipe.evaluations,
        random.integers(1 << 63),
    )
    reached = island.holding(Genome(nodes, outputs), int(cost))
    return reached.model_copy(update={"round": island.round + 1})


def _map(population: Population, operands: Operands, liberty: Liberty) -> None:
    """Map the circuits of all islands and keep the cheapest of each bound."""
    recipe = population.recipe
    texts = [canonical_text(island.genome.netlist()) for island in population.islands]
    distinct = list(dict.fromkeys(texts))
    costs = {
        text: _mapped_cost(netlist, recipe.cost, operands, liberty)
        for text, netlist in zip(distinct, map_netlists(distinct, liberty), strict=True)
    }
    offers = [Found(netlist=text, cost=costs[text]) for text in texts]
    for index in range(len(recipe.bounds)):
        usable = [
            offer
            for offer, island in zip(offers, population.islands, strict=True)
            if island.bound <= index
        ]
        known = population.found[index]
        population.found[index] = _cheapest([known, *usable] if known else usable)


def _mapped_cost(netlist: GateNetlist, cost: Cost, operands: Operands, liberty: Liberty) -> float:
    if cost is Cost.AREA:
        return sum(liberty.by_name[gate.type].area_um2 for gate in netlist.gates)
    return estimate_power(netlist, liberty, static_timing(netlist, liberty), operands).power_uw


def _cheapest(offers: Iterable[Found]) -> Found:
    return min(offers, key=lambda found: found.cost)


def _migrate(population: Population) -> None:
    """Let each island take over the cheapest circuit of lower bounds, where it costs less."""
    best: Island | None = None
    for index in range(len(population.recipe.bounds)):
        if best is not None:
            for position, island in enumerate(population.islands):
                if island.bound == index and best.cost < island.cost:
                    population.islands[position] = island.holding(best.genome, best.cost)
        here = [one for one in population.islands if one.bound == index]
        best = min([*here, best] if best else here, key=lambda one: one.cost)
