"""Outcome of the benches, as they report it to the runner."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.files import atomic_write, canonical_json, read_json

__all__ = ["Comparison", "LayerResult", "PointResult", "SimulationResult"]


@dataclass
class Comparison:
    """Values compared with tolerance 0."""

    compared: int = 0
    mismatches: int = 0
    first_mismatch: str | None = None
    """Where the first mismatch is, what was expected and what was found."""

    def check(self, where: str, expected: npt.NDArray[Any], found: npt.NDArray[Any]) -> None:
        """Compare two arrays of integers; a wrong shape counts as all wrong."""
        self.compared += expected.size
        if expected.shape != found.shape:
            wrong_size = max(1, expected.size)
            self._count(wrong_size, f"{where}: shape {expected.shape}, found {found.shape}")
            return
        wrong = np.argwhere(expected != found)
        if len(wrong):
            at = tuple(int(index) for index in wrong[0])
            self._count(
                len(wrong),
                f"{where}{list(at)}: expected {int(expected[at])}, found {int(found[at])}",
            )

    def add(self, other: "Comparison") -> None:
        """Add what ``other`` compared."""
        self.compared += other.compared
        if other.first_mismatch:
            self._count(other.mismatches, other.first_mismatch)

    def _count(self, mismatches: int, text: str) -> None:
        self.mismatches += mismatches
        self.first_mismatch = self.first_mismatch or text


@dataclass
class LayerResult:
    """What a layer took at an operating point."""

    name: str
    jobs: int = 0
    cycles: int = 0
    """Clock cycles of its jobs, as the accelerator counted them."""
    predicted_cycles: int = 0
    """Those of the cycle model, which knows no stalls."""
    multiplications: int = 0
    """Products that the layer needs."""
    utilisation: float = 0.0
    """Multiplications per cycle and multiplier."""


@dataclass
class PointResult:
    """What was compared at an operating point."""

    name: str
    images: int = 0
    """Images run through the whole network."""
    layers: list[LayerResult] = field(default_factory=list)
    comparison: Comparison = field(default_factory=Comparison)

    @property
    def jobs(self) -> int:
        """Jobs of all layers."""
        return sum(layer.jobs for layer in self.layers)

    @property
    def cycles(self) -> int:
        """Clock cycles of all jobs."""
        return sum(layer.cycles for layer in self.layers)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "PointResult":
        """Return the result that :func:`dataclasses.asdict` made ``data`` of."""
        layers = [LayerResult(**layer) for layer in data["layers"]]
        comparison = Comparison(**data["comparison"])
        return cls(**{**data, "layers": layers, "comparison": comparison})


@dataclass
class SimulationResult:
    """What a bench reports."""

    seed: int
    bank: Comparison | None = None
    """Exhaustive comparison of the multiplier bank."""
    rules: Comparison | None = None
    """Rules of operating points, jobs and streams, and recovery from what breaks them."""
    points: list[PointResult] = field(default_factory=list)

    @property
    def mismatches(self) -> int:
        """Mismatches of any kind."""
        parts = [self.bank, self.rules, *(point.comparison for point in self.points)]
        return sum(part.mismatches for part in parts if part is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write the result to ``path``."""
        atomic_write(path, canonical_json(self.to_json()))

    @classmethod
    def load(cls, path: Path) -> "SimulationResult":
        """Read a result that :meth:`save` wrote."""
        data: Mapping[str, Any] = read_json(path)

        def comparison(value: Mapping[str, Any] | None) -> Comparison | None:
            return None if value is None else Comparison(**value)

        points = [PointResult.from_json(point) for point in data["points"]]
        return cls(data["seed"], comparison(data["bank"]), comparison(data["rules"]), points)
