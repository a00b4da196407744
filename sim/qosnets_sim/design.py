"""Reader of a generated design folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qosnets.errors import InputError
from qosnets.files import MANIFEST, read_json
from qosnets.lut import Lut, check_lut_sha256, load_lut, oriented
from qosnets.ops import OpsFile

__all__ = ["Design"]

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
    def module_names(self) -> list[str]:
        """Modules of the multipliers by select code; modes of one circuit have one module."""
        return [multiplier["module"] for multiplier in self.manifest["multipliers"]]

    @property
    def sources(self) -> list[Path]:
        """Verilog files."""
        return [self.folder / name for name in self.manifest["sources"]]

    def luts(self, ops: OpsFile) -> list[Lut]:
        """Return the LUT of every multiplier, checked against the hashes in ``ops.json``."""
        luts = []
        for code, multiplier in enumerate(ops.ops.multipliers):
            path = self.folder / self.manifest["multipliers"][code]["lut"]
            lut = load_lut(path)
            check_lut_sha256(lut, multiplier.lut_sha256, str(path))
            luts.append(lut)
        return luts

    def product_tables(self, ops: OpsFile) -> list[Lut]:
        """Return ``M[x, w]`` by select code."""
        multipliers = ops.ops.multipliers
        return [
            oriented(lut, multiplier.activation_port)
            for lut, multiplier in zip(self.luts(ops), multipliers, strict=True)
        ]
