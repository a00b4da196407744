"""Sums whose weights use different tables, and the mean errors of such layers."""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch
from qosnets import golden
from qosnets.geometry import Geometry, LayerKind
from qosnets_search.quantised.mapped import MappedTables, accumulate, expected_errors

Codes: TypeAlias = npt.NDArray[np.uint8]

RANDOM = np.random.default_rng(11)

CONV = Geometry(
    kind=LayerKind.CONV,
    in_channels=4,
    out_channels=6,
    kernel=(3, 2),
    stride=(2, 1),
    padding=(1, 0, 2, 1),
    dilation=(1, 1),
    groups=2,
    input_size=(5, 6),
    input_zero_point=77,
    output_zero_point=0,
    clamp=(0, 255),
)
LINEAR = replace(
    CONV,
    kind=LayerKind.LINEAR,
    in_channels=90,
    out_channels=9,
    kernel=(1, 1),
    stride=(1, 1),
    padding=(0, 0, 0, 0),
    groups=1,
    input_size=(1, 1),
)
# M(x, 0) and M(0, w) are not 0.
TABLES = tuple(RANDOM.integers(1, 1 << 16, (256, 256), dtype=np.uint16) for _ in range(3))


def direct_sums(x: Codes, weights: Codes, mapped: MappedTables, geometry: Geometry) -> Codes:
    """Return the accumulators, product by product."""
    fields = golden.im2col(x, geometry)  # group, row, k
    tables = np.stack(mapped.tables).astype(np.int64)
    per_group = geometry.outputs_per_group
    sums = [
        tables[mapped.choice[o], fields[o // per_group], weights[o]].sum(axis=1)
        for o in range(geometry.out_channels)
    ]
    by_group = np.stack(sums, axis=1).reshape(-1, geometry.groups, per_group).transpose(1, 0, 2)
    result: Codes = golden.from_columns(by_group, geometry)
    return result


@pytest.mark.parametrize("geometry", [CONV, LINEAR], ids=["conv", "linear"])
@pytest.mark.parametrize("kind", ["by code", "few codes", "any"])
def test_mapped_sums_are_those_of_the_single_tables(geometry: Geometry, kind: str) -> None:
    size = geometry.input_size if geometry.kind is LayerKind.CONV else ()
    x = RANDOM.integers(0, 256, (2, geometry.in_channels, *size), dtype=np.uint8)
    shape = (geometry.out_channels, geometry.reduction)
    weights = RANDOM.integers(0, 40 if kind == "few codes" else 256, shape, dtype=np.uint8)
    weights[0, 0] = 0
    if kind == "by code":
        choice = RANDOM.integers(0, 3, 256, dtype=np.uint8)[weights]
    else:
        choice = RANDOM.integers(0, 3, shape, dtype=np.uint8)
    mapped = MappedTables(TABLES, choice)
    shaped = torch.from_numpy(weights)
    if geometry.kind is LayerKind.CONV:
        group_channels = geometry.in_channels // geometry.groups
        shaped = shaped.reshape(len(weights), group_channels, *geometry.kernel)
    found = accumulate(torch.from_numpy(x), shaped, mapped, geometry)
    assert found.dtype is torch.int32
    assert np.array_equal(found, direct_sums(x, weights, mapped, geometry))


def test_many_columns_take_several_sums() -> None:
    # All 768 columns of three tables: four tables of 255, and none has a code to spare.
    weights = np.tile(np.arange(256, dtype=np.uint8), (3, 1))
    choice = np.repeat(np.arange(3, dtype=np.uint8), 256).reshape(3, 256)
    geometry = replace(LINEAR, in_channels=256, out_channels=3)
    x = RANDOM.integers(0, 256, (4, 256), dtype=np.uint8)
    mapped = MappedTables(TABLES, choice)
    found = accumulate(torch.from_numpy(x), torch.from_numpy(weights), mapped, geometry)
    assert np.array_equal(found, direct_sums(x, weights, mapped, geometry))
    mixed = MappedTables(TABLES, RANDOM.permuted(choice.ravel()).reshape(3, 256))
    found = accumulate(torch.from_numpy(x), torch.from_numpy(weights), mixed, geometry)
    assert np.array_equal(found, direct_sums(x, weights, mixed, geometry))


def test_one_table_is_a_plain_sum() -> None:
    x = RANDOM.integers(0, 256, (4, 90), dtype=np.uint8)
    weights = RANDOM.integers(0, 256, (9, 90), dtype=np.uint8)
    found = accumulate(torch.from_numpy(x), torch.from_numpy(weights), TABLES[0], LINEAR)
    assert np.array_equal(found, golden.lut_matmul(x, weights, TABLES[0]))


def test_expected_errors_are_the_means_of_measured_ones() -> None:
    weights = RANDOM.integers(0, 256, (3, 90), dtype=np.uint8)
    choice = RANDOM.integers(0, 3, weights.shape, dtype=np.uint8)
    mapped, geometry = MappedTables(TABLES, choice), replace(LINEAR, out_channels=3)
    x = RANDOM.integers(0, 30, (2000, 90), dtype=np.uint8)
    errors = direct_sums(x, weights, mapped, geometry) - x.astype(np.int64) @ weights.T
    histogram = np.bincount(x.ravel(), minlength=256).astype(np.float64)
    found = expected_errors(mapped, weights, histogram)
    assert np.allclose(found, errors.mean(axis=0), rtol=1e-2)
    alone = expected_errors(TABLES[0], weights, histogram)
    zeros = MappedTables(TABLES, np.zeros_like(choice))
    assert np.array_equal(alone, expected_errors(zeros, weights, histogram))
