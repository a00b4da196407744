"""Reader of a generated design folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qosnets.errors import InputError
from qosnets.files import MANIFEST, read_json
from qosnets.lut import Lut, check_lut_sha256, load_lut
from qosnets.ops import OpsFile

__all__ = ["Design", "pack", "unpack"]

DESIGN_SCHEMA = "qosnets-design/1"


@dataclass(frozen=True)
class Design:
    """A generated design."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Design":
        """Read the manifest in ``folder``.

        Raises
        ------
        InputError
            If there is none, or it is not that of a generated design.
        """
        manifest = read_json(folder / MANIFEST)
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if schema != DESIGN_SCHEMA:
            raise InputError(
                f"{folder / MANIFEST}: schema: must be {DESIGN_SCHEMA!r}, not {schema!r}"
            )
        return cls(folder, manifest)

    def check_made_from(self, ops: OpsFile) -> None:
        """Refuse an ``ops.json`` other than the one the design was generated from."""
        if self.manifest["ops_sha256"] != ops.sha256:
            raise InputError(f"{self.folder}: was not generated from {ops.path}")

    @property
    def rows(self) -> int:
        """Rows of the array."""
        return int(self.manifest["rows"])

    @property
    def cols(self) -> int:
        """Columns of the array."""
        return int(self.manifest["cols"])

    @property
    def k_max(self) -> int:
        """Largest number of products in one accumulator."""
        return int(self.manifest["k_max"])

    @property
    def psum_depth(self) -> int:
        """Largest number of output positions in a job."""
        return int(self.manifest["psum_depth"])

    @property
    def sources(self) -> list[Path]:
        """Verilog files."""
        return [self.folder / name for name in self.manifest["sources"]]

    def port(self, name: str) -> Mapping[str, Any]:
        """Return the description of a port of the top."""
        port: Mapping[str, Any] = self.manifest["top"]["ports"][name]
        return port

    def luts(self, ops: OpsFile) -> list[Lut]:
        """Return the LUT of every multiplier, checked against the hashes in ``ops.json``."""
        luts = []
        for code, multiplier in enumerate(ops.ops.multipliers):
            path = self.folder / self.manifest["multipliers"][code]["lut"]
            lut = load_lut(path)
            check_lut_sha256(lut, multiplier.lut_sha256, str(path))
            luts.append(lut)
        return luts


def pack(layout: Mapping[str, Any], value: Any) -> int:
    """Return the bits of ``value``: an integer, a sequence for an array, a dict for a structure."""
    if "fields" in layout:
        return sum(
            pack(field, value[name]) << field["offset"] for name, field in layout["fields"].items()
        )
    if "element" in layout:
        step = layout["element"]["width"]
        return sum(pack(layout["element"], v) << (i * step) for i, v in enumerate(value))
    return int(value) & ((1 << layout["width"]) - 1)


def unpack(layout: Mapping[str, Any], bits: int) -> Any:
    """Return the value of ``bits``; inverse of :func:`pack`, arrays as int64 NumPy arrays."""
    if "fields" in layout:
        return {
            name: unpack(field, (bits >> field["offset"]) & ((1 << field["width"]) - 1))
            for name, field in layout["fields"].items()
        }
    if "element" in layout:
        element = layout["element"]
        mask = (1 << element["width"]) - 1
        lanes = [(bits >> (i * element["width"])) & mask for i in range(layout["length"])]
        return np.array([unpack(element, lane) for lane in lanes], np.int64)
    if layout["signed"] and bits >> (layout["width"] - 1):
        return bits - (1 << layout["width"])
    return bits
