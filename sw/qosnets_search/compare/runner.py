"""Runs of a comparison: one for each seed, every stage and method kept in its checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from qosnets.errors import InputError
from qosnets.library import Library
from qosnets_library.liberty import Liberty

from ..overhead import parameter_count
from ..pipeline import Run, open_run
from ..preparation import Prepared, exact_traces, prepare
from ..recipe import Bank, Recipe
from ..selection.error_model import ErrorModel
from ..selection.optimum import optimality_gap
from ..selection.selectors import Selector, select
from ..selection.validation import agreement, validate
from ..session import Report, Session
from ..training import distributed
from .contest import Contest, Effort
from .methods import run_method
from .outcome import MethodResult, RunResult

__all__ = ["compare"]


def compare(
    recipe: Recipe,
    library: Library,
    liberty: Liberty,
    methods: Sequence[str],
    seeds: Sequence[int],
    *,
    effort: Effort,
    run: Run,
    progress: Report,
) -> list[RunResult]:
    """Run methods on one network, library, data set and cost, once for each seed.

    Parameters
    ----------
    recipe
        How the network is trained, and what operating points there are.
    library
        Of candidates.
    liberty
        Cells that the library's power was estimated with.
    methods
        Names, of :data:`.methods.METHODS`.
    seeds
        Each replaces the recipe's.
    effort
        Of methods that evaluate candidates.
    run
        As for a search; ``run.checkpoints`` gets a folder for each seed.
    progress
        As for a search.

    Raises
    ------
    InputError
        As a search does, and if the recipe wants multipliers made for the network.
    """
    if recipe.bank is not Bank.MUX:
        raise InputError(f"recipe: bank: must be mux in a comparison, not {recipe.bank}")
    further = {"effort": asdict(effort), "liberty": liberty.sha256}
    results = []
    # Processes that leave their group and meet again may wait for each other for ever.
    with distributed.joined(run.torch_device):
        for seed in seeds:
            folder = None if run.checkpoints is None else run.checkpoints / f"seed{seed}"
            own = replace(run, checkpoints=folder)
            seeded = recipe.model_copy(update={"seed": seed})
            with open_run(
                seeded, library, run=own, progress=_named(progress, seed), further=further
            ) as session:
                results.append(_run_one(session, liberty, methods, effort))
    return results


def _named(progress: Report, seed: int) -> Report:
    return lambda stage, done, total: progress(f"seed {seed}: {stage}", done, total)


def _run_one(
    session: Session, liberty: Liberty, methods: Sequence[str], effort: Effort
) -> RunResult:
    recipe, dataset = session.recipe, session.dataset
    prepared = prepare(session)
    contest = Contest(session, prepared, effort, liberty)
    found: list[MethodResult] = [run_method(name, contest) for name in methods]
    layers = [
        {"name": name, "multiplications": layer.geometry.multiplications, "sigma": sigma}
        for (name, layer), sigma in zip(
            prepared.integer.layers.items(), prepared.sigmas, strict=True
        )
    ]
    return RunResult(
        seed=recipe.seed,
        provenance={
            "data": dict(dataset.provenance),
            "device": session.device.type,
            "threads": torch.get_num_threads(),
        },
        float_accuracy=prepared.float_accuracy,
        baseline_accuracy=prepared.baseline_accuracy,
        n_parameters=parameter_count(prepared.network, 1).network,
        layers=layers,
        gaps=session.checkpoints.stage("optimality gap", lambda: _gap(prepared)),
        errors=session.checkpoints.stage("error validation", lambda: _errors(contest)),
        methods=found,
    )


def _gap(prepared: Prepared) -> dict[str, Any]:
    """Return how far k-means is from the exact optimum, as shares of its power and loss."""
    problem = prepared.problem
    gap = optimality_gap(problem, select(problem, Selector.KMEANS).members)
    # Checkpoints hold no scalars of NumPy.
    return {name: float(getattr(gap, name)) for name in ("power", "max_power", "loss", "max_loss")}


def _errors(contest: Contest) -> dict[str, Any]:
    """Compare the error models with measured errors, for every layer and multiplier."""
    session, prepared = contest.session, contest.prepared
    tables = {item.name: item.table for item in contest.multipliers}
    traces = dict(exact_traces(session, prepared.network, prepared.integer))
    generator = session.generator("error validation")
    records = validate(prepared.integer.layers, traces, tables, generator)
    agreements = {model.value: asdict(agreement(records, model)) for model in ErrorModel}
    for figures in agreements.values():
        # JSON has no NaN.
        figures.update({name: None for name, value in figures.items() if math.isnan(value)})
    pairs = [
        {
            "layer": record.layer,
            "multiplier": record.multiplier,
            "predicted": {model.value: value for model, value in record.predicted.items()},
            "measured": {model.value: record.measured(model) for model in ErrorModel},
        }
        for record in records
    ]
    return {"agreement": agreements, "pairs": pairs}
