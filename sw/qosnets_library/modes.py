"""The modes of merged multipliers as entries of a library."""

import numpy as np
from qosnets.files import sha256
from qosnets.library import Circuit, Entry, ModeOf, Realisation
from qosnets.lut import lut_sha256

from .characterise import error_metrics, estimate_modes
from .liberty import Liberty
from .members import MergedMember
from .merged.masks import MergedMasks
from .operands import UNIFORM, Operands

__all__ = ["characterise_modes", "masks_of", "mode_name"]


def mode_name(circuit: str, index: int) -> str:
    """Return the name of the entry of a mode."""
    return f"{circuit}_mode{index}"


def masks_of(circuit: Circuit) -> MergedMasks:
    """Return what the modes of a circuit compute."""
    kill, force = (np.array(x, np.uint8) for x in (circuit.kill_level, circuit.force_level))
    return MergedMasks(circuit.n_modes, kill, force)


def characterise_modes(
    name: str,
    masks: MergedMasks,
    netlist: str,
    *,
    origin: str,
    reference: str,
    liberty: Liberty,
    operands: Operands = UNIFORM,
) -> MergedMember:
    """Return a merged multiplier and its modes with their figures.

    Parameters
    ----------
    name
        Name of the circuit; those of the modes follow from it.
    masks, netlist
        What the modes compute, and the netlist that is proven to (:mod:`.merged.multiplier`).
    origin
        Where the circuit comes from, for people.
    reference, liberty, operands
        As for :func:`.characterise.estimate_modes`.

    Raises
    ------
    ToolError
        If Yosys is missing or fails.
    """
    modes = range(masks.n_modes)
    circuit = Circuit(
        name=name,
        n_modes=masks.n_modes,
        select_width=masks.select_width,
        select_words=tuple(masks.select_word(mode) for mode in modes),
        netlist_sha256=sha256(netlist.encode()),
        kill_level=masks.kill_level.tolist(),
        force_level=masks.force_level.tolist(),
    )
    estimates = estimate_modes(
        netlist, circuit.select_words, reference=reference, liberty=liberty, operands=operands
    )
    entries = []
    for mode, estimate in zip(modes, estimates, strict=True):
        lut = masks.lut(mode)
        entry = Entry(
            name=mode_name(name, mode),
            realisation=Realisation.MODE,
            lut_sha256=lut_sha256(lut),
            netlist_sha256=circuit.netlist_sha256,
            origin=origin,
            metrics=error_metrics(lut),
            estimates=estimate,
            mode=ModeOf(circuit=name, index=mode),
        )
        entries.append(entry)
    return MergedMember(circuit, netlist, tuple(entries))
