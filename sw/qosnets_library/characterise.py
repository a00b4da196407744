"""Error metrics of a table, and cost estimates of a netlist mapped to the generic cells."""

import json
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.library import Estimates, Metrics
from qosnets.lut import Lut, exact_lut

from .cells import ABC_SCRIPT, CELLS, CELLS_NAME, OUTPUT_LOAD, liberty
from .gates import CELL_GATES, GateNetlist
from .yosys import run_yosys, yosys_version

__all__ = ["Cost", "error_metrics", "estimate", "estimates", "map_netlist"]

_N_OPERATIONS = 1 << 16
_SEED = 1


@dataclass(frozen=True)
class Cost:
    """Absolute cost of a mapped netlist."""

    area_ge: float
    """Cell area in gate equivalents (NAND2 = 1)."""
    switched_capacitance: float
    """Mean capacitance switched per operation; the input of an inverter has 3."""


def error_metrics(lut: Lut) -> Metrics:
    """Return the error figures of a table over all operand pairs.

    Sums are exact or correctly rounded, so that equal tables have equal figures everywhere.
    """
    exact = exact_lut().astype(np.int64)
    error = lut.astype(np.int64) - exact
    distance = np.abs(error)
    n, total, squares = error.size, int(error.sum()), int((error * error).sum())
    return Metrics(
        mae=int(distance.sum()) / n,
        wce=int(distance.max()),
        mse=squares / n,
        error_probability=np.count_nonzero(error) / n,
        mre=math.fsum((distance / np.maximum(exact, 1)).ravel()) / n,
        error_mean=total / n,
        error_std=math.sqrt(n * squares - total * total) / n,
        max_product=int(lut.max()),
    )


def map_netlist(text: str) -> GateNetlist:
    """Return a canonical netlist optimised and mapped to the generic cells, by Yosys and ABC."""
    script = (
        "read_verilog -nodpi netlist.v",
        "simplemap",
        "opt",
        f"abc -liberty cells.lib -script {ABC_SCRIPT}",
        "opt_clean -purge",
        "write_json mapped.json",
    )
    run = run_yosys(script, {"netlist.v": text, "cells.lib": liberty()}, ("mapped.json",))
    module = json.loads(run.outputs["mapped.json"])["modules"]["multiplier"]
    return GateNetlist.from_json(module, CELL_GATES, a="A", b="B", product="O")


def estimate(netlist: GateNetlist) -> Cost:
    """Estimate the cost of a netlist of generic cells.

    Switched capacitance is the number of toggles of a net times the input capacitance that it
    drives, summed over all nets, primary inputs included; a product bit drives one inverter more.
    Nets toggle without delay (no glitches), between consecutive pairs of a fixed uniform
    pseudo-random stream of operand pairs; capacitance inside cells is not counted.
    """
    pairs = _uniform_pairs()
    toggled = netlist.evaluate(pairs[:-1]) ^ netlist.evaluate(pairs[1:])
    toggles = np.bitwise_count(toggled).sum(axis=1, dtype=np.int64)
    load = np.zeros(len(toggles), dtype=np.int64)
    for gate in netlist.gates:
        cell = CELLS[gate.type]
        for pin, net in zip(cell.inputs, gate.inputs, strict=True):
            load[net] += cell.capacitance(pin)
    for net in netlist.outputs:
        load[net] += OUTPUT_LOAD
    return Cost(
        area_ge=sum(CELLS[gate.type].area_ge for gate in netlist.gates),
        switched_capacitance=int(toggles @ load) / _N_OPERATIONS,
    )


def estimates(cost: Cost, *, reference: float) -> Estimates:
    """Return a cost relative to ``reference``, the switched capacitance that has power 1.0."""
    return Estimates(
        area_ge=cost.area_ge,
        switched_capacitance=cost.switched_capacitance,
        relative_power=cost.switched_capacitance / reference,
        engine=f"zero-delay toggles, mapped by Yosys {yosys_version()}",
        cells=CELLS_NAME,
        distribution="uniform",
    )


def _uniform_pairs() -> npt.NDArray[np.uint16]:
    """Return one pair more than there are operations.

    The raw output of PCG64 is guaranteed to be the same in every version of NumPy.
    """
    raw = np.random.PCG64(_SEED).random_raw(_N_OPERATIONS + 1)
    return (raw >> np.uint64(48)).astype(np.uint16)
