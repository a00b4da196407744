"""Libraries of merged multipliers, with the recipe that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import Any

from qosnets.errors import InputError
from qosnets.files import canonical_json
from qosnets.library import Estimates, Library

from .characterise import Progress, estimate_netlists
from .default import EXACT, reference_netlist
from .glitches import estimate_glitch_power
from .liberty import Liberty
from .members import write_library
from .merged.climb import Effort
from .merged.goal import Demand, MaskGoal
from .merged.mapper import CellMapper
from .merged.multiplier import make_merged
from .modes import characterise_modes
from .operands import UNIFORM, Operands
from .timing import static_timing

__all__ = ["RECIPE_FILE", "RECIPE_SCHEMA", "Cost", "merge_library", "merged_costs"]

RECIPE_FILE = "recipe.json"
RECIPE_SCHEMA = "qosnets-merge/1"

_PACKAGES = ("numba", "numpy", "pyosys")
"""What decides the result beside our own code."""


def merge_library(
    folder: Path,
    name: str,
    goals: Mapping[str, MaskGoal],
    *,
    liberty: Liberty,
    operands: Operands = UNIFORM,
    streams: Sequence[Operands] | None = None,
    max_delay_ns: float | None = None,
    effort: Effort | None = None,
    seed: int,
    force: bool = False,
    progress: Progress | None = None,
) -> Library:
    """Make a merged multiplier for each goal and write them, all modes proven, as a library.

    Deterministic per seed.

    Parameters
    ----------
    folder, name
        The library to be.
    goals
        What is asked of the modes, by the name of the circuit.
    liberty
        The cells that power and area are minimised for.
    operands
        Distribution of the estimates; errors count under those of the goals.
    streams
        Distributions under which power is minimised; None: ``operands``.
    max_delay_ns
        Bound of the delay; None: that of the fastest wiring. Slower ones take less area and power.
    effort, seed
        How long to climb, and the seed of chance.
    force
        Replace a library.
    progress
        Called as ``progress(n_done, n_total, circuit)``.

    Raises
    ------
    InputError
        If the folder is in the way, a bound is not finite or cannot be kept.
    CheckError
        If a product of a mode is not that of its formula.
    ToolError
        If Yosys is missing or fails.
    """
    if folder.exists() and not force:
        raise InputError(f"{folder}: exists already (--force replaces it)")
    for demand in (d for goal in goals.values() for demands in goal.modes for d in demands):
        if not isfinite(demand.max_error):
            raise InputError(
                f"merged multiplier: error bound: must be finite, not {demand.max_error:g}"
            )
    if max_delay_ns is not None and not isfinite(max_delay_ns):
        raise InputError(f"merged multiplier: delay bound: must be finite, not {max_delay_ns:g}")
    effort, streams = effort or Effort(), streams or (operands,)
    merged = []
    for circuit, goal in goals.items():
        made = make_merged(
            goal,
            liberty=liberty,
            seed=seed,
            streams=streams,
            max_delay_ns=max_delay_ns,
            effort=effort,
            progress=progress and (lambda n, total, c=circuit: progress(n, total, c)),
        )
        member = characterise_modes(
            circuit,
            made.masks,
            made.netlist,
            origin=f"merged, {RECIPE_FILE}",
            reference=reference_netlist(),
            liberty=liberty,
            operands=operands,
        )
        merged.append(member)
    recipe = {
        "schema": RECIPE_SCHEMA,
        "circuits": {circuit: _recorded(goal) for circuit, goal in goals.items()},
        "operands": _source(operands),
        "streams": [_source(stream) for stream in streams],
        "liberty": _source(liberty),
        "max_delay_ns": max_delay_ns,
        "effort": asdict(effort),
        "seed": seed,
        "versions": {package: metadata.version(package) for package in _PACKAGES},
    }
    extra = {RECIPE_FILE: canonical_json(recipe)}
    return write_library(folder, name, (), merged=merged, force=force, extra=extra)


def _recorded(goal: MaskGoal) -> dict[str, Any]:
    return {
        "criterion": goal.criterion.value,
        "row_pairs": goal.row_pairs,
        "exact_weight": goal.exact_weight,
        "modes": [[_demand(demand) for demand in demands] for demands in goal.modes],
    }


def _demand(demand: Demand) -> dict[str, Any]:
    operands = _source(demand.operands)
    return {"max_error": demand.max_error, "operands": operands, "weight": demand.weight}


def _source(source: Operands | Liberty) -> dict[str, str]:
    return {"name": source.name, "sha256": source.sha256}


@dataclass(frozen=True)
class Cost:
    """Cost of a multiplier, or of a mode of a merged one."""

    name: str
    mse: float
    estimates: Estimates
    glitching_uw: float
    """Power with glitches, as :mod:`.glitches` estimates it."""
    relative_glitching: float
    """That relative to the best exact multiplier of the default library."""


def merged_costs(library: Library, *, liberty: Liberty, operands: Operands = UNIFORM) -> list[Cost]:
    """Return the costs of the best exact multiplier of the default library and of all modes.

    Parameters
    ----------
    library
        A library with merged multipliers.
    liberty, operands
        What its estimates were made with.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    text = reference_netlist()
    found = estimate_netlists({EXACT: text}, reference=text, liberty=liberty, operands=operands)
    (exact_uw,) = _glitch_powers(text, (0,), liberty, operands)
    costs = [Cost(EXACT, 0.0, found[EXACT], exact_uw, 1.0)]
    for circuit in library.circuits.values():
        text = library.circuit_netlist(circuit.name)
        powers = _glitch_powers(text, circuit.select_words, liberty, operands)
        for entry in library.modes(circuit.name):
            assert entry.estimates is not None and entry.mode is not None
            power = powers[entry.mode.index]
            costs.append(
                Cost(entry.name, entry.metrics.mse, entry.estimates, power, power / exact_uw)
            )
    return costs


def _glitch_powers(
    text: str, words: Sequence[int], liberty: Liberty, operands: Operands
) -> list[float]:
    """Return the power with glitches by select word; one without a select takes any word."""
    with CellMapper(liberty) as mapper:
        mapped = mapper.map(text)
    netlists = [mapped.of_word(word) for word in words]
    return [
        estimate_glitch_power(tied, liberty, static_timing(tied, liberty), operands).power_uw
        for tied in netlists
    ]
