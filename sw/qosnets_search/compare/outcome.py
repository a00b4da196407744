"""What a comparison finds: outcomes of methods at operating points."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["MethodResult", "Outcome", "RunResult"]


@dataclass(frozen=True)
class Outcome:
    """A network that a method proposes for an operating point."""

    adaptation: str
    """What was adapted to the multipliers: an :class:`..adaptation.Adaptation`, or
    ``weight-tuning``."""
    point: str
    """Operating point, ``o1`` the most accurate."""
    relative_power: float
    """Σ c_l/C · P, exactly."""
    padded_power: float
    """The same as ALWANN's authors count multiplications, for comparison with their figures."""
    accuracy: float
    """Of the integer network on all test images, 0..1."""
    circuits: list[str]
    """Name of the circuit of each layer; of all circuits of a layer, joined by ``+``."""


@dataclass(frozen=True)
class MethodResult:
    """All outcomes of a method in one run."""

    method: str
    n_circuits: int
    """Different circuits, over all operating points."""
    n_parameters: dict[str, int]
    """Parameters of the network with all operating points, by adaptation."""
    shares_weights: dict[str, bool]
    """Whether all operating points have the same weights, by adaptation."""
    outcomes: list[Outcome]
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    """Further figures of the method, JSON-able."""


@dataclass(frozen=True)
class RunResult:
    """All methods on one network with one seed."""

    seed: int
    provenance: dict[str, Any]
    """Data set, device and threads."""
    float_accuracy: float
    baseline_accuracy: float
    """Of the integer network with the exact multiplier."""
    n_parameters: int
    layers: list[dict[str, Any]]
    """``name``, ``multiplications``, ``sigma`` (tolerated noise) of each layer."""
    gaps: dict[str, Any]
    """How far k-means is from the exact optimum."""
    errors: dict[str, Any]
    """Agreement of the error models with measured errors, and the pairs that it comes from."""
    methods: list[MethodResult]
