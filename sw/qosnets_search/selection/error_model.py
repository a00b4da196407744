"""Probabilistic model of the error that a multiplier makes at a layer's output.

After Trommer et al. [16 in the QoS-Nets paper]. With the error map e(x, w) = M(x, w) − x·w, the
code histogram p_i of receptive field i and the histogram p_w of all weights of the layer, one
product has mean μ_i = Σ p_i(x) p_w(w) e(x, w) and variance v_i; K products are added up. By the
law of total variance over N sampled fields::

    σ_e² = K·mean_i(v_i) + K²·Var_i(μ_i)

The model assumes that the products of a field are independent draws, that activations and
weights are independent, and that all filters share p_w. It errs on the safe side: p_i comes from
the K codes of one field, so that their spread counts in v_i and again in Var(μ). The mean error
is left out: biases compensate it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from qosnets.lut import Lut
from torch import Tensor

from ..quantised.integer import IntegerLayer, LayerTrace
from .fields import receptive_fields

__all__ = ["LayerStatistics", "error_std", "layer_statistics"]

N_FIELDS = 512
"""Receptive fields sampled per layer, with replacement."""

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LayerStatistics:
    """What the model knows of a layer."""

    field_histograms: Float
    """p_i, ``[field, activation code]``, rows sum to 1."""
    weight_histogram: Float
    """p_w, ``[weight code]``, sums to 1."""
    reduction: int
    """K."""
    output_std: float
    """Standard deviation of the exact accumulators, zero-point terms removed."""


def layer_statistics(
    layer: IntegerLayer, trace: LayerTrace, generator: torch.Generator
) -> LayerStatistics:
    """Return the statistics of a layer from its trace with the exact multiplier.

    Fields are drawn by ``generator``. Padding counts with its code, for it passes through the
    multiplier.
    """
    geometry, weights = layer.geometry, layer.weights
    fields = receptive_fields(trace.x, geometry)
    sample = fields[torch.randint(len(fields), (N_FIELDS,), generator=generator)]
    codes = weights.codes.astype(np.int64)
    x = fields.numpy() - geometry.input_zero_point
    outputs = x @ (codes - weights.zero_points[:, None].astype(np.int64)).T
    return LayerStatistics(
        _histograms(sample) / geometry.reduction,
        np.bincount(codes.ravel(), minlength=256) / codes.size,
        geometry.reduction,
        float(outputs.std(ddof=1)),
    )


def _histograms(fields: Tensor) -> Float:
    counts = torch.zeros(len(fields), 256, dtype=torch.float64)
    counts.scatter_add_(1, fields, torch.ones_like(fields, dtype=torch.float64))
    return counts.numpy()


def error_std(statistics: LayerStatistics, table: Lut) -> float:
    """Return σ_e, in accumulator units, of a multiplier with table ``M[x, w]``."""
    codes = np.arange(256, dtype=np.float64)
    error = table.astype(np.float64) - np.outer(codes, codes)
    mean = statistics.field_histograms @ (error @ statistics.weight_histogram)
    square = statistics.field_histograms @ (error**2 @ statistics.weight_histogram)
    variance = np.maximum(square - mean**2, 0.0)  # rounding must not make it negative
    k = statistics.reduction
    return float(np.sqrt(k * variance.mean() + k**2 * mean.var()))
