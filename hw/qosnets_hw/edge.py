"""Left and top edge of the array: turns beats into the diagonal wave the array computes on."""

from amaranth.hdl import Cat, Module, Shape, Signal, Value, ValueLike, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .pe import row_control_layout

__all__ = ["Edge", "delayed"]


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


class Edge(wiring.Component):
    """Delays row r by r + 1 cycles and column c of the weights by c + 1 cycles.

    Parameters
    ----------
    rows, cols : int
    select : :class:`Shape`

    Members
    -------
    activation_beat : ``In``, ``rows`` x 8 bits
    select : ``In``
    active_rows : ``In(range(rows + 1))``
        Rows that take part, from the top.
    swap : ``In(1)``
    weight_beat : ``In``, ``cols`` x 8 bits
    shift : ``In(rows)``
        Rows that take a weight.
    activation : ``Out``, ``rows`` x 8 bits
    control : ``Out``, ``rows`` x :func:`row_control_layout`
    weight : ``Out``, ``cols`` x 8 bits
    """

    module_name = "array_edge"

    def __init__(self, *, rows: int, cols: int, select: Shape):
        self._rows, self._cols = rows, cols
        super().__init__(
            {
                "activation_beat": In(data.ArrayLayout(unsigned(8), rows)),
                "select": In(select),
                "active_rows": In(range(rows + 1)),
                "swap": In(1),
                "weight_beat": In(data.ArrayLayout(unsigned(8), cols)),
                "shift": In(rows),
                "activation": Out(data.ArrayLayout(unsigned(8), rows)),
                "control": Out(data.ArrayLayout(row_control_layout(select), rows)),
                "weight": Out(data.ArrayLayout(unsigned(8), cols)),
            }
        )

    def elaborate(self, platform):
        """Return the delay lines."""
        m = Module()
        select, active_rows, swap = self.select, self.active_rows, self.swap
        for row in range(self._rows):
            # One line carries the controls down the edge, one register a row.
            select = delayed(m, select, 1, f"select_{row}")
            active_rows = delayed(m, active_rows, 1, f"active_rows_{row}")
            swap = delayed(m, swap, 1, f"swap_{row}")
            # All rows shift at the beat's own time: row r skips the first r beats instead, so
            # that a row is never disturbed before the wave of the running tile has passed it.
            shift = delayed(m, self.shift[row], 1, f"shift_{row}")
            control = self.control[row]
            m.d.comb += [
                control.select.eq(select),
                control.active.eq(active_rows > row),
                control.swap.eq(swap),
                control.shift.eq(shift),
                self.activation[row].eq(
                    delayed(m, self.activation_beat[row], row + 1, f"activation_{row}")
                ),
            ]
        for col in range(self._cols):
            line = delayed(m, self.weight_beat[col], col + 1, f"weight_{col}")
            m.d.comb += self.weight[col].eq(line)
        return m
