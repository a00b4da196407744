"""Look-up tables of 8x8 multipliers.

A LUT is ``uint16[256, 256]``, row = operand on port A, column = operand on port B. Its identity
is ``lut_sha256``, the SHA-256 of its little-endian bytes in C order.
"""

import io
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .files import read_bytes, sha256

__all__ = [
    "ActivationPort",
    "Lut",
    "check_lut_sha256",
    "exact_lut",
    "load_lut",
    "lut_file",
    "lut_sha256",
    "oriented",
]

Lut: TypeAlias = npt.NDArray[np.uint16]


class ActivationPort(StrEnum):
    """The multiplier port that carries the activation; the weight is on the other one."""

    A = "A"
    B = "B"


def exact_lut() -> Lut:
    """Return the table of the exact product."""
    codes = np.arange(256, dtype=np.uint16)
    return codes[:, None] * codes[None, :]


def lut_sha256(lut: Lut) -> str:
    """Return the hash that identifies the function of a multiplier, of a ``uint16[256, 256]``."""
    if lut.shape != (256, 256) or lut.dtype != np.uint16:
        raise ValueError(f"LUT must be uint16[256, 256], not {lut.dtype}{list(lut.shape)}")
    return sha256(np.ascontiguousarray(lut, dtype="<u2").tobytes())


def oriented(lut: Lut, port: ActivationPort) -> Lut:
    """Return ``M[x, w]``, the table indexed by activation and weight, for an activation port."""
    return lut if port is ActivationPort.A else np.ascontiguousarray(lut.T)


def load_lut(path: Path) -> Lut:
    """Read a LUT from a NumPy file.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold ``uint16[256, 256]``.
    """
    try:
        lut = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except (ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: must be a NumPy array: {error}") from None
    if not isinstance(lut, np.ndarray) or lut.shape != (256, 256) or lut.dtype != np.uint16:
        found = f"{lut.dtype}{list(lut.shape)}" if isinstance(lut, np.ndarray) else "an archive"
        raise InputError(f"{path}: LUT must be uint16[256, 256], not {found}")
    return lut


def lut_file(lut: Lut) -> bytes:
    """Return the content of the NumPy file of a LUT, little-endian on every machine."""
    buffer = io.BytesIO()
    np.save(buffer, lut.astype("<u2"), allow_pickle=False)
    return buffer.getvalue()


def check_lut_sha256(lut: Lut, expected: str, where: str) -> None:
    """Refuse a LUT whose hash is not ``expected``; says so when the operands are swapped.

    Raises
    ------
    InputError
        If the hash differs; the message starts with ``where``.
    """
    actual = lut_sha256(lut)
    if actual == expected:
        return
    swapped = lut_sha256(np.ascontiguousarray(lut.T)) == expected
    reason = " (operands swapped: the hash is that of the transposed table)" if swapped else ""
    raise InputError(f"{where}: LUT hash of the netlist must be {expected}, not {actual}{reason}")
