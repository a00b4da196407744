"""The cells that :mod:`.liberty` keeps of a file, written as Liberty for synthesis.

Synthesis that reads this maps to the cells that the estimates know, and to no others. Internal
power is not written: synthesis does not ask for it.
"""

import re
from collections.abc import Sequence

from .boolean import parenthesised
from .liberty import Arc, Edge, FlipFlop, InputPin, Liberty, LibertyCell, Table

__all__ = ["write_liberty"]

_HEADER = """\
library (cells) {{
  delay_model : table_lookup;
  time_unit : "1ns";
  voltage_unit : "1V";
  current_unit : "1uA";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff);
  nom_voltage : {voltage};
{templates}{cells}}}
"""

_TEMPLATE = """\
  lu_table_template ({kind}_{rows}x{columns}) {{
    variable_1 : {variables[0]};
    variable_2 : {variables[1]};
    index_1 ("{first}");
    index_2 ("{second}");
  }}
"""

_VARIABLES = {
    "delay": ("input_net_transition", "total_output_net_capacitance"),
    "setup": ("constrained_pin_transition", "related_pin_transition"),
}


def write_liberty(liberty: Liberty) -> str:
    """Return areas, functions, capacitances and timing of all cells as Liberty text."""
    cells = "".join((*map(_combinational, liberty.cells), *map(_flip_flop, liberty.flip_flops)))
    # Readers want a template with as many entries as the tables made of it.
    used = sorted(set(re.findall(r"\((\w+)_(\d+)x(\d+)\)", cells)))
    templates = "".join(
        _TEMPLATE.format(
            kind=kind,
            rows=rows,
            columns=columns,
            variables=_VARIABLES[kind],
            first=_axis(tuple(range(int(rows)))),
            second=_axis(tuple(range(int(columns)))),
        )
        for kind, rows, columns in used
    )
    return _HEADER.format(voltage=liberty.voltage_v, templates=templates, cells=cells)


def _combinational(cell: LibertyCell) -> str:
    arcs = "".join(_arc(arc) for arc in cell.arcs)
    output = _output(cell.output, parenthesised(cell.function), arcs)
    return _cell(cell.name, cell.area_um2, "".join(map(_input, cell.inputs)) + output)


def _flip_flop(cell: FlipFlop) -> str:
    clock, data = cell.clock.name, cell.data.name
    setup = f"""\
      timing () {{ related_pin : "{clock}"; timing_type : setup_rising;
{_table("rise_constraint", cell.setup_rise, "setup")}\
{_table("fall_constraint", cell.setup_fall, "setup")}      }}
"""
    arc = f"""\
      timing () {{ related_pin : "{clock}"; timing_type : rising_edge; timing_sense : non_unate;
{_edge("rise", cell.rise)}{_edge("fall", cell.fall)}      }}
"""
    content = f'    ff (IQ, IQN) {{ clocked_on : "{clock}"; next_state : "{data}"; }}\n'
    content += _input(cell.clock, "      clock : true;\n") + _input(cell.data, setup)
    return _cell(cell.name, cell.area_um2, content + _output(cell.output, "IQ", arc))


def _cell(name: str, area: float, content: str) -> str:
    return f"  cell ({name}) {{\n    area : {area};\n{content}  }}\n"


def _input(pin: InputPin, more: str = "") -> str:
    return f"""\
    pin ({pin.name}) {{
      direction : input;
      capacitance : {pin.capacitance_ff};
{more}    }}
"""


def _output(name: str, function: str, timing: str) -> str:
    return f"""\
    pin ({name}) {{
      direction : output;
      function : "{function}";
{timing}    }}
"""


def _arc(arc: Arc) -> str:
    sense = "positive_unate" if not arc.negative else "negative_unate"
    if arc.positive and arc.negative:
        sense = "non_unate"
    # Of an arc that a file states for one edge only, synthesis takes that edge for both.
    rise, fall = arc.rise or arc.fall, arc.fall or arc.rise
    edges = _edge("rise", rise) + _edge("fall", fall) if rise and fall else ""
    return f"""\
      timing () {{ related_pin : "{arc.pin}"; timing_sense : {sense};
{edges}      }}
"""


def _edge(name: str, edge: Edge) -> str:
    return _table(f"cell_{name}", edge.delay, "delay") + _table(
        f"{name}_transition", edge.slew, "delay"
    )


def _table(name: str, table: Table, kind: str) -> str:
    # An axis that a table lacks gets two equal entries: some readers want a square at least.
    rows = table.values if len(table.slews) > 1 else table.values * 2
    if len(table.loads) == 1:
        rows = tuple((*row, *row) for row in rows)
    lines = ", ".join(f'"{", ".join(map(repr, row))}"' for row in rows)
    return f"""\
        {name} ({kind}_{len(rows)}x{len(rows[0])}) {{
          index_1 ("{_axis(table.slews)}");
          index_2 ("{_axis(table.loads)}");
          values ({lines});
        }}
"""


def _axis(values: Sequence[float]) -> str:
    return ", ".join(map(repr, values if len(values) > 1 else (0.0, 1.0)))
