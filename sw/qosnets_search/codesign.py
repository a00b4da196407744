"""A merged multiplier that is made for the network: what its layers tolerate shapes the modes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qosnets.errors import InputError
from qosnets.lut import ActivationPort, check_lut_sha256
from qosnets.netlist import netlist_lut, netlist_of_word
from qosnets_library.default import reference_netlist
from qosnets_library.liberty import Liberty, load_liberty
from qosnets_library.members import MergedMember, library_files
from qosnets_library.merged.climb import Effort, climb_wiring
from qosnets_library.merged.goal import MaskGoal
from qosnets_library.merged.layers import modes_of_layers
from qosnets_library.merged.mapper import CellMapper
from qosnets_library.merged.masks import MergedMasks
from qosnets_library.merged.multiplier import MergedMultiplier, prove_modes
from qosnets_library.merged.search import search_masks
from qosnets_library.merged.tree import earliest_first_tree
from qosnets_library.merged.verilog import merged_verilog
from qosnets_library.modes import characterise_modes

from .quantised.integer import IntegerNetwork
from .recipe import Recipe
from .selection.candidates import Candidate, Offer
from .selection.error_model import LayerStatistics
from .selection.layer_demands import layer_demands, operands_of_network, tightest
from .session import Session

__all__ = ["CIRCUIT", "LIBRARY", "codesign"]

LIBRARY = "codesign"
"""Name of the library that holds the circuit."""

CIRCUIT = "merged"
"""Name of the circuit."""


_BOUNDS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Factors on the thresholds that are tried. A selection may trade errors between layers, and layers
that share a mode take what the least tolerant of them does."""


def codesign(
    session: Session,
    integer: IntegerNetwork,
    statistics: Mapping[str, LayerStatistics],
    thresholds: Sequence[float],
    choose: Callable[[Sequence[Offer]], int],
) -> Offer:
    """Return the modes of a merged multiplier that suit the layers at the operating points.

    The multiplier is made of the cells of the Liberty file in force, and its power minimised for
    the codes of the network; activations are on port A. Its estimates are for uniform operands,
    like those of other multipliers.

    Parameters
    ----------
    session
        The run; its recipe gives scales, number of modes and effort.
    integer
        The network.
    statistics, thresholds
        Of its layers, as for :func:`.selection.layer_demands.layer_demands`.
    choose
        Returns the number of the offer that is best for the network.

    Raises
    ------
    InputError
        If no layer tolerates an error.
    ToolError
        If Yosys is missing or fails.
    """
    recipe, liberty, stage = session.recipe, load_liberty(None), "merged multiplier"
    counts = [layer.geometry.multiplications for layer in integer.layers.values()]
    if not any(thresholds):
        raise InputError("merged multiplier: must have a layer that tolerates errors, has none")

    def compute() -> dict[str, Any]:
        session.progress(stage, 0, 1)
        goals = [_goal(recipe, statistics, thresholds, counts, factor) for factor in _BOUNDS]
        found = {
            masks.kill_level.tobytes(): (masks, goal)
            for goal in goals
            for masks in search_masks(goal, seed=recipe.seed)
        }
        tried = list(found.values())
        tree = earliest_first_tree()
        best = choose([_offer(recipe, m, merged_verilog(m, tree), liberty) for m, _ in tried])
        masks, goal = tried[best]
        climbed = climb_wiring(
            masks,
            liberty=liberty,
            seed=recipe.seed,
            streams=(operands_of_network(statistics, counts),),
            mode_weights=goal.mode_weights,
            effort=Effort(recipe.merging.n_estimates, recipe.merging.n_mappings),
            progress=session.report(stage),
        )
        with CellMapper(liberty) as mapper:
            prove_modes(MergedMultiplier(masks, climbed.text), mapper.map(climbed.text))
        return {
            "n_modes": masks.n_modes,
            "kill_level": masks.kill_level.tolist(),
            "force_level": masks.force_level.tolist(),
            "netlist": climbed.text,
        }

    result = session.checkpoints.stage(stage, compute)
    levels = (np.array(result[field], np.uint8) for field in ("kill_level", "force_level"))
    return _offer(recipe, MergedMasks(result["n_modes"], *levels), result["netlist"], liberty)


def _goal(
    recipe: Recipe,
    statistics: Mapping[str, LayerStatistics],
    thresholds: Sequence[float],
    counts: Sequence[int],
    factor: float,
) -> MaskGoal:
    """Return the goal of modes within ``factor`` times the thresholds of all points."""
    scales = [factor * scale for scale in recipe.scales]
    demands = layer_demands(statistics, thresholds, counts, scales, recipe.error_model)
    modes = modes_of_layers(demands, recipe.n_multipliers, row_pairs=recipe.merging.row_pairs)
    rigid = len(scales) * sum(counts) - sum(demand.weight for demand in demands)
    by_mode = tuple(
        tuple(tightest([d for d, own in zip(demands, modes.mode_of, strict=True) if own == mode]))
        for mode in range(1, len(modes.goal.modes) + 1)
    )
    return replace(modes.goal, modes=by_mode, exact_weight=modes.goal.exact_weight + rigid)


def _offer(recipe: Recipe, masks: MergedMasks, netlist: str, liberty: Liberty) -> Offer:
    member = characterise_modes(
        CIRCUIT,
        masks,
        netlist,
        origin=f"made for {recipe.model} on {recipe.data}, seed {recipe.seed}",
        reference=reference_netlist(),
        liberty=liberty,
    )
    files = library_files(LIBRARY, (), [member])
    return Offer(LIBRARY, _candidates(member), ActivationPort.A, files)


def _candidates(member: MergedMember) -> list[Candidate]:
    """Return the modes; their tables are those of the netlist."""
    candidates = []
    for word, entry in zip(member.circuit.select_words, member.entries, strict=True):
        netlist = netlist_of_word(member.netlist, word, where=entry.name)
        lut = netlist_lut(netlist, where=entry.name)
        check_lut_sha256(lut, entry.lut_sha256, entry.name)
        assert entry.estimates is not None
        candidates.append(Candidate(entry, lut, netlist, entry.estimates.relative_power))
    return candidates
