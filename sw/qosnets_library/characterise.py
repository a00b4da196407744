"""Error metrics of a table, and cost estimates of netlists mapped to a cell library."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter
from qosnets.files import sha256
from qosnets.library import Estimates, Metrics, Toggles
from qosnets.lut import Lut, exact_lut

from .cache import load, sources_sha256, store
from .gates import GateNetlist
from .liberty import Liberty
from .mapping import map_netlists
from .merged.mapper import CellMapper
from .operands import UNIFORM, Operands
from .power import estimate_power
from .timing import static_timing
from .yosys import yosys_version

__all__ = ["Progress", "error_metrics", "estimate_modes", "estimate_netlists", "rank"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called as ``progress(n_done, n_total, name)``."""

_PRIME = 2**31 - 1

_BATCH_PER_CORE = 16
"""Netlists that are mapped together: at most as many are lost where a run is interrupted."""

_SOURCES = (
    *("boolean", "characterise", "gates"),
    *("liberty", "liberty_reader", "liberty_syntax", "liberty_values"),
    *("mapping", "merged/mapper", "operands", "power", "timing"),
)
"""Modules that an estimate depends on."""


def error_metrics(lut: Lut) -> Metrics:
    """Return the error figures of a table over its operand pairs.

    The table may be a corner of a LUT: the operands that a narrower multiplier reads. Sums are
    exact or correctly rounded, so that equal tables have equal figures everywhere.
    """
    n_rows, n_columns = lut.shape
    exact = exact_lut()[:n_rows, :n_columns].astype(np.int64)
    error = lut.astype(np.int64) - exact
    distance = np.abs(error)
    n, total, squares = error.size, int(error.sum()), int((error * error).sum())
    return Metrics(
        mae=int(distance.sum()) / n,
        wce=int(distance.max()),
        mse=squares / n,
        error_probability=np.count_nonzero(error) / n,
        mre=math.fsum(distance[exact > 0] / exact[exact > 0]) / np.count_nonzero(exact),
        error_mean=total / n,
        error_std=math.sqrt(n * squares - total * total) / n,
        max_product=int(lut.max()),
        rank=rank(lut),
    )


def rank(matrix: npt.NDArray[np.integer]) -> int:
    """Return the rank of an integer matrix by elimination modulo the prime 2³¹ − 1.

    No rounding is involved. The rank modulo a prime is never above the real one, and below it
    only if the prime divides every minor of the size of the rank: by chance, for one matrix in
    two thousand million; tables of multipliers have no reason to be such matrices.
    """
    rows = np.unique(matrix.astype(np.int64) % _PRIME, axis=0)
    found = 0
    while rows.size:
        pivots = np.flatnonzero(rows[:, 0])
        if pivots.size == 0:
            rows = rows[:, 1:]
            continue
        pivot = rows[pivots[0]]
        inverse = pow(int(pivot[0]), -1, _PRIME)
        rest = np.delete(rows, pivots[0], axis=0)
        factors = rest[:, :1] * inverse % _PRIME
        # Products of two residues are below 2⁶².
        rows = (rest[:, 1:] - factors * pivot[1:]) % _PRIME
        found += 1
    return found


@dataclass(frozen=True)
class _Figures:
    """What is kept of a netlist: all but its relation to the reference."""

    area_um2: float
    delay_ns: float
    power_uw: float
    leakage_uw: float
    toggles: Toggles


_ADAPTER = TypeAdapter(_Figures)


