"""Words that software exchanges with an accelerator: what registers and records are made of."""

from collections.abc import Iterable, Mapping
from enum import IntFlag
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "PARAMETER_RECORD",
    "SOFT_RESET",
    "Points",
    "Status",
    "Write",
    "job_writes",
    "layer_writes",
    "parameter_records",
]

Write = tuple[str, int]
"""Name of a register and the word for it."""

SOFT_RESET = 1 << 2
"""Bit of the register CONTROL."""


class Status(IntFlag):
    """Bits of the register STATUS; those of errors are at the same places in ERROR_CLEAR."""

    BUSY = 1 << 0
    SWITCHING = 1 << 1
    FAULTED = 1 << 2
    WRONG_POINT = 1 << 8
    WRONG_JOB = 1 << 9
    WRONG_TABLE_WRITE = 1 << 10
    STREAM_SHORT = 1 << 11
    STREAM_LONG = 1 << 12


class Points(NamedTuple):
    """Operating points, as the register POINT_STATUS has them."""

    active: int
    pending: int
    result: int
    """Of the last result taken."""


PARAMETER_RECORD = np.dtype(
    [
        ("point", "u1"),
        ("column", "u1"),
        ("shift", "u1"),
        ("weight_zero_point", "u1"),
        ("tile", "<u4"),
        ("bias", "<i4"),
        ("mult", "<i2"),
        ("offset", "<i2"),
    ]
)


def layer_writes(layer: int, entry: Mapping[str, int]) -> list[Write]:
    """Return the writes that store an entry of the layer table."""
    shape = entry["last_rows"] | entry["clamp_low"] << 8 | entry["clamp_high"] << 16
    return [
        ("LAYER_K_TILES", entry["k_tiles"]),
        ("LAYER_N_TILES", entry["n_tiles"]),
        ("LAYER_BASE", entry["base"]),
        ("LAYER_SHAPE", shape | entry["depthwise"] << 24),
        ("LAYER_WRITE", layer),
    ]


def parameter_records(
    point: int, words: Iterable[tuple[int, int, Mapping[str, int]]]
) -> npt.NDArray[np.void]:
    """Return records of the type :data:`PARAMETER_RECORD` for words (tile, column, word)."""
    values = [{"point": point, "tile": t, "column": c, **word} for t, c, word in words]
    rows = [tuple(value[name] for name in PARAMETER_RECORD.names or ()) for value in values]
    return np.array(rows, PARAMETER_RECORD)


def job_writes(job: Mapping[str, int]) -> list[Write]:
    """Return the writes that queue a job."""
    return [
        ("JOB_LAYER", job["layer"]),
        ("JOB_POSITIONS", job["positions"]),
        ("JOB_TILE_OFFSET", job["tile_offset"]),
        ("JOB_START", job["last"]),
    ]
