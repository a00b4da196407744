"""``qosnets-hw ops operands``: the operands of a layer, for estimates and evolution."""

from pathlib import Path

from qosnets.files import canonical_json
from qosnets.ops import OpsFile

from .cli_output import check_output_file, write_output_file
from .cli_store import load_libraries

__all__ = ["run_operands"]


def run_operands(
    ops: Path, out: Path, *, layer: str, point: str | None, library: str | None, force: bool
) -> None:
    """Write the operand histograms of a layer; the first operating point is the default."""
    from qosnets.library import find_multiplier
    from qosnets.operand_histograms import operand_histograms
    from qosnets_library.operands import OPERANDS_SCHEMA

    check_output_file(out, suffixes=(".json",), force=force)
    file = OpsFile.load(ops)
    point = point or file.ops.operating_points[0].name
    libraries = load_libraries(library, beside=ops)
    luts = []
    for code, multiplier in enumerate(file.ops.multipliers):
        found = find_multiplier(libraries, multiplier, where=f"{ops}: multipliers[{code}]")
        luts.append(found.library.lut(found.entry.name))
    counts = operand_histograms(file, luts, layer=layer, point=point)
    content = {
        "schema": OPERANDS_SCHEMA,
        "name": f"{point}.{layer}",
        "a": counts.a.tolist(),
        "b": counts.b.tolist(),
    }
    write_output_file(out, canonical_json(content))
