"""Static timing of a mapped design with flip-flops, by the rules of :mod:`.timing`.

Of every net the latest rising and falling edge and their largest slews are carried on. Clocks are
ideal: they reach all flip-flops at time 0 with the slew of :func:`.timing.input_slew`. Inputs of
the design and data from memories arrive at time 0, too, with that slew, since what drives them is
not known; nets to memories and out of the design drive one inverter each. Wires have no
capacitance.

Nets may be given constant values, as the select of a multiplier has while a layer runs: what
follows from them is constant, too, and paths through pins that cannot matter then do not count
(case analysis).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product

import numpy as np
import numpy.typing as npt
from qosnets.errors import CheckError

from .boolean import compile_function
from .liberty import Edge, Liberty, LibertyCell, Table
from .mapped import FlatDesign, Nets
from .timing import input_slew

__all__ = ["DesignTiming", "Floats", "TimingModel", "interpolate"]

Floats = npt.NDArray[np.float64]
UNKNOWN = 2
"""Value of a net that is not constant."""
_NEVER = -np.inf


@dataclass(frozen=True, eq=False)
class DesignTiming:
    """Times in ns; the second index of an array is 0 for the rising and 1 for the falling edge."""

    arrivals: Floats
    """Latest edge by net, ``[n_nets, 2]``; -inf where there is none."""
    slews: Floats
    """Largest slew by net, ``[n_nets, 2]``."""
    origins: Nets
    """Net of the register, the memory or the input that the latest edge starts from."""
    endpoints: Mapping[str, Floats]
    """Of every type of flip-flop, the time that its data takes with setup, ``[n]``; -inf where it
    never changes."""

    def latest(self, nets: Nets) -> float:
        """Return the latest edge on any of ``nets``; -inf where there is none."""
        return float(self.arrivals[nets].max(initial=_NEVER))


@dataclass(frozen=True, eq=False)
class TimingModel:
    """A design as static timing sees it; it can be analysed again and again."""

    design: FlatDesign
    liberty: Liberty
    loads_ff: Floats = field(init=False)
    """Capacitance by net, without that inside the driving cell."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "loads_ff", _loads(self.design, self.liberty))

    @cached_property
    def _schedule(self) -> list[tuple[LibertyCell, Nets]]:
        """Combinational cells in topological order: those of a type and a level at once."""
        by_name = self.liberty.by_name
        groups = {kind: g.nets for kind, g in self.design.cells.items() if kind in by_name}
        level = np.zeros(self.design.n_nets, np.int64)
        n_cells = sum(map(len, groups.values()))
        for _ in range(n_cells + 1):
            before = level.copy()
            for nets in groups.values():
                # A cell without inputs never changes: its output stays at level 0.
                deepest = level[nets[:, :-1]].max(axis=1, initial=-1)
                level[nets[:, -1]] = np.maximum(level[nets[:, -1]], deepest + 1)
            if np.array_equal(before, level):
                break
        else:
            raise CheckError("design: must have no combinational loop")
        parts = [
            (int(depth), kind, nets[level[nets[:, -1]] == depth])
            for kind, nets in groups.items()
            for depth in np.unique(level[nets[:, -1]])
        ]
        parts.sort(key=lambda part: part[:2])
        return [(by_name[kind], nets) for _, kind, nets in parts]

    def analyse(self, constants: Mapping[int, int] | None = None) -> DesignTiming:
        """Analyse the design.

        Parameters
        ----------
        constants
            Nets that have the value 0 or 1 all the time.
        """
        n_nets = self.design.n_nets
        values = np.full(n_nets, UNKNOWN, np.int8)
        values[:2] = 0, 1
        for net, value in (constants or {}).items():
            values[net] = value
        fixed = values != UNKNOWN
        slew = input_slew(self.liberty)
        arrivals, slews = np.zeros((n_nets, 2)), np.full((n_nets, 2), slew)
        origins = np.broadcast_to(np.arange(n_nets)[:, None], (n_nets, 2)).copy()
        for kind, flip_flop in self.liberty.flip_flops_by_name.items():
            if (group := self.design.cells.get(kind)) is None:
                continue
            output = group.nets[:, -1]
            clock = np.full(len(output), slew)
            for index, edge in enumerate((flip_flop.rise, flip_flop.fall)):
                load = self.loads_ff[output]
                arrivals[output, index] = interpolate(edge.delay, clock, load)
                slews[output, index] = interpolate(edge.slew, clock, load)
        arrivals[fixed] = _NEVER
        state = _State(values, fixed, arrivals, slews, origins, self.loads_ff)
        for cell, nets in self._schedule:
            state.evaluate(cell, nets)
        return DesignTiming(arrivals, slews, origins, dict(self._endpoints(arrivals, slews, slew)))

    def _endpoints(
        self, arrivals: Floats, slews: Floats, clock_slew: float
    ) -> list[tuple[str, Floats]]:
        found = []
        for kind, cell in self.liberty.flip_flops_by_name.items():
            if (group := self.design.cells.get(kind)) is None:
                continue
            data = group.nets[:, 1]
            clock = np.full(len(data), clock_slew)
            times = [
                arrivals[data, index] + interpolate(table, slews[data, index], clock)
                for index, table in enumerate((cell.setup_rise, cell.setup_fall))
            ]
            found.append((kind, np.maximum(*times)))
        return found


