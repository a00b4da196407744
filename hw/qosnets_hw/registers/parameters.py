"""What a design tells about itself in constant registers."""

import re
from dataclasses import dataclass
from importlib import resources

from qosnets.errors import InputError, shorten
from systemrdl.node import AddrmapNode

from ..bank import Isolation
from ..config import ArrayConfig
from .rdl import compile_rdl

__all__ = ["RegisterParameters"]

_MAX_POINTS = 255
"""Fields of GEOMETRY and POINT_STATUS have eight bits."""


@dataclass(frozen=True, kw_only=True)
class RegisterParameters:
    """Constants of the register map of a design.

    Raises
    ------
    InputError
        If there are more than 255 operating points or the hash is no SHA-256.
    """

    config: ArrayConfig
    isolation: Isolation
    ops_sha256: str
    """Hash of ``ops.json``, 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        if self.config.n_points > _MAX_POINTS:
            rule = f"operating_points: must be at most {_MAX_POINTS}"
            raise InputError(f"{rule}, not {self.config.n_points}")
        if not re.fullmatch("[0-9a-f]{64}", self.ops_sha256):
            rule = "ops_sha256: must be 64 hexadecimal digits"
            raise InputError(f"{rule}, not {shorten(self.ops_sha256)}")

    def compile(self) -> AddrmapNode:
        """Return the elaborated SystemRDL with these constants as reset values."""
        config = self.config
        names = ["rows", "cols", "n_multipliers", "n_points"]
        names += ["n_layers", "n_tiles", "psum_depth", "k_max", "max_k_tiles", "depthwise_lanes"]
        values = {name.upper(): getattr(config, name) for name in names}
        values["ISOLATION"] = list(Isolation).index(self.isolation)
        digits = re.findall("." * 8, self.ops_sha256)
        values["OPS_HASH"] = [int(word, 16) for word in digits]
        with resources.as_file(resources.files(__package__) / "registers.rdl") as path:
            return compile_rdl(path, values)
