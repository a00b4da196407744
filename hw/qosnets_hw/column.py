"""Columns of the array: one of processing elements, one that sums the activations."""

from amaranth.hdl import Module, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .block import Block
from .delay import delayed
from .pe import ProcessingElement

__all__ = ["Column", "SumColumn"]


class Column(wiring.Component):
    """A column of processing elements: ``psum`` = Σ over the rows of M(activation, weight).

    Row r must get its activation r cycles after row 0. The sum leaves ``rows + 2`` cycles after
    the activation of row 0 came in. A weight beat enters at the top while ``shift`` is set in the
    rows; after ``rows`` beats, the last of them is in row 0.

    Parameters
    ----------
    pe : :class:`ProcessingElement`
    rows : int

    Members
    -------
    activation_in, activation_out : ``rows`` x 8 bits
    control_in, control_out : ``rows`` x :func:`row_control_layout`
    weight : ``In(8)``
    psum : ``Out``
    own : ``In(rows)``
        With depthwise layers only. Rows whose activation is that of this column; constant.
    """

    module_name = "column"

    def __init__(self, *, pe: ProcessingElement, rows: int):
        self._pe = pe
        self._rows = rows
        activations = data.ArrayLayout(unsigned(8), rows)
        controls = data.ArrayLayout(pe.control_in.shape(), rows)
        super().__init__(
            {
                "activation_in": In(activations),
                "control_in": In(controls),
                "activation_out": Out(activations),
                "control_out": Out(controls),
                "weight": In(8),
                "psum": Out(pe.psum_out.shape()),
                **({"own": In(rows)} if pe.depthwise else {}),
            }
        )

    def elaborate(self, platform):
        """Return the chain of elements."""
        m = Module()
        weight, psum = self.weight, 0
        for row in range(self._rows):
            m.submodules[f"pe_{row}"] = pe = Block(self._pe, name=f"pe_{row}")
            m.d.comb += [
                pe.activation_in.eq(self.activation_in[row]),
                pe.control_in.eq(self.control_in[row]),
                pe.weight_in.eq(weight),
                pe.psum_in.eq(psum),
                self.activation_out[row].eq(pe.activation_out),
                self.control_out[row].eq(pe.control_out),
            ]
            if self._pe.depthwise:
                m.d.comb += pe.own.eq(self.own[row])
            weight, psum = pe.weight_out, pe.psum_out
        m.d.comb += self.psum.eq(psum)
        return m


class SumColumn(wiring.Component):
    """The exact side sums: ``total`` = Σ over the active rows of the activations.

    A cycle faster than :class:`Column`: fed from what leaves the last column, it is aligned.

    Parameters
    ----------
    rows : int
    total_shape : unsigned :class:`Shape`
    own_shape : :class:`ArrayLayout` or None
        Sums by lane, of ``rows // lanes`` activations each; None without depthwise layers.

    Members
    -------
    activation : ``In``, ``rows`` x 8 bits
    active : ``In(rows)``
    total : ``Out(total_shape)``
    own : ``Out(own_shape)``
        Lane l: the sum over the active ones of the rows l, l + lanes, l + 2·lanes, …
    """

    module_name = "sum_column"

    def __init__(self, *, rows: int, total_shape: Shape, own_shape: data.ArrayLayout | None):
        self._rows, self._own_shape = rows, own_shape
        super().__init__(
            {
                "activation": In(data.ArrayLayout(unsigned(8), rows)),
                "active": In(rows),
                "total": Out(total_shape),
                **({"own": Out(own_shape)} if own_shape else {}),
            }
        )

    def elaborate(self, platform):
        """Return the chains of adders."""
        m = Module()
        operands = []
        for row in range(self._rows):
            operand = Signal(8, name=f"operand_{row}", reset_less=True)
            m.d.sync += operand.eq(self.activation[row] & self.active[row].replicate(8))
            operands.append(operand)
        m.d.comb += self.total.eq(self._chain(m, operands, 0, 1, self.total.shape(), "partial"))
        if self._own_shape is not None:
            lanes = self._own_shape.length
            shape = self._own_shape.elem_shape
            for lane in range(lanes):
                own = self._chain(m, operands, lane, lanes, shape, f"own_{lane}")
                m.d.comb += self.own[lane].eq(own)
        return m

    def _chain(self, m: Module, operands, first: int, step: int, shape: Shape, name: str):
        """Return the sum of ``operands[first::step]``, at the time of the sum of all rows.

        Only whole turns count: rows that do not make up one for all lanes are left out.
        """
        total, time = 0, 0
        for row in range(first, self._rows - self._rows % step, step):
            # The operand comes a cycle after that of the row above.
            total = delayed(m, total, row - time, f"{name}_{row}_wait") if time else 0
            partial = Signal(shape, name=f"{name}_{row}", reset_less=True)
            m.d.sync += partial.eq(total + operands[row])
            total, time = partial, row + 1
        return delayed(m, total, self._rows - time, f"{name}_wait")
