"""Product tables of canonical netlists."""

from qosnets.lut import Lut

from .elaborate import elaborate

__all__ = ["netlist_lut"]


def netlist_lut(text: str, *, where: str = "netlist") -> Lut:
    """Return the table of a canonical netlist, evaluated for all operand pairs from its text.

    ``where`` starts the messages.

    Raises
    ------
    InputError
        If the text is not a combinational multiplier.
    """
    netlist = elaborate({"netlist.v": text.encode()}, top="multiplier", where=where)
    return netlist.lut()
