"""What nodes cost during the climb: a quick approximation of mapped circuits."""

import numpy as np
import numpy.typing as npt

from ..cells import CELLS
from .genome import Function
from .goal import Cost

__all__ = ["cost_weights"]

# Energies per toggle of pins, nodes and outputs. Fitted by hand to non-negative least squares of
# the power of mapped circuits (OSU018 and the generic cells) over the toggles of 160 evolved
# genomes: inverters and the output of AND-like gates cost next to nothing, since mapping absorbs
# them.
_PIN_ENERGY = {Function.XOR: 8, Function.XNOR: 8, Function.NOT: 2}
_NODE_ENERGY = {Function.XOR: 5, Function.XNOR: 5, Function.NOT: 3}
_AND_LIKE_PIN_ENERGY, _AND_LIKE_NODE_ENERGY, _OUTPUT_ENERGY = 5, 2, 2

_AREA_CELLS = {
    **{Function.AND: "NAND2", Function.NAND: "NAND2", Function.OR: "NOR2", Function.NOR: "NOR2"},
    **{Function.XOR: "XOR2", Function.XNOR: "XNOR2", Function.NOT: "INV"},
}
_AREA_RESOLUTION = 48


def cost_weights(cost: Cost) -> npt.NDArray[np.int64]:
    """Return the weights of :func:`.kernel.cost`, ``int64[3, n_functions]``."""
    if cost is Cost.AREA:
        areas = [CELLS[_AREA_CELLS[function]].area_ge for function in Function]
        nodes = [round(_AREA_RESOLUTION * area) for area in areas]
        return np.array([[0] * len(nodes), nodes, [0] * len(nodes)], dtype=np.int64)
    pins = [_PIN_ENERGY.get(function, _AND_LIKE_PIN_ENERGY) for function in Function]
    nodes = [_NODE_ENERGY.get(function, _AND_LIKE_NODE_ENERGY) for function in Function]
    return np.array([pins, nodes, [_OUTPUT_ENERGY] * len(nodes)], dtype=np.int64)
