"""Product tables of canonical netlists."""

from qosnets.lut import Lut

from .elaborate import elaborate

__all__ = ["netlist_lut"]


def netlist_lut(text: str) -> Lut:
    """Return the table of a canonical netlist, evaluated for all operand pairs from its text.

    Raises
    ------
    InputError
        If the text is not a combinational multiplier.
    """
    netlist = elaborate({"netlist.v": text.encode()}, top="multiplier", where="netlist")
    return netlist.lut()
