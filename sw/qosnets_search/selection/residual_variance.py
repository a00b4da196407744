"""Variance of a layer's error that per-channel constants cannot take off, filter by filter.

Filter o adds up ``err_io = Σ_k e(x_ik, w_ok)`` over the K codes of field i. A bias per channel, or
BatchNorm, absorbs the mean over the fields; what remains is ``R_o = Var_i(err_io)``.

One assumption: the order of a filter's weights is of no account, so that R_o may be replaced by
its mean over all K! orders π. Codes may be distributed and correlated in any way otherwise, over
fields as well as positions. That mean has a closed form. With d_i(k, j) = e(x_ik, w_oj) less its
mean over i, R_o = Var_i(err_io) = mean_i (Σ_k d_i(k, π(k)))². For random π the sum has mean K·d̄_i
and variance ``Σ_kj d̃_i(k, j)²/(K − 1)``, where d̃ is d_i less its row and column means, plus its
mean (W. Hoeffding, "A combinatorial central limit theorem", 1951, Theorem 2). Hence::

    E_π R_o = K²·Var_i(μ_io) + K²/(K − 1)·mean_ikj d̃_i(k, j)²,      μ_io = p_iᵀ e p_o

where p_i and p_o are the code histograms of field and filter: what is due to the codes that meet,
and what is due to their pairing. Independent draws from both histograms would have a pairing
variance of K·Var e instead, which counts the spread of each histogram as if it were not given;
and the part of the pairing that is the same in all fields, for activations differ in brightness
from channel to channel, is a constant of the filter and no noise.

Both terms are sums over pairs of cells of the error map. Averaged over the filters of a group::

    mean_o E_π R_o = K²·⟨F, e W eᵀ⟩ + K²/(K − 1)·⟨I, e S eᵀ⟩
    F = Cov_i(p_i)                                     codes between fields
    I = diag p̄ − mean_i p_i p_iᵀ − Cov_k(p_k)          ... within fields, apart from their position
    W = mean_o p_o p_oᵀ                                weights
    S = mean_o (diag p_o − p_o p_oᵀ)                   ... within filters

with p_k the histogram of position k over the fields and p̄ the mean of all. The cost of a
multiplier is that of four products of 256x256 matrices, however many fields and filters there are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["histograms", "residual_covariance", "residual_variances"]

Codes = npt.NDArray[np.uint8]


def histograms(codes: Codes) -> Tensor:
    """Return the share of each code in each row of ``codes``, float64 ``[row, 256]``."""
    n_rows, n_codes = codes.shape
    cells = codes + 256 * np.arange(n_rows)[:, None]
    counts = np.bincount(cells.ravel(), minlength=256 * n_rows).reshape(n_rows, 256)
    return torch.from_numpy(counts / n_codes)


def residual_variances(fields: Codes, weights: Codes, errors: Tensor) -> Tensor:
    """Return E_π R_o of each multiplier, averaged over all filters, ``[multiplier]``.

    Parameters
    ----------
    fields
        Sampled with replacement, ``[group, field, K]``, at least 2 of each group. The result is
        unbiased, whatever their number.
    weights
        ``[group, filter, K]``.
    errors
        Error maps e(x, w), floating point ``[x, multiplier, w]``.
    """
    total = torch.zeros(errors.shape[1], dtype=errors.dtype)
    for group_fields, group_weights in zip(fields, weights, strict=True):
        total += _group_variances(group_fields, group_weights, errors)
    return total / len(fields)


def residual_covariance(fields: Codes, weights: Codes, a: Tensor, b: Tensor) -> Tensor:
    """Return the form that R_o is for errors made of products of functions of the operands.

    With ``e(x, w) = Σ_ij u_ij·a_i(x)·b_j(w)``, E_π R_o averaged over all filters is uᵀ·Q·u.

    Parameters
    ----------
    fields, weights
        As for :func:`residual_variances`.
    a, b
        The functions, floating point ``[256, n]`` and ``[256, m]``.

    Returns
    -------
    Tensor
        Q, ``[n·m, n·m]``; number ``m·i + j`` is that of a_i and b_j.
    """
    n = a.shape[1] * b.shape[1]
    total = torch.zeros(n, n, dtype=a.dtype)
    for group_fields, group_weights in zip(fields, weights, strict=True):
        forms = _Forms.of(group_fields, group_weights)
        left, right = a[forms.rows], b[forms.columns]
        for activations, between in forms.pairs:
            total += torch.kron(left.T @ activations @ left, right.T @ between @ right)
    return total / len(fields)


@dataclass(frozen=True)
class _Forms:
    """Terms of E_π R_o of a group: ``Σ ⟨A, e·B·eᵀ⟩`` over pairs A, B, for the codes that occur."""

    rows: Tensor
    """Codes of activations."""
    columns: Tensor
    """Codes of weights."""
    pairs: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, fields: Codes, weights: Codes) -> "_Forms":
        """Return the terms for ``[field, K]`` and ``[filter, K]``."""
        n_fields, k = fields.shape
        by_field, by_position, by_filter = (
            histograms(codes) for codes in (fields, fields.T, weights)
        )
        mean, mean_weights = by_field.mean(0), by_filter.mean(0)
        # Groups of few channels, depthwise ones above all, have few of the codes.
        rows, columns = mean.nonzero()[:, 0], mean_weights.nonzero()[:, 0]
        mean, by_field, by_position = mean[rows], by_field[:, rows], by_position[:, rows]
        mean_weights, by_filter = mean_weights[columns], by_filter[:, columns]

        outer = mean.outer(mean)
        within_positions = by_position.T @ by_position / k - outer
        second = by_field.T @ by_field / n_fields
        sampling = n_fields / (n_fields - 1)
        between_fields = (second - outer) * sampling
        interaction = (mean.diag() - second - within_positions) * sampling
        filters = by_filter.T @ by_filter / len(weights)
        within_filters = mean_weights.diag() - filters

        pairs = [(k**2 * between_fields, filters)]
        if k > 1:  # else there is but one pairing
            pairs.append((k**2 / (k - 1) * interaction, within_filters))
        return cls(rows, columns, pairs)


def _group_variances(fields: Codes, weights: Codes, errors: Tensor) -> Tensor:
    forms = _Forms.of(fields, weights)
    maps = errors.index_select(2, forms.columns).index_select(0, forms.rows)
    return torch.stack([_form(maps, *pair) for pair in forms.pairs]).sum(0)


def _form(maps: Tensor, activations: Tensor, weights: Tensor) -> Tensor:
    """Return ⟨activations, e·weights·eᵀ⟩ of each map e, ``[multiplier]``."""
    left = (activations.to(maps.dtype) @ maps.flatten(1)).view_as(maps)
    right = maps @ weights.to(maps.dtype)
    return left.mul_(right).sum((0, 2))
