"""Cycle model: how long a job takes on the array when no stream stalls."""

from .tiling import Tiling

__all__ = ["fixed_cycles", "job_cycles", "load_cycles"]

_PIPELINE = 18
"""Cycles of a job outside the grid: acceptance, check and start (3), swap of the first tile (1),
accumulation and queue (4), parameter look-up and requantisation (9), end of the job (1)."""


def fixed_cycles(rows: int, cols: int) -> int:
    """Return the cycles of a job that do not depend on its size.

    They are those of the first tile's weights, ``rows``, of the wave through the grid,
    ``rows + cols``, and of the pipeline around it.
    """
    return 2 * rows + cols + _PIPELINE


def load_cycles(rows: int) -> int:
    """Return the cycles in which the weights of a tile are loaded and swapped in."""
    return rows + 1


def job_cycles(tiling: Tiling, positions: int) -> int:
    """Return the clock cycles of a job, from its acceptance until the next can be accepted.

    A tile takes a cycle for each output position. Meanwhile the weights of the next one are
    loaded, which takes ``rows`` cycles and one for the swap, so with few positions the array waits
    for weights::

        cycles = fixed + (tiles − 1)·max(positions, rows + 1) + positions

    Parameters
    ----------
    tiling
        The layer on its array.
    positions
        Output positions of the job, at least 1.
    """
    n_tiles = tiling.k_tiles * tiling.n_tiles
    waits = max(positions, load_cycles(tiling.rows))
    return fixed_cycles(tiling.rows, tiling.cols) + (n_tiles - 1) * waits + positions
