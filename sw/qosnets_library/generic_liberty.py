"""The generic cells as a Liberty library, complete with timing and power.

The scale is that of a 65 nm process at 1 V, as chosen by the constants below. By the linear model
of logical effort, a stage whose output has the capacitance C delays by R·C, R being the
resistance of an inverter of widths 1 and 2, whatever the slew at its input: an inverter that
drives four like it takes 15 ps. The edge is taken for an exponential one: since it passes 50 % at
R·C, it goes from 20 % to 80 % in R·C·ln 4 / ln 2.

An edge charges or discharges the nets inside the cell and the drains on the output: ½·C·V² each.
How many nets inside change is averaged over the states of the other pins, and those of the loops
of a flip-flop.
"""

from collections import defaultdict
from itertools import product

from .boolean import compile_function
from .cells import CELLS, CELLS_NAME, Cell
from .generic_flip_flop import FlipFlopEdges, Settling, flip_flop_edges

__all__ = ["liberty"]

# Chosen, as round figures of a 65 nm process; about those of the examples in N. Weste, D. Harris,
# *CMOS VLSI Design*, 4th edition: 0.1 fF and 10 kOhm for a transistor of unit width, which makes
# 3 ps of 3·R·C.
_FF_PER_WIDTH = 0.1
_PS_PER_FF = 10
_VOLTAGE_V = 1.0
_PS_PER_WIDTH = _FF_PER_WIDTH * _PS_PER_FF
_FJ_PER_WIDTH = 0.5 * _FF_PER_WIDTH * _VOLTAGE_V**2
# Chosen: about that of NAND2 in 65 nm, so that areas read as gate equivalents, too.
_UM2_PER_GE = 1.0

_SLEW_PER_DELAY = 2  # ln 4 / ln 2

_MAX_LOAD_FF = 100
"""End of the tables; they are linear, so that any continuation is right."""

_MAX_SLEW_PS = 1000


def liberty() -> str:
    """Return the library as Liberty text."""
    return f"""\
/* Generic cells for estimates where no library of a process is at hand. Figures follow the method
   of logical effort (Sutherland, Sproull, Harris: Logical Effort, 1999): areas, capacitances and
   delays from transistor widths. The scale is chosen, as that of a 65 nm process:
   {_FF_PER_WIDTH} fF per unit of width, {_PS_PER_FF} kOhm for the unit inverter, \
{_VOLTAGE_V} V, {_UM2_PER_GE} um2 for NAND2.
   Leakage is 0, since the method has no figure for it. */
library ("{CELLS_NAME}") {{
  technology (cmos);
  delay_model : table_lookup;
  time_unit : "1ps";
  voltage_unit : "1V";
  current_unit : "1uA";
  pulling_resistance_unit : "1kohm";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, ff);
  nom_process : 1;
  nom_voltage : {_VOLTAGE_V};
  nom_temperature : 25;
  input_threshold_pct_rise : 50;
  input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50;
  output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20;
  slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80;
  slew_upper_threshold_pct_fall : 80;
  default_cell_leakage_power : 0;
  lu_table_template (linear) {{
    variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance;
    index_1 ("0, {_MAX_SLEW_PS}");
    index_2 ("0, {_MAX_LOAD_FF}");
  }}
{"".join(_cell(cell) for cell in CELLS.values())}}}
"""


def _cell(cell: Cell) -> str:
    if cell.clock:
        return _flip_flop(cell)
    figures = _timing(cell) + _output_energies(cell)
    pins = "".join(_input(cell, pin, _hidden_energy(cell, pin)) for pin in cell.inputs)
    return _cell_group(cell, pins + _output(cell, cell.function, figures))


def _flip_flop(cell: Cell) -> str:
    edges = flip_flop_edges(cell)
    (data,) = (pin for pin in cell.inputs if pin != cell.clock)
    setup = "".join(
        f'        {edge}_constraint (scalar) {{ values ("{edges.setup * _PS_PER_WIDTH:g}"); }}\n'
        for edge in ("rise", "fall")
    )
    setup = f"""\
      timing () {{
        related_pin : "{cell.clock}";
        timing_type : setup_rising;
{setup}      }}
"""
    powers = {
        pin: _internal_power("", _settling_power(hidden))
        for pin, hidden in ((cell.clock, edges.clock_hidden), (data, edges.data))
    }
    state = f'    ff (IQ, IQN) {{ clocked_on : "{cell.clock}"; next_state : "{data}"; }}\n'
    pins = "".join(
        _input(cell, pin, powers[pin], setup if pin == data else "") for pin in cell.inputs
    )
    return _cell_group(cell, state + pins + _output(cell, "IQ", _clock_to_output(cell, edges)))


def _clock_to_output(cell: Cell, edges: FlipFlopEdges) -> str:
    slews = _slews(cell)
    tables = ""
    for edge, value in (("rise", True), ("fall", False)):
        fixed = max(found.times[cell.output] for found in edges.clock_rise[value])
        delays = [fixed * _PS_PER_WIDTH + _PS_PER_FF * load for load in (0, _MAX_LOAD_FF)]
        tables += _edge(edge, delays, slews)
    return f"""\
      timing () {{
        related_pin : "{cell.clock}";
        timing_sense : non_unate;
        timing_type : rising_edge;
{tables}      }}
{_internal_power(f'        related_pin : "{cell.clock}";', _settling_power(edges.clock_rise))}"""


