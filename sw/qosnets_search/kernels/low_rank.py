"""Sums of table entries through exact low-rank factors: ordinary matrix products.

A sum of K approximate products is a sum of K·T exact ones, T for the terms of the table. Codes are
replaced by the entries of term tables, blocks of receptive fields are laid out as rows, and one
matrix product per scale sums them. Block sizes are bounded, so that memory does not grow with the
batch beyond that of the result.
"""

import logging

import torch
import torch.nn.functional as F
from qosnets.errors import InputError
from torch import Tensor

from .exact_products import Method, TermGroup, Terms, reason_against, terms_of
from .factorise import Factors
from .shapes import ConvShape, check_conv2d, check_matmul

__all__ = ["exact_method", "low_rank_conv2d", "low_rank_matmul"]

_LOG = logging.getLogger(__name__)

_BLOCK_BYTES, _BLOCK_FIELDS = 2**20, 256
"""Size of a block of receptive fields on a CPU, where it should stay in the caches; and how many
it holds at least, for the weights are rearranged for each block."""

_BLOCK_BYTES_DEVICE = 2**28
"""Size of a block on any other device."""

_OFFSET_CODES = 2**17
"""Codes whose offsets are added up at a time: few enough that memory is used again."""

_NUMBERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By their size in bytes."""

_told: set[str] = set()
"""Reasons that were logged already."""


def low_rank_matmul(
    x: Tensor, w: Tensor, factors: Factors, *, method: Method | None = None
) -> Tensor:
    """Return ``Σ_k M[x[m, k], w[k, n]]``, int32 ``[M, N]``, bit-exact.

    Parameters
    ----------
    x, w
        Codes, uint8 ``[M, K]`` and ``[K, N]``, contiguous, on one device.
    factors
        Of the table M.
    method
        Units that multiply; by default the first exact one, and why others are not is logged.

    Raises
    ------
    InputError
        If operands have another type, shape or device, if K products can exceed int32, or if the
        method is not exact.
    """
    shape = check_matmul(x, w, _table(factors, x))
    as_conv = ConvShape(
        batch=shape.n_rows,
        in_channels=shape.reduction,
        size=(1, 1),
        out_channels=shape.n_columns,
        kernel=(1, 1),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        padding_code=0,
        dilation=(1, 1),
        groups=1,
    )
    terms = terms_of(factors, exact_method(factors, x.device, method), x.device)
    return _sum(x[:, None, None], w.T[:, None, None], terms, as_conv).view(x.shape[0], w.shape[1])


def low_rank_conv2d(
    x: Tensor,
    w: Tensor,
    factors: Factors,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    padding_code: int = 0,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    method: Method | None = None,
) -> Tensor:
    """Return the convolution with products from the table M, int32 ``[B, O, H', W']``, bit-exact.

    Parameters
    ----------
    x, w
        Codes, uint8 ``[B, C, H, W]`` and ``[O, C/groups, kh, kw]``, contiguous, on one device.
    factors
        Of the table M.
    stride, dilation
        Height, width.
    padding
        Top, left, bottom, right.
    padding_code
        Code of padded positions, which is multiplied like any other.
    groups
        Groups of channels; many groups of few channels are slow.
    method
        As in :func:`low_rank_matmul`.

    Raises
    ------
    InputError
        As :func:`low_rank_matmul`.
    """
    shape = check_conv2d(
        x,
        w,
        _table(factors, x),
        stride=stride,
        padding=padding,
        padding_code=padding_code,
        dilation=dilation,
        groups=groups,
    )
    top, left, bottom, right = padding
    padded = F.pad(x, (left, right, top, bottom), value=padding_code)
    terms = terms_of(factors, exact_method(factors, x.device, method), x.device)
    channels_last = padded.permute(0, 2, 3, 1).contiguous()
    sums = _sum(channels_last, w.permute(0, 2, 3, 1), terms, shape)
    return sums.permute(0, 3, 1, 2).contiguous()


def exact_method(factors: Factors, device: torch.device, wanted: Method | None = None) -> Method:
    """Return the fastest exact method for a table on a device, or ``wanted`` if that is exact.

    What keeps a faster method from being used is logged, once.

    Raises
    ------
    InputError
        If ``wanted`` is not exact.
    """
    if wanted is not None:
        if reason := reason_against(wanted, factors, device):
            raise InputError(f"low rank: method must be exact, not {wanted}: {reason}")
        return wanted
    for method in (Method.INT8, Method.FLOAT16, Method.FLOAT32):
        reason = reason_against(method, factors, device)
        if reason is None:
            return method
        message = f"low rank without {method}: {reason}"
        if message not in _told:
            _told.add(message)
            _LOG.warning(message)
    return Method.FLOAT64


def _table(factors: Factors, like: Tensor) -> Tensor:
    return torch.tensor(factors.lut, device=like.device)


def _sum(x: Tensor, w: Tensor, terms: Terms, shape: ConvShape) -> Tensor:
    """Return the sums of a padded input, int32 ``[B, H', W', O]``.

    ``x`` is ``[B, H, W, C]``, ``w`` ``[O, kh, kw, C/groups]``. Sums of groups and scales may wrap
    at 32 bits: the whole does not leave int32.
    """
    height, width = shape.output_size
    n_outputs = shape.outputs_per_group
    result = torch.zeros(
        shape.batch, height, width, shape.out_channels, dtype=torch.int32, device=x.device
    )
    for group in range(shape.groups):
        channels = shape.in_channels // shape.groups
        inputs = x[..., group * channels : (group + 1) * channels]
        outputs = slice(group * n_outputs, (group + 1) * n_outputs)
        weights = w[outputs].reshape(n_outputs, -1)
        sums = result[..., outputs]
        for part in terms.groups:
            _add_products(sums, inputs, _entries(part.right, weights).flatten(1).T, part, shape)
        if terms.column_offset is not None:
            sums += _wrapped(_entries(terms.column_offset, weights).sum(dim=(1, 2)))
        if terms.row_offset is not None:
            _add_offsets(sums, inputs, terms.row_offset, shape)
    return result


def _add_offsets(sums: Tensor, x: Tensor, offset: Tensor, shape: ConvShape) -> None:
    """Add the offsets of the codes in each receptive field to ``sums [B, H', W', N]``."""
    n_images = max(1, _OFFSET_CODES // x[0].numel())
    for image in range(0, shape.batch, n_images):
        codes = x[image : image + n_images]
        fields = _windows(_entries(offset, codes).sum(dim=3), shape, sums.shape[1])
        sums[image : image + n_images] += _wrapped(fields.sum(dim=(3, 4)))


def _add_products(
    sums: Tensor, x: Tensor, weights: Tensor, part: TermGroup, shape: ConvShape
) -> None:
    """Add the products of one scale to ``sums [B, H', W', N]``; ``weights`` are ``[K·T, N]``."""
    height, width = shape.output_size
    n_terms = part.left.shape[1]
    field_bytes = shape.reduction * n_terms * part.left.element_size()
    if x.device.type == "cpu":
        n_fields = max(_BLOCK_FIELDS, _BLOCK_BYTES // field_bytes)
    else:
        n_fields = _BLOCK_BYTES_DEVICE // field_bytes
    n_block_rows = max(1, n_fields // width)
    n_images = max(1, n_block_rows // height)
    n_rows = min(height, n_block_rows)
    chunk = part.k_chunk * n_terms
    for image in range(0, shape.batch, n_images):
        for row in range(0, height, n_rows):
            target = sums[image : image + n_images, row : row + n_rows]
            span = shape.dilation[0] * (shape.kernel[0] - 1) + 1
            top, n_target_rows = row * shape.stride[0], target.shape[1]
            bottom = top + (n_target_rows - 1) * shape.stride[0] + span
            entries = _entries(part.left, x[image : image + n_images, top:bottom])
            fields = _windows(entries.flatten(3), shape, n_target_rows).flatten(3).flatten(0, 2)
            for start in range(0, len(weights), chunk):
                stop = start + chunk
                products = part.multiply(fields[:, start:stop], weights[start:stop])
                target.add_(products.view(target.shape), alpha=_signed(part.scale))


def _entries(table: Tensor, codes: Tensor) -> Tensor:
    """Return the rows of a table ``[256, T]`` of codes ``[...]``, ``[..., T]``.

    Rows as long as a number are taken as numbers, which torch selects five times faster.
    """
    rows = codes.flatten().int()
    number = _NUMBERS.get(table.shape[1] * table.element_size())
    if number is None:
        entries = torch.index_select(table, 0, rows)
    else:
        entries = torch.index_select(table.view(number)[:, 0], 0, rows)[:, None].view(table.dtype)
    return entries.view(*codes.shape, -1)


def _windows(values: Tensor, shape: ConvShape, n_rows: int) -> Tensor:
    """Return the receptive fields of ``[B, H, W, D]``, a view ``[B, n_rows, W', kh, kw, D]``."""
    image, line, pixel, depth = values.stride()
    size = (len(values), n_rows, shape.output_size[1], *shape.kernel, values.shape[3])
    steps = (line * shape.stride[0], pixel * shape.stride[1])
    taps = (line * shape.dilation[0], pixel * shape.dilation[1])
    return values.as_strided(size, (image, *steps, *taps, depth))


def _wrapped(sums: Tensor) -> Tensor:
    """Return int64 values modulo 2³² as int32."""
    return ((sums + 2**31) % 2**32 - 2**31).to(torch.int32)


def _signed(scale: int) -> int:
    return (scale + 2**31) % 2**32 - 2**31
