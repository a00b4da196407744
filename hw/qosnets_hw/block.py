"""Blocks: components that become Verilog modules of their own, emitted once, instantiated often."""

from amaranth.hdl import ClockSignal, Instance, ResetSignal
from amaranth.lib import wiring

__all__ = ["Block"]


class Block(wiring.Component):
    """Instance of a component's Verilog module.

    Amaranth writes equal submodules again and again; a block is only referred to by name, so the
    text of an array grows with its edges and not with its area.

    Parameters
    ----------
    component
        The component; its ``module_name`` names the module.

    Members
    -------
    The members of ``component``.
    """

    def __init__(self, component: wiring.Component):
        self._component = component
        super().__init__(component.signature)

    def elaborate(self, platform):
        """Return the instance."""
        ports = {}
        if getattr(self._component, "clocked", True):
            ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in self.signature.flatten(self):
            direction = "i" if member.flow is wiring.In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = value
        return Instance(self._component.module_name, **ports)
