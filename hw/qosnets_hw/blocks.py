"""Blocks of the array in reports, and the modules that belong to them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

__all__ = ["BLOCKS", "Block", "block_of", "netlist_modules"]


class Block(StrEnum):
    """Part of the accelerator in a report."""

    MULTIPLIERS = "multipliers"
    ISOLATION_AND_MUX = "isolation_and_mux"
    """Operand gates and AND-OR of the banks."""
    ACCUMULATORS = "accumulators"
    """Operand, product and sum registers and adders of the array, up to the complete sums."""
    REQUANTISATION = "requantisation"
    """From complete sums to results, with the parameter look-up."""
    CONTROL = "control"


BLOCKS = {
    "operand_gate": Block.ISOLATION_AND_MUX,
    "multiplier_bank": Block.ISOLATION_AND_MUX,
    "processing_element": Block.ACCUMULATORS,
    "column": Block.ACCUMULATORS,
    "sum_column": Block.ACCUMULATORS,
    "array_edge": Block.ACCUMULATORS,
    "grid": Block.ACCUMULATORS,
    "accumulator": Block.ACCUMULATORS,
    "accumulator_queue": Block.ACCUMULATORS,
    "psum_memory": Block.ACCUMULATORS,
    "requantiser": Block.REQUANTISATION,
    "output_stage": Block.REQUANTISATION,
    "parameter_memory": Block.REQUANTISATION,
}
"""Block of a module; the netlists are multipliers, everything else is control."""


def netlist_modules(manifest: Mapping[str, Any]) -> set[str]:
    """Return the modules of the multipliers' netlists."""
    return {member["module"] for member in manifest["multipliers"]}


def block_of(module: str, netlists: set[str]) -> Block:
    """Return the block of a module."""
    return Block.MULTIPLIERS if module in netlists else BLOCKS.get(module, Block.CONTROL)
