"""Types of the strings that identify things: names and hashes."""

from typing import Annotated

from pydantic import Field

__all__ = ["NAME_PATTERN", "Name", "Sha256"]

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]
"""An identifier; nothing else may become part of a path, a module name or a script."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
