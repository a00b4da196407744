"""What an evolution is made from: enough to repeat it."""

from importlib.metadata import version
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from qosnets.validation import refuse

from .goal import Cost, Metric

__all__ = ["RECIPE_SCHEMA", "Recipe", "Source"]

RECIPE_SCHEMA: Final = "qosnets-evolution/1"


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Frozen):
    """A file or distribution that a run depends on, by name and content."""

    name: str
    sha256: str


class Recipe(_Frozen):
    """The arguments of an evolution, and the versions that computed it."""

    schema_: Literal["qosnets-evolution/1"] = Field(alias="schema")
    metric: Metric
    bounds: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    """Bounds of the error, strictly rising; 0 asks for an exact multiplier."""
    cost: Cost
    operands: Source
    liberty: Source
    seeds: tuple[Source, ...]
    """Netlists that the run starts from beside truncated multipliers."""
    islands: int = Field(ge=1)
    """Populations of one for each bound."""
    rounds: int = Field(ge=1)
    """Circuits migrate and are mapped to cells after each round."""
    evaluations: int = Field(ge=1)
    """Evaluated children of an island in a round."""
    seed: int = Field(ge=0)
    versions: dict[str, str] = Field(
        default_factory=lambda: {
            package: version(package) for package in ("numba", "numpy", "pyosys")
        }
    )

    @model_validator(mode="after")
    def _bounds_rise(self) -> Self:
        if any(b <= a for a, b in zip(self.bounds, self.bounds[1:], strict=False)):
            refuse("bounds", "must rise strictly")
        return self
