# amaranth: UnusedElaboratable=no
"""The modules of a generated array, each built once from the configuration."""

from collections.abc import Sequence

from amaranth.hdl import unsigned
from amaranth.lib import wiring

from .accumulator import Accumulator
from .array import MacArray
from .block import Block
from .column import Column, SumColumn
from .config import ArrayConfig
from .edge import Edge
from .grid import Grid
from .layer_table import LayerTable
from .layouts import column_sums_layout, complete_sums_layout, count_shape, parameter_layout
from .operating_point import OperatingPointRegister
from .output import OutputStage
from .pe import ProcessingElement
from .ram import Ram
from .requantiser import Requantiser
from .sequencer import Sequencer

__all__ = ["build_modules"]


def build_modules(config: ArrayConfig, bank: Sequence[wiring.Component]) -> list[wiring.Component]:
    """Return the components that become Verilog modules, the array last.

    Parameters
    ----------
    config
        Sizes and the layer → select table.
    bank
        Components of the multiplier bank, itself the last of them.
    """
    depthwise = config.depthwise_k_max > 0
    *parts, bank = bank
    psum_shape = count_shape(config.column_psum_max)
    pe = ProcessingElement(bank=bank, psum_shape=psum_shape, depthwise=depthwise)
    column = Column(pe=pe, rows=config.rows)
    sum_column = SumColumn(
        rows=config.rows,
        total_shape=count_shape(config.column_sum_max),
        own_shape=column_sums_layout(config)["own"].shape if depthwise else None,
    )
    edge = Edge(rows=config.rows, cols=config.cols, control=pe.control_in.shape())
    grid = Grid(config=config, edge=edge, column=column, sum_column=sum_column)
    sums = complete_sums_layout(config)
    psums = Ram(module_name="psum_memory", depth=config.psum_depth, width=sums.size)
    accumulator = Accumulator(config=config, psums=Block(psums))
    requantiser = Requantiser(
        products_shape=unsigned(config.psum_width),
        activations_shape=sums["activations"].shape,
    )
    parameters = Ram(
        module_name="parameter_memory",
        depth=config.n_points * config.n_tiles,
        width=config.cols * parameter_layout().size,
        lanes=config.cols,
    )
    output = OutputStage(config=config, requantiser=requantiser, bank=Block(parameters))
    layer_table = LayerTable(config=config)
    sequencer = Sequencer(
        config=config, select_words=bank.select_words, select_shape=bank.select.shape()
    )
    operating_point = OperatingPointRegister(config=config)
    array = MacArray(
        config=config,
        grid=grid,
        accumulator=accumulator,
        output=output,
        layer_table=layer_table,
        sequencer=sequencer,
        operating_point=operating_point,
    )
    return [
        *parts,
        bank,
        pe,
        column,
        sum_column,
        edge,
        grid,
        psums,
        accumulator,
        requantiser,
        parameters,
        output,
        layer_table,
        sequencer,
        operating_point,
        array,
    ]
