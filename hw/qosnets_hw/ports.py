"""Description of a module's ports for the manifest: what a bench needs to drive them."""

from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data, wiring

__all__ = ["describe_ports"]


def describe_ports(component: wiring.Component) -> dict[str, dict[str, Any]]:
    """Return direction, width and bit fields of every port of ``component``, by port name.

    A plain value has ``signed``; a structure has ``fields`` by name, each with its ``offset``;
    an array has ``length`` and the layout of an ``element``. Offsets and widths are in bits.
    """
    ports = {}
    for path, member, value in component.signature.flatten(component):
        shape = value.shape() if hasattr(value, "shape") else member.shape
        direction = "input" if member.flow is wiring.In else "output"
        ports["__".join(map(str, path))] = {"direction": direction} | _describe(shape)
    return dict(sorted(ports.items()))


def _describe(shape) -> dict[str, Any]:
    if isinstance(shape, data.ArrayLayout):
        element = _describe(shape.elem_shape)
        return {"width": shape.size, "length": shape.length, "element": element}
    if isinstance(shape, data.StructLayout):
        fields = {name: {"offset": field.offset} | _describe(field.shape) for name, field in shape}
        return {"width": shape.size, "fields": fields}
    shape = Shape.cast(shape)
    return {"width": shape.width, "signed": shape.signed}
