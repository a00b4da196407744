"""The arrays that scripts compare: exact only, naive mux, isolated by activation, isolated by both.

All of them run the same layers with the same operands; the first has an exact multiplier alone.
Where the multipliers are modes of a merged circuit, the arrays are: exact only, a mux of circuits
of the first library that err no more and take least power, and the merged circuit.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qosnets.files import canonical_json
from qosnets.library import Library, find_multiplier
from qosnets.ops import ModeRealisation, Multiplier, OpsFile
from qosnets_hw.defaults import Isolation
from qosnets_hw.exact_only import exact_only
from qosnets_hw.generate import Design, generate

DEMO = Path("build/demo/ops.json")
N_DRAWN = 4
"""Multipliers of the layers that are drawn where there is no ops.json."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that the scripts share."""
    parser.add_argument("ops", nargs="?", type=Path, help=f"by default {DEMO}, else drawn layers")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--cols", type=int, default=8)
    parser.add_argument("--liberty", type=Path, help="by default the one in force")


def load_ops(path: Path | None, libraries: Sequence[Library], folder: Path) -> OpsFile:
    """Load ``path``, else the demo's, else write one with drawn layers into ``folder``."""
    if path is None and not DEMO.is_file():
        path = folder / "ops.json"
        path.write_bytes(canonical_json(_drawn(libraries[0])))
    return OpsFile.load(path or DEMO)


def _drawn(library: Library) -> dict[str, object]:
    """Return layers without geometry, and multipliers of a library from exact to coarse."""
    entries = [entry for entry in library.entries.values() if entry.estimates is not None]
    entries.sort(key=lambda entry: -entry.estimates.relative_power)
    entries.sort(key=lambda entry: entry.metrics.wce > 0)
    chosen = [entries[index * (len(entries) - 1) // (N_DRAWN - 1)] for index in range(N_DRAWN)]
    points = [[code] * 2 for code in range(N_DRAWN)]
    return {
        "schema": "qosnets-ops/1",
        "multipliers": [
            {
                "name": entry.name,
                "library": library.name,
                "lut_sha256": entry.lut_sha256,
                "activation_port": "A",
            }
            for entry in chosen
        ],
        "layers": [{"name": "layer0"}, {"name": "layer1"}],
        "operating_points": [
            {"name": f"o{number}", "assignment": assignment}
            for number, assignment in enumerate(points, 1)
        ],
    }


def variants(
    file: OpsFile, libraries: Sequence[Library], sizes: Mapping[str, int], folder: Path
) -> Iterator[tuple[str, OpsFile, Design]]:
    """Yield label, ``ops.json`` and design of each array; files go into ``folder``."""
    exact = exact_only(file, libraries, folder / "exact")
    yield "exact only", exact, generate(exact, libraries, isolation=Isolation.NONE, **sizes)
    if isinstance(file.ops.multipliers[0].realisation, ModeRealisation):
        mux = _with_netlists(file, libraries, folder / "mux")
        yield "isolated mux", mux, generate(mux, libraries, **sizes)
        yield "merged", file, generate(file, libraries, **sizes)
        return
    for isolation, label in (
        (Isolation.NONE, "naive mux"),
        (Isolation.ACTIVATION, "isolation activation"),
        (Isolation.BOTH, "isolation both"),
    ):
        yield label, file, generate(file, libraries, isolation=isolation, **sizes)


def _with_netlists(file: OpsFile, libraries: Sequence[Library], folder: Path) -> OpsFile:
    """Write ``file`` with circuits of the first library in place of modes."""
    multipliers = []
    for multiplier in file.ops.multipliers:
        found = find_multiplier(libraries, multiplier, where="multipliers")
        bound = found.entry.metrics.mse
        able = [e for e in libraries[0].entries.values() if e.metrics.mse <= bound and e.estimates]
        entry = min(able, key=lambda e: e.estimates.relative_power)
        multipliers.append(
            Multiplier(
                name=entry.name,
                library=libraries[0].name,
                lut_sha256=entry.lut_sha256,
                activation_port=multiplier.activation_port,
            )
        )
    changed = {"multipliers": multipliers, "vectors": None, "estimates": None, "provenance": None}
    folder.mkdir()
    if file.ops.parameters is not None:
        data = file.read_data(file.ops.parameters)
        (folder / file.ops.parameters.file).write_bytes(data)
    path = folder / "ops.json"
    path.write_bytes(file.ops.model_copy(update=changed).to_bytes())
    return OpsFile.load(path)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all columns but the first are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
