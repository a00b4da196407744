"""From sums of products to accumulators and output codes, in one pass over memory."""

import numpy as np
import numpy.typing as npt

from .compiled import compiled, run_items

__all__ = ["requantise"]

_VALUES_PER_NANOSECOND = 1.0

Int = npt.NDArray[np.int64]


def requantise(
    sums: npt.NDArray[np.int32],
    side_sums: npt.NDArray[np.int32],
    constants: Int,
    clamp: tuple[int, int],
) -> npt.NDArray[np.uint8]:
    """Turn sums into accumulators in place, and return the output codes.

    ``acc = sums − z_w·side_sums + bias`` and ``clamp(offset + ((acc·mult + half) >> shift))``.

    Parameters
    ----------
    sums
        ``[image, channel, position]``, contiguous; they become the accumulators.
    side_sums
        Sums of the activations, ``[image, group, position]``, contiguous.
    constants
        Weight zero point, bias, mult, shift and offset of each channel, ``[5, channel]``.
    clamp
        Smallest and largest code.
    """
    out = np.empty(sums.shape, np.uint8)
    n_images, n_channels, _ = sums.shape
    duration = sums.size / _VALUES_PER_NANOSECOND
    run_items(_requantise, n_images * n_channels, duration, sums, side_sums, constants, *clamp, out)
    return out


@compiled
def _requantise(first, last, sums, side_sums, constants, low, high, out):
    """Do items (image, channel)."""
    n_channels = sums.shape[1]
    per_group = n_channels // side_sums.shape[1]
    for item in range(first, last):
        image, channel = divmod(item, n_channels)
        zero_point, bias, mult, shift, offset = constants[:, channel]
        half = np.int64(1) << (shift - 1)
        row, side, codes = (
            sums[image, channel],
            side_sums[image, channel // per_group],
            out[image, channel],
        )
        for position in range(len(row)):
            # Sums may wrap in int32, the accumulator fits.
            acc = np.int32(np.int64(row[position]) - zero_point * np.int64(side[position]) + bias)
            row[position] = acc
            value = ((np.int64(acc) * mult + half) >> shift) + offset
            codes[position] = np.uint8(min(max(value, low), high))
