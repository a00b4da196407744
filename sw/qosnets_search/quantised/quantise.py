"""Affine quantisation to codes 0..255 or less, per tensor: value = scale·(code − zero point).

Weights and activations share this form, so that one scale links an accumulator to the real
product and the accuracy thresholds of the search hold for all channels of a layer alike.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ActivationQuantiser", "Affine"]

SMALLEST_RANGE = 1e-6


@dataclass(frozen=True)
class Affine:
    """Scale and zero point of a tensor, both scalar tensors: float32 and int64."""

    scale: Tensor
    zero_point: Tensor
    max_code: int
    """Largest code, 1..255; the smallest is 0. The zero point is a code, too."""

    @classmethod
    def from_range(cls, low: Tensor, high: Tensor, max_code: int) -> "Affine":
        """Return the quantisation of [low, high], widened to contain 0, which becomes a code."""
        low, high = low.detach().clamp(max=0.0), high.detach().clamp(min=0.0)
        scale = (high - low).clamp(min=SMALLEST_RANGE) / max_code
        return cls(scale, torch.round(-low / scale).to(torch.int64), max_code)

    def to_int(self, x: Tensor) -> Tensor:
        """Return the codes of real values, uint8; values out of range saturate."""
        return self._unclipped(x.detach()).clamp_(0, self.max_code).to(torch.uint8)

    def to_real(self, codes: Tensor) -> Tensor:
        """Return the real values, float32, that codes stand for."""
        return (codes.to(torch.int64) - self.zero_point) * self.scale

    def fake_quantise(self, x: Tensor) -> Tensor:
        """Return ``to_real(to_int(x))``; the gradient is 1 within the range, else 0."""
        result: Tensor = _FakeQuantise.apply(x, self)  # type: ignore[no-untyped-call]
        return result

    def _unclipped(self, x: Tensor) -> Tensor:
        return (x / self.scale).round_().add_(self.zero_point)


class _FakeQuantise(torch.autograd.Function):
    """Clipped straight-through estimator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, affine: Affine) -> Tensor:
        # Codes as float32, which holds them exactly: few passes over the tensor, most in place.
        unclipped = affine._unclipped(x)
        codes = unclipped.clamp(0, affine.max_code)
        ctx.save_for_backward(unclipped == codes)
        return codes.sub_(affine.zero_point).mul_(affine.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None


class ActivationQuantiser(nn.Module):
    """Quantiser of activations: one scale for one tensor, or for several that share it.

    The range is that of all its tensors together; of each it is a moving average of batch minima
    and maxima. While ``observing``, each batch in training mode moves the range; while
    ``quantising``, the output is fake-quantised, otherwise it is the input.

    Parameters
    ----------
    max_code
        Largest code, 1..255.
    n_tensors
        Tensors that share the scale.
    averaging
        Weight of a new batch in the moving average.
    """

    low: Tensor
    high: Tensor

    def __init__(self, max_code: int, n_tensors: int = 1, averaging: float = 0.01) -> None:
        super().__init__()
        self.max_code = max_code
        self.averaging = averaging
        self.observing = False
        self.quantising = False
        self.register_buffer("low", torch.zeros(n_tensors))
        self.register_buffer("high", torch.zeros(n_tensors))

    @property
    def affine(self) -> Affine:
        """The quantisation of the current range."""
        return Affine.from_range(self.low.amin(), self.high.amax(), self.max_code)

    def forward(self, x: Tensor, tensor: int = 0) -> Tensor:
        """Observe and fake-quantise ``x``, the tensor of that number, as far as switched on."""
        if self.observing and self.training:
            self._observe(x.detach(), tensor)
        return self.affine.fake_quantise(x) if self.quantising else x

    @torch.no_grad()
    def _observe(self, x: Tensor, tensor: int) -> None:
        low, high = x.amin(), x.amax()
        before = self.low[tensor], self.high[tensor]
        fresh = before[0] == before[1]  # nothing observed yet: start at the first batch
        self.low[tensor] = torch.where(fresh, low, before[0].lerp(low, self.averaging))
        self.high[tensor] = torch.where(fresh, high, before[1].lerp(high, self.averaging))
