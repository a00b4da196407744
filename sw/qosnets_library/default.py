"""The libraries that come with the package: evolved circuits, by default, and merged ones."""

from functools import cache
from pathlib import Path

from qosnets.library import Library

__all__ = [
    "DEFAULT",
    "DEFAULT_FOLDER",
    "EXACT",
    "MERGED",
    "MERGED_FOLDER",
    "default_library",
    "merged_library",
    "reference_netlist",
]

DEFAULT = "evolved"
"""Name of the default library."""

EXACT = "exact"
"""Name of an exact multiplier among evolved ones."""

DEFAULT_FOLDER = Path(__file__).parent / DEFAULT

MERGED = "merged"
"""Name of the library of merged multipliers."""

MERGED_FOLDER = Path(__file__).parent / "merged_circuits"


@cache
def default_library() -> Library:
    """Return the default library."""
    return Library.open(DEFAULT_FOLDER)


@cache
def merged_library() -> Library:
    """Return the library of merged multipliers."""
    return Library.open(MERGED_FOLDER)


def reference_netlist() -> str:
    """Return the canonical netlist of the exact multiplier, which has relative power 1.0."""
    return default_library().netlist(EXACT)
