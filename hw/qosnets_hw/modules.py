# amaranth: UnusedElaboratable=no
"""The modules of a generated array, each built once from the configuration."""

from collections.abc import Sequence

from amaranth.lib import wiring

from .accumulator import Accumulator
from .array import MacArray
from .bank import BankMember, MultiplierBank, OperandGate
from .column import Column, SumColumn
from .config import ArrayConfig
from .edge import Edge
from .grid import Grid
from .layouts import count_shape, select_shape, sums_layout
from .operating_point import OperatingPointRegister
from .output import OutputStage
from .pe import ProcessingElement
from .requantiser import Requantiser
from .sequencer import Sequencer

__all__ = ["build_modules"]


def build_modules(config: ArrayConfig, members: Sequence[BankMember]) -> list[wiring.Component]:
    """Return the components that become Verilog modules, the top last.

    Parameters
    ----------
    config
        Sizes and the layer → select table.
    members
        Multipliers by select code.
    """
    complete = sums_layout(config, column=False)
    gate = OperandGate()
    bank = MultiplierBank(members=members, gate=gate)
    pe = ProcessingElement(bank=bank, psum_shape=count_shape(config.column_psum_max))
    column = Column(pe=pe, rows=config.rows)
    sum_column = SumColumn(rows=config.rows, total_shape=count_shape(config.column_sum_max))
    edge = Edge(rows=config.rows, cols=config.cols, select=select_shape(config))
    grid = Grid(config=config, edge=edge, column=column, sum_column=sum_column)
    accumulator = Accumulator(config=config)
    requantiser = Requantiser(
        products_shape=complete["products"].shape.elem_shape,
        activations_shape=complete["activations"].shape,
    )
    output = OutputStage(config=config, requantiser=requantiser)
    sequencer = Sequencer(config=config)
    operating_point = OperatingPointRegister(config=config)
    array = MacArray(
        config=config,
        grid=grid,
        accumulator=accumulator,
        output=output,
        sequencer=sequencer,
        operating_point=operating_point,
    )
    return [
        gate,
        bank,
        pe,
        column,
        sum_column,
        edge,
        grid,
        accumulator,
        requantiser,
        output,
        sequencer,
        operating_point,
        array,
    ]