@dataclass(frozen=True, eq=False)
class _State:
    """What is known of the nets while cells are evaluated in order."""

    values: npt.NDArray[np.int8]
    fixed: npt.NDArray[np.bool_]
    arrivals: Floats
    slews: Floats
    origins: Nets
    loads_ff: Floats

    def evaluate(self, cell: LibertyCell, nets: Nets) -> None:
        """Compute the outputs of cells of one type."""
        sources, output = nets[:, :-1], nets[:, -1]
        live = self._case_analysis(cell, sources, output)
        load = self.loads_ff[output]
        latest = np.full((len(nets), 2), _NEVER)
        largest = np.zeros((len(nets), 2))
        origin = np.zeros((len(nets), 2), np.int64)
        for arc in cell.arcs:
            pin = cell.pins.index(arc.pin)
            source = sources[:, pin]
            for rising, edge in enumerate((arc.rise, arc.fall)):
                for cause in (0, 1):
                    joined = arc.positive if cause == rising else arc.negative
                    if edge is None or not joined:
                        continue
                    start = np.where(live[:, pin], self.arrivals[source, cause], _NEVER)
                    time, slew = _through(edge, start, self.slews[source, cause], load)
                    later = time > latest[:, rising]
                    latest[later, rising] = time[later]
                    origin[later, rising] = self.origins[source[later], cause]
                    reached = np.isfinite(time)
                    largest[:, rising] = np.where(
                        reached, np.maximum(largest[:, rising], slew), largest[:, rising]
                    )
        free = ~self.fixed[output]
        self.arrivals[output[free]] = latest[free]
        self.slews[output[free]] = largest[free]
        self.origins[output[free]] = origin[free]

    def _case_analysis(
        self, cell: LibertyCell, sources: Nets, output: Nets
    ) -> npt.NDArray[np.bool_]:
        """Set outputs that are constant; return which pins can change an output, ``[n, pins]``."""
        live = np.ones(sources.shape, bool)
        values = self.values[sources]
        partly = (values != UNKNOWN).any(axis=1)
        if not partly.any():
            return live
        patterns, which = np.unique(values[partly], axis=0, return_inverse=True)
        rows = np.flatnonzero(partly)
        for index, pattern in enumerate(patterns):
            value, pins = _restricted(cell.function, cell.pins, tuple(map(int, pattern)))
            found = rows[which.ravel() == index]
            live[found] = pins
            if value != UNKNOWN:
                free = output[found][~self.fixed[output[found]]]
                self.values[free] = value
        return live


@cache
def _restricted(
    function: str, pins: tuple[str, ...], pattern: tuple[int, ...]
) -> tuple[int, tuple[bool, ...]]:
    """Return the output, where constant, and which pins can change it, some pins being constant."""
    free = [pin for pin, value in enumerate(pattern) if value == UNKNOWN]
    table = {}
    for bits in product((0, 1), repeat=len(free)):
        operands = list(pattern)
        for pin, bit in zip(free, bits, strict=True):
            operands[pin] = bit
        table[bits] = compile_function(function, pins)(operands) & 1
    constant = next(iter(table.values())) if len(set(table.values())) == 1 else UNKNOWN
    live = [False] * len(pins)
    for place, pin in enumerate(free):
        flipped = ((*b[:place], 1 - b[place], *b[place + 1 :]) for b in table)
        live[pin] = any(table[a] != table[b] for a, b in zip(table, flipped, strict=True))
    return constant, tuple(live)


def _through(edge: Edge, start: Floats, slew: Floats, load: Floats) -> tuple[Floats, Floats]:
    """Return when an output edge comes, and its slew."""
    delay = interpolate(edge.delay, slew, load)
    return start + delay, np.maximum(interpolate(edge.slew, slew, load), 0.0)


def interpolate(table: Table, slew: Floats, load: Floats) -> Floats:
    """Return :meth:`.liberty.Table.at` of every pair of slew and load."""
    values = np.array(table.values)
    row, u = _place(table.slews, slew)
    column, v = _place(table.loads, load)
    below, right = min(1, len(table.slews) - 1), min(1, len(table.loads) - 1)
    first = values[row, column] * (1 - v) + values[row, column + right] * v
    second = values[row + below, column] * (1 - v) + values[row + below, column + right] * v
    result: Floats = first * (1 - u) + second * u
    return result


def _place(axis: tuple[float, ...], values: Floats) -> tuple[Nets, Floats]:
    if len(axis) == 1:
        return np.zeros(len(values), np.int64), np.zeros(len(values))
    points = np.array(axis)
    index = np.clip(np.searchsorted(points, values, side="right") - 1, 0, len(axis) - 2)
    return index, (values - points[index]) / (points[index + 1] - points[index])


def _loads(design: FlatDesign, liberty: Liberty) -> Floats:
    loads = np.zeros(design.n_nets)
    for kind, group in design.cells.items():
        for column, capacitance in enumerate(_capacitances(kind, liberty)):
            np.add.at(loads, group.nets[:, column], capacitance)
    inverter = liberty.inverter.inputs[0].capacitance_ff
    np.add.at(loads, _outside(design), inverter)
    return loads


def _capacitances(kind: str, liberty: Liberty) -> list[float]:
    flip_flop = liberty.flip_flops_by_name.get(kind)
    pins = (flip_flop.clock, flip_flop.data) if flip_flop else liberty.by_name[kind].inputs
    return [pin.capacitance_ff for pin in pins]


def _outside(design: FlatDesign) -> Nets:
    """Return the nets to memories and out of the design."""
    top = design.scopes[0]
    outputs = [p for name, p in top.module.ports.items() if name not in top.module.inputs]
    ends = [top.nets[nets] for nets in outputs]
    ends += [scope.nets[scope.module.memory_inputs] for scope in design.scopes]
    return np.concatenate([np.zeros(0, np.int64), *ends])
