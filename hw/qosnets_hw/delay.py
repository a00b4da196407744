"""Delay lines."""

from amaranth.hdl import Cat, Module, Signal, Value, ValueLike

__all__ = ["delayed"]


def delayed(
    m: Module, value: ValueLike, cycles: int, name: str, *, reset_less: bool = True
) -> Value:
    """Return ``value`` delayed by a shift register, without reset unless asked for."""
    value = Value.cast(value)
    if cycles == 0:
        return value
    line = Signal(cycles * len(value), name=name, reset_less=reset_less)
    m.d.sync += line.eq(Cat(value, line))
    return line[-len(value) :]
