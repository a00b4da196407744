"""Power of a mapped design by the toggles that a simulation counted and the rules of :mod:`.power`.

A simulation without delays counts no glitches, and counts every net by itself. So it is not known
which pins of a cell toggle together with its output, and two of the rules are approximated:

* an output toggle costs the mean of the internal energies of the input pins, each weighted by how
  often it toggles;
* the toggles of a pin that are not accounted for by the output so leave it as it is.

Of six 8x8 multipliers under uniform operands the estimate of :mod:`.power` is met within 0.01 %
with the generic cells and within 0.3 % with OSU018's.

Flip-flops add to this: each edge of the clock costs the energy of the clock pin, rising edges that
change the output cost that of the output instead. The clock net has the clock pins on it and no
tree of buffers. Memories have no power here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .activity import Activity
from .design_timing import Floats, TimingModel, interpolate
from .liberty import Energy, FlipFlop, LibertyCell, Table
from .mapped import CellGroup, Nets
from .timing import input_slew

__all__ = ["ScopePower", "design_power"]


@dataclass(frozen=True, eq=False)
class ScopePower:
    """Energies by scope of the design; nets count for the scope that drives them."""

    logic_fj: Floats
    """Energy per cycle of everything but the clock, ``[n_scopes]``."""
    clock_fj: Floats
    """Energy per cycle of clock pins and of the clock net, ``[n_scopes]``."""
    leakage_nw: Floats


def design_power(
    model: TimingModel, slews_ns: Floats, activity: Activity, clock: Nets
) -> ScopePower:
    """Return the energies of a design.

    Parameters
    ----------
    model
        The design with its loads.
    slews_ns
        Slew by net, the mean of both edges.
    activity
        Toggles by net.
    clock
        Nets of the clock.
    """
    design, liberty = model.design, model.liberty
    n_scopes = len(design.scopes)
    logic, clocks, leakage = (np.zeros(n_scopes) for _ in range(3))
    toggles = activity.toggles.astype(float)
    slews = slews_ns.copy()
    slews[clock] = input_slew(liberty)
    switching = 0.5 * liberty.voltage_v**2 * model.loads_ff * toggles
    switching[clock] = 0.0
    driver = _drivers(model)
    np.add.at(logic, driver, switching)
    for kind, group in design.cells.items():
        if (flip_flop := liberty.flip_flops_by_name.get(kind)) is not None:
            figures = _Figures(group, slews, model.loads_ff, toggles)
            output, clocked = _flip_flop_energies(flip_flop, figures, activity.cycles)
            clocked += liberty.voltage_v**2 * flip_flop.clock.capacitance_ff * activity.cycles
            np.add.at(logic, group.scopes, output)
            np.add.at(clocks, group.scopes, clocked)
            np.add.at(leakage, group.scopes, flip_flop.leakage_nw)
        else:
            cell = liberty.by_name[kind]
            figures = _Figures(group, slews, model.loads_ff, toggles)
            np.add.at(logic, group.scopes, _cell_energies(cell, figures))
            np.add.at(leakage, group.scopes, cell.leakage_nw)
    return ScopePower(logic / activity.cycles, clocks / activity.cycles, leakage)


@dataclass(frozen=True, eq=False)
class _Figures:
    """What is known of the nets on cells of one type."""

    group: CellGroup
    slews: Floats
    loads: Floats
    toggles: Floats

    def slew(self, pin: int) -> Floats:
        slews: Floats = self.slews[self.group.nets[:, pin]]
        return slews

    @property
    def load(self) -> Floats:
        loads: Floats = self.loads[self.group.nets[:, -1]]
        return loads

    def count(self, pin: int) -> Floats:
        counts: Floats = self.toggles[self.group.nets[:, pin]]
        return counts


def _drivers(model: TimingModel) -> Nets:
    """Return the scope that drives each net, the top where no cell and no memory does."""
    design = model.design
    driver = np.zeros(design.n_nets, np.int64)
    for index, scope in enumerate(design.scopes):
        driver[scope.nets[scope.module.memory_outputs]] = index
    for group in design.cells.values():
        driver[group.nets[:, -1]] = group.scopes
    return driver


def _cell_energies(cell: LibertyCell, figures: _Figures) -> Floats:
    """Return the internal energy in fJ of every cell over the whole activity."""
    n_pins = len(cell.pins)
    changes = figures.count(n_pins)
    counts = np.stack([figures.count(pin) for pin in range(n_pins)]) if n_pins else None
    if counts is None:
        return np.zeros(len(changes))
    total = counts.sum(axis=0)
    weights = np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / n_pins)
    energy = np.zeros(len(changes))
    for pin, (input_pin, weight) in enumerate(zip(cell.inputs, weights, strict=True)):
        caused = [one for one in cell.energies if one.pin in (input_pin.name, None)]
        slew = figures.slew(pin)
        energy += changes * weight * _mean(caused, slew, figures.load)
        hidden = np.maximum(counts[pin] - changes * weight, 0)
        energy += hidden * _mean(input_pin.hidden, slew, np.zeros(len(slew)))
    return energy


def _flip_flop_energies(cell: FlipFlop, figures: _Figures, cycles: int) -> tuple[Floats, Floats]:
    """Return the energies in fJ of data and output, and of the clock pin."""
    changes = figures.count(2)
    clock, none = figures.slew(0), np.zeros(len(changes))
    output = changes * _mean(cell.energies, clock, figures.load)
    output += figures.count(1) * _mean(cell.data.hidden, figures.slew(1), none)
    quiet = np.maximum(cycles - changes, 0)
    clocked = quiet * _edge(cell.clock.hidden, True, clock)
    clocked += cycles * _edge(cell.clock.hidden, False, clock)
    return output, clocked


def _mean(energies: Sequence[Energy], slew: Floats, load: Floats) -> Floats:
    """Return the energy of an edge, the mean of both directions and of the states listed."""
    total = np.zeros(len(slew))
    for energy in energies:
        for table in (energy.rise, energy.fall):
            total += 0.5 * _at(table, slew, load)
    return total / max(len(energies), 1)


def _edge(energies: Sequence[Energy], rising: bool, slew: Floats) -> Floats:
    total = np.zeros(len(slew))
    for energy in energies:
        table = energy.rise if rising else energy.fall
        total += _at(table, slew, np.zeros(len(slew)))
    return total / max(len(energies), 1)


def _at(table: Table | None, slew: Floats, load: Floats) -> Floats:
    return np.zeros(len(slew)) if table is None else interpolate(table, slew, load)
