"""Searches over synthetic libraries with a tiny recipe, for tests."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from qosnets import golden
from qosnets.files import sha256
from qosnets.library import Library
from qosnets.lut import Lut, lut_sha256
from qosnets.netlist import netlist_lut
from qosnets.ops import OpsFile
from qosnets.parameters import Parameters, load_parameters, load_vectors
from qosnets_library.netlist import canonical_netlist
from qosnets_search.document import LIBRARY_FOLDER
from qosnets_search.pipeline import Run, search
from qosnets_search.recipe import Recipe, load_recipe

TINY = load_recipe(
    "digits",
    {"scales": [0.2, 1.0], "n_multipliers": 3, "n_vector_images": 500},
    [
        "float_training.epochs=2",
        "quantised_training.epochs=1",
        "noise_search.epochs=1",
        "tuning.epochs=1",
    ],
)

ESTIMATES = {
    "area_um2": 1,
    "delay_ns": 1,
    "power_uw": 1,
    "leakage_uw": 0,
    "toggles": {"a": [0] * 8, "b": [0] * 8, "product": [0] * 16},
    "engine": "none",
    "liberty": "none",
    "liberty_sha256": "0" * 64,
    "distribution": "none",
}
METRICS = {
    **dict.fromkeys(("mae", "wce", "mse", "error_probability", "mre"), 0),
    **dict.fromkeys(("error_mean", "error_std"), 0),
    "max_product": 65025,
    "rank": 1,
}


@dataclass(frozen=True)
class Circuit:
    """A multiplier for a synthetic library."""

    product: str
    """Verilog expression over ``a`` and ``b``."""
    relative_power: float
    operand_width: tuple[int, int] = (8, 8)

    @property
    def netlist(self) -> str:
        """Canonical text."""
        text = (
            "module m(input [7:0] a, input [7:0] b, output [15:0] o);"
            f" assign o = {self.product}; endmodule"
        )
        return canonical_netlist({"m.v": text.encode()}, where="here")


def write_library(
    folder: Path,
    circuits: Mapping[str, Circuit],
    change: Callable[[list[dict[str, Any]]], None] = lambda entries: None,
) -> Library:
    """Write a library; ``change`` may edit its entries."""
    folder.mkdir()
    entries = []
    for name, circuit in circuits.items():
        netlist = circuit.netlist
        (folder / f"{name}.v").write_text(netlist)
        entries.append(
            {
                "name": name,
                "realisation": "netlist",
                "lut_sha256": lut_sha256(netlist_lut(netlist)),
                "netlist_sha256": sha256(netlist.encode()),
                "origin": "synthetic",
                "metrics": METRICS,
                "estimates": ESTIMATES | {"relative_power": circuit.relative_power},
                "operand_width": circuit.operand_width,
            }
        )
    change(entries)
    data = {"schema": "qosnets-library/2", "name": "synthetic", "entries": entries}
    (folder / "library.json").write_text(json.dumps(data))
    return Library.open(folder)


class Finished:
    """A finished search, written to disk and read back through the contract."""

    def __init__(
        self, folder: Path, recipe: Recipe, library: Library | None, *, run: Run | None = None
    ) -> None:
        self.folder = folder
        self.progress: list[tuple[str, int, int]] = []
        self.files = search(
            recipe, library, run=run or Run(), progress=lambda *report: self.progress.append(report)
        )
        for name, content in self.files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        self.library = library or Library.open(folder / LIBRARY_FOLDER)
        self.file = OpsFile.load(folder / "ops.json")
        self.ops = self.file.ops
        assert self.ops.parameters is not None and self.ops.vectors is not None
        self.parameters = load_parameters(self.file, self.ops.parameters)
        self.vectors = load_vectors(self.file, self.ops.vectors)
        self.luts = [self.library.lut(multiplier.name) for multiplier in self.ops.multipliers]

    def mismatches(self, point: int, parameters: Parameters, luts: list[Lut]) -> list[str]:
        """Return the tensors in which the golden model differs from the vectors."""
        traces = golden.infer(self.ops, parameters, luts, point, self.vectors["input"])
        name = self.ops.operating_points[point].name
        return [
            f"{layer}.{field}"
            for layer, trace in traces.items()
            for field in ("acc", "out")
            if not np.array_equal(getattr(trace, field), self.vectors[f"{name}.{layer}.{field}"])
        ]


class Found(Finished):
    """A finished search over a synthetic library."""

    def __init__(self, folder: Path, circuits: Mapping[str, Circuit]) -> None:
        super().__init__(folder, TINY, write_library(folder / "library", circuits))
