"""A merged multiplier, and the proof of all its modes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from qosnets.errors import CheckError
from qosnets.lut import Lut
from qosnets.netlist import netlist_lut, netlist_of_word

from ..liberty import Liberty
from ..operands import UNIFORM, Operands
from .climb import AREA_WEIGHT, Effort, climb_wiring, relative_cost
from .evaluate import mapped_cost
from .goal import MaskGoal
from .mapper import CellMapper, MappedModes
from .masks import MergedMasks
from .search import search_masks
from .terms import masked_products
from .tree import earliest_first_tree
from .verilog import merged_verilog

__all__ = ["MergedMultiplier", "cheapest_masks", "make_merged", "prove_modes"]


@dataclass(frozen=True, eq=False)
class MergedMultiplier:
    """One netlist with several modes."""

    masks: MergedMasks
    netlist: str
    """Text of :func:`.verilog.merged_verilog`."""


def make_merged(
    goal: MaskGoal,
    *,
    liberty: Liberty,
    seed: int,
    streams: Sequence[Operands] = (UNIFORM,),
    area_weight: float = AREA_WEIGHT,
    max_delay_ns: float | None = None,
    effort: Effort | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MergedMultiplier:
    """Return a merged multiplier that keeps the bounds of ``goal``, all of its modes proven.

    Of the masks that the search finds, those are taken that cost least with the wiring that the
    climb starts from. Parameters are those of :func:`.search.search_masks` and
    :func:`.climb.climb_wiring`, and so are the errors.
    """
    masks = cheapest_masks(
        search_masks(goal, seed=seed),
        liberty=liberty,
        streams=streams,
        mode_weights=goal.mode_weights,
        area_weight=area_weight,
    )
    climbed = climb_wiring(
        masks,
        liberty=liberty,
        seed=seed,
        streams=streams,
        mode_weights=goal.mode_weights,
        area_weight=area_weight,
        max_delay_ns=max_delay_ns,
        effort=effort,
        progress=progress,
    )
    made = MergedMultiplier(masks, climbed.text)
    with CellMapper(liberty) as mapper:
        prove_modes(made, mapper.map(made.netlist))
    return made


def cheapest_masks(
    candidates: Sequence[MergedMasks],
    *,
    liberty: Liberty,
    streams: Sequence[Operands] = (UNIFORM,),
    mode_weights: Sequence[float],
    area_weight: float = AREA_WEIGHT,
) -> MergedMasks:
    """Return the masks that cost least once mapped, by the cost of :func:`.climb.climb_wiring`."""
    tree = earliest_first_tree()
    weights = np.array(mode_weights) / sum(mode_weights)
    with CellMapper(liberty) as mapper:
        costs = [
            mapped_cost(
                mapper.map(merged_verilog(masks, tree)),
                masks,
                liberty,
                streams,
                n_operations=Effort().n_operations,
            )
            for masks in candidates
        ]
    relative = [relative_cost(cost, costs[0], weights, area_weight) for cost in costs]
    return candidates[int(np.argmin(relative))]


def prove_modes(multiplier: MergedMultiplier, mapped: MappedModes | None = None) -> None:
    """Compare all products of all modes: formula, masked products, netlist and mapped netlist.

    Parameters
    ----------
    multiplier
        The multiplier.
    mapped
        Its netlist mapped to cells; None leaves that out.

    Raises
    ------
    CheckError
        If products differ, or if one is not 0 where the select is.
    """
    masks = multiplier.masks
    words = {f"mode {mode}": masks.select_word(mode) for mode in range(masks.n_modes)}
    expected = {f"mode {mode}": masks.lut(mode) for mode in range(masks.n_modes)}
    for mode in range(masks.n_modes):
        name = f"mode {mode}"
        _compare(f"{name}: masked products", masked_products(masks, mode).lut(), expected[name])
    words["select 0"], expected["select 0"] = 0, np.zeros((256, 256), np.uint16)
    for name, word in words.items():
        text = netlist_of_word(multiplier.netlist, word)
        _compare(f"{name}: netlist", netlist_lut(text, where="merged netlist"), expected[name])
        if mapped is not None:
            _compare(f"{name}: mapped netlist", mapped.of_word(word).lut(), expected[name])


def _compare(where: str, table: Lut, expected: Lut) -> None:
    n_wrong = np.count_nonzero(table != expected)
    if n_wrong:
        raise CheckError(
            f"merged multiplier: {where}: all 65536 products must be those of the formula,"
            f" {n_wrong} are not"
        )
