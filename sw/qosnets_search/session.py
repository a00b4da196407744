"""What all stages of a run share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from zlib import crc32

import torch
from torch import nn

from .checkpoints import Checkpoints
from .datasets.dataset import ImageDataset
from .recipe import Recipe
from .selection.candidates import Offer
from .training.loop import Batches

__all__ = ["Report", "Session"]

Report = Callable[[str, int, int], None]
"""Called with a stage, the steps done and their total."""


@dataclass(frozen=True)
class Session:
    """What all stages of a run share."""

    recipe: Recipe
    dataset: ImageDataset
    module: nn.Module
    """The network in floating point, as its factory made it."""
    offers: Sequence[Offer]
    """The multipliers to choose from, those of one offer; none: they are made for the network."""
    device: torch.device
    checkpoints: Checkpoints
    progress: Report

    def generator(self, stage: str) -> torch.Generator:
        """Return a stage's source of chance: a stage draws alike, whatever ran before it."""
        return self._seeded(stage, torch.device("cpu"))

    def device_generator(self, stage: str) -> torch.Generator:
        """Return a stage's source of chance on the device."""
        return self._seeded(stage, self.device)

    def _seeded(self, stage: str, device: torch.device) -> torch.Generator:
        seed = self.recipe.seed << 32 | crc32(stage.encode())
        return torch.Generator(device).manual_seed(seed)

    def batches(self, stage: str) -> Batches:
        """Return the training set, its order drawn for a stage."""
        recipe = self.recipe
        return Batches(self.dataset, recipe.batch_size, self.generator(stage), self.device)

    def report(self, stage: str) -> Callable[[int, int], None]:
        """Return what a stage reports its steps to."""
        return partial(self.progress, stage)
