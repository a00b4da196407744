"""Multiplying layers of the network in training, with what surrounds them."""

import math

import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor, nn

from .approximate import ApproximateProduct
from .noise import GaussianNoise
from .quantise import ActivationQuantiser, Affine

__all__ = ["Bias", "Block", "MultiplyingLayer"]


class MultiplyingLayer(nn.Module):
    """Convolution or matrix product without bias.

    Weights are fake-quantised while ``quantising``, over their present range. With a ``table``,
    the forward pass goes through that multiplier while gradients stay those of the exact
    product of the quantised operands.

    Parameters
    ----------
    input_quantiser
        Quantiser of the layer's input.
    in_channels, out_channels, kernel, stride, padding, groups
        Of a square convolution; padding is the same on all sides.
    input_size
        Height = width of the input, or None for a matrix product.
    max_weight
        Largest code of a weight, 1..255.
    generator
        Source of the initial weights (He et al., normal).
    """

    def __init__(
        self,
        input_quantiser: ActivationQuantiser,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        input_size: int | None = None,
        max_weight: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.input_quantiser = input_quantiser
        self.kind = LayerKind.LINEAR if input_size is None else LayerKind.CONV
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel = kernel
        self.stride = stride
        self.padding = padding
        self.groups = groups
        self.input_size = 1 if input_size is None else input_size
        self.max_weight = max_weight
        shape: tuple[int, ...] = (out_channels, in_channels // groups)
        if self.kind is LayerKind.CONV:
            shape += (kernel, kernel)
        spread = math.sqrt(2 / math.prod(shape[1:]))
        self.weight = nn.Parameter(spread * torch.randn(shape, generator=generator))
        self.quantising = False
        self.noise: GaussianNoise | None = None
        self.table: Tensor | None = None
        """Table ``M[x, w]`` to multiply through, uint16 ``[256, 256]``; None: exactly."""

    @property
    def weight_affine(self) -> Affine:
        """Quantisation of the present weights."""
        weight = self.weight.detach()
        return Affine.from_range(weight.min(), weight.max(), self.max_weight)

    @property
    def weight_codes(self) -> Tensor:
        """Codes of the present weights, uint8 ``[out_channels, K]``."""
        return self.weight_affine.to_int(self.weight).flatten(1)

    @property
    def geometry(self) -> Geometry:
        """The layer's geometry; its block knows output zero point and clamp, here 0 and 0..255."""
        return Geometry(
            kind=self.kind,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            kernel=(self.kernel, self.kernel),
            stride=(self.stride, self.stride),
            padding=(self.padding,) * 4,
            dilation=(1, 1),
            groups=self.groups,
            input_size=(self.input_size, self.input_size),
            input_zero_point=int(self.input_quantiser.affine.zero_point),
            output_zero_point=0,
            clamp=(0, 255),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the product, ``[image, channel(, height, width)]``, with noise where attached."""
        y = self.product(x) if self.table is None else self.approximate_product(x, self.table)
        return y if self.noise is None else self.noise(y)

    @property
    def real_weight(self) -> Tensor:
        """The weights of the forward pass: fake-quantised while ``quantising``."""
        weight: Tensor = self.weight
        return self.weight_affine.fake_quantise(weight) if self.quantising else weight

    def product(self, x: Tensor) -> Tensor:
        """Return the exact product."""
        if self.kind is LayerKind.LINEAR:
            return F.linear(x, self.real_weight)
        return F.conv2d(
            x, self.real_weight, stride=self.stride, padding=self.padding, groups=self.groups
        )

    def approximate_product(self, x: Tensor, table: Tensor) -> Tensor:
        """Return the product through ``table``, ``M[x, w]``, with gradients of the exact one."""
        product = ApproximateProduct(
            self.geometry,
            table,
            self.input_quantiser.affine,
            self.weight_affine,
        )
        return product(x, self.real_weight)


class Bias(nn.Module):
    """One constant per output channel of a matrix product, initially 0."""

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, y: Tensor) -> Tensor:
        """Return ``y + bias``."""
        return y + self.bias


class Block(nn.Module):
    """A multiplying layer, then BatchNorm and ReLU or a bias, then the output's quantiser."""

    def __init__(
        self,
        layer: MultiplyingLayer,
        follower: nn.BatchNorm2d | Bias,
        output_quantiser: ActivationQuantiser,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.follower = follower
        self.output_quantiser = output_quantiser

    @property
    def has_relu(self) -> bool:
        """Whether negative results become 0."""
        return isinstance(self.follower, nn.BatchNorm2d)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's (fake-quantised) output."""
        y: Tensor = self.follower(self.layer(x))
        output: Tensor = self.output_quantiser(F.relu(y) if self.has_relu else y)
        return output

    @torch.no_grad()
    def channel_affine(self) -> tuple[Tensor, Tensor]:
        """Return gain and shift, float64 ``[channel]``: in evaluation, gain·product + shift."""
        if isinstance(self.follower, Bias):
            shift = self.follower.bias.to(torch.float64)
            return torch.ones_like(shift), shift
        norm = self.follower
        assert norm.running_var is not None and norm.running_mean is not None
        spread = torch.sqrt(norm.running_var.to(torch.float64) + norm.eps)
        gain = norm.weight / spread
        return gain, norm.bias - gain * norm.running_mean
