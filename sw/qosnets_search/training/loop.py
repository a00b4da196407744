"""The training loop of all stages."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Batches", "Progress", "fit"]

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of steps done and their total."""

MOMENTUM = 0.9
LR_DECAY = 0.1


@dataclass(frozen=True)
class Batches:
    """A training set, handed out in batches of random order."""

    images: Tensor
    labels: Tensor
    batch_size: int
    generator: torch.Generator
    """Source of the order."""

    @property
    def n_steps(self) -> int:
        """Number of batches of an epoch; the last may be smaller."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images and labels of each batch, in an order drawn anew."""
        order = torch.randperm(len(self.images), generator=self.generator)
        for batch in torch.split(order, self.batch_size):
            yield self.images[batch], self.labels[batch]


def fit(
    network: nn.Module,
    parameters: Iterable[nn.Parameter],
    batches: Batches,
    *,
    n_epochs: int,
    lr: float,
    progress: Progress,
    weight_decay: float = 0.0,
    penalty: Callable[[], Tensor] | None = None,
) -> None:
    """Minimise cross-entropy by stochastic gradient descent with momentum 0.9.

    The learning rate ``lr`` falls to a tenth for the last third of the epochs. The network stays
    in the mode, training or evaluation, that it is in. ``penalty`` is added to each batch's loss.
    """
    optimiser = torch.optim.SGD(parameters, lr=lr, momentum=MOMENTUM, weight_decay=weight_decay)
    for epoch in range(n_epochs):
        if epoch == n_epochs - n_epochs // 3:
            for group in optimiser.param_groups:
                group["lr"] = lr * LR_DECAY
        for step, (images, labels) in enumerate(batches.epoch()):
            loss = F.cross_entropy(network(images), labels)
            if penalty is not None:
                loss = loss + penalty()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress(epoch * batches.n_steps + step + 1, n_epochs * batches.n_steps)
