"""Small networks that do what user's networks do, in unusual forms; for tests."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ODD_NETWORKS", "Odd", "randomise"]


class Layers(nn.Module):
    """Asymmetric strides, kernels and paddings, dilation, groups, biases, ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, (3, 2), stride=(1, 2), padding=(2, 1))
        self.stem_norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=6, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(12, affine=False)
        self.same = nn.Conv2d(12, 6, (2, 3), padding="same", groups=2)
        self.valid = nn.Conv2d(6, 4, 2, padding="valid", bias=False)
        self.hidden = nn.Linear(4 * 12 * 4, 7, bias=False)
        self.hidden_norm = nn.BatchNorm1d(7)
        self.classifier = nn.Linear(7, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(images)))
        x = F.relu6(self.depthwise_norm(self.depthwise(x)))
        x = self.valid(self.same(x).relu_())
        x = torch.flatten(x, 1)
        return self.classifier(F.hardtanh(self.hidden_norm(self.hidden(x)), 0.0, 6.0))


class Branches(nn.Module):
    """Sums, concatenations that share a scale, activations with several readers."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(3, 4, 3, padding=1)
        self.right = nn.Conv2d(3, 4, 1)
        self.after = nn.Sequential(nn.Conv2d(15, 6, 1, bias=False), nn.BatchNorm2d(6))
        self.classifier = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        left, right = self.left(images), self.right(images)
        both = torch.add(left, right)
        x = torch.cat((left, images, both.clamp(min=0, max=6), right), dim=1)
        y = self.after(x)
        y = y + F.relu(y)
        y = sum((y, y))  # which starts with 0
        y += F.max_pool2d(y, 3, 1, 1)
        y = F.adaptive_avg_pool2d(y, 1)
        return self.classifier(y.squeeze(-1).squeeze(-1))


class Pools(nn.Module):
    """All kinds of pooling, slices, zero channels, separate padding, dropout, views."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ZeroPad2d((0, 1, 2, 0)),
            nn.Conv2d(3, 4, 3, padding=(1, 0)),
            nn.Dropout2d(),
            nn.BatchNorm2d(4),
            nn.Identity(),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.wide = nn.Conv2d(12, 8, 3, padding=1, bias=False)
        self.pool = nn.AvgPool2d((3, 2), stride=(1, 2), padding=(1, 0))
        self.classifier = nn.Linear(8 * 2, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images)
        x = F.pad(x[:, :, ::2], (0, 0, 0, 0, 4, 4))
        x = F.relu(self.wide(x))
        x = F.adaptive_avg_pool2d(self.pool(x), (1, 2))
        x = F.dropout(x, 0.5, self.training)
        return self.classifier(x.view(x.size(0), -1))


class Means(nn.Module):
    """Means over both axes, one that keeps them and one that does not; a sum of flat tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3)
        self.mixed = nn.Conv2d(6, 6, 1)
        self.hidden = nn.Linear(6, 6)
        self.classifier = nn.Linear(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.conv(images))
        pooled = x.mean([-1, -2])
        x = F.relu(self.mixed(x.mean((2, 3), keepdim=True))).flatten(1)
        return self.classifier(F.relu(self.hidden(pooled) + x))


class Odd(NamedTuple):
    """A network, what it reads, and the layers it has."""

    factory: Callable[[], nn.Module]
    input_shape: tuple[int, int, int]
    layers: tuple[str, ...]


ODD_NETWORKS = {
    "layers": Odd(
        Layers, (3, 11, 9), ("stem", "depthwise", "same", "valid", "hidden", "classifier")
    ),
    "branches": Odd(Branches, (3, 6, 5), ("left", "right", "after.0", "classifier")),
    "pools": Odd(Pools, (3, 11, 10), ("features.1", "wide", "classifier")),
    "means": Odd(Means, (2, 5, 7), ("conv", "mixed", "hidden", "classifier")),
    "sequential": Odd(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
        (1, 6, 6),
        ("layer_0", "layer_3"),
    ),
}


def randomise(module: nn.Module, seed: int) -> nn.Module:
    """Draw all parameters and BatchNorm statistics, γ of both signs; return the module."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                spread = (2 / part.weight[0].numel()) ** 0.5
                part.weight.normal_(0, spread, generator=generator)
                if part.bias is not None:
                    part.bias.normal_(0, 0.3, generator=generator)
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                assert part.running_mean is not None and part.running_var is not None
                part.running_mean.normal_(0, 0.5, generator=generator)
                part.running_var.uniform_(0.5, 2, generator=generator)
                if part.affine:
                    part.weight.normal_(0, 1, generator=generator)
                    part.bias.normal_(0, 0.5, generator=generator)
    return module
