"""The islands of an evolution, what they have found, and the checkpoint that holds both."""

from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from qosnets.errors import InputError
from qosnets.files import atomic_write, read_bytes
from qosnets.validation import validation_message

from .genome import FIRST_NODE, N_OUTPUTS, Function, Genome
from .recipe import Recipe

__all__ = ["Found", "Island", "Population"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Island(_Record):
    """A population of one circuit under one bound."""

    bound: int
    """Index of the bound."""
    number: int
    """Index among the islands of the bound."""
    round: int
    """Rounds that are done."""
    cost: int
    """Cost of the circuit during the climb."""
    nodes: list[Annotated[list[int], Field(min_length=3, max_length=3)]]
    outputs: Annotated[list[int], Field(min_length=N_OUTPUTS, max_length=N_OUTPUTS)]

    @model_validator(mode="after")
    def _genes_are_in_range(self) -> Self:
        for index, (x, y, function) in enumerate(self.nodes):
            if not (0 <= min(x, y) and max(x, y) < FIRST_NODE + index):
                raise ValueError(f"nodes[{index}]: must read nets before it")
            if not 0 <= function < len(Function):
                raise ValueError(f"nodes[{index}]: must have a function below {len(Function)}")
        if not (0 <= min(self.outputs) and max(self.outputs) < FIRST_NODE + len(self.nodes)):
            raise ValueError("outputs: must be nets")
        return self

    @property
    def genome(self) -> Genome:
        """The circuit."""
        nodes = np.array(self.nodes, dtype=np.int64).reshape(-1, 3)
        return Genome(nodes, np.array(self.outputs, dtype=np.int64))

    def holding(self, genome: Genome, cost: int) -> "Island":
        """Return the island with another circuit."""
        nodes, outputs = genome.nodes.tolist(), genome.outputs.tolist()
        return self.model_copy(update={"nodes": nodes, "outputs": outputs, "cost": cost})


class Found(_Record):
    """The cheapest mapped circuit of a bound."""

    netlist: str
    """Canonical text."""
    cost: float
    """Estimated power in µW or area in µm²."""


class Population(BaseModel):
    """The state of an evolution."""

    model_config = ConfigDict(extra="forbid")

    recipe: Recipe
    islands: list[Island]
    """By bound, then number."""
    found: list[Found | None]
    """By bound; None before the first circuits are mapped."""
    mapped_round: int = -1
    """The round after which circuits were mapped and migrated last."""

    def save(self, path: Path) -> None:
        """Write a checkpoint, at once or not at all."""
        atomic_write(path, self.model_dump_json(by_alias=True).encode())

    @classmethod
    def load(cls, path: Path, recipe: Recipe) -> Self:
        """Read the checkpoint of a run of ``recipe``.

        Raises
        ------
        InputError
            If it cannot be read, is damaged, or belongs to another recipe.
        """
        try:
            population = cls.model_validate_json(read_bytes(path))
        except ValidationError as error:
            raise InputError(f"{path}: {validation_message(error)}") from None
        mine, other = recipe.model_dump(), population.recipe.model_dump()
        for field, value in mine.items():
            if other[field] != value:
                raise InputError(f"{path}: {field}: must be {other[field]} to resume, not {value}")
        return population
