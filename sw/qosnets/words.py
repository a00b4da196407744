"""Bits of many operand pairs in machine words, for bit-parallel evaluation.

Bit ``i % 64`` of word ``i // 64`` belongs to pair ``i``. All pairs are the numbers ``256·a + b``,
hence the indices into a flattened LUT.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Words", "pack", "unpack"]

Words: TypeAlias = npt.NDArray[np.uint64]


def pack(bits: npt.NDArray[np.integer[Any]]) -> Words:
    """Return bits ``[…, n]`` of 0 and 1 as ``uint64[…, n / 64]``; n is a multiple of 64."""
    packed = np.packbits(bits.astype(np.uint8), axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64)


def unpack(words: Words) -> npt.NDArray[np.uint16]:
    """Return the bits ``[n]`` of ``uint64[n / 64]``."""
    octets = words.astype("<u8").view(np.uint8)
    return np.unpackbits(octets, bitorder="little").astype(np.uint16)
