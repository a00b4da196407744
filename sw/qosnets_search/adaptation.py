"""A prepared network, adapted to the multipliers of an operating point."""

import copy
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from qosnets.lut import Lut

from .preparation import Prepared
from .quantised.export import check_accumulators, integer_network
from .quantised.integer import IntegerNetwork
from .session import Session
from .training.tuning import retrain, tune

__all__ = ["Adaptation", "adapt"]


class Adaptation(StrEnum):
    """What of a network is adapted to its multipliers."""

    NONE = "none"
    CLOSED_FORM = "closed-form"
    """Statistics of BatchNorm, and biases where there is none; no training."""
    TUNING = "tuning"
    """That, then γ and β of BatchNorm by training; weights stay."""
    RETRAINING = "retraining"
    """All parameters: the operating point has weights of its own."""


def adapt(
    session: Session, prepared: Prepared, tables: Mapping[str, Lut], how: Adaptation, *, name: str
) -> IntegerNetwork:
    """Return the integer network adapted to multipliers.

    Parameters
    ----------
    session, prepared
        The run, and the network to start from, which stays as it is.
    tables
        ``M[x, w]`` of the multiplier of each layer.
    how
        What to adapt.
    name
        Name of the stage, for progress and checkpoint.

    Raises
    ------
    CheckError
        If a constant or an accumulator does not fit its format.
    """
    integer = prepared.integer
    if how is not Adaptation.NONE:
        state = session.checkpoints.stage(
            name, lambda: _train(session, prepared, tables, how, name)
        )
        network = copy.deepcopy(prepared.network)
        network.load_state_dict(state["state"])
        integer = integer_network(network)
    check_accumulators(integer.layers, tables, max_activation=prepared.code_range.max_activation)
    return integer


def _train(
    session: Session, prepared: Prepared, tables: Mapping[str, Lut], how: Adaptation, name: str
) -> dict[str, Any]:
    recipe = session.recipe
    train, schedule = {
        Adaptation.CLOSED_FORM: (tune, recipe.tuning.model_copy(update={"epochs": 0})),
        Adaptation.TUNING: (tune, recipe.tuning),
        Adaptation.RETRAINING: (retrain, recipe.retraining),
    }[how]
    network = train(
        prepared.network,
        tables,
        session.batches(name),
        schedule,
        estimator=recipe.gradient,
        progress=session.report(name),
    )
    return {"state": network.state_dict()}
