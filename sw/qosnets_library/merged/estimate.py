"""Quick estimate of the power of a reduction tree, without mapping: the toggles of its gates.

Every adder is taken for gates of two inputs, a full adder for two XOR and three NAND. Partial
products do not depend on the wiring: their toggles are drawn once and enter at time 0. An output
costs what its gate and the pins that it drives weigh; the weights are transistor widths by the
method of logical effort (as in :mod:`..cells`), which makes the estimate one of switched
capacitance. Mapping restructures gates, so this ranks wirings and is no power.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.words import Words, pack

from ..operands import Operands
from ..toggles import Delays, GateArrays, count_toggles
from .masks import MergedMasks
from .tree import FIRST_SUM, N_PARTIAL_PRODUCTS, Tree

__all__ = ["TreeEstimate", "TreeStimuli", "estimate_tree", "operand_stream"]

_XOR, _AND, _NAND = 0b0110, 0b1000, 0b0111
_N_CONSTANTS = 2
_N_SOURCES = _N_CONSTANTS + N_PARTIAL_PRODUCTS

# Width on an input pin and on the output itself: XOR2 as NOR2 and AOI21, AND2 as NAND2 and INV.
_PIN_WIDTH = {_XOR: 11, _AND: 4, _NAND: 4}
_OWN_WIDTH = {_XOR: 17, _AND: 12, _NAND: 6}
_UNITS = {_XOR: 2, _AND: 2, _NAND: 1}
"""Delays in those of a NAND, for the depth."""


@dataclass(frozen=True, eq=False)
class TreeStimuli:
    """Partial products before and after operations, ``uint64[66, words]`` each.

    Rows 0 and 1 are the constants. The words are those of each stream in each mode, in this order:
    all modes of the first stream first.
    """

    before: Words
    after: Words
    n_groups: int
    """Streams times modes."""

    @classmethod
    def of(
        cls, masks: MergedMasks, streams: Sequence[Operands], n_operations: int
    ) -> "TreeStimuli":
        """Return the partial products of streams of operands in all modes."""
        groups = []
        for operands in streams:
            pairs = operand_stream(operands, n_operations)
            a, b = (pairs[:, None] >> shift + np.arange(8) & 1 for shift in (8, 0))
            products = (a[:, :, None] & b[:, None, :]).astype(np.uint8)
            for mode in range(masks.n_modes):
                seen = (products & masks.kept(mode)) | masks.forced(mode)
                groups.append(seen.reshape(-1, N_PARTIAL_PRODUCTS).T)
        constants = np.repeat([[0], [1]], n_operations * len(groups), axis=1)
        before, after = (
            pack(np.vstack([constants, np.hstack(part)]))
            for part in ([group[:, :-1] for group in groups], [group[:, 1:] for group in groups])
        )
        return cls(before, after, len(groups))


@dataclass(frozen=True)
class TreeEstimate:
    """Estimate of a tree."""

    glitching: tuple[int, ...]
    """Switched width by group of the stimuli, each gate delaying by one unit."""
    settled: tuple[int, ...]
    """The same without delays, hence without glitches."""
    depth: int
    """Longest path in delays of a NAND gate."""


def operand_stream(operands: Operands, n_operations: int) -> npt.NDArray[np.int64]:
    """Return the first ``n_operations + 1`` pairs of the stream of a distribution."""
    return operands.pairs()[: n_operations + 1].astype(np.int64)


def estimate_tree(tree: Tree, stimuli: TreeStimuli) -> TreeEstimate:
    """Estimate a tree.

    Raises
    ------
    ValueError
        If an adder waits for itself.
    """
    gates, outputs = _gates(tree)
    inputs = np.array([(x, y) for _, x, y in gates])
    tables = np.array([table for table, _, _ in gates], dtype=np.uint64)
    arrays = GateArrays(_N_SOURCES, inputs, tables)
    settled, glitching = (
        count_toggles(
            arrays, stimuli.before, stimuli.after, n_groups=stimuli.n_groups, delays=delays
        )
        for delays in Delays
    )
    widths = np.zeros(_N_SOURCES + len(gates), dtype=np.int64)
    depths = [0] * len(widths)
    for net, (table, x, y) in enumerate(gates, _N_SOURCES):
        widths[net] += _OWN_WIDTH[table]
        widths[x] += _PIN_WIDTH[table]
        widths[y] += _PIN_WIDTH[table]
        depths[net] = max(depths[x], depths[y]) + _UNITS[table]
    return TreeEstimate(
        tuple(int(group.nets @ widths) for group in glitching),
        tuple(int(group.nets @ widths) for group in settled),
        max(depths[net] for net in outputs),
    )


def _gates(tree: Tree) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Return gates as (table, net, net) and the nets of the product."""
    nets = list(range(_N_CONSTANTS, _N_SOURCES)) + [0] * (2 * len(tree.columns))
    gates: list[tuple[int, int, int]] = []

    def gate(table: int, x: int, y: int) -> int:
        gates.append((table, x, y))
        return _N_SOURCES + len(gates) - 1

    rows = tree.inputs.tolist()
    for adder in tree.order():
        x, y, z = rows[adder]
        total, carry = FIRST_SUM + 2 * adder, FIRST_SUM + 2 * adder + 1
        half = gate(_XOR, nets[x], nets[y])
        if z < 0:
            nets[total], nets[carry] = half, gate(_AND, nets[x], nets[y])
            continue
        nets[total] = gate(_XOR, half, nets[z])
        generate, propagate = gate(_NAND, nets[x], nets[y]), gate(_NAND, half, nets[z])
        nets[carry] = gate(_NAND, generate, propagate)
    return gates, [nets[bit] if bit >= 0 else 0 for bit in tree.product.tolist()]
