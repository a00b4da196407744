"""Layers whose weights may use different multipliers, each its own.

Methods that choose a multiplier for every weight, instead of one for the layer, need accumulators
``Σ_k M_{c(o,k)}[x_k, w_ok]``. A weight meets only one column of one table, the column that holds
its products with all activations. Columns in use are gathered into new tables, and weights are
renumbered to find theirs; what remains are ordinary sums through a table.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from qosnets.geometry import Geometry
from qosnets.lut import Lut
from torch import Tensor

from . import approximate

__all__ = ["LayerArithmetic", "MappedTables", "accumulate", "expected_errors"]

Codes: TypeAlias = npt.NDArray[np.uint8]
Float: TypeAlias = npt.NDArray[np.float64]

N_CODES = 256


@dataclass(frozen=True, eq=False)
class MappedTables:
    """Which table each weight of a layer uses."""

    tables: tuple[Lut, ...]
    """``M[x, w]`` each, 1..256 of them."""
    choice: Codes
    """Index of a table, ``[O, K]`` as the weights."""


LayerArithmetic: TypeAlias = Lut | MappedTables
"""What a layer multiplies with: one table, or one for each weight."""


def accumulate(
    x: Tensor, weights: Tensor, arithmetic: LayerArithmetic, geometry: Geometry
) -> Tensor:
    """Return ``Σ_k M_{c(o,k)}[x_k, w_ok]``, int32 ``[image, channel(, height, width)]``.

    Exact for any tables, also where products with 0 are not 0. Takes one sum where 256 columns
    are in use or fewer, as they are where the weight's code alone decides; else one for 255.

    Parameters
    ----------
    x, weights, geometry
        As for :func:`.approximate.accumulate`.
    arithmetic
        Of the layer.
    """
    if isinstance(arithmetic, MappedTables):
        total = None
        for columns, renumbered in _parts(arithmetic, weights.flatten(1).cpu().numpy()):
            codes = torch.from_numpy(renumbered).to(weights.device).view(weights.shape)
            table = torch.from_numpy(columns).to(weights.device)
            part = approximate.accumulate(x, codes, table, geometry)
            total = part if total is None else total.add_(part)
        assert total is not None
        return total
    table = torch.from_numpy(np.ascontiguousarray(arithmetic)).to(weights.device)
    return approximate.accumulate(x, weights, table, geometry)


def _parts(mapped: MappedTables, weights: Codes) -> list[tuple[Lut, Codes]]:
    """Return tables of columns, and weights renumbered for each, whose sums add up."""
    pairs = mapped.choice.astype(np.int64) * N_CODES + weights
    used, position = np.unique(pairs, return_inverse=True)
    position = position.reshape(weights.shape)
    columns = np.stack([mapped.tables[pair // N_CODES][:, pair % N_CODES] for pair in used], axis=1)
    n_together = N_CODES if len(used) <= N_CODES else N_CODES - 1
    parts = []
    for first in range(0, len(used), n_together):
        # The columns beyond those of this part are 0: weights of other parts stand there.
        table = np.zeros((N_CODES, N_CODES), np.uint16)
        part = columns[:, first : first + n_together]
        table[:, : part.shape[1]] = part
        local = position - first
        local[(local < 0) | (local >= n_together)] = N_CODES - 1
        parts.append((table, local.astype(np.uint8)))
    return parts


def expected_errors(
    arithmetic: LayerArithmetic, weights: Codes, activation_histogram: Float
) -> Float:
    """Return the mean error of each channel's accumulator, ``[O]``.

    ``Σ_k Σ_x p(x)·(M_{c(o,k)}[x, w_ok] − x·w_ok)``: what a bias has to take off. All positions of a
    field are taken to have the same histogram.

    Parameters
    ----------
    arithmetic
        Of the layer.
    weights
        Codes, uint8 ``[O, K]``.
    activation_histogram
        Weight of each activation code, ``[256]``, not all 0.
    """
    if not isinstance(arithmetic, MappedTables):
        arithmetic = MappedTables((arithmetic,), np.zeros_like(weights))
    codes = np.arange(N_CODES, dtype=np.float64)
    share = activation_histogram / activation_histogram.sum()
    means = np.stack([share @ (table - np.outer(codes, codes)) for table in arithmetic.tables])
    result: Float = means[arithmetic.choice, weights].sum(axis=1)
    return result
