"""Simulation, cost and error of a genome, compiled by numba.

Bit ``i % 64`` of word ``i // 64`` of a net is its value for stimulus ``i``. All arithmetic is that
of integers, but for errors under a distribution of operands; and that one is summed in a fixed
order. So a run gives the same circuits on every machine.
"""

from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from ..compiled import compiler
from .genome import FIRST_NODE, N_OUTPUTS, Function

__all__ = [
    "BLOCK",
    "MAE",
    "MSE",
    "WCE",
    "block_error",
    "compiled",
    "cost",
    "mark_active",
    "simulate",
    "weighted_error",
]

compiled = compiler(Path(__file__).parent)

BLOCK = 128
"""Words of a net that are simulated at a time."""

MSE, MAE, WCE = 0, 1, 2
"""Error metrics: mean squared, mean absolute, and worst-case absolute error."""

_NOT = int(Function.NOT)


@intrinsic
def _popcount(_context: Any, _word: Any) -> Any:
    """Return the number of ones of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.ctpop", [ir.IntType(64)])
        return builder.call(function, arguments)

    return types.int64(types.uint64), generate


@compiled
def mark_active(nodes, outputs, active):
    """Set ``active[i]``, whether an output depends on node ``i``."""
    active[:] = False
    for bit in range(N_OUTPUTS):
        if outputs[bit] >= FIRST_NODE:
            active[outputs[bit] - FIRST_NODE] = True
    for node in range(len(nodes) - 1, -1, -1):
        if active[node]:
            x, y, function = nodes[node]
            if x >= FIRST_NODE:
                active[x - FIRST_NODE] = True
            if function != _NOT and y >= FIRST_NODE:
                active[y - FIRST_NODE] = True


@compiled
def simulate(nodes, active, inputs, start, values):
    """Set ``values[net, BLOCK]`` of inputs and active nodes for the words from ``start``."""
    for bit in range(16):
        source = inputs[bit]
        target = values[2 + bit]
        for w in range(BLOCK):
            target[w] = source[start + w]
    for node in range(len(nodes)):
        if not active[node]:
            continue
        x = values[nodes[node, 0]]
        y = values[nodes[node, 1]]
        z = values[FIRST_NODE + node]
        function = nodes[node, 2]
        if function == 0:
            for w in range(BLOCK):
                z[w] = x[w] & y[w]
        elif function == 1:
            for w in range(BLOCK):
                z[w] = x[w] | y[w]
        elif function == 2:
            for w in range(BLOCK):
                z[w] = x[w] ^ y[w]
        elif function == 3:
            for w in range(BLOCK):
                z[w] = ~(x[w] & y[w])
        elif function == 4:
            for w in range(BLOCK):
                z[w] = ~(x[w] | y[w])
        elif function == 5:
            for w in range(BLOCK):
                z[w] = ~(x[w] ^ y[w])
        else:
            for w in range(BLOCK):
                z[w] = ~x[w]


@compiled
def _ones(words):
    count = np.int64(0)
    for w in range(BLOCK):
        count += _popcount(words[w])
    return count


@compiled
def _common_ones(x, y):
    count = np.int64(0)
    for w in range(BLOCK):
        count += _popcount(x[w] & y[w])
    return count


@compiled
def cost(nodes, outputs, active, values, weights, by_activity, loads):
    """Return the cost of the active nodes.

    ``weights[0]`` is what a pin of each function costs, ``weights[1]`` the node itself, and
    ``weights[2, 0]`` what an output drives. With ``by_activity``, these are energies per toggle of
    the net, and a net that is 1 in c of n lanes toggles in proportion to c·(n − c).
    """
    loads[:] = 0
    total = np.int64(0)
    for node in range(len(nodes)):
        if active[node]:
            x, y, function = nodes[node]
            total += weights[1, function]
            loads[FIRST_NODE + node] += weights[1, function]
            loads[x] += weights[0, function]
            if function != _NOT:
                loads[y] += weights[0, function]
    if not by_activity:
        return total
    for bit in range(N_OUTPUTS):
        loads[outputs[bit]] += weights[2, 0]
    total = np.int64(0)
    n_lanes = np.int64(64 * BLOCK)
    for net in range(2, len(loads)):
        if loads[net]:
            ones = _ones(values[net])
            total += loads[net] * ((ones * (n_lanes - ones)) >> 6)
    return total


@compiled
def block_error(metric, limit, outputs, values, exact, start, planes, sign):
    """Return Σ e² or Σ |e| of a block, or whether some |e| is above ``limit``; int64.

    ``planes[16, BLOCK]`` and ``sign[BLOCK]`` are scratch: bits of x and s with |e| = x + s, where
    s is 1 for negative errors.
    """
    sign[:] = 0
    for bit in range(N_OUTPUTS):
        product = values[outputs[bit]]
        plane = planes[bit]
        wanted = exact[bit]
        for w in range(BLOCK):
            p, q, borrow = product[w], wanted[start + w], sign[w]
            plane[w] = p ^ q ^ borrow
            sign[w] = (~p & q) | (~(p ^ q) & borrow)
    width = 0
    for bit in range(N_OUTPUTS):
        plane = planes[bit]
        some = np.uint64(0)
        for w in range(BLOCK):
            plane[w] ^= sign[w]
            some |= plane[w]
        if some:
            width = bit + 1
    if metric == WCE:
        return _exceeds(limit, planes, sign)
    error = _ones(sign)
    for i in range(width):
        if metric == MAE:
            error += _ones(planes[i]) << i
        else:
            # (x + s)² = x² + 2xs + s, and x² = Σ_ij 2^(i+j) x_i x_j.
            error += (_ones(planes[i]) << 2 * i) + (_common_ones(planes[i], sign) << i + 1)
            for j in range(i):
                error += _common_ones(planes[i], planes[j]) << i + j + 1
    return error


@compiled
def _exceeds(limit, planes, carry):
    """Return whether x + carry > limit in some lane; overwrites ``carry``.

    From the lowest bit, a lane exceeds where its bit is greater, or equal and it did so below.
    """
    for bit in range(N_OUTPUTS):
        plane = planes[bit]
        if limit >> bit & 1:
            for w in range(BLOCK):
                carry[w] &= plane[w]
        else:
            for w in range(BLOCK):
                carry[w] |= plane[w]
    some = np.uint64(0)
    for w in range(BLOCK):
        some |= carry[w]
    return np.int64(some != 0)


@compiled
def weighted_error(metric, nodes, active, outputs, all_pairs, weights, values):
    """Return the error under independent operands of probabilities ``weights[2, 256]``, float64.

    ``all_pairs[16, 1024]`` are the inputs of all pairs in the order of a LUT. The worst case is
    that of the pairs that occur.
    """
    error = 0.0
    for start in range(0, all_pairs.shape[1], BLOCK):
        simulate(nodes, active, all_pairs, start, values)
        for w in range(BLOCK):
            for lane in range(64):
                pair = 64 * (start + w) + lane
                weight = weights[0, pair >> 8] * weights[1, pair & 255]
                if weight == 0.0:
                    continue
                product = np.int64(0)
                for bit in range(N_OUTPUTS):
                    word = values[outputs[bit], w]
                    product |= np.int64(word >> np.uint64(lane) & np.uint64(1)) << bit
                distance = float(abs(product - (pair >> 8) * (pair & 255)))
                if metric == WCE:
                    error = max(error, distance)
                elif metric == MAE:
                    error += weight * distance
                else:
                    error += weight * distance * distance
    return error
