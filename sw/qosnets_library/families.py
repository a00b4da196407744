"""The embedded library: families of multipliers that ``ariths-gen`` generates at run time.

J. Klhufek, V. Mrazek, *ArithsGen: Arithmetic Circuit Generator for Hardware Accelerators*, DDECS
2022. The approximate members spread over the error range, and no two have the same function. Left
out are those that cost more than the best exact member, as all with the 2x2 block M3 do, and cuts
that drop a carry of the final adder.
"""

import hashlib
import io
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import qosnets
from qosnets.errors import InputError, ToolError
from qosnets.library import LIBRARY_FILE, Library, cache_home

from .members import Circuit, Progress, characterise_circuits, write_library
from .yosys import yosys_version

__all__ = ["FAMILIES", "embedded_library", "power_reference"]

FAMILIES = "families"
"""Name of the embedded library."""


def embedded_library(*, progress: Progress | None = None) -> Library:
    """Return the embedded library; builds it in the cache when first used.

    Parameters
    ----------
    progress
        Called while building, after each member.

    Raises
    ------
    ToolError
        If ariths-gen or Yosys is missing.
    InputError
        If the cache cannot be written.
    """
    folder = cache_home() / "libraries" / f"{FAMILIES}-{_key()}"
    if not (folder / LIBRARY_FILE).is_file():
        members = characterise_circuits(list(_circuits()), progress=progress)
        reference = min(m.cost.switched_capacitance for m in members if m.metrics.wce == 0)
        try:
            return write_library(folder, FAMILIES, members, reference=reference, force=False)
        except InputError:
            # Another process may have been faster; its library is the same.
            if not (folder / LIBRARY_FILE).is_file():
                raise
    return Library.open(folder)


def power_reference() -> float:
    """Return the switched capacitance with relative power 1.0: that of the best exact member."""
    return min(
        entry.estimates.switched_capacitance
        for entry in embedded_library().entries.values()
        if entry.estimates and entry.metrics.wce == 0
    )


def _key() -> str:
    """Return a hash of all that the library is made from: our sources and the tools."""
    digest = hashlib.sha256(f"{yosys_version()} {_ariths_gen_version()}".encode())
    for package in (Path(__file__).parent, *map(Path, qosnets.__path__)):
        for source in sorted(package.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _ariths_gen_version() -> str:
    try:
        return version("ariths-gen")
    except PackageNotFoundError:
        raise ToolError(
            "ariths-gen: is not installed; get it with: pip install ariths-gen"
        ) from None


def _circuits() -> Iterator[Circuit]:
    # Imported late, for the sake of commands that find the library in the cache.
    from ariths_gen.multi_bit_circuits import adders  # type: ignore[import-untyped]
    from ariths_gen.multi_bit_circuits import approximate_multipliers as approximate
    from ariths_gen.multi_bit_circuits import multipliers as exact

    ripple = {"unsigned_adder_class_name": adders.UnsignedRippleCarryAdder}
    yield _circuit("array", exact.UnsignedArrayMultiplier)
    yield _circuit("carry_save", exact.UnsignedCarrySaveMultiplier)
    yield _circuit("dadda", exact.UnsignedDaddaMultiplier)
    yield _circuit("dadda_ripple", exact.UnsignedDaddaMultiplier, **ripple)
    yield _circuit("wallace", exact.UnsignedWallaceMultiplier)
    yield _circuit("wallace_ripple", exact.UnsignedWallaceMultiplier, **ripple)
    for cut in (3, 5):
        multiplier = approximate.UnsignedTruncatedArrayMultiplier
        yield _circuit(f"tam_c{cut}", multiplier, truncation_cut=cut)
    for cut in (1, 2, 4):
        multiplier = approximate.UnsignedTruncatedCarrySaveMultiplier
        yield _circuit(f"tcsm_c{cut}", multiplier, truncation_cut=cut)
    for h, v in (
        *((0, 7), (0, 8), (0, 9), (0, 10), (0, 11), (0, 12)),
        *((2, 7), (2, 8), (3, 8), (3, 9), (4, 10), (5, 11)),
    ):
        multiplier = approximate.UnsignedBrokenArrayMultiplier
        yield _circuit(f"bam_h{h}_v{v}", multiplier, horizontal_cut=h, vertical_cut=v)
    for h, v in ((0, 4), (0, 5), (0, 6), (1, 6), (2, 6)):
        multiplier = approximate.UnsignedBrokenCarrySaveMultiplier
        yield _circuit(f"bcsm_h{h}_v{v}", multiplier, horizontal_cut=h, vertical_cut=v)
    for block, n_approximate in (
        *(("M1", 6), ("M1", 10), ("M1", 13), ("M1", 16)),
        *(("M2", 10), ("M2", 13), ("M2", 16), ("M4", 10)),
    ):
        blocks = _two_bit_blocks(
            approximate.UnsignedAccurateTwoBitMultiplier,
            getattr(approximate, f"UnsignedApproximateTwoBitMultiplier{block}"),
            n_approximate,
        )
        yield _circuit(
            f"rec_{block.lower()}_{n_approximate}",
            approximate.UnsignedRecursiveMultiplier,
            submultipliers=blocks,
            **ripple,
        )


def _two_bit_blocks(accurate: type, approximate: type, n_approximate: int) -> list[type]:
    """Return the 16 blocks of a recursive multiplier, the lowest ``n_approximate`` approximate.

    Block ``i`` of ariths-gen has operand offsets, counted from the most significant bits, whose
    binary digits alternate in ``i``: a at bits 1 and 3, b at bits 0 and 2.
    """

    def weight(index: int) -> int:
        return -sum((index >> bit & 1) << bit // 2 for bit in range(4))

    lowest = sorted(range(16), key=weight)[:n_approximate]
    return [approximate if index in lowest else accurate for index in range(16)]


def _circuit(name: str, multiplier: Any, **options: Any) -> Circuit:
    from ariths_gen.wire_components import Bus  # type: ignore[import-untyped]

    generated = multiplier(Bus("a", 8), Bus("b", 8), name="multiplier", **options)
    text = io.StringIO()
    generated.get_v_code_flat(text)
    listed = "".join(f", {key}={_describe(value)}" for key, value in options.items())
    full_name = f"mul8u_{name}"
    return Circuit(
        name=full_name,
        verilog={f"{full_name}.v": text.getvalue().encode()},
        origin=f"ariths-gen {_ariths_gen_version()}: {multiplier.__name__}{listed}",
        where=f"library {FAMILIES}: {full_name}",
    )


def _describe(option: Any) -> str:
    if isinstance(option, list):
        return " ".join(_describe(item) for item in option)
    return option.__name__ if isinstance(option, type) else str(option)