def _settling_power(edges: dict[bool, list[Settling]]) -> str:
    """Return the energy of rising and falling edges, each averaged over the states."""
    text = ""
    for edge, value in (("rise", True), ("fall", False)):
        widths = [found.width for found in edges[value]]
        text += _scalar(f"{edge}_power", sum(widths) / len(widths) * _FJ_PER_WIDTH)
    return text


def _cell_group(cell: Cell, content: str) -> str:
    return f"""\
  cell ({cell.name}) {{
    area : {cell.area_ge * _UM2_PER_GE:g};
    cell_leakage_power : 0;
{content}  }}
"""


def _output(cell: Cell, function: str, figures: str) -> str:
    return f"""\
    pin ({cell.output}) {{
      direction : output;
      function : "{function}";
{figures}    }}
"""


def _input(cell: Cell, pin: str, power: str, timing: str = "") -> str:
    clock = "      clock : true;\n" if pin == cell.clock else ""
    return f"""\
    pin ({pin}) {{
      direction : input;
      capacitance : {cell.capacitance(pin) * _FF_PER_WIDTH:g};
{clock}{power}{timing}    }}
"""


def _hidden_energy(cell: Cell, pin: str) -> str:
    energy = _energy(cell, pin, output_changes=False)
    return _internal_power("", _power(energy)) if energy else ""


def _internal_power(related: str, tables: str) -> str:
    return "\n".join(filter(None, ("      internal_power () {", related, f"{tables}      }}\n")))


def _timing(cell: Cell) -> str:
    """Return a timing group per input pin and sense: that of the slowest path."""
    # Longest delay by input pin and parity of the stages, up to each net.
    by_net: dict[str, dict[tuple[str, int], float]] = {pin: {(pin, 0): 0.0} for pin in cell.inputs}
    for net, stage, sources in cell.stages:
        capacitance = (stage.drains + cell.capacitance(net)) * _FF_PER_WIDTH
        reached: dict[tuple[str, int], float] = defaultdict(float)
        for source in sources:
            for (pin, parity), delay in by_net[source].items():
                key = pin, 1 - parity
                reached[key] = max(reached[key], delay + capacitance * _PS_PER_FF)
        by_net[net] = reached
    slews = _slews(cell)
    text = ""
    for (pin, parity), fixed in sorted(by_net[cell.output].items()):
        delays = [fixed + _PS_PER_FF * load for load in (0, _MAX_LOAD_FF)]
        text += f"""\
      timing () {{
        related_pin : "{pin}";
        timing_sense : {"negative_unate" if parity else "positive_unate"};
{_edge("rise", delays, slews)}{_edge("fall", delays, slews)}      }}
"""
    return text


def _slews(cell: Cell) -> list[float]:
    """Return the slews of the output at the ends of the tables."""
    (stage,) = (stage for net, stage, _ in cell.stages if net == cell.output)
    own = (stage.drains + cell.capacitance(cell.output)) * _FF_PER_WIDTH
    return [_SLEW_PER_DELAY * _PS_PER_FF * (own + load) for load in (0, _MAX_LOAD_FF)]


def _edge(edge: str, delays: list[float], slews: list[float]) -> str:
    def table(name: str, row: list[float]) -> str:
        text = ", ".join(f"{value:g}" for value in row)
        return f'        {name} (linear) {{ values ("{text}", "{text}"); }}\n'

    return table(f"cell_{edge}", delays) + table(f"{edge}_transition", slews)


def _output_energies(cell: Cell) -> str:
    return "".join(
        _internal_power(
            f'        related_pin : "{pin}";', _power(_energy(cell, pin, output_changes=True))
        )
        for pin in cell.inputs
    )


def _power(energy: float) -> str:
    return _scalar("rise_power", energy) + _scalar("fall_power", energy)


def _scalar(name: str, value: float) -> str:
    return f'        {name} (scalar) {{ values ("{value:g}"); }}\n'


def _energy(cell: Cell, pin: str, *, output_changes: bool) -> float:
    """Return the energy of an edge of ``pin`` in fJ, averaged over the states that are meant.

    Meant are the states of the other pins in which the output changes, or does not; 0 where
    there is none.
    """
    position = cell.inputs.index(pin)
    energies = []
    for state in product((0, 1), repeat=len(cell.inputs)):
        other = tuple(bit ^ (index == position) for index, bit in enumerate(state))
        before, after = _nets(cell, state), _nets(cell, other)
        if (before[cell.output] != after[cell.output]) is output_changes:
            width = sum(
                stage.drains + (cell.capacitance(net) if net != cell.output else 0)
                for net, stage, _ in cell.stages
                if before[net] != after[net]
            )
            energies.append(width * _FJ_PER_WIDTH)
    return sum(energies) / len(energies) if energies else 0.0


def _nets(cell: Cell, state: tuple[int, ...]) -> dict[str, int]:
    """Return the value of every net of a cell."""
    nets = dict(zip(cell.inputs, state, strict=True))
    for net, stage, sources in cell.stages:
        names = tuple(f"x{index}" for index in range(len(sources)))
        nets[net] = compile_function(stage.function, names)([nets[s] for s in sources]) & 1
    return nets
