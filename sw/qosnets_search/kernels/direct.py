"""Path ``direct``: a plain loop over products, which needs neither tables nor special instructions.

The positions of a tile are the innermost loop, since the column of the table for a row code then
stays at hand. With the nine k of a depthwise convolution this is the usual loop over taps.
"""

import numpy as np
import numpy.typing as npt

from .compiled import compiled, run_items
from .frames import find_runs
from .lookup_sum import TILE, LookupSum
from .vector import copy

__all__ = ["run_direct"]

_PRODUCTS_PER_NANOSECOND = 4.0


def run_direct(sums: LookupSum) -> npt.NDArray[np.int32]:
    """Return the sums, ``[image, group·row, position]`` as one line."""
    out = sums.new_output()
    n_positions = sums.frame.n_positions
    run_items(
        _direct,
        sums.codes.shape[0] * -(-n_positions // TILE),
        sums.n_products / _PRODUCTS_PER_NANOSECOND,
        sums.lanes,
        sums.starts,
        sums.codes,
        sums.columns,
        sums.frame.as_array(),
        n_positions,
        out,
    )
    return out


@compiled
def _direct(first, last, lanes, starts, codes, columns, frame, n_positions, out):
    """Compute items (tile, group), three k at a time: fewer would load and store more sums."""
    n_groups, n_rows, reduction = codes.shape
    size = frame[2] * frame[3]
    runs = np.empty((TILE, 3), np.int64)
    memory = np.empty(TILE, np.int32)
    position, end, n_runs = -1, 0, 0
    for item in range(first, last):
        tile, group = divmod(item, n_groups)
        if tile * TILE != position:
            position = tile * TILE
            end = min(position + TILE, n_positions)
            n_runs = find_runs(position, end, frame, n_groups * n_rows * size, runs)
        sums = memory[: end - position]
        for row in range(n_rows):
            row_codes = codes[group, row]
            row_starts = starts[group]
            sums[:] = 0
            done = reduction - reduction % 3
            for k in range(0, done, 3):
                column_0, column_1, column_2 = (
                    columns[row_codes[k]],
                    columns[row_codes[k + 1]],
                    columns[row_codes[k + 2]],
                )
                codes_0, codes_1, codes_2 = (
                    lanes[row_starts[k] + position :],
                    lanes[row_starts[k + 1] + position :],
                    lanes[row_starts[k + 2] + position :],
                )
                for p in range(len(sums)):
                    entries = np.int32(column_0[codes_0[p]]) + np.int32(column_1[codes_1[p]])
                    sums[p] += entries + np.int32(column_2[codes_2[p]])
            for k in range(done, reduction):
                column = columns[row_codes[k]]
                codes_k = lanes[row_starts[k] + position :]
                for p in range(len(sums)):
                    sums[p] += column[codes_k[p]]
            channel = (group * n_rows + row) * size
            for run in range(n_runs):
                source, target, length = runs[run]
                copy(out, channel + target, sums, source, length)
