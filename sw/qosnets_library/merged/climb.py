"""Hill climbing of the wiring of a merged multiplier: less power and area, deterministic per seed.

A move exchanges two bits of a column between the adders that take them. First, thousands of moves
are judged by the quick estimate of :mod:`.estimate`; such as cost a little are allowed, less and
less (record-to-record travel: G. Dueck, J. Comput. Phys. 104, 1993). Then each wiring is mapped to
cells, and kept where the mapped circuit costs no more; the estimate only sorts out bad ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError

from ..liberty import Liberty
from ..operands import UNIFORM, Operands
from .estimate import TreeStimuli, estimate_tree
from .evaluate import MappedCost, mapped_cost
from .mapper import CellMapper
from .masks import MergedMasks
from .tree import Tree, earliest_first_tree
from .verilog import Gating, merged_verilog

__all__ = ["AREA_WEIGHT", "Climbed", "Effort", "climb_wiring", "exchanged", "relative_cost"]

AREA_WEIGHT = 2.0
"""Weight of the relative area by default, all powers together having 1: wirings differ far less in
area than in power."""

Weights = npt.NDArray[np.float64]

_SLACK = 0.02
"""Estimated cost allowed above the best at the start, as a share; it shrinks to nothing."""

_SCREEN = 1.003
"""Estimated cost, relative to the best mapped wiring's, above which a wiring is not mapped."""


@dataclass(frozen=True)
class Effort:
    """How long a climb takes."""

    n_estimates: int = 15_000
    """Wirings judged by the estimate; some hundreds a second."""
    n_mappings: int = 800
    """Wirings mapped to cells; some ten a second."""
    n_operations: int = 2048
    """Operations of each stream that they are judged by; a multiple of 64."""


@dataclass(frozen=True, eq=False)
class Climbed:
    """Result of a climb."""

    text: str
    """Netlist of :func:`.verilog.merged_verilog`."""
    tree: Tree
    start: MappedCost
    cost: MappedCost
    """Both over the operations of the climb."""


