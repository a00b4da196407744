"""The register map as values, read from SystemRDL."""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from qosnets.errors import InputError
from systemrdl.node import AddrmapNode, FieldNode, Node, RegNode
from systemrdl.rdltypes import AccessType, OnWriteType, PrecedenceType, PropertyReference

__all__ = [
    "WINDOW_BYTES",
    "WORD_BYTES",
    "Field",
    "FieldKind",
    "Register",
    "RegisterMap",
    "read_register_map",
]

WORD_BYTES = 4
"""Size of a register."""

WINDOW_BYTES = 4096
"""Size of the address range that the map may use: a page of an operating system."""


class FieldKind(Enum):
    """Where the value of a field comes from and where it goes."""

    CONSTANT = "constant"
    """The reset value, always."""
    STATUS = "status"
    """An input of the register block, read only."""
    SETTING = "setting"
    """Written and read by software, an output of the register block."""
    PULSE = "pulse"
    """An output, for the one cycle after a write; not readable."""
    STICKY = "sticky"
    """One bit, set by an event and kept until cleared; the event wins."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a register. Fields are referred to by path, ``REGISTER.field``."""

    path: str
    lsb: int
    msb: int
    kind: FieldKind
    readable: bool
    writable: bool
    reset: int
    """Value after reset, 0 for a status."""
    desc: str
    written_strobe: bool
    """Setting: an output tells, for a cycle, that the field was written."""
    highest: int | None
    """Setting: largest legal value, where not all are."""
    refusal_sets: str | None
    """Setting: sticky field set by an illegal value."""
    captured_by: str | None
    """Status: what is read is the value when the register of that field was last read."""
    cleared_by: str | None
    """Sticky: pulse that clears it. A writable one is cleared by writing 1."""
    set_by_sticky_of: str | None
    """Sticky: register any sticky bit of which sets it, in place of an input."""
    enabled_by: str | None
    """Sticky: setting that lets it raise the interrupt; without one it does not."""

    @property
    def name(self) -> str:
        """Name within the register."""
        return self.path.partition(".")[2]

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.msb - self.lsb + 1


