"""The layer table: how each layer is laid out on the array."""

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ArrayConfig
from .layouts import layer_layout, layer_shape, layer_write_layout

__all__ = ["LayerTable"]


class LayerTable(wiring.Component):
    """An entry for each layer, empty after reset.

    Parameters
    ----------
    config : :class:`ArrayConfig`

    Members
    -------
    writes : ``In(stream.Signature(layer_write_layout))``
        Always accepted.
    layer : ``In(layer_shape)``
    entry : ``Out(layer_layout)``
        That of ``layer``, in the same cycle.
    written : ``Out(1)``
        ``layer`` exists and has an entry.
    """

    module_name = "layer_table"

    def __init__(self, *, config: ArrayConfig):
        self._config = config
        super().__init__(
            {
                "writes": In(stream.Signature(layer_write_layout(config))),
                "layer": In(layer_shape(config)),
                "entry": Out(layer_layout(config)),
                "written": Out(1),
            }
        )

    def elaborate(self, platform):
        """Return the memory, and a flag for each entry."""
        m = Module()
        n_layers = self._config.n_layers
        m.submodules.table = table = memory.Memory(
            shape=layer_layout(self._config), depth=n_layers, init=[]
        )
        read, write = table.read_port(domain="comb"), table.write_port()
        has_entry = Signal(n_layers)
        request = self.writes.payload
        m.d.comb += [
            self.writes.ready.eq(1),
            write.addr.eq(request.layer),
            write.data.eq(request.entry),
            write.en.eq(self.writes.valid),
            read.addr.eq(self.layer),
            self.entry.eq(read.data),
            self.written.eq((self.layer < n_layers) & has_entry.bit_select(self.layer, 1)),
        ]
        with m.If(self.writes.valid):
            m.d.sync += has_entry.bit_select(request.layer, 1).eq(1)
        return m
