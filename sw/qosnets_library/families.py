"""The embedded library: families of multipliers that ``ariths-gen`` generates at run time.

J. Klhufek, V. Mrazek, *ArithsGen: Arithmetic Circuit Generator for Hardware Accelerators*, DDECS
2022. The approximate members spread over the error range, and no two have the same function. Left
out are those that cost more than the best exact member, as all with the 2x2 block M3 do, and cuts
that drop a carry of the final adder.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import qosnets
from qosnets.errors import InputError, ToolError
from qosnets.library import LIBRARY_FILE, Library, cache_home

from .characterise import Progress
from .default import reference_netlist
from .designs import Design
from .elaborate import Elaboration, elaborate_all
from .liberty import Liberty, load_liberty
from .members import Circuit, characterise_circuits, write_library
from .netlist import canonical_text
from .yosys import yosys_version

__all__ = ["FAMILIES", "embedded_library"]

FAMILIES = "families"
"""Name of the embedded library."""

_TOP = "multiplier"


class _Source(NamedTuple):
    name: str
    verilog: bytes
    origin: str


def embedded_library(*, progress: Progress | None = None) -> Library:
    """Return the embedded library; builds it in the cache when first used.

    The estimates are made with the cell library in force.

    Parameters
    ----------
    progress
        Called while building, after each member.

    Raises
    ------
    ToolError
        If ariths-gen or Yosys is missing.
    InputError
        If the cell library is refused, or the cache cannot be written.
    """
    liberty = load_liberty(None)
    folder = cache_home() / "libraries" / f"{FAMILIES}-{_key(liberty)}"
    if not (folder / LIBRARY_FILE).is_file():
        members = characterise_circuits(
            _circuits(), reference=reference_netlist(), liberty=liberty, progress=progress
        )
        try:
            return write_library(folder, FAMILIES, members, force=False)
        except InputError:
            # Another process may have been faster; its library is the same.
            if not (folder / LIBRARY_FILE).is_file():
                raise
    return Library.open(folder)


def _key(liberty: Liberty) -> str:
    """Return a hash of all that the library is made from: our sources, the cells and the tools."""
    digest = hashlib.sha256(f"{yosys_version()} {_ariths_gen_version()} {liberty.sha256}".encode())
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


def _circuits() -> list[Circuit]:
    return _elaborated(list(_sources()))


def _elaborated(sources: Sequence[_Source]) -> list[Circuit]:
    elaborations = [
        Elaboration(Design({f"{name}.v": verilog}, f"library {FAMILIES}: {name}"), top=_TOP)
        for name, verilog, _ in sources
    ]
    circuits = []
    for source, netlist in zip(sources, elaborate_all(elaborations), strict=True):
        if isinstance(netlist, InputError):
            raise netlist
        text = canonical_text(netlist)
        circuits.append(Circuit.from_netlist(source.name, text, origin=source.origin))
    return circuits


def _sources() -> Iterator[_Source]:
    # Imported late, for the sake of commands that find the library in the cache.
    from ariths_gen.multi_bit_circuits import adders  # type: ignore[import-untyped]
    from ariths_gen.multi_bit_circuits import approximate_multipliers as approximate
    from ariths_gen.multi_bit_circuits import multipliers as exact

    ripple = {"unsigned_adder_class_name": adders.UnsignedRippleCarryAdder}
    yield _source("array", exact.UnsignedArrayMultiplier)
    yield _source("carry_save", exact.UnsignedCarrySaveMultiplier)
    yield _source("dadda", exact.UnsignedDaddaMultiplier)
    yield _source("dadda_ripple", exact.UnsignedDaddaMultiplier, **ripple)
    yield _source("wallace", exact.UnsignedWallaceMultiplier)
    yield _source("wallace_ripple", exact.UnsignedWallaceMultiplier, **ripple)
    for cut in (3, 5):
        multiplier = approximate.UnsignedTruncatedArrayMultiplier
        yield _source(f"tam_c{cut}", multiplier, truncation_cut=cut)
    for cut in (1, 2, 4):
        multiplier = approximate.UnsignedTruncatedCarrySaveMultiplier
        yield _source(f"tcsm_c{cut}", multiplier, truncation_cut=cut)
    for h, v in (
        *((0, 7), (0, 8), (0, 9), (0, 10), (0, 11), (0, 12)),
        *((2, 7), (2, 8), (3, 8), (3, 9), (4, 10), (5, 11)),
    ):
        multiplier = approximate.UnsignedBrokenArrayMultiplier
        yield _source(f"bam_h{h}_v{v}", multiplier, horizontal_cut=h, vertical_cut=v)
    for h, v in ((0, 4), (0, 5), (0, 6), (1, 6), (2, 6)):
        multiplier = approximate.UnsignedBrokenCarrySaveMultiplier
        yield _source(f"bcsm_h{h}_v{v}", multiplier, horizontal_cut=h, vertical_cut=v)
    for block, n_approximate in (
        *(("M1", 6), ("M1", 10), ("M1", 13), ("M1", 16)),
        *(("M2", 10), ("M2", 13), ("M2", 16), ("M4", 10)),
    ):
        blocks = _two_bit_blocks(
            approximate.UnsignedAccurateTwoBitMultiplier,
            getattr(approximate, f"UnsignedApproximateTwoBitMultiplier{block}"),
            n_approximate,
        )
        yield _source(
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


def _source(name: str, multiplier: Any, **options: Any) -> _Source:
    from ariths_gen.wire_components import Bus  # type: ignore[import-untyped]

    generated = multiplier(Bus("a", 8), Bus("b", 8), name=_TOP, **options)
    text = io.StringIO()
    generated.get_v_code_flat(text)
    listed = "".join(f", {key}={_describe(value)}" for key, value in options.items())
    return _Source(
        name=f"mul8u_{name}",
        verilog=text.getvalue().encode(),
        origin=f"ariths-gen {_ariths_gen_version()}: {multiplier.__name__}{listed}",
    )


def _describe(option: Any) -> str:
    if isinstance(option, list):
        return " ".join(_describe(item) for item in option)
    return option.__name__ if isinstance(option, type) else str(option)
