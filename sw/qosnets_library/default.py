"""The default library: evolved circuits that come with the package."""

from functools import cache
from pathlib import Path

from qosnets.library import Library

__all__ = ["DEFAULT", "DEFAULT_FOLDER", "EXACT", "default_library", "reference_netlist"]

DEFAULT = "evolved"
"""Name of the default library."""

EXACT = "exact"
"""Name of an exact multiplier among evolved ones."""

DEFAULT_FOLDER = Path(__file__).parent / DEFAULT


@cache
def default_library() -> Library:
    """Return the default library."""
    return Library.open(DEFAULT_FOLDER)


def reference_netlist() -> str:
    """Return the canonical netlist of the exact multiplier, which has relative power 1.0."""
    return default_library().netlist(EXACT)
