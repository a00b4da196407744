"""AXI4-Lite: signature, and a front end that turns transfers into register accesses."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AccessSignature", "AxiLiteFrontEnd", "AxiLiteSignature", "Response"]


class Response(enum.Enum, shape=2):
    """Answer to a transfer (AMBA AXI specification, response signalling)."""

    OKAY = 0
    SLVERR = 2


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite with 32 bits of data, seen from the manager.

    Parameters
    ----------
    addr_width : int
        Width of byte addresses.

    Members
    -------
    aw, ar : ``valid``, ``ready``, ``addr``, ``prot``
        Write and read addresses.
    w : ``valid``, ``ready``, ``data``, ``strb``
        Write data with a strobe for each byte.
    b : ``valid``, ``ready``, ``resp``
        Write responses.
    r : ``valid``, ``ready``, ``data``, ``resp``
        Read data and responses.
    """

    def __init__(self, addr_width: int):
        address = {"addr": Out(addr_width), "prot": Out(3)}
        response = {"resp": In(Response)}
        super().__init__(
            {
                "aw": _channel(Out, address),
                "w": _channel(Out, {"data": Out(32), "strb": Out(4)}),
                "b": _channel(In, response),
                "ar": _channel(Out, address),
                "r": _channel(In, {"data": In(32), **response}),
            }
        )


def _channel(flow: wiring.Flow, payload: dict[str, wiring.Member]) -> wiring.Member:
    handshake = {"valid": flow(1), "ready": flow.flip()(1)}
    return Out(wiring.Signature({**handshake, **payload}))


class AccessSignature(wiring.Signature):
    """Reads and writes of registers, each finished in the cycle of its strobe.

    Both may take place in the same cycle; the read then gives the value before the write.

    Parameters
    ----------
    addr_width : int
        Width of byte addresses.

    Members
    -------
    read : ``strobe``, ``address``, ``data``, ``error``
        ``data`` and ``error`` answer in the same cycle.
    write : ``strobe``, ``address``, ``data``, ``byte_strobes``, ``error``
        ``error`` answers in the same cycle.
    """

    def __init__(self, addr_width: int):
        read = {"strobe": Out(1), "address": Out(addr_width), "data": In(32), "error": In(1)}
        write = {
            "strobe": Out(1),
            "address": Out(addr_width),
            "data": Out(32),
            "byte_strobes": Out(4),
            "error": In(1),
        }
        super().__init__(
            {"read": Out(wiring.Signature(read)), "write": Out(wiring.Signature(write))}
        )


class AxiLiteFrontEnd(wiring.Component):
    """Turns AXI4-Lite transfers into accesses.

    Addresses and write data are registered when taken, in any order; an access takes place in the
    cycle after, or when the response before it has been taken. A response follows a cycle later
    and waits for its ready. Every output comes from a register, so no path leads from an input to
    an output. Reads and writes do not wait for each other. At most one transfer of a direction
    per two cycles.

    Parameters
    ----------
    addr_width : int
        Width of byte addresses.

    Members
    -------
    axi : ``In(AxiLiteSignature(addr_width))``
        Protection bits are ignored.
    access : ``Out(AccessSignature(addr_width))``
        An error is answered with SLVERR.
    """

    def __init__(self, *, addr_width: int):
        super().__init__(
            {
                "axi": In(AxiLiteSignature(addr_width)),
                "access": Out(AccessSignature(addr_width)),
            }
        )

    def elaborate(self, platform):
        """Return a register for each channel."""
        m = Module()
        aw, w, b, ar, r = self.axi.aw, self.axi.w, self.axi.b, self.axi.ar, self.axi.r
        read, write = self.access.read, self.access.write

        write_address_held = _hold(m, aw, [(aw.addr, write.address)], done=write.strobe)
        data = [(w.data, write.data), (w.strb, write.byte_strobes)]
        write_data_held = _hold(m, w, data, done=write.strobe)
        read_address_held = _hold(m, ar, [(ar.addr, read.address)], done=read.strobe)
        m.d.comb += [
            write.strobe.eq(write_address_held & write_data_held & ~b.valid),
            read.strobe.eq(read_address_held & ~r.valid),
        ]

        _respond(m, b, write)
        _respond(m, r, read)
        with m.If(read.strobe):
            m.d.sync += r.data.eq(read.data)
        return m


def _hold(m: Module, channel, registers, *, done):
    """Take a transfer of ``channel`` into ``registers``; return whether one is held."""
    held = Signal(name=f"{channel.valid.name}_held")
    m.d.comb += channel.ready.eq(~held)
    with m.If(channel.valid & channel.ready):
        m.d.sync += held.eq(1)
        for source, register in registers:
            m.d.sync += register.eq(source)
    with m.Elif(done):
        m.d.sync += held.eq(0)
    return held


def _respond(m: Module, channel, access) -> None:
    """Offer a response from the access to the handshake."""
    with m.If(access.strobe):
        m.d.sync += [
            channel.valid.eq(1),
            channel.resp.eq(Mux(access.error, Response.SLVERR, Response.OKAY)),
        ]
    with m.Elif(channel.ready):
        m.d.sync += channel.valid.eq(0)
