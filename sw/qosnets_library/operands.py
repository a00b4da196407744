"""Distributions of the operands, and the streams of operand pairs drawn from them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from qosnets.errors import InputError
from qosnets.files import parse_json, read_bytes, sha256
from qosnets.names import Name
from qosnets.validation import validation_message

__all__ = ["N_OPERATIONS", "OPERANDS_SCHEMA", "UNIFORM", "Operands", "load_operands"]

OPERANDS_SCHEMA = "qosnets-operands/1"

N_OPERATIONS = 1 << 16
"""Length of a stream."""

_SEED = 1


@dataclass(frozen=True)
class Operands:
    """How often each operand occurs; those of A and B are drawn independently."""

    name: str
    """Identifies the distribution."""
    a: tuple[float, ...]
    """Weight of each of the 256 operands of port A: at least 0, not all 0."""
    b: tuple[float, ...]

    @property
    def sha256(self) -> str:
        """Hash of name and weights."""
        digest = hashlib.sha256(self.name.encode())
        digest.update(np.array([self.a, self.b], dtype="<f8").tobytes())
        return digest.hexdigest()

    def pairs(self) -> npt.NDArray[np.uint16]:
        """Return a stream of pairs ``256·a + b``, one more than there are operations.

        An operation is the step from a pair to the next. Operands are found in the cumulative
        distribution by the raw output of PCG64, which is the same in every version of NumPy:
        A by its upper, B by its lower 32 bits.
        """
        raw = np.random.PCG64(_SEED).random_raw(N_OPERATIONS + 1)
        a = _drawn(self.a, raw >> np.uint64(32))
        b = _drawn(self.b, raw & np.uint64(0xFFFF_FFFF))
        return a << np.uint16(8) | b


def _drawn(weights: tuple[float, ...], uniform: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """Return operands for numbers that are uniform in 0..2³²−1."""
    cumulative = np.cumsum(weights)
    limits = np.floor(cumulative / cumulative[-1] * 2**32).astype(np.uint64)
    return np.searchsorted(limits, uniform, side="right").astype(np.uint16)


UNIFORM = Operands("uniform", (1.0,) * 256, (1.0,) * 256)
"""All operand pairs equally often."""

Weights = Annotated[
    list[Annotated[float, Field(ge=0, strict=True)]], Field(min_length=256, max_length=256)
]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_: Literal["qosnets-operands/1"] = Field(alias="schema")
    name: Name
    a: Weights
    b: Weights


def load_operands(path: Path) -> Operands:
    """Read a distribution from a JSON file.

    The file is ``{"schema": "qosnets-operands/1", "name": NAME, "a": [256 numbers], "b": …}``,
    the numbers being weights, as counts of a histogram. The name of the result is ``NAME-HASH``
    with the first 8 digits of the file's SHA-256.

    Raises
    ------
    InputError
        If the file cannot be read or is not valid, or if the weights of an operand are all 0.
    """
    data = read_bytes(path)
    try:
        file = _File.model_validate(parse_json(data, str(path)))
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error)}") from None
    for port, weights in (("a", file.a), ("b", file.b)):
        if not 0 < sum(weights) < float("inf"):
            raise InputError(f"{path}: {port}: weights must have a sum above 0, and a finite one")
    return Operands(f"{file.name}-{sha256(data)[:8]}", tuple(file.a), tuple(file.b))