@dataclass(frozen=True, kw_only=True)
class Register:
    """A register of 32 bits."""

    name: str
    offset: int
    """Byte address within the window, a multiple of 4."""
    title: str
    desc: str
    fields: tuple[Field, ...]
    """From the least significant bit up."""
    refused_while: str | None = None
    """Status field of one bit; while it is 1, writes are refused."""

    @property
    def readable(self) -> bool:
        """Whether a read is legal."""
        return any(field.readable for field in self.fields)

    @property
    def writable(self) -> bool:
        """Whether a write is legal."""
        return any(field.writable for field in self.fields)


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """All registers, by rising offset."""

    name: str
    registers: tuple[Register, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of all registers."""
        return tuple(field for register in self.registers for field in register.fields)

    @cached_property
    def by_name(self) -> dict[str, Register]:
        """The registers by name."""
        return {register.name: register for register in self.registers}

    @cached_property
    def by_path(self) -> dict[str, Field]:
        """The fields by path."""
        return {field.path: field for field in self.fields}

    @property
    def version(self) -> str:
        """The constants of the register VERSION, ``major.minor``."""
        return ".".join(str(self.by_path[f"VERSION.{part}"].reset) for part in ("major", "minor"))


def read_register_map(top: AddrmapNode) -> RegisterMap:
    """Return the register map of an elaborated address map.

    Raises
    ------
    InputError
        If the map is not a flat list of 32-bit registers within :data:`WINDOW_BYTES`, or uses
        a field or a property that the register block has no hardware for. (Overlaps are found
        by the compiler.)
    """
    registers = []
    for node in top.children(unroll=True):
        if not isinstance(node, RegNode) or node.is_array:
            raise InputError(f"{_path(node)}: must be a single register, not {_sort(node)}")
        registers.append(_read_register(node))
    return RegisterMap(name=top.inst_name, registers=tuple(registers))


def _read_register(node: RegNode) -> Register:
    where = _path(node)
    if (width := node.get_property("regwidth")) != 8 * WORD_BYTES:
        raise InputError(f"{where}: must have {8 * WORD_BYTES} bits, not {width}")
    last = WINDOW_BYTES - WORD_BYTES
    if node.address_offset > last or node.address_offset % WORD_BYTES:
        rule = f"offset must be a multiple of {WORD_BYTES} up to {last:#x}"
        raise InputError(f"{where}: {rule}, not {node.address_offset:#x}")
    return Register(
        name=node.inst_name,
        offset=node.address_offset,
        title=node.get_property("name"),
        desc=node.get_property("desc", default="") or "",
        fields=tuple(_read_field(field) for field in node.fields()),
        refused_while=_refused_while(node),
    )


def _refused_while(node: RegNode) -> str | None:
    target = _reference(node, "refused_while", FieldKind.STATUS)
    if target and node.get_property("refused_while").width != 1:
        raise InputError(f"{_path(node)}: refused_while must refer to a field of one bit")
    return target


_PROPERTIES = {
    FieldKind.CONSTANT: set(),
    FieldKind.STATUS: {"captured_by"},
    FieldKind.SETTING: {"swmod", "highest", "refusal_sets"},
    FieldKind.PULSE: {"singlepulse"},
    FieldKind.STICKY: {"hwset", "hwclr", "intr", "enable", "precedence", "onwrite"},
}
"""What a field of a kind may have beside the properties of all fields."""


def _read_field(node: FieldNode) -> Field:
    where, kind = _path(node), _kind(node)
    known = _PROPERTIES[kind] | {"name", "desc", "sw", "hw", "reset"}
    if unknown := sorted(set(node.list_properties()) - known):
        raise InputError(f"{where}: a {kind.value} field cannot have {unknown[0]}")
    reset = node.get_property("reset", default=None)
    if kind is FieldKind.STATUS:
        reset = 0
    elif not isinstance(reset, int):
        raise InputError(f"{where}: a {kind.value} field must have a reset value")
    clear = node.get_property("hwclr")
    set_by = node.get_property("hwset")
    highest = _highest(node)
    refusal_sets = _reference(node, "refusal_sets", FieldKind.STICKY)
    return Field(
        path=where,
        lsb=node.lsb,
        msb=node.msb,
        kind=kind,
        readable=node.is_sw_readable,
        writable=node.is_sw_writable,
        reset=reset,
        desc=" ".join((node.get_property("desc", default="") or "").split()),
        written_strobe=bool(node.get_property("swmod")),
        highest=highest,
        refusal_sets=None if highest is None else refusal_sets,
        captured_by=_reference(node, "captured_by", FieldKind.STATUS),
        cleared_by=_reference(node, "hwclr", FieldKind.PULSE) if clear else None,
        set_by_sticky_of=_path(set_by.node) if isinstance(set_by, PropertyReference) else None,
        enabled_by=_reference(node, "enable", FieldKind.SETTING),
    )


def _highest(node: FieldNode) -> int | None:
    highest = node.get_property("highest", default=None)
    return None if highest is None or highest >= (1 << node.width) - 1 else int(highest)


def _kind(node: FieldNode) -> FieldKind:
    software, hardware = node.get_property("sw"), node.get_property("hw")
    set_by = node.get_property("hwset")
    match software, hardware:
        case AccessType.r, AccessType.na if not set_by:
            return FieldKind.CONSTANT
        case AccessType.r, AccessType.w:
            return FieldKind.STATUS
        case AccessType.rw, AccessType.r:
            return FieldKind.SETTING
        case AccessType.w, AccessType.r if node.get_property("singlepulse"):
            return FieldKind.PULSE
        case ((AccessType.r | AccessType.rw), AccessType.na):
            clears = node.get_property("onwrite") is OnWriteType.woclr
            is_interrupt = isinstance(set_by, PropertyReference) and set_by.name == "intr"
            if (
                (set_by is True or is_interrupt)
                and node.width == 1
                and node.get_property("precedence") is PrecedenceType.hw
                and clears == (software is AccessType.rw)
            ):
                return FieldKind.STICKY
    kinds = f"sw = {software.name}, hw = {hardware.name}"
    raise InputError(f"{_path(node)}: no kind of field is like this: {kinds} and what goes with it")


def _reference(node: FieldNode | RegNode, name: str, kind: FieldKind) -> str | None:
    """Return the path of the field that a property refers to; it must be of ``kind``."""
    target: Any = node.get_property(name, default=None)
    if target is None:
        return None
    if not isinstance(target, FieldNode) or _kind(target) is not kind:
        raise InputError(f"{_path(node)}: {name} must refer to a {kind.value} field")
    return _path(target)


def _path(node: Node) -> str:
    """Return the path of a register or field within the address map."""
    return node.get_path().partition(".")[2]


def _sort(node: Node) -> str:
    return "an array" if getattr(node, "is_array", False) else node.component_type_name
