"""How a simulation gets its products: from the netlists, or from one table of all of them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
from qosnets.lut import Lut

from .design import Design

__all__ = ["LOOK_UP", "TABLES_VARIABLE", "MultiplierModel", "look_up_bank", "write_tables"]

TABLES_VARIABLE = "QOSNETS_TABLES"
"""Environment variable with the path of the tables."""

LOOK_UP = Path(__file__).parent / "cpp" / "multiplier_tables.cpp"
"""What the module of :func:`look_up_bank` imports."""

_BANK = """\
module {name}(
  input [7:0] activation,
  input [7:0] weight,
  input [{msb}:0] select,
  output reg [15:0] product
);
  import "DPI-C" pure function shortint unsigned multiplier_product(input int index);
  always @*
    case (select)
      {products}
      default: product = 0;
    endcase
endmodule
"""


class MultiplierModel(StrEnum):
    """What stands for the multipliers in a simulation of the array."""

    NETLIST = "netlist"
    LUT = "lut"
    """Look-ups in tables that all instances share. The netlists are proven equal to them by the
    bench of the multiplier bank."""


def look_up_bank(design: Design) -> str:
    """Return SystemVerilog in place of the multiplier bank."""
    bank = design.manifest["bank"]
    products = [
        f"{word}: product = multiplier_product({{16'd{code}, activation, weight}});"
        for code, word in enumerate(bank["select_words"])
    ]
    msb = bank["ports"]["select"]["width"] - 1
    return _BANK.format(name=bank["module"], msb=msb, products="\n      ".join(products))


def write_tables(tables: Sequence[Lut], path: Path) -> None:
    """Write the tables ``M[x, w]`` of all multipliers, by select code, for TABLES_VARIABLE."""
    np.concatenate([table.ravel() for table in tables]).astype("=u2").tofile(path)
