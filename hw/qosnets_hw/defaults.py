"""Choices, defaults and limits of the generator.

Apart, so that the command line can show them at no cost.
"""

from enum import StrEnum

__all__ = [
    "DEFAULT_EXTENT",
    "DEFAULT_K_MAX",
    "DEFAULT_PSUM_DEPTH",
    "MAX_EXTENT",
    "BankKind",
    "Isolation",
]


class BankKind(StrEnum):
    """How the multipliers of a bank are realised."""

    MUX = "mux"
    """A netlist each."""
    MERGED = "merged"
    """Modes of one circuit."""


class Isolation(StrEnum):
    """Which operands of a multiplier are held at zero while another one is selected."""

    NONE = "none"
    """None: all multipliers work all the time. The baseline, not for use."""
    ACTIVATION = "activation"
    """The activation. A weight stays in its register for a whole tile, so nothing toggles in an
    idle multiplier but at swaps of weights."""
    BOTH = "both"


DEFAULT_EXTENT = 8
"""Rows and columns."""

MAX_EXTENT = 64
"""Largest number of rows or columns."""

DEFAULT_K_MAX = 4608
"""Largest reduction where ``ops.json`` gives no geometry: a 3x3 kernel over 512 channels."""

DEFAULT_PSUM_DEPTH = 1024
"""Output positions that a column can accumulate at a time."""
