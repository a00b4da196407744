"""Geometry of a multiplying layer, and the sizes of the matrix product it becomes."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Geometry", "LayerKind"]


class LayerKind(StrEnum):
    """Kind of a multiplying layer."""

    CONV = "conv"
    LINEAR = "linear"


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Geometry of a layer; field for field the optional part of a layer in ``ops.json``.

    A linear layer is a 1x1 convolution of a 1x1 image.
    """

    kind: LayerKind
    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    """Height, width."""
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right; padded positions hold the code ``input_zero_point``."""
    dilation: tuple[int, int]
    groups: int
    input_size: tuple[int, int]
    """Height, width, without padding."""
    input_zero_point: int
    output_zero_point: int
    clamp: tuple[int, int]
    """Smallest and largest output code."""

    @property
    def reduction(self) -> int:
        """K, the number of products in one accumulator."""
        return self.kernel[0] * self.kernel[1] * self.in_channels // self.groups

    @property
    def outputs_per_group(self) -> int:
        """N, the number of output channels of one group."""
        return self.out_channels // self.groups

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of the output."""
        height = self._output_extent(0, self.padding[0] + self.padding[2])
        width = self._output_extent(1, self.padding[1] + self.padding[3])
        return height, width

    def _output_extent(self, axis: int, padding: int) -> int:
        span = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (self.input_size[axis] + padding - span) // self.stride[axis] + 1

    @property
    def positions(self) -> int:
        """M, the number of output positions of one image."""
        return self.output_size[0] * self.output_size[1]

    @property
    def multiplications(self) -> int:
        """Multiplications for one image."""
        return self.positions * self.out_channels * self.reduction
