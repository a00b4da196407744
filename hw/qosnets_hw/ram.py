"""Memories that a user may replace by macros."""

from amaranth.hdl import Module, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .layouts import index_shape

__all__ = ["Ram"]

_VERILOG = """\
// {depth} words of {width} bits; a read gives the word a cycle later.
// The same word is never read and written in one cycle. No initial content is needed.
module {name}(
  input clk,
  input read_enable,
  input [{address_msb}:0] read_address,
  output reg [{msb}:0] read_data,
  input [{lane_msb}:0] write_enable,  // a bit for every {lane_width} bits
  input [{address_msb}:0] write_address,
  input [{msb}:0] write_data
);
  reg [{msb}:0] memory [0:{last}];
  integer lane;
  always @(posedge clk) begin
    if (read_enable) read_data <= memory[read_address];
    for (lane = 0; lane < {lanes}; lane = lane + 1)
      if (write_enable[lane])
        memory[write_address][lane * {lane_width} +: {lane_width}]
          <= write_data[lane * {lane_width} +: {lane_width}];
  end
endmodule
"""


class Ram(wiring.Component):
    """Memory with a port for reading and one for writing, in a module of its own.

    The Verilog is written out here, since what Amaranth writes has initial content: bits that no
    macro has.

    Parameters
    ----------
    module_name : str
    depth, width : int
        Words, and bits of a word.
    lanes : int
        Parts of a word that can be written alone.

    Members
    -------
    read_enable, read_address : ``In``
    read_data : ``Out(width)``
        Comes a cycle after its address, and stays until the next enabled read.
    write_enable : ``In(lanes)``
    write_address, write_data : ``In``
        A word must not be read in the cycle in which it is written.
    """

    domain_ports = ("clk",)

    def __init__(self, *, module_name: str, depth: int, width: int, lanes: int = 1):
        if width % lanes:
            raise ValueError(f"Width must be a multiple of {lanes} lanes, not {width!r}")
        self.module_name = module_name
        self._depth, self._width, self._lanes = depth, width, lanes
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(index_shape(depth)),
                "read_data": Out(width),
                "write_enable": In(lanes),
                "write_address": In(index_shape(depth)),
                "write_data": In(width),
            }
        )

    @property
    def verilog(self) -> str:
        """The module."""
        return _VERILOG.format(
            name=self.module_name,
            depth=self._depth,
            last=self._depth - 1,
            width=self._width,
            msb=self._width - 1,
            address_msb=len(self.read_address) - 1,
            lanes=self._lanes,
            lane_msb=self._lanes - 1,
            lane_width=self._width // self._lanes,
        )

    def elaborate(self, platform):
        """Return the same in Amaranth, for simulation."""
        m = Module()
        m.submodules.memory = cells = memory.Memory(
            shape=unsigned(self._width), depth=self._depth, init=[]
        )
        read, write = cells.read_port(), cells.write_port(granularity=self._width // self._lanes)
        m.d.comb += [
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
        ]
        return m
