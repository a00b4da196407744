"""Path ``permute``: the column of the table for a code lies in registers, and is permuted.

The 256 entries that one row code selects are 512 bytes, eight vector registers. A permutation of
bytes looks 64 lanes up at once in two of them, so that four permutations give 64 entries. Needs
AVX-512 VBMI, and no preparation: it is fast for any number of positions.
"""

import numpy as np
import numpy.typing as npt

from .compiled import compiled, run_items
from .frames import find_runs
from .lookup_sum import TILE, Amounts, LookupSum, aligned
from .vector import EXACT_TERMS, LANES, copy, permute_1, permute_4

__all__ = ["permute_work", "run_permute"]

_ROW_BLOCK = 32
"""Rows of codes in an item."""

_PRODUCTS_PER_NANOSECOND = 50.0
_NANOSECONDS_PER_TILE = 40.0
"""To put the sums of a row into the output."""


def permute_work(amounts: Amounts) -> tuple[float, ...]:
    """Return amounts of work: those of every path, sums of a tile, loads of tables, look-ups."""
    full, rest = divmod(amounts.n_positions, TILE)
    n_vectors = -(-rest // LANES)
    loads, look_ups = (1, 4) if n_vectors > 2 else (n_vectors, n_vectors)
    per_row = amounts.n_rows * amounts.reduction
    return (
        *amounts.common,
        float(amounts.n_rows * (full + (rest > 0))),
        float(per_row * (full + loads)),
        float(per_row * LANES * (4 * full + look_ups)),
    )


def run_permute(sums: LookupSum) -> npt.NDArray[np.int32]:
    """Return the sums, ``[image, group·row, position]`` as one line."""
    tables = aligned(256 * 512)
    _split_columns(sums.columns, tables)
    out = sums.new_output()
    n_groups, n_rows, _ = sums.codes.shape
    n_tiles = -(-sums.frame.n_positions // TILE)
    n_items = n_groups * n_tiles * -(-n_rows // _ROW_BLOCK)
    run_items(
        _permute,
        n_items,
        sums.n_products / _PRODUCTS_PER_NANOSECOND
        + n_groups * n_rows * n_tiles * _NANOSECONDS_PER_TILE,
        sums.lanes,
        sums.starts,
        sums.codes,
        tables,
        sums.frame.as_array(),
        sums.frame.n_positions,
        out,
    )
    return out


@compiled
def _split_columns(columns, tables):
    """Set ``tables[512·code]`` to the low bytes of a column, followed by the high bytes."""
    for code in range(256):
        low = tables[512 * code : 512 * code + 256]
        high = tables[512 * code + 256 : 512 * code + 512]
        for lane in range(256):
            entry = columns[code, lane]
            low[lane] = entry & 255
            high[lane] = entry >> 8


@compiled
def _permute(first, last, lanes, starts, codes, tables, frame, n_positions, out):
    """Compute items (tile, group, block of rows): many of them share the runs of a tile."""
    n_groups, n_rows, reduction = codes.shape
    n_blocks = (n_rows + _ROW_BLOCK - 1) // _ROW_BLOCK
    size = frame[2] * frame[3]
    runs = np.empty((TILE, 3), np.int64)
    sums = np.empty(TILE, np.int32)
    position, end, n_vectors, n_runs = -1, 0, 0, 0
    for item in range(first, last):
        rest, block = divmod(item, n_blocks)
        tile, group = divmod(rest, n_groups)
        if tile * TILE != position:
            position = tile * TILE
            end = min(position + TILE, n_positions)
            n_vectors = (end - position + LANES - 1) // LANES
            n_runs = find_runs(position, end, frame, n_groups * n_rows * size, runs)
        for row in range(block * _ROW_BLOCK, min((block + 1) * _ROW_BLOCK, n_rows)):
            sums[:] = 0
            for k in range(0, reduction, EXACT_TERMS):
                stop = min(k + EXACT_TERMS, reduction)
                if n_vectors > 2:
                    permute_4(
                        lanes, position, starts[group], codes[group, row], tables, k, stop, sums
                    )
                else:
                    for v in range(n_vectors):
                        permute_1(
                            lanes,
                            position + v * LANES,
                            starts[group],
                            codes[group, row],
                            tables,
                            k,
                            stop,
                            sums[v * LANES :],
                        )
            channel = (group * n_rows + row) * size
            for run in range(n_runs):
                source, target, length = runs[run]
                copy(out, channel + target, sums, source, length)
