"""The registers in hardware: AXI4-Lite on one side, a port for each field on the other."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from qosnets.errors import InputError

from .axi_lite import AxiLiteFrontEnd, AxiLiteSignature
from .register_map import WINDOW_BYTES, Field, FieldKind, Register, RegisterMap

__all__ = ["RegisterBlock"]


class RegisterBlock(wiring.Component):
    """Registers of a map behind AXI4-Lite.

    A transfer is answered with SLVERR and has no effect if its address is not that of a register
    (addresses between words included), if it writes with any byte strobe low, if no field of the
    register can be read or written, if the register is refused at the moment, or if a value is
    above ``highest``: only this last case sets the sticky bit meant for it. Bits outside the
    fields are read as 0 and ignored in writes.

    Parameters
    ----------
    register_map : :class:`RegisterMap`
    addr_width : int
        Width of byte addresses, 12 or more: the window of 4 KiB starts at 0.

    Members
    -------
    axi : ``In(AxiLiteSignature(addr_width))``
    irq : ``Out(1)``
        Interrupt, high while a sticky bit and the setting that enables it are both set.
    <register>.<field>
        For each field of a register, both names in lower case. Status: ``In(width)``, the value.
        Setting: ``Out(width)``, the value, and with a written strobe ``Out(1)`` <field>_written,
        high in the first cycle of the value. Pulse: ``Out(width)``, the bits written, for the
        cycle after the write. Sticky: ``In(1)``, the event that sets it. No ports have constants,
        sticky bits set by others, and fields that enable or clear others.

    Raises
    ------
    InputError
        If ``addr_width`` is less than 12.
    """

    module_name = "register_block"

    def __init__(self, *, register_map: RegisterMap, addr_width: int = 12):
        if 1 << addr_width < WINDOW_BYTES:
            rule = f"addr_width: must be at least {WINDOW_BYTES.bit_length() - 1}"
            raise InputError(f"{rule}, not {addr_width}")
        self._map, self._addr_width = register_map, addr_width
        self._inner = {field.cleared_by for field in register_map.fields}
        self._inner |= {field.enabled_by for field in register_map.fields}
        ports = {
            register.name.lower(): Out(wiring.Signature(members))
            for register in register_map.registers
            if (members := self._members(register))
        }
        super().__init__({"axi": In(AxiLiteSignature(addr_width)), **ports, "irq": Out(1)})

    def _members(self, register: Register) -> dict[str, wiring.Member]:
        members = {}
        for field in register.fields:
            name = field.name.lower()
            match field.kind:
                case FieldKind.STATUS:
                    members[name] = In(field.width)
                case FieldKind.STICKY if field.set_by_sticky_of is None:
                    members[name] = In(1)
                case FieldKind.SETTING | FieldKind.PULSE if self._is_output(field):
                    members[name] = Out(field.width)
                    if field.written_strobe:
                        members[f"{name}_written"] = Out(1)
        return members

    def _is_output(self, field: Field) -> bool:
        kinds = (FieldKind.SETTING, FieldKind.PULSE)
        return field.kind in kinds and field.path not in self._inner

    def elaborate(self, platform):
        """Return front end, decoders and fields."""
        m = Module()
        m.submodules.front_end = front_end = AxiLiteFrontEnd(addr_width=self._addr_width)
        connect(m, flipped(self.axi), front_end.axi)
        values = {field.path: self._value(field) for field in self._map.fields}
        written, refused = self._decode_writes(m, front_end.access.write)
        captured = self._decode_reads(m, front_end.access.read, values)

        for register in self._map.registers:
            for field in register.fields:
                value = values[field.path]
                data = _bits(field, front_end.access.write.data)
                strobe = written[register.name] if field.writable else Const(0)
                match field.kind:
                    case FieldKind.SETTING:
                        with m.If(strobe):
                            m.d.sync += value.eq(data)
                    case FieldKind.PULSE:
                        m.d.sync += value.eq(data & strobe.replicate(field.width))
                    case FieldKind.STICKY:
                        cleared = strobe & data
                        if field.cleared_by:
                            cleared |= values[field.cleared_by]
                        events = self._events(field, values, refused)
                        m.d.sync += value.eq((value & ~cleared) | events)
                    case FieldKind.STATUS if field.captured_by:
                        with m.If(captured[field.captured_by]):
                            m.d.sync += value.eq(self._port(field))
                if self._is_output(field):
                    m.d.comb += self._port(field).eq(value)
                    if field.written_strobe:
                        m.d.sync += self._port(field, "_written").eq(strobe)
        enabled = (field for field in self._map.fields if field.enabled_by)
        pending = (values[field.path] & values[field.enabled_by] for field in enabled)
        m.d.comb += self.irq.eq(_any(pending))
        return m

    def _port(self, field: Field, suffix: str = "") -> Signal:
        register, _, name = field.path.partition(".")
        return getattr(getattr(self, register.lower()), name.lower() + suffix)

    def _value(self, field: Field) -> Value:
        """Return what a read of ``field`` gives; for a pulse, its register."""
        if field.kind is FieldKind.CONSTANT:
            return Const(field.reset, field.width)
        if field.kind is FieldKind.STATUS and not field.captured_by:
            return self._port(field)
        width = field.width if field.highest is None else max(1, field.highest.bit_length())
        return Signal(width, init=field.reset, name=_signal_name(field))

    def _decode_writes(self, m: Module, write):
        """Return strobes of accepted writes by register, and of illegal values by field."""
        written, refused, accepted = {}, {}, []
        for register in self._map.registers:
            if not register.writable:
                continue
            selected = write.byte_strobes.all() & (write.address == register.offset)
            if register.refused_while:
                selected &= ~self._port(self._map.by_path[register.refused_while])
            illegal = Const(0)
            for field in register.fields:
                if field.highest is not None:
                    too_high = _bits(field, write.data) > field.highest
                    refused[field.path] = write.strobe & selected & too_high
                    illegal |= too_high
            legal = Signal(name=f"{register.name.lower()}_write_legal")
            m.d.comb += legal.eq(selected & ~illegal)
            accepted.append(legal)
            written[register.name] = write.strobe & legal
        m.d.comb += write.error.eq(~_any(accepted))
        return written, refused

    def _decode_reads(self, m: Module, read, values: dict[str, Value]):
        """Drive data and error of reads; return strobes of reads by field that captures others."""
        captured = {}
        m.d.comb += read.error.eq(1)
        with m.Switch(read.address):
            for register in self._map.registers:
                if register.readable:
                    with m.Case(register.offset):
                        m.d.comb += [read.error.eq(0), read.data.eq(_word(register, values))]
                for field in register.fields:
                    captured[field.path] = read.strobe & (read.address == register.offset)
        return captured

    def _events(self, field: Field, values: dict[str, Value], refused: dict[str, Value]) -> Value:
        """Return whether a sticky field is to be set."""
        fields = self._map.fields
        refusals = _any(refused[other.path] for other in fields if other.refusal_sets == field.path)
        if field.set_by_sticky_of is None:
            return refusals | self._port(field)
        source = self._map.by_name[field.set_by_sticky_of]
        sticky = (other for other in source.fields if other.kind is FieldKind.STICKY)
        return refusals | _any(values[other.path] for other in sticky)


def _word(register: Register, values: dict[str, Value]) -> Value:
    """Return what a read of ``register`` gives."""
    parts, end = [], 0
    for field in register.fields:
        value = values[field.path] if field.readable else Const(0)
        parts += [Const(0, field.lsb - end), value, Const(0, field.width - len(value))]
        end = field.msb + 1
    return Cat(parts)


def _bits(field: Field, word: Value) -> Value:
    return word[field.lsb : field.msb + 1]


def _signal_name(field: Field) -> str:
    return field.path.replace(".", "_").lower()


def _any(conditions: Iterable[Value]) -> Value:
    return reduce(or_, conditions, Const(0))
