"""Probabilistic model of the error that a multiplier makes at a layer's output.

The error map of a multiplier is e(x, w) = M(x, w) − x·w. An output adds K of its entries up, one
for each code of its receptive field. Zero-point terms are exact, so that this sum is the error of
the corrected accumulator. The mean error is left out: biases compensate it.

The models differ in what they know of the codes that meet. With p̄, p_i and p_w the code
histograms of all fields, of receptive field i and of all weights of the layer, one product of
field i has mean μ_i = Σ p_i(x) p_w(w) e(x, w) and variance v_i. By the law of total variance::

    local:    σ_e² = K·mean_i(v_i) + K²·Var_i(μ_i)
    global:   σ_e² = K·Var(e) over p̄ and p_w

Both take the products of a field for independent draws, activations and weights for independent
of each other, and all filters for alike. The local model is that of Trommer et al. [16 in the
QoS-Nets paper]. It counts the spread of codes within a field twice, for p_i is made of the very
codes that are drawn; that makes up, more or less, for the differences between filters, which it
does not see. The global model is blind to what distinguishes fields, bright ones from dark ones
above all, and is too optimistic where K is large. The model per filter
(:mod:`.residual_variance`) knows the codes of each field and each filter, and takes only their
pairing for random; it predicts the error without the mean of each channel, which is what a bias
per channel or BatchNorm leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import torch
from qosnets.lut import Lut, exact_lut
from torch import Tensor

from ..quantised.integer import IntegerLayer, LayerTrace
from .channel_moments import ChannelMoments, channel_moments
from .fields import sample_fields
from .residual_variance import histograms, residual_covariance, residual_variances

__all__ = [
    "ErrorModel",
    "LayerStatistics",
    "error_covariance",
    "error_std",
    "layer_statistics",
]

N_FIELDS = 512
"""Receptive fields sampled per layer, with replacement."""
MIN_GROUP_FIELDS = 32
"""Receptive fields sampled per group at least."""
CHUNK_IMAGES = 16

Codes = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float64]


class ErrorModel(StrEnum):
    """What is known of the codes that are multiplied, from least to most."""

    GLOBAL = "global"
    """One histogram of all activations; total error."""
    LOCAL = "local"
    """A histogram of each receptive field; total error. The model of the paper."""
    PER_FILTER = "per-filter"
    """Histograms of each receptive field and each filter; error without each channel's mean."""


@dataclass(frozen=True)
class LayerStatistics:
    """What the models know of a layer."""

    fields: Codes
    """Codes of sampled receptive fields, ``[group, field, K]``."""
    weights: Codes
    """Codes of the filters, ``[group, filter, K]``."""
    output_std: float
    """Standard deviation of the exact accumulators, zero-point terms removed."""


def layer_statistics(
    layer: IntegerLayer, trace: LayerTrace, generator: torch.Generator
) -> LayerStatistics:
    """Return the statistics of a layer from its trace with the exact multiplier.

    Fields are drawn by ``generator``, for each group its own. Padding counts with its code, for
    it passes through the multiplier.
    """
    geometry = layer.geometry
    n_fields = max(MIN_GROUP_FIELDS, -(-N_FIELDS // geometry.groups))
    fields = sample_fields(trace.x, geometry, n_fields, generator)
    weights = layer.weights.codes.reshape(geometry.groups, -1, geometry.reduction)
    return LayerStatistics(fields.cpu().numpy(), weights, _output_moments(layer, trace).std)


def _output_moments(layer: IntegerLayer, trace: LayerTrace) -> ChannelMoments:
    """Return the moments of ``acc``, less its bias, plus what of the zero points bias holds."""
    codes = layer.weights.codes.sum(axis=1, dtype=np.int64)
    zero_points = layer.weights.zero_points.astype(np.int64)
    centred = codes - layer.geometry.reduction * zero_points
    constants = layer.requantisation.bias + layer.geometry.input_zero_point * centred
    moments = channel_moments(torch.split(trace.acc, CHUNK_IMAGES))
    return replace(moments, means=moments.means - constants)


def error_std(statistics: LayerStatistics, tables: Sequence[Lut], model: ErrorModel) -> Float:
    """Return σ_e of each multiplier, in accumulator units, ``[multiplier]``.

    Many tables in one call cost little more than one.

    Parameters
    ----------
    statistics
        Of the layer.
    tables
        ``M[x, w]`` of each multiplier.
    model
        Which model; it also says which error is meant, total or without each channel's mean.
    """
    errors = _error_maps(tables)
    if model is ErrorModel.PER_FILTER:
        variances = residual_variances(statistics.fields, statistics.weights, errors)
    else:
        variances = _independent_variances(statistics, errors, model)
    # Rounding must not make them negative.
    return variances.clamp(min=0).sqrt().numpy()


def _error_maps(tables: Sequence[Lut]) -> Tensor:
    """Return e(x, w) of each multiplier, ``[x, multiplier, w]``."""
    exact = exact_lut().astype(np.float64)
    return torch.from_numpy(np.stack([table - exact for table in tables], axis=1))


def error_covariance(statistics: LayerStatistics, a: Tensor, b: Tensor, model: ErrorModel) -> Float:
    """Return σ_e² as a form: uᵀ·Q·u for the error ``e(x, w) = Σ_ij u_ij·a_i(x)·b_j(w)``.

    Parameters
    ----------
    statistics, model
        As for :func:`error_std`.
    a, b
        The functions, float64 ``[256, n]`` and ``[256, m]``.

    Returns
    -------
    ndarray
        Q, ``[n·m, n·m]``; number ``m·i + j`` is that of a_i and b_j.
    """
    covariance: Float
    if model is ErrorModel.PER_FILTER:
        covariance = residual_covariance(statistics.fields, statistics.weights, a, b).numpy()
        return covariance
    k = statistics.fields.shape[2]
    by_field = histograms(statistics.fields.reshape(-1, k))
    weights = histograms(statistics.weights.reshape(1, -1))[0]
    mean = by_field.mean(0)
    squares = torch.kron(a.T @ (mean[:, None] * a), b.T @ (weights[:, None] * b))
    of_weights = (weights @ b).outer(weights @ b)
    of_fields, of_all = by_field @ a, mean @ a
    second, outer = of_fields.T @ of_fields / len(of_fields), of_all.outer(of_all)
    if model is ErrorModel.GLOBAL:
        within, between = squares - torch.kron(outer, of_weights), torch.zeros_like(squares)
    else:
        within = squares - torch.kron(second, of_weights)
        between = torch.kron(second - outer, of_weights)
    covariance = (k * within + k**2 * between).numpy()
    return covariance


def _independent_variances(
    statistics: LayerStatistics, errors: Tensor, model: ErrorModel
) -> Tensor:
    """Return σ_e² of the local or the global model, ``[multiplier]``."""
    k = statistics.fields.shape[2]
    by_field = histograms(statistics.fields.reshape(-1, k))
    weights = histograms(statistics.weights.reshape(1, -1))[0]
    means = by_field @ (errors @ weights)
    squares = by_field.mean(0) @ (errors.square() @ weights)
    if model is ErrorModel.GLOBAL:
        within, between = squares - means.mean(0).square(), torch.zeros_like(squares)
    else:
        within, between = squares - means.square().mean(0), means.var(0, correction=0)
    variances: Tensor = k * within + k**2 * between
    return variances
