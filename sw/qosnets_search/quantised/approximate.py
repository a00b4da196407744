"""A multiplying layer through a table: exact integers forwards, an estimated gradient backwards.

What a layer keeps for its backward pass is what it multiplied: codes, one byte each. Neither the
unfolded fields of a convolution nor a second, exact result are ever made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from ..kernels import Candidate, ConvShape, MatmulShape, explain, lut_conv2d, lut_matmul
from .gradients import GradientFactors, OperandFactors, straight_through
from .quantise import Affine
from .torch_geometry import pad

__all__ = ["ApproximateProduct", "accumulate", "explain_layer", "window_sums"]


def accumulate(x: Tensor, weights: Tensor, table: Tensor, geometry: Geometry) -> Tensor:
    """Return ``Σ_k table[x_k, w_k]``, int32 ``[image, channel(, height, width)]``.

    Parameters
    ----------
    x
        Codes, uint8 ``[image, channel, height, width]`` or ``[image, feature]``; padding holds the
        geometry's ``input_zero_point``, which goes through the table like any other code.
    weights
        Codes, uint8 ``[O, I/groups, kh, kw]`` or ``[O, I]``.
    table
        uint16 ``[256, 256]``, rows are the codes of x.
    geometry
        Of the layer.
    """
    if geometry.kind is LayerKind.LINEAR:
        return lut_matmul(x.contiguous(), weights.T.contiguous(), table)
    return lut_conv2d(
        x.contiguous(),
        weights.contiguous(),
        table,
        stride=geometry.stride,
        padding=geometry.padding,
        padding_code=geometry.input_zero_point,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )


def explain_layer(geometry: Geometry, table: Tensor, n_images: int) -> list[Candidate]:
    """Return the ways to compute :func:`accumulate` for a batch, the one that is taken first."""
    if geometry.kind is LayerKind.LINEAR:
        shape = MatmulShape(n_images, geometry.in_channels, geometry.out_channels)
        return explain(shape, table)
    conv = ConvShape(
        batch=n_images,
        in_channels=geometry.in_channels,
        size=geometry.input_size,
        out_channels=geometry.out_channels,
        kernel=geometry.kernel,
        stride=geometry.stride,
        padding=geometry.padding,
        padding_code=geometry.input_zero_point,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    return explain(conv, table)


def window_sums(x: Tensor, geometry: Geometry) -> Tensor:
    """Return ``Σ_k x_k`` of each output position and group, int32.

    ``[image, 1]`` or ``[image, group, height, width]``, of codes as for :func:`accumulate`.
    """
    if geometry.kind is LayerKind.LINEAR:
        return x.sum(1, keepdim=True, dtype=torch.int32)
    grouped = x.reshape(len(x), geometry.groups, -1, *x.shape[2:])
    sums = grouped.sum(2, dtype=torch.int32).to(torch.float32)
    padding_sum = float(grouped.shape[2] * geometry.input_zero_point)
    padded = pad(sums, geometry.padding, padding_sum)
    # Sums of at most 2²⁴/255 = 65 793 codes: float32 is exact, and K is far below that.
    ones = torch.ones(geometry.groups, 1, *geometry.kernel, device=x.device)
    windows = F.conv2d(
        padded, ones, stride=geometry.stride, dilation=geometry.dilation, groups=geometry.groups
    )
    return windows.to(torch.int32)


@dataclass(frozen=True)
class ApproximateProduct:
    """The product of a layer through a table, differentiable.

    The result is the real value of ``ΣM(x, w) − z_x·Σw − z_w·Σx + K·z_x·z_w``, float32. With real
    operands s_x·(x − z_x) and s_w·(w − z_w), its gradients per product are s_w·(∂M/∂x − z_w) and
    s_x·(∂M/∂w − z_x).
    """

    geometry: Geometry
    table: Tensor
    """uint16 ``[256, 256]``, rows are the codes of activations."""
    activation: Affine
    """Quantisation of the input; its zero point is the geometry's."""
    weight: Affine
    factors: GradientFactors | None = None
    """What stands for ∂M; None: the gradients of the exact product."""

    def __call__(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the product of real values, which are quantised to codes."""
        result: Tensor = _Product.apply(x, weight, self)  # type: ignore[no-untyped-call]
        return result

    def of_codes(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the product of codes, shaped as for :func:`accumulate`."""
        geometry = self.geometry
        zero_x, zero_w = (int(affine.zero_point) for affine in (self.activation, self.weight))
        constants = zero_x * weights.flatten(1).sum(1, dtype=torch.int32)
        constants = constants - geometry.reduction * zero_x * zero_w
        acc = accumulate(x, weights, self.table, geometry)
        sums = zero_w * window_sums(x, geometry)
        if geometry.kind is LayerKind.CONV:
            constants = constants[:, None, None]
            sums = sums.repeat_interleave(geometry.out_channels // geometry.groups, 1)
        # Intermediates may wrap in int32, the result fits.
        return (acc - sums - constants) * (self.activation.scale * self.weight.scale)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, product: ApproximateProduct) -> Tensor:
        codes, weights = product.activation.to_int(x), product.weight.to_int(weight)
        ctx.save_for_backward(codes, weights)
        ctx.product = product
        return product.of_codes(codes, weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        product: ApproximateProduct = ctx.product
        codes, weights = ctx.saved_tensors
        wants_x, wants_weight, _ = ctx.needs_input_grad
        geometry, gradient = product.geometry, gradients[0]
        factors = (product.factors or straight_through()).to(codes.device)
        grad_x = grad_weight = None
        if wants_x:
            grad_x = _gradient(
                factors.activation,
                codes,
                weights,
                product.weight,
                partial(_input_gradient, gradient, size=codes.shape, geometry=geometry),
            )
        if wants_weight:
            # Padding is multiplied by weights, too.
            padded = pad(codes, geometry.padding, geometry.input_zero_point)
            grad_weight = _gradient(
                factors.weight,
                weights,
                padded,
                product.activation,
                partial(_weight_gradient, gradient, size=weights.shape, geometry=geometry),
            )
        return grad_x, grad_weight, None


def _gradient(
    factors: OperandFactors,
    own: Tensor,
    other: Tensor,
    other_affine: Affine,
    exact_gradient: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the gradient for a real operand.

    Parameters
    ----------
    factors
        Of ∂M/∂(the operand).
    own, other
        Codes of the operand and of the one that it is multiplied by.
    other_affine
        Quantisation of the latter.
    exact_gradient
        What the gradient would be if products were exact, of values in place of ``other``.
    """
    base = (factors.base - other_affine.zero_point) * other_affine.scale
    total = exact_gradient(_replaced(other, base))
    for own_values, other_values in zip(factors.own, factors.other, strict=True):
        term = exact_gradient(_replaced(other, other_values * other_affine.scale))
        total = total.addcmul_(_replaced(own, own_values), term)
    return total


def _replaced(codes: Tensor, values: Tensor) -> Tensor:
    """Return the value of each code, of 256 ``values``."""
    return values.index_select(0, codes.flatten().int()).view(codes.shape)


def _input_gradient(
    gradient: Tensor, weight: Tensor, *, size: torch.Size, geometry: Geometry
) -> Tensor:
    if geometry.kind is LayerKind.LINEAR:
        return gradient @ weight
    top, left, bottom, right = geometry.padding
    images, channels, height, width = size
    padded_size = [images, channels, top + height + bottom, left + width + right]
    padded: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
        padded_size,
        weight,
        gradient,
        stride=geometry.stride,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    return padded[:, :, top : top + height, left : left + width]


def _weight_gradient(
    gradient: Tensor, padded: Tensor, *, size: torch.Size, geometry: Geometry
) -> Tensor:
    if geometry.kind is LayerKind.LINEAR:
        return gradient.T @ padded
    result: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        padded,
        size,
        gradient,
        stride=geometry.stride,
        dilation=geometry.dilation,
        groups=geometry.groups,
    )
    return result
