"""Small designs for tests: hand-written ``ops.json`` and what is generated from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qosnets.files import publish
from qosnets.ops import OpsFile
from qosnets_hw.generate import generate
from qosnets_library.families import embedded_library
from qosnets_sim.results import SimulationResult
from qosnets_sim.simulate import simulate

MULTIPLIERS = (
    "mul8u_dadda",
    "mul8u_bam_h3_v8",
    "mul8u_rec_m2_13",
    "mul8u_bcsm_h1_v6",
    "mul8u_tam_c3",
    "mul8u_bam_h2_v7",
    "mul8u_rec_m4_10",
    "mul8u_array",
)
"""Eight of the embedded multipliers; the second, fourth and sixth are not commutative."""


def multipliers(n: int) -> list[dict[str, Any]]:
    """Return the first ``n`` multipliers for ops.json, on alternating activation ports."""
    entries = embedded_library().entries
    return [
        {"name": name, "lut_sha256": entries[name].lut_sha256, "activation_port": "BA"[code % 2]}
        for code, name in enumerate(MULTIPLIERS[:n])
    ]


def minimal_ops(n: int, n_layers: int = 3, n_points: int = 3) -> dict[str, Any]:
    """Return a minimal ops.json that uses every multiplier if layers and points suffice."""
    return {
        "schema": "qosnets-ops/1",
        "multipliers": multipliers(n),
        "layers": [{"name": f"layer{index}"} for index in range(n_layers)],
        "operating_points": [
            {
                "name": f"o{point + 1}",
                "assignment": [(point * n_layers + index) % n for index in range(n_layers)],
            }
            for point in range(n_points)
        ],
    }


def write_ops(folder: Path, content: dict[str, Any], name: str = "ops.json") -> OpsFile:
    """Write an ops.json and load it."""
    path = folder / name
    path.write_text(json.dumps(content))
    return OpsFile.load(path)


def make_design(folder: Path, file: OpsFile, **options: int) -> Path:
    """Generate ``file`` into ``folder``."""
    design = generate(file, [embedded_library()], **options)
    publish(folder, design.files, force=False, manifest=design.manifest)
    return folder


def disguise(folder: Path, file: OpsFile) -> None:
    """Make the design in ``folder`` claim that it was generated from ``file``."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["ops_sha256"] = file.sha256
    path.write_text(json.dumps(manifest))


def run(folder: Path, file: OpsFile, **options: Any) -> SimulationResult:
    """Simulate without showing progress."""
    return simulate(folder, file, progress=lambda *_: None, **options)


def points(result: SimulationResult) -> Sequence[int]:
    """Return the mismatches of each operating point."""
    return [point.comparison.mismatches for point in result.points]
