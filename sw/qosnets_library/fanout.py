"""Buffers in front of the many loads of a net.

ABC buffers the nets it sees between gates; those that come from registers, memories and ports it
leaves alone, and an enable of a wide pipeline then drives hundreds of pins.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .boolean import compile_function
from .liberty import Liberty, LibertyCell

__all__ = ["MAX_FANOUT", "buffer_nets"]

MAX_FANOUT = 8
"""Pins of cells that a net may drive; chosen, as twice the four of a well sized stage."""

CLOCKS = frozenset({"clk", "aclk"})
"""Ports of the generated modules that carry the clock."""


def buffer_nets(modules: Mapping[str, Any], liberty: Liberty) -> None:
    """Insert trees of buffers into the modules of a mapped design, in place.

    A net counts the pins of cells that it drives, those inside other modules as well. An input
    port with too many drives one buffer, so that a module around it sees one pin. Clocks are left
    alone, as is everything where the library has no buffer, and nets to memories.

    Parameters
    ----------
    modules
        ``modules`` of a JSON file of Yosys.
    liberty
        What the design is mapped to.
    """
    buffer = _buffer(liberty)
    if buffer is None:
        return
    pins: dict[str, dict[str, list[int]]] = {
        cell.name: {pin: [1] for pin in cell.pins} for cell in liberty.cells
    }
    pins |= {cell.name: {cell.data.name: [1]} for cell in liberty.flip_flops}
    for name in _children_first(modules):
        pins[name] = _buffer_module(modules[name], pins, buffer)


def _buffer(liberty: Liberty) -> LibertyCell | None:
    """Return the buffer of least area, None where there is none."""
    found = [
        cell
        for cell in liberty.cells
        if len(cell.pins) == 1 and compile_function(cell.function, cell.pins)([0]) == 0
    ]
    return min(found, key=lambda cell: (cell.area_um2, cell.name), default=None)


def _children_first(modules: Mapping[str, Any]) -> Iterator[str]:
    """Yield the modules, each after those inside it."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name not in done:
            done.add(name)
            for cell in modules[name]["cells"].values():
                if cell["type"] in modules:
                    yield from visit(cell["type"])
            yield name

    for name in modules:
        yield from visit(name)


@dataclass(frozen=True)
class _Load:
    """A place where a net is connected, and how many pins of cells it drives there."""

    bits: list[Any]
    index: int
    pins: int


def _buffer_module(
    module: Any, pins: Mapping[str, Mapping[str, list[int]]], buffer: LibertyCell
) -> dict[str, list[int]]:
    """Buffer a module; return what each bit of its input ports drives then."""
    loads: dict[int, list[_Load]] = defaultdict(list)
    for cell in module["cells"].values():
        for pin, driven in pins.get(cell["type"], {}).items():
            bits = cell["connections"].get(pin, [])
            for index, (bit, count) in enumerate(zip(bits, driven, strict=True)):
                if isinstance(bit, int):
                    loads[bit].append(_Load(bits, index, count))
    inputs = {
        name: port["bits"]
        for name, port in module["ports"].items()
        if port["direction"] == "input" and name not in CLOCKS
    }
    outside = {bit for bits in inputs.values() for bit in bits}
    tree = _Tree(module, buffer)
    driven_pins = {
        bit: tree.grow(bit, found, most=1 if bit in outside else MAX_FANOUT)
        for bit, found in loads.items()
    }
    return {name: [driven_pins.get(bit, 0) for bit in bits] for name, bits in inputs.items()}


class _Tree:
    """Adds buffers to a module."""

    def __init__(self, module: Any, buffer: LibertyCell) -> None:
        self._module, self._buffer = module, buffer
        bits = [
            bit
            for cell in module["cells"].values()
            for connection in cell["connections"].values()
            for bit in connection
        ]
        bits += [bit for net in module["netnames"].values() for bit in net["bits"]]
        self._next_bit = 1 + max((bit for bit in bits if isinstance(bit, int)), default=1)

    def grow(self, bit: int, loads: list[_Load], *, most: int) -> int:
        """Put buffers between a net and its loads if it drives too many pins.

        Then it drives ``most`` or fewer. Returns how many it drives.
        """
        if sum(load.pins for load in loads) > MAX_FANOUT:
            while sum(load.pins for load in loads) > most:
                loads = [self._buffered(bit, share) for share in _shares(loads)]
        return sum(load.pins for load in loads)

    def _buffered(self, bit: int, loads: list[_Load]) -> _Load:
        """Put a buffer in front of loads; return its input."""
        driven, self._next_bit = self._next_bit, self._next_bit + 1
        for load in loads:
            load.bits[load.index] = driven
        source: list[Any] = [bit]
        (pin,), output = self._buffer.pins, self._buffer.output
        self._module["cells"][f"$fanout_buffer${driven}"] = {
            "hide_name": 1,
            "type": self._buffer.name,
            "parameters": {},
            "attributes": {},
            "port_directions": {pin: "input", output: "output"},
            "connections": {pin: source, output: [driven]},
        }
        net = {"hide_name": 1, "bits": [driven], "attributes": {}}
        self._module["netnames"][f"$fanout${driven}"] = net
        return _Load(source, 0, 1)


def _shares(loads: list[_Load]) -> Iterator[list[_Load]]:
    """Yield the loads in groups of few pins."""
    share: list[_Load] = []
    for load in loads:
        if share and sum(other.pins for other in share) + load.pins > MAX_FANOUT:
            yield share
            share = []
        share.append(load)
    yield share
