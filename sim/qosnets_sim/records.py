"""Records of streams: payloads of a design's ports as rows of bytes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Records", "unpack_field", "with_last"]

Records = npt.NDArray[np.uint8]
"""uint8 ``[n, bytes]``, a payload in each row, little-endian."""


def unpack_field(records: Records, field: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """Return the values of a field of all records, ``[n]``, of an array ``[n, length]``."""
    element = field.get("element", field)
    bits = np.unpackbits(records, axis=1, bitorder="little")
    bits = bits[:, field["offset"] : field["offset"] + field["width"]]
    weights = np.int64(1) << np.arange(element["width"], dtype=np.int64)
    if element["signed"]:
        weights[-1] = -weights[-1]
    values = bits.reshape(len(records), -1, element["width"]) @ weights
    return values if "element" in field else values[:, 0]


def with_last(beats: Records) -> Records:
    """Return ``beats`` with a further byte that is 1 in the last of them."""
    marks = np.zeros((len(beats), 1), np.uint8)
    marks[-1:] = 1
    return np.hstack([beats, marks])
