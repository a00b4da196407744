"""Defaults and limits of the generator, apart so that the command line can show them at no cost."""

__all__ = ["DEFAULT_EXTENT", "DEFAULT_K_MAX", "DEFAULT_PSUM_DEPTH", "MAX_EXTENT"]

DEFAULT_EXTENT = 8
"""Rows and columns."""

MAX_EXTENT = 64
"""Largest number of rows or columns."""

DEFAULT_K_MAX = 4608
"""Largest reduction where ``ops.json`` gives no geometry: a 3x3 kernel over 512 channels."""

DEFAULT_PSUM_DEPTH = 1024
"""Output positions that a column can accumulate at a time."""
