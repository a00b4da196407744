"""Preference vectors: how each multiplier's error compares with what each layer tolerates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.lut import ActivationPort, Lut, oriented

from .error_model import LayerStatistics, error_std

__all__ = ["Preferences", "preferences"]

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Preferences:
    """Relative errors and the operand order that they were found with."""

    relative_errors: Float
    """σ_e/T, ``[layer, multiplier]``; at most 1 where the multiplier is accurate enough."""
    thresholds: list[float]
    """T, ``[layer]``, in accumulator units."""
    ports: list[ActivationPort]
    """Activation port of each multiplier."""


def preferences(
    luts: Sequence[Lut],
    ports: Sequence[Sequence[ActivationPort]],
    statistics: Sequence[LayerStatistics],
    sigmas: Sequence[float],
) -> Preferences:
    """Return the preference vectors (Eq. 1 of the QoS-Nets paper) of all layers.

    The threshold of a layer is T = σ·(standard deviation of its exact corrected accumulators).
    Each multiplier takes the activation on that of its ``ports`` with the smaller sum of relative
    errors over the layers, the first if equal.

    Parameters
    ----------
    luts
        Of the multipliers, ports A and B as in the netlist.
    ports
        On which each multiplier may take the activation, at least one.
    statistics
        Of the layers.
    sigmas
        Noise that each layer tolerates, relative to its output; positive.
    """
    thresholds = np.array(
        [sigma * layer.output_std for sigma, layer in zip(sigmas, statistics, strict=True)]
    )
    columns, chosen = [], []
    for lut, offered in zip(luts, ports, strict=True):
        by_port = {
            port: np.array([error_std(layer, oriented(lut, port)) for layer in statistics])
            / thresholds
            for port in offered
        }
        port = min(by_port, key=lambda port: by_port[port].sum())
        columns.append(by_port[port])
        chosen.append(port)
    return Preferences(np.stack(columns, axis=1), thresholds.tolist(), chosen)