def climb_wiring(
    masks: MergedMasks,
    *,
    liberty: Liberty,
    seed: int,
    streams: Sequence[Operands] = (UNIFORM,),
    mode_weights: Sequence[float] | None = None,
    area_weight: float = AREA_WEIGHT,
    max_delay_ns: float | None = None,
    gating: Gating = Gating.A,
    select: bool = True,
    effort: Effort | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Climbed:
    """Return the cheapest wiring that was found.

    The cost is power plus weighted area, both relative to the wiring that the climb starts from.
    Power is the mean over streams and, by their weights, modes, with and without glitches.

    Parameters
    ----------
    masks, gating, select
        As for :func:`.verilog.merged_verilog`.
    liberty
        The cells.
    seed
        At least 0.
    streams
        Distributions of the operands; all modes see all of them.
    mode_weights
        Multiplications in each mode, in any unit; None: all alike.
    area_weight
        Weight of the area; that of the power is 1.
    max_delay_ns
        Bound of the delay; None: that of the wiring that the climb starts from, the fastest.
    effort
        None: as by default.
    progress
        Called as ``progress(n_done, n_total)``, mappings and estimates alike.

    Raises
    ------
    InputError
        If the wiring that the climb starts from is slower than the bound.
    ToolError
        If Yosys is missing or fails.
    """
    effort = effort or Effort()
    weights = np.ones(masks.n_modes) if mode_weights is None else np.array(mode_weights)
    weights = weights / weights.sum()
    n_total = effort.n_estimates + effort.n_mappings
    with CellMapper(liberty) as mapper:

        def mapped(tree: Tree) -> tuple[str, MappedCost]:
            text = merged_verilog(masks, tree, gating=gating, select=select)
            modes = mapper.map(text)
            cost = mapped_cost(modes, masks, liberty, streams, n_operations=effort.n_operations)
            return text, cost

        first = earliest_first_tree()
        start_text, start = mapped(first)
        limit = start.delay_ns if max_delay_ns is None else max_delay_ns
        if start.delay_ns > limit:
            raise InputError(
                f"merged multiplier: delay bound: must be at least {start.delay_ns:g} ns, that of"
                f" the fastest wiring, not {limit:g}"
            )

        def relative(cost: MappedCost) -> float:
            return relative_cost(cost, start, weights, area_weight)

        judge = _Judge(masks, streams, effort, weights, first)
        # Depth and mapped delay of wirings are proportional, as good as exactly.
        deepest = int(judge.base.depth * limit / start.delay_ns)
        random = np.random.Generator(np.random.PCG64(seed))

        tree = _travel(first, judge, deepest, effort.n_estimates, random, progress, n_total)
        text, cost = mapped(tree)
        if cost.delay_ns > limit or relative(cost) > relative(start):
            tree, text, cost = first, start_text, start
        level = judge.cost(tree)
        for step in range(effort.n_mappings):
            child = exchanged(tree, random)
            while judge.cost(child) > level * _SCREEN:
                child = exchanged(tree, random)
            child_text, found = mapped(child)
            if found.delay_ns <= limit and relative(found) <= relative(cost):
                tree, text, cost, level = child, child_text, found, judge.cost(child)
            if progress:
                progress(effort.n_estimates + step + 1, n_total)
    return Climbed(text, tree, start, cost)


class _Judge:
    """The quick estimate of wirings, relative to that of a first one."""

    def __init__(
        self,
        masks: MergedMasks,
        streams: Sequence[Operands],
        effort: Effort,
        weights: Weights,
        first: Tree,
    ) -> None:
        self._stimuli = TreeStimuli.of(masks, streams, effort.n_operations)
        self._weights = weights
        self.base = estimate_tree(first, self._stimuli)

    def estimate(self, tree: Tree) -> tuple[float, int]:
        """Return the power, 1 for the first wiring, and the depth."""
        found, base = estimate_tree(tree, self._stimuli), self.base
        ratios = np.array([found.glitching, found.settled])
        ratios = ratios / np.array([base.glitching, base.settled])
        by_mode = ratios.mean(axis=0).reshape(-1, len(self._weights)).mean(axis=0)
        return float(by_mode @ self._weights), found.depth

    def cost(self, tree: Tree) -> float:
        """Return the power alone."""
        return self.estimate(tree)[0]


def _travel(
    tree: Tree,
    judge: _Judge,
    deepest: int,
    n_steps: int,
    random: np.random.Generator,
    progress: Callable[[int, int], None] | None,
    n_total: int,
) -> Tree:
    """Return the wiring of least estimated power among those of at most the depth ``deepest``."""
    best_tree = tree
    current = best = judge.cost(tree)
    for step in range(n_steps):
        child = exchanged(tree, random)
        cost, depth = judge.estimate(child)
        slack = best * _SLACK * (1 - step / n_steps)
        if depth <= deepest and cost <= max(current, best + slack):
            tree, current = child, cost
            if cost < best:
                best, best_tree = cost, child
        if progress:
            progress(step + 1, n_total)
    return best_tree


def exchanged(tree: Tree, random: np.random.Generator) -> Tree:
    """Return the tree with two bits of a column exchanged that different places take."""
    columns = np.flatnonzero(np.bincount(tree.columns, minlength=16))
    while True:
        column = int(random.choice(columns))
        adders = np.flatnonzero(tree.columns == column)
        places = [(k, p) for k in adders.tolist() for p in range(3) if tree.inputs[k, p] >= 0]
        first, second = random.choice(len(places) + 1, 2, replace=False).tolist()
        inputs, product = tree.inputs.copy(), tree.product.copy()
        if len(places) in (first, second):
            place = places[min(first, second)]
            inputs[place], product[column] = product[column], inputs[place]
        else:
            one, other = places[first], places[second]
            inputs[one], inputs[other] = inputs[other], inputs[one]
        child = Tree(tree.columns, inputs, product)
        if child.is_acyclic():
            return child


def relative_cost(
    cost: MappedCost, base: MappedCost, weights: Weights, area_weight: float
) -> float:
    """Return power plus weighted area, each relative to that of another circuit.

    ``weights`` are those of the modes, with the sum 1.
    """
    figures, reference = (
        np.array([[(p.settled_uw, p.glitching_uw) for p in mode] for mode in one.power])
        for one in (cost, base)
    )
    power = (figures / reference).mean(axis=(1, 2)) @ weights
    return float(power) + area_weight * cost.area_um2 / base.area_um2
