"""Multiplying layers in training, with what surrounds them."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor, nn

from .approximate import ApproximateProduct
from .gradients import GradientFactors
from .noise import GaussianNoise
from .quantise import ActivationQuantiser, Affine
from .steps import Activation
from .torch_geometry import pad

__all__ = ["Block", "MultiplyingLayer", "activate"]

Norm = nn.BatchNorm1d | nn.BatchNorm2d


def activate(x: Tensor, activation: Activation) -> Tensor:
    """Return the activation of ``x``."""
    match activation:
        case Activation.NONE:
            return x
        case Activation.RELU:
            return F.relu(x)
        case Activation.RELU6:
            return F.relu6(x)


class MultiplyingLayer(nn.Module):
    """Convolution or matrix product without bias.

    Weights are fake-quantised while ``quantising``, over their present range. With a ``table``,
    the forward pass goes through that multiplier.

    Parameters
    ----------
    input_quantiser
        Quantiser of the layer's input.
    weight
        Initial weights, ``[O, I/groups, kh, kw]`` or ``[O, I]``; they are copied.
    geometry
        With zero points 0.
    max_weight
        Largest code of a weight, 1..255.
    """

    def __init__(
        self,
        input_quantiser: ActivationQuantiser,
        weight: Tensor,
        geometry: Geometry,
        *,
        max_weight: int,
    ) -> None:
        super().__init__()
        self.input_quantiser = input_quantiser
        self.weight = nn.Parameter(weight.detach().clone())
        self.max_weight = max_weight
        self.quantising = False
        self.noise: GaussianNoise | None = None
        self.table: Tensor | None = None
        """Table ``M[x, w]`` to multiply through, uint16 ``[256, 256]``; None: exactly."""
        self.factors: GradientFactors | None = None
        """Gradients of the product through the table; None: those of the exact one."""
        self._geometry = geometry

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
    def multiplications(self) -> int:
        """Multiplications for one image."""
        return self._geometry.multiplications

    @property
    def geometry(self) -> Geometry:
        """The geometry; the layer's block knows output zero point and clamp, here 0 and 0..255."""
        zero_point = int(self.input_quantiser.affine.zero_point)
        return replace(self._geometry, input_zero_point=zero_point)

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
        geometry = self._geometry
        if geometry.kind is LayerKind.LINEAR:
            return F.linear(x, self.real_weight)
        before, after = geometry.padding[:2], geometry.padding[2:]
        symmetric = before == after
        return F.conv2d(
            x if symmetric else pad(x, geometry.padding, 0.0),
            self.real_weight,
            stride=geometry.stride,
            padding=before if symmetric else 0,
            dilation=geometry.dilation,
            groups=geometry.groups,
        )

    def approximate_product(self, x: Tensor, table: Tensor) -> Tensor:
        """Return the product through ``table``, ``M[x, w]``."""
        affines = self.input_quantiser.affine, self.weight_affine
        product = ApproximateProduct(self.geometry, table, *affines, factors=self.factors)
        return product(x, self.real_weight)


class Block(nn.Module):
    """A multiplying layer; its bias, BatchNorm and activation; the output's quantiser.

    Parameters
    ----------
    layer
        The layer.
    bias
        Initial bias of the product, ``[channel]``, or None.
    norm
        BatchNorm after that, or None.
    activation
        Last of all.
    output_quantiser, output_tensor
        Of the output, and its number among the tensors that share the scale.
    """

    def __init__(
        self,
        layer: MultiplyingLayer,
        *,
        bias: Tensor | None,
        norm: Norm | None,
        activation: Activation,
        output_quantiser: ActivationQuantiser,
        output_tensor: int = 0,
    ) -> None:
        super().__init__()
        self.layer = layer
        if bias is None and norm is None:
            bias = torch.zeros(len(layer.weight))
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.norm = norm
        self.activation = activation
        self.output_quantiser = output_quantiser
        self.output_tensor = output_tensor

    def biased(self, product: Tensor) -> Tensor:
        """Return ``product`` with the bias added."""
        if self.bias is None:
            return product
        return product + (self.bias if product.ndim == 2 else self.bias[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's (fake-quantised) output."""
        y = self.biased(self.layer(x))
        if self.norm is not None:
            y = self.norm(y)
        output: Tensor = self.output_quantiser(activate(y, self.activation), self.output_tensor)
        return output

    @property
    def point_parameters(self) -> list[nn.Parameter]:
        """What may differ between operating points: γ and β, or the bias where there are none."""
        if self.norm is not None:
            return [self.norm.weight, self.norm.bias]
        assert self.bias is not None
        return [self.bias]

    @torch.no_grad()
    def channel_affine(self) -> tuple[Tensor, Tensor]:
        """Return gain and shift, float64 ``[channel]``: in evaluation, gain·product + shift."""
        zeros = torch.zeros(len(self.layer.weight), dtype=torch.float64, device=self.device)
        bias = zeros if self.bias is None else self.bias.to(torch.float64)
        norm = self.norm
        if norm is None:
            return torch.ones_like(zeros), bias
        assert norm.running_var is not None and norm.running_mean is not None
        spread = torch.sqrt(norm.running_var.to(torch.float64) + norm.eps)
        gain = norm.weight / spread
        return gain, norm.bias + gain * (bias - norm.running_mean)

    @property
    def device(self) -> torch.device:
        """Where the block computes."""
        return self.layer.weight.device
