"""The longest paths of a mapped design: by stage, by multiplier and by operating point.

Times are from one rising clock edge to the setup time before the next, by the static timing of
:mod:`qosnets_library.design_timing`: an ideal clock, no wires, inputs and data of memories at the
clock edge, memories without setup time. The design is out of reset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from qosnets.ops import Ops
from qosnets_library.design_timing import DesignTiming, Floats, TimingModel
from qosnets_library.mapped import Scope, flatten

from .blocks import Block, block_of, netlist_modules
from .synthesis import MappedDesign

__all__ = ["ClockReport", "MemberPath", "PointClock", "Stage", "StageTime", "clock_report"]

_BANK, _GATE = "multiplier_bank", "operand_gate"
_RESETS = {"aresetn": 1, "rst": 0}
"""Resets of a design, and the level that they have while it works."""
_PRODUCT = ("processing_element", "product")
"""Module and register that end the multiplier stage."""


class Stage(StrEnum):
    """Kind of path, by the register that it ends in."""

    MULTIPLIER = "multiplier"
    """From the operand registers of a processing element to its product register."""
    ADDER = "adder"
    """Everything else of the array, up to the complete sums."""
    REQUANTISATION = "requantisation"
    CONTROL = "control"


_STAGES = {
    Block.MULTIPLIERS: Stage.MULTIPLIER,
    Block.ISOLATION_AND_MUX: Stage.MULTIPLIER,
    Block.ACCUMULATORS: Stage.ADDER,
    Block.REQUANTISATION: Stage.REQUANTISATION,
    Block.CONTROL: Stage.CONTROL,
}


@dataclass(frozen=True)
class StageTime:
    """The longest path of a stage."""

    time_ns: float
    start: str
    """Module and register, module and ``memory``, or port of the design."""
    end: str


@dataclass(frozen=True)
class MemberPath:
    """The path through one multiplier while it is selected; the parts add up to ``stage_ns``."""

    name: str
    alone_ns: float
    """Delay of the netlist by itself, its operands at time 0, an inverter on each product bit."""
    register_ns: float
    """From the clock to the operand gates; without those, to the multiplier."""
    gate_ns: float
    """Through the operand gates."""
    member_ns: float
    """Through the multiplier in its place."""
    join_ns: float
    """Through the AND-OR to the product register."""
    setup_ns: float
    stage_ns: float


@dataclass(frozen=True)
class PointClock:
    """The stages at one operating point: the slowest of the multipliers that it uses counts."""

    name: str
    stages: Mapping[Stage, StageTime]

    @property
    def period_ns(self) -> float:
        """Shortest clock period."""
        return max(stage.time_ns for stage in self.stages.values())


@dataclass(frozen=True)
class ClockReport:
    """The longest paths of a design."""

    stages: Mapping[Stage, StageTime]
    """Whatever is selected, changes of the select included."""
    members: Sequence[MemberPath]
    """By select code."""
    points: Sequence[PointClock]

    @property
    def period_ns(self) -> float:
        """Shortest clock period."""
        return max(stage.time_ns for stage in self.stages.values())


def clock_report(mapped: MappedDesign, manifest: Mapping[str, Any], ops: Ops) -> ClockReport:
    """Return the longest paths of ``mapped``, a design with this manifest made from ``ops``."""
    analysis = _Analysis(mapped, manifest)
    anything = analysis.with_any_select()
    selected = [analysis.with_select(code) for code in range(len(ops.multipliers))]
    stages = [analysis.stages(timing) for timing in selected]
    members = [
        analysis.member_path(code, multiplier.name, selected[code])
        for code, multiplier in enumerate(ops.multipliers)
    ]
    points = [
        PointClock(point.name, _slowest([stages[code] for code in sorted(set(point.assignment))]))
        for point in ops.operating_points
    ]
    return ClockReport(analysis.stages(anything), members, points)


def _slowest(found: Sequence[Mapping[Stage, StageTime]]) -> dict[Stage, StageTime]:
    return {
        stage: max((times[stage] for times in found), key=lambda time: time.time_ns)
        for stage in found[0]
    }


class _Analysis:
    """A design prepared for static timing."""

    def __init__(self, mapped: MappedDesign, manifest: Mapping[str, Any]):
        self._mapped, self._manifest = mapped, manifest
        self._netlists = netlist_modules(manifest)
        self.model = TimingModel(mapped.flat, mapped.liberty)
        self._ends = {kind: self._end_labels(kind) for kind in mapped.liberty.flip_flops_by_name}
        self._starts = self._start_labels()
        top = mapped.flat.scopes[0]
        self._out_of_reset = {
            int(top.nets[nets[0]]): _RESETS[port]
            for port, nets in top.module.ports.items()
            if port in _RESETS
        }

    def with_any_select(self) -> DesignTiming:
        """Analyse the design at work, whatever is selected."""
        return self.model.analyse(self._out_of_reset)

    def with_select(self, code: int) -> DesignTiming:
        """Analyse the design with one multiplier selected in every processing element."""
        banks = self._mapped.flat.instances(_BANK)
        constants = self._select_bits(banks, "select", code)
        return self.model.analyse(constants | self._out_of_reset)

    def _select_bits(self, scopes: Sequence[Scope], port: str, code: int) -> dict[int, int]:
        """Return the value of each net at a select port of ``scopes``, where they have one."""
        word = self._manifest["bank"]["select_words"][code]
        return {
            int(net): word >> bit & 1
            for scope in scopes
            for bit, net in enumerate(scope.nets[scope.module.ports.get(port, [])])
        }

    def stages(self, timing: DesignTiming) -> dict[Stage, StageTime]:
        """Return the longest path of each stage that there is."""
        slowest: dict[Stage, StageTime] = {}

        def take(stage: Stage, time_ns: float, net: int, end: str) -> None:
            if np.isfinite(time_ns) and (stage not in slowest or time_ns > slowest[stage].time_ns):
                origin = int(timing.origins[net, timing.arrivals[net].argmax()])
                slowest[stage] = StageTime(float(time_ns), self._starts[origin], end)

        for kind, times in timing.endpoints.items():
            data = self._mapped.flat.cells[kind].nets[:, 1]
            for row in _largest(times, [stage for stage, _ in self._ends[kind]]):
                stage, end = self._ends[kind][row]
                take(stage, times[row], int(data[row]), end)
        for scope in self._mapped.flat.scopes:
            nets = scope.nets[scope.module.memory_inputs]
            if len(nets):
                net = int(nets[timing.arrivals[nets].max(axis=1).argmax()])
                name = f"{scope.module.name}.memory"
                take(self._stage(scope.module.name, "memory"), timing.latest(nets), net, name)
        return slowest

    def member_path(self, code: int, name: str, timing: DesignTiming) -> MemberPath:
        """Return the path through a multiplier, analysed while it is selected."""
        module = self._manifest["multipliers"][code]["module"]
        instances = self._mapped.flat.instances(module)
        inputs = _latest(timing, instances, "A", "B")
        outputs = _latest(timing, instances, "O")
        gates = [
            gate
            for gate in self._mapped.flat.instances(_GATE)
            if gate.path[-1] in (f"activation_gate_{code}", f"weight_gate_{code}")
        ]
        register = _latest(timing, gates, "operand") if gates else inputs
        joined = _latest(timing, self._mapped.flat.instances(_BANK), "product")
        stage = self.stages(timing)[Stage.MULTIPLIER].time_ns
        alone = flatten({module: instances[0].module}, module)
        selected = self._select_bits(alone.scopes, "S", code)
        alone_timing = TimingModel(alone, self._mapped.liberty).analyse(selected)
        return MemberPath(
            name=name,
            alone_ns=max(_latest(alone_timing, alone.scopes, "O"), 0.0),
            register_ns=register,
            gate_ns=inputs - register,
            member_ns=outputs - inputs,
            join_ns=joined - outputs,
            setup_ns=stage - joined,
            stage_ns=stage,
        )

    def _end_labels(self, kind: str) -> list[tuple[Stage, str]]:
        """Return stage and name of the register of every flip-flop of a type."""
        group = self._mapped.flat.cells.get(kind)
        if group is None:
            return []
        registers: dict[int, dict[int, str]] = {}
        labels = []
        for scope_index, net in zip(group.scopes.tolist(), group.nets[:, -1].tolist(), strict=True):
            scope = self._mapped.flat.scopes[scope_index]
            if scope_index not in registers:
                found = scope.module.registers.items()
                registers[scope_index] = {int(scope.nets[local]): name for local, name in found}
            register = registers[scope_index].get(net, "register")
            module = scope.module.name
            labels.append((self._stage(module, register), f"{module}.{register}"))
        return labels

    def _start_labels(self) -> dict[int, str]:
        """Return the names of registers, memories and ports of the design by net."""
        flat = self._mapped.flat
        labels = {
            int(net): port
            for port, nets in flat.scopes[0].module.ports.items()
            for net in flat.scopes[0].nets[nets]
        }
        for scope in flat.scopes:
            memory = scope.nets[scope.module.memory_outputs].tolist()
            labels |= dict.fromkeys(memory, f"{scope.module.name}.memory")
        for kind, ends in self._ends.items():
            if (group := flat.cells.get(kind)) is not None:
                nets = group.nets[:, -1].tolist()
                labels |= {net: label for net, (_, label) in zip(nets, ends, strict=True)}
        return labels

    def _stage(self, module: str, register: str) -> Stage:
        if (module, register) == _PRODUCT:
            return Stage.MULTIPLIER
        return _STAGES[block_of(module, self._netlists)]


def _largest(times: Floats, stages: Sequence[Stage]) -> list[int]:
    """Return the place of the largest time of each stage."""
    return [
        max((row for row, found in enumerate(stages) if found == stage), key=times.__getitem__)
        for stage in dict.fromkeys(stages)
    ]


def _latest(timing: DesignTiming, scopes: Sequence[Scope], *ports: str) -> float:
    """Return the latest edge at ports of instances."""
    nets = [scope.nets[scope.module.ports[port]] for scope in scopes for port in ports]
    return timing.latest(np.concatenate(nets))
