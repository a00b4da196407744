"""Blocks: components that become Verilog modules of their own, emitted once, instantiated often."""

from amaranth.hdl import ClockSignal, Instance, ResetSignal, ValueLike, unsigned
from amaranth.lib import data, wiring

__all__ = ["Block"]


class Block(wiring.Component):
    """Instance of a component's Verilog module.

    Amaranth writes equal submodules again and again; a block is only referred to by name, so the
    text of an array grows with its edges and not with its area.

    Parameters
    ----------
    component
        The component; its ``module_name`` names the module. ``domain_ports`` are the ports for
        clock and reset that it has, both unless it says otherwise.
    reset
        Resets the instance, beside the reset of its domain.
    name
        Starts the names of the signals at its ports, so that those of several instances of a
        component can be told apart.

    Members
    -------
    The members of ``component``.
    """

    def __init__(
        self, component: wiring.Component, *, reset: ValueLike = 0, name: str | None = None
    ):
        self._component, self._reset = component, reset
        # A signal with a layout gets a wire for every field. There would be many of the ports of
        # a column, so signals are plain here and seen through their layouts.
        layouts = {
            name: member.shape
            for name, member in component.signature.members.items()
            if member.is_port and isinstance(member.shape, data.Layout)
        }
        plain = {
            name: wiring.Member(member.flow, unsigned(layouts[name].size))
            if name in layouts
            else member
            for name, member in component.signature.members.items()
        }
        super().__init__(plain)
        if name is not None:
            for _, _, signal in self.signature.flatten(self):
                signal.name = f"{name}_{signal.name}"
        for port, layout in layouts.items():
            setattr(self, port, layout(getattr(self, port)))

    def elaborate(self, platform):
        """Return the instance."""
        domain = {"clk": ClockSignal(), "rst": ResetSignal() | self._reset}
        names = getattr(self._component, "domain_ports", tuple(domain))
        ports = {f"i_{name}": domain[name] for name in names}
        for path, member, value in self.signature.flatten(self):
            direction = "i" if member.flow is wiring.In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = value
        return Instance(self._component.module_name, **ports)
