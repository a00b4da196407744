"""A multiplying layer through a table: exact integers forwards, the exact product backwards.

What a layer keeps for its backward pass is what it multiplied: codes, one byte each. Neither the
unfolded fields of a convolution nor a second, exact result are ever made.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from qosnets.geometry import Geometry, LayerKind
from torch import Tensor

from ..kernels import Candidate, ConvShape, MatmulShape, explain, lut_conv2d, lut_matmul
from .quantise import Affine

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
    top, left, bottom, right = geometry.padding
    padding_sum = float(grouped.shape[2] * geometry.input_zero_point)
    padded = F.pad(sums, (left, right, top, bottom), value=padding_sum)
    # Sums of at most 2²⁴/255 = 65 793 codes: float32 is exact, and K is far below that.
    ones = torch.ones(geometry.groups, 1, *geometry.kernel, device=x.device)
    windows = F.conv2d(
        padded, ones, stride=geometry.stride, dilation=geometry.dilation, groups=geometry.groups
    )
    return windows.to(torch.int32)


@dataclass(frozen=True)
class ApproximateProduct:
    """The product of a layer through a table, differentiable.

    The result is the real value of ``ΣM(x, w) − z_x·Σw − z_w·Σx + K·z_x·z_w``, float32. Gradients
    are those of the exact product of the same codes: the straight-through estimator.
    """

    geometry: Geometry
    table: Tensor
    """uint16 ``[256, 256]``, rows are the codes of activations."""
    activation: Affine
    """Quantisation of the input; its zero point is the geometry's."""
    weight: Affine

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
        x, weight = product.activation.to_real(codes), product.weight.to_real(weights)
        if product.geometry.kind is LayerKind.LINEAR:
            grad_x = gradients[0] @ weight if wants_x else None
            grad_weight = gradients[0].T @ x if wants_weight else None
        else:
            grad_x, grad_weight = _convolution_gradients(
                gradients[0], x, weight, product.geometry, (wants_x, wants_weight)
            )
        return grad_x, grad_weight, None


def _convolution_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of the exact convolution for input and weight, as far as wanted."""
    top, left, bottom, right = geometry.padding
    grad_x, grad_weight, _ = torch.ops.aten.convolution_backward(
        gradient,
        F.pad(x, (left, right, top, bottom)),
        weight,
        None,
        geometry.stride,
        (0, 0),
        geometry.dilation,
        False,
        (0, 0),
        geometry.groups,
        (*wanted, False),
    )
    if grad_x is not None:
        height, width = x.shape[2:]
        grad_x = grad_x[:, :, top : top + height, left : left + width]
    return grad_x, grad_weight
