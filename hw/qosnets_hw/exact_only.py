"""The reference of reports: the same network on an array that has an exact multiplier alone."""

from collections.abc import Sequence
from pathlib import Path

from qosnets.errors import InputError
from qosnets.files import atomic_write
from qosnets.library import Library, Realisation
from qosnets.lut import ActivationPort, exact_lut, lut_sha256
from qosnets.ops import Multiplier, OpsFile

__all__ = ["exact_multiplier", "exact_only"]


def exact_multiplier(file: OpsFile, libraries: Sequence[Library]) -> Multiplier:
    """Return the exact netlist of ``file``; without one, the first that a library has.

    Raises
    ------
    InputError
        If there is none with a netlist.
    """
    wanted = lut_sha256(exact_lut())
    for multiplier in file.ops.multipliers:
        if multiplier.lut_sha256 == wanted and multiplier.realisation.kind == "netlist":
            return multiplier
    for library in libraries:
        for entry in library.entries.values():
            if entry.lut_sha256 == wanted and entry.realisation is Realisation.NETLIST:
                return Multiplier(
                    name=entry.name,
                    lut_sha256=wanted,
                    activation_port=ActivationPort.A,
                    library=library.name,
                    netlist_sha256=entry.netlist_sha256,
                )
    names = ", ".join(library.name for library in libraries)
    raise InputError(f"exact multiplier: is in no library; searched {names}")


def exact_only(file: OpsFile, libraries: Sequence[Library], folder: Path) -> OpsFile:
    """Write ``file`` with the exact multiplier in all layers and points into ``folder``.

    Layers, weights and requantisation are those of ``file``; vectors are left out, since the
    results are others.

    Raises
    ------
    InputError
        If there is no exact multiplier, or the parameters cannot be read.
    """
    ops = file.ops
    points = [
        point.model_copy(update={"assignment": [0] * len(ops.layers)})
        for point in ops.operating_points
    ]
    changed = ops.model_copy(
        update={
            "multipliers": [exact_multiplier(file, libraries)],
            "operating_points": points,
            "vectors": None,
            "estimates": None,
            "provenance": None,
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    if ops.parameters is not None:
        atomic_write(folder / ops.parameters.file, file.read_data(ops.parameters))
    path = folder / "ops.json"
    atomic_write(path, changed.to_bytes())
    return OpsFile.load(path)
