"""Path ``row_table``: rows of products laid side by side, and added.

For a few k and up to 64 rows r, the table ``G[k][x][r] = table[x, codes[r, k]]`` is built, which
stays in the second cache. Then the code of a lane selects 64 products that lie in one line, and
sums need no gathering. Building takes as many look-ups as 256 positions.
"""

import numpy as np
import numpy.typing as npt
import torch

from .compiled import compiled, run_items
from .frames import find_runs
from .lookup_sum import Amounts, LookupSum
from .vector import add_rows_16, add_rows_32, add_rows_64, transpose_8

__all__ = ["row_table_work", "run_row_table"]

K_BLOCK = 16
"""Tables built at a time; with 64 rows, 256 KiB."""

_MAX_CHUNK = 16384
"""Positions of an item; their sums are 4 MiB for 64 rows."""

_PRODUCTS_PER_NANOSECOND = 20.0

_SEGMENT = 16
"""Positions of a line of the cache of the output."""


def _row_width(n_rows: int) -> int:
    """Return how many rows are added at a time."""
    return next((width for width in (16, 32) if n_rows <= width), 64)


def _chunk(n_positions: int, n_groups: int, n_rows: int) -> int:
    """Return the positions of an item, so that every thread has one."""
    n_blocks = n_groups * -(-n_rows // _row_width(n_rows))
    per_block = -(-torch.get_num_threads() // n_blocks)
    positions = min(_MAX_CHUNK, -(-n_positions // per_block))
    return -(-positions // _SEGMENT) * _SEGMENT


def row_table_work(amounts: Amounts) -> tuple[float, ...]:
    """Return amounts of work: those of every path, entries built, rows added, their entries."""
    n_rows = amounts.n_rows // amounts.n_groups
    width = _row_width(n_rows)
    n_tables = amounts.n_groups * -(-n_rows // width) * amounts.reduction
    n_chunks = -(-amounts.n_positions // _chunk(amounts.n_positions, amounts.n_groups, n_rows))
    added = n_tables * amounts.n_positions
    return (
        *amounts.common,
        float(n_tables * n_chunks * 256 * width),
        float(added),
        float(added * width),
    )


def run_row_table(sums: LookupSum) -> npt.NDArray[np.int32]:
    """Return the sums, ``[image, group·row, position]`` as one line."""
    n_groups, n_rows, _ = sums.codes.shape
    out = sums.new_output()
    n_positions = sums.frame.n_positions
    size = _chunk(n_positions, n_groups, n_rows)
    width = _row_width(n_rows)
    n_items = n_groups * -(-n_rows // width) * -(-n_positions // size)
    run_items(
        _row_table,
        n_items,
        sums.n_products / _PRODUCTS_PER_NANOSECOND,
        sums.lanes,
        sums.starts,
        sums.codes,
        sums.columns.ravel(),
        sums.frame.as_array(),
        n_positions,
        size,
        width,
        out,
    )
    return out


@compiled
def _build(columns, codes, first, last, begin, width, tables):
    """Set the tables of k in ``first ≤ k < last`` for the rows from ``begin``.

    Past the last row they are those of code 0. ``columns`` is the transposed table as one line.
    """
    n_rows = min(width, len(codes) - begin)
    of_k = np.zeros(64, np.uint8)
    for k in range(first, last):
        for row in range(n_rows):
            of_k[row] = codes[begin + row, k]
        for lane in range(0, 256, 8):
            target = (((k - first) << 8) + lane) * width
            for row in range(0, width, 8):
                transpose_8(columns, of_k, row, lane, tables, target + row, width)


@compiled
def _row_table(
    first, last, lanes, starts, codes, columns, frame, n_positions, chunk_size, width, out
):
    """Compute items (group, block of rows, chunk of positions)."""
    n_groups, n_rows, reduction = codes.shape
    n_chunks = (n_positions + chunk_size - 1) // chunk_size
    n_blocks = (n_rows + width - 1) // width
    size = frame[2] * frame[3]
    memory = np.empty(K_BLOCK * 256 * width + 32, np.uint16)
    # The vector instructions read whole lines of the cache.
    start = -memory.ctypes.data % 64 // 2
    tables = memory[start : start + K_BLOCK * 256 * width]
    sums = np.empty(min(chunk_size, n_positions) * width, np.int32)
    runs = np.empty((min(chunk_size, n_positions), 3), np.int64)
    for item in range(first, last):
        rest, part = divmod(item, n_chunks)
        group, block = divmod(rest, n_blocks)
        position = part * chunk_size
        end = min(position + chunk_size, n_positions)
        sums[:] = 0
        for k in range(0, reduction, K_BLOCK):
            stop = min(k + K_BLOCK, reduction)
            _build(columns, codes[group], k, stop, block * width, width, tables)
            if width == 16:
                for p in range(end - position):
                    add_rows_16(lanes, position + p, starts[group], k, stop, tables, sums, p * 16)
            elif width == 32:
                for p in range(end - position):
                    add_rows_32(lanes, position + p, starts[group], k, stop, tables, sums, p * 32)
            else:
                for p in range(end - position):
                    add_rows_64(lanes, position + p, starts[group], k, stop, tables, sums, p * 64)
        n_runs = find_runs(position, end, frame, n_groups * n_rows * size, runs)
        channel = group * n_rows + block * width
        for run in range(n_runs):
            source, target, length = runs[run]
            for segment in range(0, length, _SEGMENT):
                segment_end = min(segment + _SEGMENT, length)
                for row in range(min(width, n_rows - block * width)):
                    begin = (channel + row) * size + target
                    for i in range(segment, segment_end):
                        out[begin + i] = sums[(source + i) * width + row]
