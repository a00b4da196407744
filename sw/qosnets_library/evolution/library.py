"""Evolved circuits as a library, with the recipe that made them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from qosnets.errors import InputError
from qosnets.files import canonical_json, sha256
from qosnets.library import Library
from qosnets.validation import validation_message

from ..characterise import Progress
from ..default import EXACT
from ..liberty import Liberty
from ..members import Circuit, characterise_circuits, write_library
from ..operands import Operands
from .evolve import evolve
from .goal import Cost, Metric
from .recipe import RECIPE_SCHEMA, Recipe, Source

__all__ = ["RECIPE_FILE", "Effort", "evolve_library"]

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class Effort:
    """How long to search."""

    islands: int
    """Populations of each bound."""
    rounds: int
    evaluations: int
    """Evaluated circuits of an island in a round."""
    n_jobs: int
    """Processes; without effect on the result."""


def evolve_library(
    folder: Path,
    name: str,
    *,
    metric: Metric,
    bounds: Sequence[float],
    cost: Cost,
    operands: Operands,
    liberty: Liberty,
    seeds: Mapping[str, str],
    reference: str | None,
    effort: Effort,
    seed: int,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Library:
    """Evolve a circuit for each bound and write them as a library.

    A circuit that is the best for several bounds has one entry, under the lowest. Until the
    library is written, the state of the evolution is kept beside its folder.

    Parameters
    ----------
    folder, name
        The library to be.
    metric, bounds, cost
        The error that is bounded, its bounds, and what is minimised under them.
    operands
        Distribution under which error and power count.
    liberty
        The cells that circuits are mapped to.
    seeds
        Canonical netlists to start from, by name, beside truncated multipliers.
    reference
        Canonical netlist of the multiplier with relative power 1.0; None for the circuit that is
        evolved for bound 0.
    effort, seed
        How long to search, and the seed of chance.
    resume
        Go on where an interrupted run of the same recipe stopped.
    force
        Replace a library, or forget an interrupted run.
    progress
        Called after each island's round.

    Raises
    ------
    InputError
        If the folder or an interrupted run is in the way, if a bound or another part of the
        recipe breaks a rule, or if there is nothing to resume.
    ToolError
        If Yosys is missing or fails.
    """
    try:
        recipe = Recipe(
            schema=RECIPE_SCHEMA,
            metric=metric,
            bounds=tuple(bounds),
            cost=cost,
            operands=Source(name=operands.name, sha256=operands.sha256),
            liberty=Source(name=liberty.name, sha256=liberty.sha256),
            seeds=tuple(Source(name=n, sha256=sha256(t.encode())) for n, t in seeds.items()),
            islands=effort.islands,
            rounds=effort.rounds,
            evaluations=effort.evaluations,
            seed=seed,
        )
    except ValidationError as error:
        raise InputError(validation_message(error)) from None
    state = _state_folder(folder, resume=resume, force=force)
    circuits = evolve(
        recipe,
        operands=operands,
        liberty=liberty,
        seeds=list(seeds.values()),
        checkpoint=state / "checkpoint.json",
        n_jobs=effort.n_jobs,
        progress=progress and (lambda done, total: progress(done, total, name)),
    )
    named: dict[str, str] = {}
    for bound, netlist in zip(recipe.bounds, circuits, strict=True):
        named.setdefault(netlist, _name(metric, bound))
    members = characterise_circuits(
        [
            Circuit.from_netlist(circuit, netlist, origin=f"evolved, {RECIPE_FILE}")
            for netlist, circuit in named.items()
        ],
        reference=reference or circuits[0],
        liberty=liberty,
        operands=operands,
    )
    record = canonical_json(recipe.model_dump(mode="json", by_alias=True))
    library = write_library(folder, name, members, force=force, extra={RECIPE_FILE: record})
    shutil.rmtree(state)
    return library


def _state_folder(folder: Path, *, resume: bool, force: bool) -> Path:
    state = folder.parent / f".evolving-{folder.name}"
    if resume and not state.exists():
        raise InputError(f"{state}: must be there to resume, is missing")
    if folder.exists() and not force:
        raise InputError(f"{folder}: exists already (--force replaces it)")
    if state.exists() and not resume:
        if not force:
            raise InputError(
                f"{state}: holds an unfinished evolution (--resume continues, --force forgets it)"
            )
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    return state


def _name(metric: Metric, bound: float) -> str:
    """Return the name of the circuit of a bound, such as ``mul8u_mse0p25``."""
    if bound == 0:
        return EXACT
    digits = f"{bound:.6f}".rstrip("0").rstrip(".").replace(".", "p")
    return f"mul8u_{metric}{digits}"
