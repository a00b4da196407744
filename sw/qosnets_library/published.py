"""Figures that EvoApproxLib v2022 published for its unsigned 8x8 multipliers.

V. Mrazek, R. Hrbacek, Z. Vasicek, L. Sekanina, *EvoApprox8b: Library of Approximate Adders and
Multipliers for Circuit Design and Benchmarking of Approximation Methods*, DATE 2017; branch
``v2022`` of github.com/ehw-fit/evoapproxlib, MIT licence. Power, area and delay are those of the
authors' synthesis with PDK45, as the headers of the Verilog files give them. The hashes are those
of the tables of the Verilog netlists.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from qosnets.library import Published
from qosnets.lut import Lut, lut_sha256

__all__ = ["PublishedCheck", "check_published", "published_figures", "published_hashes"]

SOURCE = "EvoApproxLib v2022, PDK45"


@dataclass(frozen=True)
class PublishedCheck:
    """How circuits compare with the published ones of the same names."""

    n_published: int
    """Circuits in the table of published figures."""
    n_equal: int
    """Circuits with the published name and hash."""
    differing: tuple[str, ...]
    """Circuits with a published name and another hash."""

    @property
    def complete(self) -> bool:
        """Whether every published circuit is there with its hash."""
        return self.n_equal == self.n_published


@cache
def _table() -> dict[str, tuple[str, Published]]:
    """Return hash and figures by name."""
    text = files(__package__).joinpath("data", "evoapprox_v2022_mul8u.csv").read_text("utf-8")
    return {
        row["name"]: (
            row["lut_sha256"],
            Published(
                source=SOURCE,
                power_mw=float(row["power_mw"]),
                area_um2=float(row["area_um2"]),
                delay_ns=float(row["delay_ns"]),
            ),
        )
        for row in csv.DictReader(text.splitlines())
    }


def published_hashes() -> dict[str, str]:
    """Return the LUT hash of each published circuit by name."""
    return {name: sha256 for name, (sha256, _) in _table().items()}


def published_figures(name: str, lut: Lut) -> Published | None:
    """Return the figures published for a circuit; None unless both name and table are its own.

    The table alone does not do: other netlists of the same function have other figures.
    """
    sha256, figures = _table().get(name, (None, None))
    return figures if figures is not None and lut_sha256(lut) == sha256 else None


def check_published(hashes: Mapping[str, str]) -> PublishedCheck:
    """Compare the LUT hashes of circuits, by name, with those of the published circuits."""
    published = published_hashes()
    common = sorted(hashes.keys() & published.keys())
    differing = tuple(name for name in common if hashes[name] != published[name])
    return PublishedCheck(len(published), len(common) - len(differing), differing)
