"""Genomes: netlists of gates with two inputs, laid out for Cartesian genetic programming.

J. F. Miller, P. Thomson, *Cartesian Genetic Programming*, EuroGP 2000: a row of nodes, each
reading any two nets before it. Nodes that no output depends on are inactive; they cost nothing
and are the material that neutral mutations build from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ..gates import LOGIC_GATES, Gate, GateNetlist

__all__ = ["FIRST_NODE", "N_OUTPUTS", "Function", "Genes", "Genome"]

Genes = npt.NDArray[np.int64]

FIRST_NODE = GateNetlist.FIRST_GATE
"""Net of the first node; before it lie the constants 0 and 1 and the bits of ports A and B."""

N_OUTPUTS = 16


class Function(IntEnum):
    """What a node computes of its inputs x and y."""

    AND = 0
    OR = 1
    XOR = 2
    NAND = 3
    NOR = 4
    XNOR = 5
    NOT = 6
    """Not x; y is ignored."""


_FUNCTIONS = {
    "$_NOT_": Function.NOT,
    "$_AND_": Function.AND,
    "$_OR_": Function.OR,
    "$_XOR_": Function.XOR,
    "$_XNOR_": Function.XNOR,
}


@dataclass(frozen=True)
class Genome:
    """A multiplier as nodes in topological order."""

    nodes: Genes
    """``int64[n, 3]``: nets x and y, and the :class:`Function` of each node."""
    outputs: Genes
    """``int64[16]``: nets of the product bits, from the least significant."""

    @classmethod
    def from_netlist(cls, netlist: GateNetlist) -> "Genome":
        """Return the genome of a netlist of :data:`.gates.LOGIC_GATES`."""
        nodes: list[tuple[int, int, int]] = []
        nets = list(range(FIRST_NODE))

        def node(function: Function, x: int, y: int) -> int:
            nodes.append((x, y, function))
            return FIRST_NODE + len(nodes) - 1

        for gate in netlist.gates:
            inputs = [nets[net] for net in gate.inputs]
            if gate.type == "$_MUX_":
                low, high, select = inputs
                kept = node(Function.AND, node(Function.NOT, select, select), low)
                nets.append(node(Function.OR, kept, node(Function.AND, select, high)))
            else:
                nets.append(node(_FUNCTIONS[gate.type], inputs[0], inputs[-1]))
        outputs = [nets[net] for net in netlist.outputs]
        return cls(
            np.array(nodes, dtype=np.int64).reshape(-1, 3), np.array(outputs, dtype=np.int64)
        )

    def netlist(self) -> GateNetlist:
        """Return the active nodes as gates of :data:`.gates.LOGIC_GATES`."""
        gates: list[Gate] = []
        nets: dict[int, int] = {net: net for net in range(FIRST_NODE)}

        def gate(kind: str, *inputs: int) -> int:
            gates.append(Gate(kind, inputs))
            return FIRST_NODE + len(gates) - 1

        writers: dict[Function, Callable[[int, int], int]] = {
            Function.AND: lambda x, y: gate("$_AND_", x, y),
            Function.OR: lambda x, y: gate("$_OR_", x, y),
            Function.XOR: lambda x, y: gate("$_XOR_", x, y),
            Function.NAND: lambda x, y: gate("$_NOT_", gate("$_AND_", x, y)),
            Function.NOR: lambda x, y: gate("$_NOT_", gate("$_OR_", x, y)),
            Function.XNOR: lambda x, y: gate("$_XNOR_", x, y),
            Function.NOT: lambda x, _: gate("$_NOT_", x),
        }
        for index in np.flatnonzero(self.active()):
            x, y, function = self.nodes[index].tolist()
            nets[FIRST_NODE + int(index)] = writers[Function(function)](nets[x], nets.get(y, 0))
        return GateNetlist(
            tuple(gates), tuple(nets[net] for net in self.outputs.tolist()), LOGIC_GATES
        )

    def active(self) -> npt.NDArray[np.bool_]:
        """Return which nodes an output depends on, ``bool[n]``."""
        active = np.zeros(FIRST_NODE + len(self.nodes), dtype=np.bool_)
        active[self.outputs] = True
        for index in range(len(self.nodes) - 1, -1, -1):
            if active[FIRST_NODE + index]:
                x, y, function = self.nodes[index]
                active[x] = True
                active[y] |= function != Function.NOT
        return active[FIRST_NODE:]

    def scattered(self, n_spare: int, random: np.random.Generator) -> "Genome":
        """Return the same circuit in a random topological order, among random inactive nodes.

        A node can only read nets before it, so another order lets other connections arise (B. W.
        Goldman, W. F. Punch, *Analysis of Cartesian Genetic Programming's Evolutionary
        Mechanisms*, IEEE Trans. Evol. Comput. 19(3), 2015).
        """
        order = self._random_order(random)
        size = len(order) + n_spare
        nodes = np.empty((size, 3), dtype=np.int64)
        nodes[:, :2] = random.integers(FIRST_NODE + np.arange(size)[:, None], size=(size, 2))
        nodes[:, 2] = random.integers(len(Function), size=size)
        nets = np.arange(FIRST_NODE + len(self.nodes))
        positions = np.sort(random.permutation(size)[: len(order)]).tolist()
        for position, index in zip(positions, order, strict=True):
            x, y, function = self.nodes[index]
            nodes[position] = nets[x], nets[x if function == Function.NOT else y], function
            nets[FIRST_NODE + index] = FIRST_NODE + position
        return Genome(nodes, nets[self.outputs])

    def _random_order(self, random: np.random.Generator) -> list[int]:
        """Return the active nodes in a random topological order."""
        active = self.active()
        indices: list[int] = np.flatnonzero(active).tolist()
        readers: list[list[int]] = [[] for _ in self.nodes]
        missing = np.zeros(len(self.nodes), dtype=np.int64)
        for index in indices:
            x, y, function = self.nodes[index].tolist()
            for source in {x} if function == Function.NOT else {x, y}:
                if source >= FIRST_NODE:
                    readers[source - FIRST_NODE].append(index)
                    missing[index] += 1
        ready = [index for index in indices if missing[index] == 0]
        order: list[int] = []
        while ready:
            index = ready.pop(int(random.integers(len(ready))))
            order.append(index)
            for following in readers[index]:
                missing[following] -= 1
                if not missing[following]:
                    ready.append(following)
        return order
