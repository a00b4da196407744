"""How a layer is laid out on the array: table entries, parameter words, beats of codes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets.parameters import LayerWeights, Requantisation

__all__ = ["LayerPlan", "activation_beats", "parameter_words", "plan_layers", "weight_beats"]

Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LayerPlan:
    """Sizes of a layer on an array of ``rows`` x ``cols``."""

    rows: int
    cols: int
    reduction: int
    """K."""
    outputs: int
    """N, output channels of a group."""
    groups: int
    base: int
    """First column tile of the layer in the parameter bank."""

    @property
    def k_tiles(self) -> int:
        """Row tiles of an accumulator."""
        return -(-self.reduction // self.rows)

    @property
    def n_tiles(self) -> int:
        """Column tiles of a group."""
        return -(-self.outputs // self.cols)

    def table_entry(self, clamp: tuple[int, int]) -> dict[str, int]:
        """Return the entry of the layer table."""
        return {
            "k_tiles": self.k_tiles,
            "last_rows": self.reduction - (self.k_tiles - 1) * self.rows,
            "n_tiles": self.n_tiles,
            "base": self.base,
            "clamp_low": clamp[0],
            "clamp_high": clamp[1],
        }


def plan_layers(sizes: list[tuple[int, int, int]], rows: int, cols: int) -> list[LayerPlan]:
    """Place layers of sizes (K, N, groups) one after the other in the parameter bank."""
    plans, base = [], 0
    for reduction, outputs, groups in sizes:
        plan = LayerPlan(rows, cols, reduction, outputs, groups, base)
        plans.append(plan)
        base += groups * plan.n_tiles
    return plans


def parameter_words(
    plan: LayerPlan, weights: LayerWeights, values: Requantisation
) -> Iterator[tuple[int, int, dict[str, int]]]:
    """Yield (tile, column, word) for every output channel of a layer."""
    for channel in range(plan.groups * plan.outputs):
        group, output = divmod(channel, plan.outputs)
        tile, column = divmod(output, plan.cols)
        word = {
            "bias": int(values.bias[channel]),
            "mult": int(values.mult[channel]),
            "shift": int(values.shift[channel]),
            "offset": int(values.offset[channel]),
            "weight_zero_point": int(weights.zero_points[channel]),
        }
        yield plan.base + group * plan.n_tiles + tile, column, word


def weight_beats(plan: LayerPlan, codes: Codes) -> list[int]:
    """Return the weight beats of a group, ``codes`` uint8 ``[N, K]``: per tile last row first."""
    padded = np.zeros((plan.n_tiles * plan.cols, plan.k_tiles * plan.rows), np.uint8)
    padded[: plan.outputs, : plan.reduction] = codes
    tiles = padded.reshape(plan.n_tiles, plan.cols, plan.k_tiles, plan.rows)
    beats = tiles.transpose(0, 2, 3, 1)[:, :, ::-1]  # column tile, row tile, row, column
    return _to_ints(beats.reshape(-1, plan.cols))


def activation_beats(plan: LayerPlan, x: Codes, filler: np.random.Generator) -> list[int]:
    """Return the activation beats of a job, ``x`` uint8 ``[positions, K]``.

    Rows beyond the end of the reduction get random codes: the array must ignore them.
    """
    n = len(x)
    padded = filler.integers(0, 256, (n, plan.k_tiles * plan.rows), np.uint8)
    padded[:, : plan.reduction] = x
    beats = padded.reshape(n, plan.k_tiles, plan.rows).transpose(1, 0, 2)
    return _to_ints(beats.reshape(-1, plan.rows)) * plan.n_tiles


def _to_ints(beats: Codes) -> list[int]:
    """Return each row of codes as one integer, the first code in the lowest bits."""
    return [int.from_bytes(beat.tobytes(), "little") for beat in beats]
