"""Ports of a multiplier: found by direction and width, bound by name."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qosnets.errors import InputError

__all__ = ["Bound", "OperandWidth", "Port", "bind_ports", "is_other_circuit", "module_ports"]

OperandWidth: TypeAlias = tuple[int, int]
"""Bits of the operands A and B, 1..8 each; the product has as many as both together."""

# BLIF has no buses: a[0], a0, a_0_, a(0), a<0>.
_NUMBERED = re.compile(r"(?P<stem>.+?)[_[(<]?(?P<index>[0-9]+)[]_)>]?")


@dataclass(frozen=True)
class Port:
    """A port of a module."""

    name: str
    direction: str
    """``input``, ``output`` or ``inout``."""
    bits: tuple[Hashable, ...]
    """What is on it, least significant bit first."""

    @property
    def width(self) -> int:
        """Number of bits."""
        return len(self.bits)


@dataclass(frozen=True)
class Bound:
    """The ports of a multiplier by their role."""

    a: Port
    b: Port
    product: Port


def module_ports(ports: Mapping[str, Any]) -> list[Port]:
    """Return the ports of a module as ``write_json`` of Yosys describes them."""
    return [Port(name, port["direction"], tuple(port["bits"])) for name, port in ports.items()]


def bind_ports(ports: Iterable[Port], width: OperandWidth, where: str) -> Bound:
    """Return the ports of a multiplier by their role.

    Port A is the input named ``a`` or ``A``, else the first one declared. Ports of one bit that
    are numbered without a gap, as ``a[0]``, ``a[1]``, … or ``a0``, ``a1``, …, are one port.

    Raises
    ------
    InputError
        If they are not those of a multiplier with operands of ``width``; starts with ``where``.
    """
    found = _merge_numbered(ports)
    rule = _rule(width)
    for port in found:
        allowed = {"input": width, "output": (sum(width),)}.get(port.direction, ())
        if port.width not in allowed:
            raise InputError(
                f"{where}: port {port.name}: {rule}, not {port.direction} of {port.width}"
            )
    inputs = [port for port in found if port.direction == "input"]
    outputs = [port for port in found if port.direction == "output"]
    if (len(inputs), len(outputs)) != (2, 1):
        raise InputError(
            f"{where}: must have two inputs and one output, not {len(inputs)} and {len(outputs)}"
        )
    inputs.sort(key=lambda port: port.name not in ("a", "A"))
    a, b = inputs
    if (a.width, b.width) != width:
        raise InputError(
            f"{where}: operands {a.name} and {b.name}: must have {width[0]} and {width[1]} bits,"
            f" not {a.width} and {b.width}"
        )
    return Bound(a, b, outputs[0])


def is_other_circuit(ports: Iterable[Port], width: OperandWidth) -> bool:
    """Tell whether ports are those of an adder, of another width, or of a helper module.

    False for a multiplier, and for what looks like a multiplier with an additional, a missing or
    a bidirectional port: that is an error rather than another circuit.
    """
    found = _merge_numbered(ports)
    inputs = [port.width for port in found if port.direction == "input"]
    outputs = [port.width for port in found if port.direction == "output"]
    if not inputs or not outputs or len(inputs) + len(outputs) < len(found):
        return False
    has_operand, has_product = not {*width}.isdisjoint(inputs), sum(width) in outputs
    if len(inputs) == 1:
        return not (has_operand or has_product)
    return not (has_operand and has_product) or (len(inputs) == 2 and set(inputs) != {*width})


def _rule(width: OperandWidth) -> str:
    operand = " or ".join(dict.fromkeys(map(str, width)))
    return f"must be an input of {operand} or an output of {sum(width)} bits"


def _merge_numbered(ports: Iterable[Port]) -> list[Port]:
    """Return the ports, those of one bit that are numbered merged, at the place of the first."""
    merged: dict[tuple[str, ...], list[Port]] = {}
    numbers: dict[tuple[str, ...], list[int]] = {}
    for port in ports:
        found = _NUMBERED.fullmatch(port.name) if port.width == 1 else None
        role = port.direction
        key: tuple[str, ...] = (role, found["stem"]) if found else (role, "", port.name)
        merged.setdefault(key, []).append(port)
        numbers.setdefault(key, []).append(int(found["index"]) if found else 0)
    result: list[Port] = []
    for key, members in merged.items():
        order = sorted(zip(numbers[key], members, strict=True), key=lambda item: item[0])
        if len(members) > 1 and _without_gap([number for number, _ in order]):
            bits = tuple(bit for _, port in order for bit in port.bits)
            result.append(Port(key[1], key[0], bits))
        else:
            result += members
    return result


def _without_gap(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))
