"""The training loop of all stages."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from qosnets.errors import CheckError
from torch import Tensor, nn

from ..datasets.dataset import ImageDataset
from ..recipe import Schedule
from . import distributed

__all__ = ["Batches", "Progress", "fit"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of steps done and their total."""

MOMENTUM = 0.9
LR_DECAY = 0.1


@dataclass(frozen=True)
class Batches:
    """A training set, handed out in batches of random order, normalised and augmented."""

    dataset: ImageDataset
    batch_size: int
    """Images of a step, of all processes together."""
    generator: torch.Generator
    """Source of the order and of the augmentation; on the CPU."""
    device: torch.device

    @property
    def n_steps(self) -> int:
        """Number of batches of an epoch; the last may be smaller."""
        return -(-len(self.dataset.train_images) // self.batch_size)

    def epoch(self, *, augmented: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels of each batch, in an order drawn anew.

        Of several processes, each gets its share of every batch.
        """
        data = self.dataset
        order = torch.randperm(len(data.train_images), generator=self.generator)
        for batch in torch.split(order, self.batch_size):
            share = batch[distributed.rank() :: distributed.world_size()]
            images = data.normalise(data.train_images[share])
            if augmented and data.augmentation is not None:
                images = data.augmentation.augment(images, self.generator)
            yield images.to(self.device), data.train_labels[share].to(self.device)


def fit(
    network: nn.Module,
    parameters: Iterable[nn.Parameter],
    batches: Batches,
    schedule: Schedule,
    *,
    progress: Progress,
    penalty: Callable[[], Tensor] | None = None,
) -> None:
    """Minimise cross-entropy by stochastic gradient descent with momentum 0.9.

    The network stays in the mode, training or evaluation, that it is in. ``penalty`` is added to
    each batch's loss.

    Raises
    ------
    CheckError
        If the loss is no longer finite.
    """
    parameters = list(parameters)
    optimiser = torch.optim.SGD(
        parameters, lr=schedule.lr, momentum=MOMENTUM, weight_decay=schedule.weight_decay
    )
    total = schedule.epochs * batches.n_steps
    for epoch in range(schedule.epochs):
        passed = sum(epoch >= milestone for milestone in schedule.milestones)
        for group in optimiser.param_groups:
            group["lr"] = schedule.lr * LR_DECAY**passed
        for step, (images, labels) in enumerate(batches.epoch()):
            loss = F.cross_entropy(network(images), labels)
            if penalty is not None:
                loss = loss + penalty()
            if not loss.isfinite():
                rule = f"loss must be finite, not {loss.item()}; is lr {schedule.lr} too large?"
                raise CheckError(f"training: epoch {epoch + 1}: {rule}")
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            distributed.average_(p.grad for p in parameters if p.grad is not None)
            optimiser.step()
            distributed.average_(network.buffers())
            progress(epoch * batches.n_steps + step + 1, total)
