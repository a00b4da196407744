"""Columns of the array: one of processing elements, one that sums the activations."""

from amaranth.hdl import Module, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .block import Block
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
            }
        )

    def elaborate(self, platform):
        """Return the chain of elements."""
        m = Module()
        weight, psum = self.weight, 0
        for row in range(self._rows):
            m.submodules[f"pe_{row}"] = pe = Block(self._pe)
            m.d.comb += [
                pe.activation_in.eq(self.activation_in[row]),
                pe.control_in.eq(self.control_in[row]),
                pe.weight_in.eq(weight),
                pe.psum_in.eq(psum),
                self.activation_out[row].eq(pe.activation_out),
                self.control_out[row].eq(pe.control_out),
            ]
            weight, psum = pe.weight_out, pe.psum_out
        m.d.comb += self.psum.eq(psum)
        return m


class SumColumn(wiring.Component):
    """The exact side sum: ``total`` = Σ over the active rows of the activations.

    A cycle faster than :class:`Column`: fed from what leaves the last column, it is aligned.

    Parameters
    ----------
    rows : int
    total_shape : unsigned :class:`Shape`

    Members
    -------
    activation : ``In``, ``rows`` x 8 bits
    active : ``In(rows)``
    total : ``Out(total_shape)``
    """

    module_name = "sum_column"

    def __init__(self, *, rows: int, total_shape: Shape):
        self._rows = rows
        super().__init__(
            {
                "activation": In(data.ArrayLayout(unsigned(8), rows)),
                "active": In(rows),
                "total": Out(total_shape),
            }
        )

    def elaborate(self, platform):
        """Return the chain of adders."""
        m = Module()
        total = 0
        for row in range(self._rows):
            operand = Signal(8, name=f"operand_{row}", reset_less=True)
            partial = Signal.like(self.total, name=f"partial_{row}", reset_less=True)
            masked = self.activation[row] & self.active[row].replicate(8)
            m.d.sync += [operand.eq(masked), partial.eq(total + operand)]
            total = partial
        m.d.comb += self.total.eq(total)
        return m
