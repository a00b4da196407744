"""Preference vectors: how each multiplier's error compares with what each layer tolerates."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.errors import CheckError
from qosnets.lut import ActivationPort, Lut, oriented

from .error_model import ErrorModel, LayerStatistics, error_std

__all__ = ["Preferences", "preferences"]

Float = npt.NDArray[np.float64]

log = logging.getLogger("qosnets_search")


@dataclass(frozen=True)
class Preferences:
    """Relative errors and the operand order that they were found with."""

    relative_errors: Float
    """σ_e/T, ``[layer, multiplier]``; at most 1 where the multiplier is accurate enough, and
    infinite where the layer tolerates no error but the multiplier makes some."""
    thresholds: list[float]
    """T, ``[layer]``, in accumulator units."""
    ports: list[ActivationPort]
    """Activation port of each multiplier."""


def preferences(
    luts: Sequence[Lut],
    ports: Sequence[Sequence[ActivationPort]],
    statistics: Mapping[str, LayerStatistics],
    sigmas: Sequence[float],
    model: ErrorModel,
) -> Preferences:
    """Return the preference vectors (Eq. 1 of the QoS-Nets paper) of all layers.

    The threshold of a layer is T = |σ|·(standard deviation of its exact corrected accumulators).
    Each multiplier takes the activation on that of its ``ports`` with the smaller sum of relative
    errors over the layers, the first if equal. Where T = 0, multipliers without error have the
    relative error 0, others +∞; a warning names the layer.

    Parameters
    ----------
    luts
        Of the multipliers, ports A and B as in the netlist.
    ports
        On which each multiplier may take the activation, at least one.
    statistics
        Of the layers, by name.
    sigmas
        Noise that each layer tolerates, relative to its output, in the same order.
    model
        Which model of the error.

    Raises
    ------
    CheckError
        If a σ or the spread of a layer's output is not a finite number.
    """
    thresholds = [
        _threshold(name, sigma, layer.output_std)
        for (name, layer), sigma in zip(statistics.items(), sigmas, strict=True)
    ]
    variants = [(lut, port) for lut, offered in enumerate(ports) for port in offered]
    tables = [oriented(luts[lut], port) for lut, port in variants]
    errors = np.array([error_std(layer, tables, model) for layer in statistics.values()])
    relative = _relative(errors, np.array(thresholds)[:, None])
    best: dict[int, int] = {}
    for variant, (lut, _) in enumerate(variants):
        if lut not in best or _badness(relative[:, variant]) < _badness(relative[:, best[lut]]):
            best[lut] = variant
    columns = list(best.values())
    return Preferences(
        relative[:, columns], thresholds, [variants[column][1] for column in columns]
    )


def _threshold(name: str, sigma: float, output_std: float) -> float:
    """Return T of a layer, and warn where it is 0."""
    for what, value in (("σ", sigma), ("standard deviation of the output", output_std)):
        if not np.isfinite(value):
            raise CheckError(f"layer {name}: {what} must be finite, not {value}")
    threshold = abs(sigma) * output_std
    if not threshold:
        reason = "its output is constant" if not output_std else "σ is 0"
        log.warning("layer %s: tolerates no error, for %s", name, reason)
    return threshold


def _relative(errors: Float, thresholds: Float) -> Float:
    """Return σ_e/T, where no error is 0 and errors that nothing tolerates are +∞."""
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = errors / thresholds
    return np.where(errors == 0, 0.0, relative)


def _badness(relative_errors: Float) -> tuple[int, float]:
    """Return what orders ports: the number of layers that are ruled out, then the sum of others."""
    finite = np.isfinite(relative_errors)
    return int((~finite).sum()), float(relative_errors[finite].sum())
