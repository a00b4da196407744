"""The systolic grid: edge, columns and the alignment of their sums."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .block import Block
from .column import Column, SumColumn
from .config import ArrayConfig
from .delay import delayed
from .edge import Edge
from .layouts import column_sums_layout

__all__ = ["Grid"]


class Grid(wiring.Component):
    """Σ_k M(x_k, w_k) of a row tile for all columns, and Σ_k x_k, for every activation beat.

    Takes a beat each cycle; its sums come :attr:`ArrayConfig.array_latency` cycles later.

    Parameters
    ----------
    config : :class:`ArrayConfig`
    edge : :class:`Edge`
    column : :class:`Column`
    sum_column : :class:`SumColumn`

    Members
    -------
    The inputs of :class:`Edge`, and ``sums``, ``Out(column_sums_layout(config))``.
    """

    module_name = "grid"

    def __init__(self, *, config: ArrayConfig, edge: Edge, column: Column, sum_column: SumColumn):
        self._cols, self._lanes = config.cols, config.depthwise_lanes
        self._used_rows = config.depthwise_taps * config.depthwise_lanes
        self._edge, self._column, self._sum_column = edge, column, sum_column
        members = edge.signature.members
        inputs = {name: member for name, member in members.items() if member.flow is In}
        self._inputs = tuple(inputs)
        super().__init__(inputs | {"sums": Out(column_sums_layout(config))})

    def elaborate(self, platform):
        """Return the columns side by side."""
        m = Module()
        m.submodules.edge = edge = Block(self._edge)
        m.d.comb += [getattr(edge, name).eq(getattr(self, name)) for name in self._inputs]
        activation, control = edge.activation, edge.control
        for col in range(self._cols):
            place = f"column_{col}"
            m.submodules[place] = column = Block(self._column, name=place)
            m.d.comb += [
                column.activation_in.eq(activation),
                column.control_in.eq(control),
                column.weight.eq(edge.weight[col]),
            ]
            if self._lanes:
                own_rows = range(col, self._used_rows, self._lanes) if col < self._lanes else ()
                m.d.comb += column.own.eq(sum(1 << row for row in own_rows))
            aligned = delayed(m, column.psum, self._cols - 1 - col, f"psum_{col}")
            m.d.comb += self.sums.products[col].eq(aligned)
            activation, control = column.activation_out, column.control_out

        m.submodules.sum_column = sum_column = Block(self._sum_column)
        m.d.comb += [
            sum_column.activation.eq(activation),
            self.sums.activations.eq(sum_column.total),
        ]
        if self._lanes:
            m.d.comb += self.sums.own.eq(sum_column.own)
        m.d.comb += [
            sum_column.active[row].eq(control_of_row.select.any())
            for row, control_of_row in enumerate(control)
        ]
        return m
