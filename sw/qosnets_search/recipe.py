"""What the search is asked to do."""

import math
from dataclasses import dataclass

from qosnets.errors import InputError
from qosnets.ops import MAX_MULTIPLIERS

from .datasets.digits import N_TEST

__all__ = ["Recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Parameters of a search.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    seed: int = 1
    """Of weights, batches, noise and clustering."""
    n_multipliers: int = 4
    """Largest number of different multipliers, 1..8."""
    scales: tuple[float, ...] = (0.1, 0.5, 2.0)
    """One per operating point, ascending: factor on the error that each layer may have."""
    n_vector_images: int = 100
    """Test images in ``vectors.safetensors``, 1..500."""
    batch_size: int = 32
    float_epochs: int = 40
    """Epochs without quantisation."""
    float_lr: float = 0.05
    observer_epochs: int = 1
    """First epochs of quantisation-aware training, with range observers only."""
    quantised_epochs: int = 10
    """Further epochs of quantisation-aware training, with fake quantisation."""
    quantised_lr: float = 0.01
    noise_epochs: int = 10
    """Epochs of the sensitivity search."""
    noise_lr: float = 0.01
    noise_weight: float = 0.3
    """λ, weight of the reward for noise."""
    sigma_init: float = 0.1
    """Initial noise of every layer, relative to the spread of its output."""
    sigma_max: float = 0.5
    """Noise beyond which there is no further reward."""
    tuning_epochs: int = 4
    """Epochs of BatchNorm tuning per operating point."""
    tuning_lr: float = 0.02

    def __post_init__(self) -> None:
        _check_int("seed", self.seed, 0, 2**31 - 1)
        _check_int("n_multipliers", self.n_multipliers, 1, MAX_MULTIPLIERS)
        _check_int("n_vector_images", self.n_vector_images, 1, N_TEST)
        _check_int("batch_size", self.batch_size, 2, 1024)
        for field in ("float", "observer", "quantised", "noise", "tuning"):
            _check_int(f"{field}_epochs", getattr(self, f"{field}_epochs"), 1, 1000)
        for field in ("float_lr", "quantised_lr", "noise_lr", "tuning_lr"):
            _check_positive(field, getattr(self, field))
        for field in ("noise_weight", "sigma_init", "sigma_max"):
            _check_positive(field, getattr(self, field))
        if not self.scales:
            raise InputError("recipe: scales: must have at least 1 entry, not 0")
        for index, scale in enumerate(self.scales):
            _check_positive(f"scales[{index}]", scale)
            if index and scale <= self.scales[index - 1]:
                raise InputError(
                    f"recipe: scales[{index}]: must exceed {self.scales[index - 1]}, not {scale}"
                )


def _check_int(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(f"recipe: {field}: must be {low}..{high}, not {value}")


def _check_positive(field: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"recipe: {field}: must be a positive number, not {value}")
