"""The error models against measured errors, for every pair of layer and multiplier."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from qosnets.lut import Lut
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from ..quantised.integer import IntegerLayer, LayerTrace
from .error_model import ErrorModel, error_std, layer_statistics
from .measured_error import measured_error

__all__ = ["Agreement", "ErrorRecord", "agreement", "validate"]


@dataclass(frozen=True)
class ErrorRecord:
    """Standard deviations of a multiplier's error in a layer, in accumulator units."""

    layer: str
    multiplier: str
    predicted: Mapping[ErrorModel, float]
    measured_total: float
    """Over all outputs."""
    measured_residual: float
    """Without the mean of each channel."""

    def measured(self, model: ErrorModel) -> float:
        """Return what ``model`` predicts: the residual error, or the total one."""
        residual = model is ErrorModel.PER_FILTER
        return self.measured_residual if residual else self.measured_total


@dataclass(frozen=True)
class Agreement:
    """How well a model predicts, over all pairs in which an error was measured."""

    n_pairs: int
    spearman: float
    """Rank correlation of predicted and measured error, −1..1."""
    low_ratio: float
    """Predicted/measured, 10 % quantile."""
    median_ratio: float
    high_ratio: float
    """90 % quantile."""


def validate(
    layers: Mapping[str, IntegerLayer],
    traces: Mapping[str, LayerTrace],
    tables: Mapping[str, Lut],
    generator: torch.Generator,
) -> list[ErrorRecord]:
    """Predict and measure the error of each multiplier in each layer.

    Parameters
    ----------
    layers
        By name.
    traces
        Of these layers, with the exact multiplier.
    tables
        ``M[x, w]`` by the multiplier's name.
    generator
        Of the fields that the models see.
    """
    records = []
    for name, layer in layers.items():
        statistics = layer_statistics(layer, traces[name], generator)
        predicted = {
            model: error_std(statistics, list(tables.values()), model) for model in ErrorModel
        }
        for index, (multiplier, table) in enumerate(tables.items()):
            measured = measured_error(layer, traces[name].x, table)
            records.append(
                ErrorRecord(
                    name,
                    multiplier,
                    {model: float(found[index]) for model, found in predicted.items()},
                    measured.std,
                    measured.residual_std,
                )
            )
    return records


def agreement(records: Sequence[ErrorRecord], model: ErrorModel) -> Agreement:
    """Return how well ``model`` predicts.

    Pairs without a measured error, those of exact multipliers above all, are left out: they have
    no ratio, and would only flatter the rank correlation. With fewer than two pairs left, all
    figures are NaN.
    """
    pairs = np.array(
        [(record.predicted[model], record.measured(model)) for record in records]
    ).reshape(-1, 2)
    predicted, measured = pairs[pairs[:, 1] > 0].T
    if len(measured) < 2:
        return Agreement(len(measured), *[math.nan] * 4)
    rank_correlation = float(spearmanr(predicted, measured).statistic)
    quantiles = np.quantile(predicted / measured, [0.1, 0.5, 0.9])
    return Agreement(len(measured), rank_correlation, *quantiles.tolist())
