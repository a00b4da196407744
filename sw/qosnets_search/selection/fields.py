"""Receptive fields of a layer's outputs: which input codes each output is summed up from."""

import torch
from qosnets.geometry import Geometry
from torch import Tensor

from ..quantised.torch_geometry import pad

__all__ = ["receptive_fields", "sample_fields"]


def receptive_fields(
    codes: Tensor, geometry: Geometry, images: Tensor, positions: Tensor
) -> Tensor:
    """Return receptive fields, uint8 ``[group, field, K]``, K in the order of weights: i, kh, kw.

    Only what is asked for is unfolded.

    Parameters
    ----------
    codes
        Input codes, uint8 ``[image, channel, height, width]`` or ``[image, feature]``. Padding
        holds the geometry's ``input_zero_point``, which is multiplied like any other code.
    geometry
        Of the layer.
    images, positions
        Image and output position (row·width + column) of each field, int64 ``[group, field]``,
        on the device of ``codes``.
    """
    x = codes.reshape(len(codes), geometry.in_channels, *geometry.input_size)
    padded = pad(x, geometry.padding, geometry.input_zero_point)
    width = geometry.output_size[1]
    rows = _taps(positions // width, geometry, axis=0)
    columns = _taps(positions % width, geometry, axis=1)
    channels = torch.arange(geometry.in_channels, device=codes.device)
    windows = padded[
        images[:, :, None, None, None],
        channels.reshape(geometry.groups, 1, -1, 1, 1),
        rows[:, :, None, :, None],
        columns[:, :, None, None, :],
    ]
    return windows.flatten(2)


def _taps(outputs: Tensor, geometry: Geometry, *, axis: int) -> Tensor:
    """Return the padded coordinates that the kernel reads for output coordinates, one axis more."""
    taps = torch.arange(geometry.kernel[axis], device=outputs.device)
    return outputs[..., None] * geometry.stride[axis] + taps * geometry.dilation[axis]


def sample_fields(
    codes: Tensor, geometry: Geometry, n_fields: int, generator: torch.Generator
) -> Tensor:
    """Return random receptive fields, uint8 ``[group, field, K]``, ``n_fields`` of each group.

    Image and position of each field are drawn uniformly, with replacement, by ``generator``,
    which may be of another device; ``codes`` and ``geometry`` as for :func:`receptive_fields`.
    """
    images, positions = (
        torch.randint(
            bound, (geometry.groups, n_fields), generator=generator, device=generator.device
        ).to(codes.device)
        for bound in (len(codes), geometry.positions)
    )
    return receptive_fields(codes, geometry, images, positions)
