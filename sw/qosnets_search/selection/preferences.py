"""Preference vectors: how each multiplier's error compares with what each layer tolerates."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.errors import CheckError
from qosnets.lut import ActivationPort, Lut, oriented

from .error_model import ErrorModel, LayerStatistics, error_std

__all__ = ["Preferences", "layer_thresholds", "preferences"]

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
    thresholds: Sequence[float],
    model: ErrorModel,
    *,
    one_port: bool = False,
) -> Preferences:
    """Return the preference vectors (Eq. 1 of the QoS-Nets paper) of all layers.

    Each multiplier takes the activation on that of its ``ports`` with the smaller sum of relative
    errors over the layers, the first if equal. Where T = 0, multipliers without error have the
    relative error 0, others +∞.

    Parameters
    ----------
    luts
        Of the multipliers, ports A and B as in the netlist.
    ports
        On which each multiplier may take the activation, at least one.
    statistics
        Of the layers, by name.
    thresholds
        T of each layer in accumulator units, in the same order.
    model
        Which model of the error.
    one_port
        Whether all multipliers, which have the same ``ports``, are to take the activation on the
        same one.
    """
    variants = [(lut, port) for lut, offered in enumerate(ports) for port in offered]
    tables = [oriented(luts[lut], port) for lut, port in variants]
    errors = np.array([error_std(layer, tables, model) for layer in statistics.values()])
    relative = _relative(errors, np.array(thresholds)[:, None])
    if one_port:
        sets = [[variants.index((lut, port)) for lut in range(len(luts))] for port in ports[0]]
        columns = min(sets, key=lambda columns: _badness(relative[:, columns]))
    else:
        columns = [
            min(
                (column for column, variant in enumerate(variants) if variant[0] == lut),
                key=lambda column: _badness(relative[:, column]),
            )
            for lut in range(len(luts))
        ]
    return Preferences(
        relative[:, columns], list(thresholds), [variants[column][1] for column in columns]
    )


def layer_thresholds(
    statistics: Mapping[str, LayerStatistics], sigmas: Sequence[float]
) -> list[float]:
    """Return T = |σ|·(standard deviation of the exact corrected accumulators) of each layer.

    A warning names each layer with T = 0.

    Parameters
    ----------
    statistics
        Of the layers, by name.
    sigmas
        Noise that each layer tolerates, relative to its output, in the same order.

    Raises
    ------
    CheckError
        If a σ or the spread of a layer's output is not a finite number.
    """
    return [
        _threshold(name, sigma, layer.output_std)
        for (name, layer), sigma in zip(statistics.items(), sigmas, strict=True)
    ]


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