def estimate_netlists(
    netlists: Mapping[str, str],
    *,
    reference: str,
    liberty: Liberty,
    operands: Operands = UNIFORM,
    progress: Progress | None = None,
) -> dict[str, Estimates]:
    """Estimate the cost of netlists in one flow: the same cells, tools and operands for all.

    Results are kept in the cache, by the hash of all that they depend on.

    Parameters
    ----------
    netlists
        Canonical texts by any name.
    reference
        Canonical text of the multiplier with relative power 1.0.
    liberty
        The cells to map to.
    operands
        What is multiplied.
    progress
        Called for each of ``netlists``, in their order.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    kept: dict[str, _Figures] = {}
    (base,) = _figures([reference], liberty, operands, kept)
    estimates: dict[str, Estimates] = {}
    names = list(netlists)
    size = _BATCH_PER_CORE * (os.cpu_count() or 1)
    for start in range(0, len(names), size):
        batch = names[start : start + size]
        found = _figures([netlists[name] for name in batch], liberty, operands, kept)
        for name, figures in zip(batch, found, strict=True):
            estimates[name] = _estimates(figures, base, liberty, operands)
            if progress:
                progress(len(estimates), len(names), name)
    return estimates


def estimate_modes(
    netlist: str,
    words: Sequence[int],
    *,
    reference: str,
    liberty: Liberty,
    operands: Operands = UNIFORM,
) -> list[Estimates]:
    """Estimate a merged multiplier in each of its modes, in the flow of :func:`estimate_netlists`.

    Power and toggles are those with the select constant. Area and delay are those of the circuit,
    the same for all modes: every cell is there in every mode, and a path that a mode blocks counts
    like the others, since static timing does not see that it is blocked.

    Parameters
    ----------
    netlist, words
        A merged netlist, and its select word in each mode.
    reference, liberty, operands
        As for :func:`estimate_netlists`.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    (base,) = _figures([reference], liberty, operands, {})
    keys = [_key(f"{netlist}{word}", liberty, operands) for word in words]
    kept = [load("estimates", key, _ADAPTER) for key in keys]
    found = [figures for figures in kept if figures is not None]
    if len(found) < len(keys):
        with CellMapper(liberty) as mapper:
            mapped = mapper.map(netlist)
        found = [_estimate(mapped.of_word(word), liberty, operands) for word in words]
        for key, figures in zip(keys, found, strict=True):
            store("estimates", key, _ADAPTER, figures)
    return [_estimates(figures, base, liberty, operands) for figures in found]


def _estimates(
    figures: _Figures, base: _Figures, liberty: Liberty, operands: Operands
) -> Estimates:
    return Estimates(
        area_um2=figures.area_um2,
        delay_ns=figures.delay_ns,
        power_uw=figures.power_uw,
        leakage_uw=figures.leakage_uw,
        relative_power=figures.power_uw / base.power_uw,
        toggles=figures.toggles,
        engine=f"Yosys {yosys_version()} with ABC, zero-delay toggles, static timing",
        liberty=liberty.name,
        liberty_sha256=liberty.sha256,
        distribution=operands.name,
    )


def _figures(
    texts: Sequence[str], liberty: Liberty, operands: Operands, kept: dict[str, _Figures]
) -> list[_Figures]:
    """Return the figures of netlists, from ``kept``, the cache or by estimating them."""
    keys = {text: _key(text, liberty, operands) for text in texts if text not in kept}
    for text, key in keys.items():
        figures = load("estimates", key, _ADAPTER)
        if figures is not None:
            kept[text] = figures
    missing = [text for text in keys if text not in kept]
    for text, netlist in zip(missing, map_netlists(missing, liberty), strict=True):
        kept[text] = _estimate(netlist, liberty, operands)
        store("estimates", keys[text], _ADAPTER, kept[text])
    return [kept[text] for text in texts]


def _key(text: str, liberty: Liberty, operands: Operands) -> str:
    parts = (text, liberty.sha256, operands.sha256, yosys_version(), _engine_sha256())
    return sha256("\n".join(parts).encode())


@cache
def _engine_sha256() -> str:
    return sources_sha256(_SOURCES)


def _estimate(netlist: GateNetlist, liberty: Liberty, operands: Operands) -> _Figures:
    timing = static_timing(netlist, liberty)
    power = estimate_power(netlist, liberty, timing, operands)
    return _Figures(
        area_um2=math.fsum(liberty.by_name[gate.type].area_um2 for gate in netlist.gates),
        delay_ns=timing.delay_ns,
        power_uw=power.power_uw,
        leakage_uw=power.leakage_uw,
        toggles=power.toggles,
    )
