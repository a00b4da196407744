"""Libraries of circuits that read less than 8 bits of an operand: no code is ever wider."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qosnets import golden
from qosnets.library import Library
from qosnets.lut import ActivationPort
from qosnets_search.quantised.code_range import FULL_CODE_RANGE, CodeRange
from small_searches import Circuit, Found

A, B = ActivationPort

MIXED = {
    "exact_7x7": Circuit("a[6:0] * b[6:0]", 1.0, (7, 7)),
    "drop_7x8": Circuit("{a[6:1], 1'b0} * b", 0.8, (7, 8)),
    "drop_8x7": Circuit("{a[7:2], 2'b0} * {b[6:1], 1'b0}", 0.6, (8, 7)),
    "drop_7x7": Circuit("{a[6:4], 4'b0} * {b[6:3], 3'b0}", 0.3, (7, 7)),
}
NARROW_ACTIVATIONS = {
    "exact_6x8": Circuit("a[5:0] * b", 1.0, (6, 8)),
    "drop_6x8": Circuit("a[5:0] * {b[7:2], 2'b0}", 0.7, (6, 8)),
    "drop_8x8": Circuit("{a[7:3], 3'b0} * {b[7:4], 4'b0}", 0.3),
}
LIBRARIES = {
    "mixed": (MIXED, CodeRange(7, 7), "a[7] | b[7]"),
    "narrow activations": (NARROW_ACTIVATIONS, CodeRange(6, 8), "a[7] | a[6]"),
}
"""Circuits, the codes that they allow together, and a condition that is true beyond those."""


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([(8, 8)], FULL_CODE_RANGE),
        ([(7, 8)], CodeRange(7, 8)),
        ([(8, 8), (8, 7)], CodeRange(8, 7)),
        ([(7, 8), (8, 7)], CodeRange(7, 7)),
        ([(1, 5), (3, 2), (8, 8)], CodeRange(1, 2)),
    ],
)
def test_narrowest_port_limits_all(widths: list[tuple[int, int]], expected: CodeRange) -> None:
    assert CodeRange.narrowest(iter(widths)) == expected
    assert expected.max_activation == 2**expected.activation_width - 1
    assert expected.max_weight == 2**expected.weight_width - 1


@pytest.mark.parametrize(
    ("code_range", "operand_width", "ports"),
    [
        (FULL_CODE_RANGE, (8, 8), (A, B)),
        (CodeRange(7, 8), (7, 8), (A,)),
        (CodeRange(7, 8), (8, 7), (B,)),
        (CodeRange(7, 8), (8, 8), (A, B)),
        (CodeRange(7, 7), (7, 8), (A, B)),
        (CodeRange(7, 5), (7, 6), (A,)),
        (CodeRange(7, 5), (8, 7), (A, B)),
        (CodeRange(7, 8), (7, 7), ()),
    ],
)
def test_circuit_is_used_the_way_it_reads_both_operands(
    code_range: CodeRange, operand_width: tuple[int, int], ports: tuple[ActivationPort, ...]
) -> None:
    assert code_range.activation_ports(operand_width) == ports


class Limited(Found):
    """A search over a library of :data:`LIBRARIES`, and one with absurd products beyond."""

    def __init__(self, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        circuits, self.code_range, beyond = LIBRARIES[name]
        super().__init__(tmp_path_factory.mktemp("clean"), circuits)
        self.poisoned = Found(
            tmp_path_factory.mktemp("poisoned"),
            {
                name: replace(circuit, product=f"({beyond}) ? 16'hffff : {circuit.product}")
                if circuit.operand_width != (8, 8)
                else circuit
                for name, circuit in circuits.items()
            },
        )


@pytest.fixture(scope="module", params=LIBRARIES)
def limited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Limited:
    return Limited(request.param, tmp_path_factory)


def test_codes_clamps_and_zero_points_are_within(limited: Limited) -> None:
    max_activation = limited.code_range.max_activation
    geometries = [layer.geometry for layer in limited.ops.layers if layer.geometry is not None]
    assert [geometry.clamp for geometry in geometries] == [(0, max_activation)] * 4
    zero_points = [
        zero_point
        for geometry in geometries
        for zero_point in (geometry.input_zero_point, geometry.output_zero_point)
    ]
    assert 0 < max(zero_points) <= max_activation
    codes = [values for name, values in limited.vectors.items() if not name.endswith(".acc")]
    assert len(codes) == 1 + 2 * 4
    # Reached, so that one bit more would be noticed.
    assert max(values.max() for values in codes) == max_activation
    assert limited.vectors["input"].max() == max_activation

    for weights in limited.parameters.weights.values():
        assert weights.codes.max() == limited.code_range.max_weight
        assert 0 < weights.zero_points.max() <= limited.code_range.max_weight


def test_golden_model_agrees_in_every_bit(limited: Limited) -> None:
    for found in (limited, limited.poisoned):
        for point in range(2):
            assert found.mismatches(point, found.parameters, found.luts) == []


def test_padded_fields_are_within(limited: Limited) -> None:
    layer = next(layer for layer in limited.ops.layers if layer.name == "conv1")
    assert layer.geometry is not None and layer.geometry.input_zero_point > 0
    fields = golden.im2col(limited.vectors["input"], layer.geometry)
    assert fields.max() == limited.code_range.max_activation


def test_products_beyond_are_never_read(limited: Limited) -> None:
    def without_hashes(found: Found) -> dict[str, Any]:
        ops: dict[str, Any] = json.loads(found.files["ops.json"])
        for multiplier in ops["multipliers"]:
            del multiplier["lut_sha256"], multiplier["netlist_sha256"]
        return ops

    def spoilt(library: Library, name: str) -> float:
        return float(np.mean(library.lut(name) == 0xFFFF))

    poisoned = limited.poisoned
    for name, entry in limited.library.entries.items():
        assert spoilt(limited.library, name) == 0
        assert (spoilt(poisoned.library, name) >= 0.75) == (entry.operand_width != (8, 8))
    for name in ("parameters.safetensors", "vectors.safetensors"):
        assert poisoned.files[name] == limited.files[name]
    assert without_hashes(poisoned) == without_hashes(limited)


def test_accuracy_stands_and_the_limits_are_recorded(limited: Limited) -> None:
    estimates, provenance = limited.ops.estimates, limited.ops.provenance
    assert estimates is not None and provenance is not None
    accurate, _ = estimates["operating_points"]
    assert min(estimates["baseline_accuracy"], accurate["accuracy"]) > 0.8
    assert provenance["code_range"] == {
        "activation_width": limited.code_range.activation_width,
        "weight_width": limited.code_range.weight_width,
    }


def test_every_chosen_port_reads_both_operands(limited: Limited) -> None:
    for multiplier in limited.ops.multipliers:
        width = limited.library.entry(multiplier.name).operand_width
        assert multiplier.activation_port in limited.code_range.activation_ports(width)
