"""What the search is asked to do: a recipe, in TOML or by a name that comes with the package."""

import tomllib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from qosnets.errors import InputError
from qosnets.files import read_bytes
from qosnets.ops import MAX_MULTIPLIERS
from qosnets.validation import refuse, validation_message

from .quantised.gradients import GradientEstimator
from .selection.error_model import ErrorModel
from .selection.selectors import DEFAULT_SELECTOR, Selector

__all__ = [
    "Bank",
    "Merging",
    "NoiseSchedule",
    "Recipe",
    "Schedule",
    "choose_recipe",
    "load_recipe",
    "recipe_names",
]

Positive = Annotated[float, Field(gt=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Schedule(_Record):
    """Stochastic gradient descent for some epochs."""

    epochs: Annotated[int, Field(ge=0, le=10_000)]
    lr: Positive
    """Learning rate at first."""
    milestones: list[Annotated[int, Field(ge=1)]] = []
    """Epochs, counted from 0, at whose start the learning rate falls to a tenth."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class NoiseSchedule(Schedule):
    """The search for the noise that each layer tolerates."""

    noise_weight: Positive
    """λ, weight of the reward for noise."""
    sigma_init: Positive
    """Initial noise of every layer, relative to the spread of its output."""
    sigma_max: Positive
    """Noise beyond which there is no further reward."""


class Bank(StrEnum):
    """Where the multipliers come from."""

    MUX = "mux"
    """From a library; the array has each of them, or the merged multiplier whose modes they are."""
    MERGED = "merged"
    """They are modes of a merged multiplier that is made for the network."""


class Merging(_Record):
    """How a merged multiplier is made for the network."""

    n_estimates: Annotated[int, Field(ge=0, le=10**7)] = 15_000
    """Wirings judged by an estimate; some hundreds a second."""
    n_mappings: Annotated[int, Field(ge=0, le=10**6)] = 800
    """Wirings mapped to cells; some ten a second."""
    row_pairs: bool = False
    """Let neighbouring bits of the activation have equal masks: simulation is faster."""


class Recipe(_Record):
    """Parameters of a search."""

    model: str
    """Name of a network that comes with the package, or ``package.module:factory``."""
    data: str
    """Name of a data set, or ``package.module:factory``."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    """Of weights, batches, noise and clustering."""
    n_multipliers: Annotated[int, Field(ge=1, le=MAX_MULTIPLIERS)] = 4
    """Largest number of different multipliers."""
    scales: Annotated[list[Positive], Field(min_length=1)] = [0.2, 0.5, 1.0]
    """One per operating point, ascending: factor on the error that each layer may have."""
    batch_size: Annotated[int, Field(ge=2, le=65_536)] = 128
    n_vector_images: Annotated[int, Field(ge=1)] = 10
    """Test images in ``vectors.safetensors``, or all if there are fewer."""
    n_threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads of PyTorch; 0: one per core. Results may depend on it in their last bits."""
    bank: Annotated[Bank, Field(strict=False)] = Bank.MUX
    merging: Merging = Merging()
    """With the bank ``merged``."""
    selector: Annotated[Selector, Field(strict=False)] = DEFAULT_SELECTOR
    error_model: Annotated[ErrorModel, Field(strict=False)] = ErrorModel.PER_FILTER
    gradient: Annotated[GradientEstimator, Field(strict=False)] = GradientEstimator.STRAIGHT_THROUGH
    float_training: Schedule
    """Without quantisation; 0 epochs where the model is trained already."""
    range_observation: Schedule
    """First epochs of quantisation-aware training, with range observers only."""
    quantised_training: Schedule
    """Further epochs of quantisation-aware training, with fake quantisation."""
    noise_search: NoiseSchedule
    tuning: Schedule
    """Of BatchNorm, per operating point."""
    retraining: Schedule
    """Of all parameters, per operating point: in comparisons only."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for index, scale in enumerate(self.scales[1:], start=1):
            if scale <= self.scales[index - 1]:
                refuse(f"scales[{index}]", f"must exceed {self.scales[index - 1]}, not {scale}")
        for stage in ("range_observation", "noise_search"):
            if getattr(self, stage).epochs < 1:
                refuse(f"{stage}.epochs", "must be at least 1, not 0")
        if self.bank is Bank.MERGED and self.n_multipliers < 2:
            refuse("n_multipliers", "must be at least 2 with the bank merged, not 1")
        return self


_FOLDER = files(__package__) / "recipes"
DEFAULT = "default"
"""Recipe of networks that have none of their own."""
DEMONSTRATION = "digits"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(item.name.removesuffix(".toml") for item in _FOLDER.iterdir())


def choose_recipe(recipe: str | None, model: str | None) -> str | Path:
    """Return what :func:`load_recipe` loads for a recipe and a model that a user asks for.

    A file ends in ``.toml``; without a recipe it is that of the model, or the default one.
    """
    if recipe is not None:
        return Path(recipe) if recipe.endswith(".toml") else recipe
    if model is None:
        return DEMONSTRATION
    return model if model in recipe_names() else DEFAULT


def load_recipe(
    source: str | Path, changes: Mapping[str, Any] | None = None, settings: Sequence[str] = ()
) -> Recipe:
    """Return a recipe.

    Parameters
    ----------
    source
        Name of a recipe that comes with the package, or the path of a TOML file.
    changes
        Values that replace those of the source, by field; None leaves a field as it is.
    settings
        Further changes as text, ``field=value`` or ``stage.field=value``; a value is as in TOML,
        or a word.

    Raises
    ------
    InputError
        If there is no such recipe, or it breaks a rule; the message names the field.
    """
    if isinstance(source, Path):
        where, data = str(source), read_bytes(source)
    elif source in recipe_names():
        where, data = f"recipe {source}", (_FOLDER / f"{source}.toml").read_bytes()
    else:
        known = ", ".join(recipe_names())
        raise InputError(f"recipe: must be a TOML file or one of {known}, not {source!r}")
    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: must be TOML: {error}") from None
    values |= {field: value for field, value in (changes or {}).items() if value is not None}
    for setting in settings:
        _set(values, setting)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {validation_message(error)}") from None


def _set(values: dict[str, Any], setting: str) -> None:
    """Carry out ``stage.field=value``."""
    path, equals, text = setting.partition("=")
    rule = "must be FIELD=VALUE or STAGE.FIELD=VALUE"
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a word, of which a shell has taken the quotes
    if not equals or value == "":
        raise InputError(f"--set: {rule}, not {setting!r}")
    *stages, field = path.strip().split(".")
    for stage in stages:
        values = values.setdefault(stage, {})
        if not isinstance(values, dict):
            raise InputError(f"--set: {rule}, not {setting!r}")
    values[field] = value
