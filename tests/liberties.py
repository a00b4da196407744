"""Small Liberty files with figures that can be followed by hand."""

from collections.abc import Sequence
from pathlib import Path

from qosnets_library.gates import Gate, GateNetlist, GateType
from qosnets_library.liberty import Liberty

HEADER = """
  delay_model : table_lookup;
  time_unit : "1ns";
  voltage_unit : "1V";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff);
  nom_voltage : 2.0;
  lu_table_template (load_slew) {
    variable_1 : total_output_net_capacitance;
    variable_2 : input_net_transition;
    index_1 ("1, 2, 4");
    index_2 ("10, 20");
  }
  power_lut_template (slew) {
    variable_1 : input_transition_time;
    index_1 ("0, 10");
  }
"""


def scalar(name: str, value: float) -> str:
    return f'{name} (scalar) {{ values ("{value}"); }}\n'


def timing(pin: str, sense: str, rise: float, fall: float, slew: float = 0.0) -> str:
    tables = scalar("cell_rise", rise) + scalar("cell_fall", fall)
    tables += scalar("rise_transition", slew) + scalar("fall_transition", slew)
    return f'timing () {{ related_pin : "{pin}"; timing_sense : {sense};\n{tables}}}\n'


def energy(rise: float, fall: float, pin: str | None = None, when: str | None = None) -> str:
    related = f'related_pin : "{pin}"; ' if pin else ""
    state = f'when : "{when}"; ' if when else ""
    tables = scalar("rise_power", rise) + scalar("fall_power", fall)
    return f"internal_power () {{ {related}{state}{tables}}}\n"


def input_pin(name: str, capacitance: float, more: str = "") -> str:
    return f"pin ({name}) {{ direction : input; capacitance : {capacitance};\n{more}}}\n"


def output_pin(name: str, function: str, more: str = "") -> str:
    return f'pin ({name}) {{ direction : output; function : "{function}";\n{more}}}\n'


def cell(name: str, *pins: str, area: float = 1, more: str = "") -> str:
    return f"cell ({name}) {{ area : {area};\n{more}{''.join(pins)}}}\n"


INVERTER = cell(
    "INV",
    input_pin("A", 3),
    output_pin("Y", "!A", timing("A", "negative_unate", 7, 3) + energy(4, 2, "A")),
    area=2,
    more="cell_leakage_power : 500;\n",
)
AND = cell(
    "AND",
    input_pin("A", 1, energy(0.5, 0.25)),
    input_pin("B", 2),
    output_pin(
        "Y",
        "A * B",
        timing("A", "positive_unate", 10, 1)
        + timing("B", "positive_unate", 10, 1)
        + energy(8, 0, "A", when="B")
        + energy(2, 2, "A", when="!B")
        + energy(16, 0, "B"),
    ),
    area=5,
)
BUFFER = cell(
    "BUF",
    input_pin("A", 4),
    output_pin("Y", "A", timing("A", "positive_unate", 20, 20)),
    area=9,
)


def setup(rise: float, fall: float, clock: str = "CK") -> str:
    tables = scalar("rise_constraint", rise) + scalar("fall_constraint", fall)
    return f'timing () {{ related_pin : "{clock}"; timing_type : setup_rising;\n{tables}}}\n'


def flip_flop(
    name: str = "DFF", *pins: str, state: str = 'clocked_on : "CK"; next_state : "D";'
) -> str:
    """Return a flip-flop: 30 and 40 to the output, setup 2 and 5; ``pins`` are further ones."""
    arc = timing("CK", "non_unate", 30, 40, 1) + energy(10, 6, "CK")
    arc = arc.replace("timing () {", "timing () { timing_type : rising_edge;")
    return cell(
        name,
        input_pin("CK", 2, energy(0.5, 1.5)),
        input_pin("D", 1, setup(2, 5) + energy(0.25, 0.75)),
        output_pin("Q", "IQ", arc),
        *pins,
        area=7,
        more=f"ff (IQ, IQN) {{ {state} }}\ncell_leakage_power : 100;\n",
    )


GATES = INVERTER + AND + BUFFER
"""As many gates as a library must have."""


def library(*cells: str, header: str = HEADER) -> str:
    return f"library (small) {{{header}{''.join(cells)}}}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "small.lib"
    path.write_text(text)
    return path


def netlist(liberty: Liberty, gates: Sequence[tuple[str, tuple[int, ...]]]) -> GateNetlist:
    """Return a netlist whose last gate makes product bit 0; the other bits are 0."""
    types = {cell.name: GateType(cell.pins, cell.output, cell.function) for cell in liberty.cells}
    last = GateNetlist.FIRST_GATE + len(gates) - 1
    return GateNetlist(tuple(Gate(*gate) for gate in gates), (last, *(0,) * 15), types)
