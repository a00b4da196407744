"""Left and top edge of the array: turns beats into the diagonal wave the array computes on."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .delay import delayed

__all__ = ["Edge"]


class Edge(wiring.Component):
    """Delays row r by r + 1 cycles and column c of the weights by c + 1 cycles.

    Parameters
    ----------
    rows, cols : int
    control : :class:`StructLayout`
        See :func:`row_control_layout`.

    Members
    -------
    activation_beat : ``In``, ``rows`` x 8 bits
    select : ``In``
        Word for the banks.
    depthwise : ``In(1)``
        With depthwise layers only.
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

    def __init__(self, *, rows: int, cols: int, control: data.StructLayout):
        self._rows, self._cols = rows, cols
        self._fields = ["select", *(["depthwise"] if "depthwise" in dict(control) else [])]
        super().__init__(
            {
                "activation_beat": In(data.ArrayLayout(unsigned(8), rows)),
                **{name: In(control[name].shape) for name in self._fields},
                "active_rows": In(range(rows + 1)),
                "swap": In(1),
                "weight_beat": In(data.ArrayLayout(unsigned(8), cols)),
                "shift": In(rows),
                "activation": Out(data.ArrayLayout(unsigned(8), rows)),
                "control": Out(data.ArrayLayout(control, rows)),
                "weight": Out(data.ArrayLayout(unsigned(8), cols)),
            }
        )

    def elaborate(self, platform):
        """Return the delay lines."""
        m = Module()
        fields = {name: getattr(self, name) for name in (*self._fields, "active_rows", "swap")}
        for row in range(self._rows):
            # One line carries the controls down the edge, one register a row.
            for name, value in fields.items():
                fields[name] = delayed(m, value, 1, f"{name}_{row}")
            # All rows shift at the beat's own time: row r skips the first r beats instead, so
            # that a row is never disturbed before the wave of the running tile has passed it.
            shift = delayed(m, self.shift[row], 1, f"shift_{row}")
            control, select = self.control[row], fields["select"]
            active = fields["active_rows"] > row
            m.d.comb += [
                control.select.eq(select & active.replicate(len(select))),
                control.swap.eq(fields["swap"]),
                control.shift.eq(shift),
                self.activation[row].eq(
                    delayed(m, self.activation_beat[row], row + 1, f"activation_{row}")
                ),
            ]
            if "depthwise" in fields:
                m.d.comb += control.depthwise.eq(fields["depthwise"])
        for col in range(self._cols):
            line = delayed(m, self.weight_beat[col], col + 1, f"weight_{col}")
            m.d.comb += self.weight[col].eq(line)
        return m
