"""What a design is loaded with in a simulation, and what must come out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.golden import accumulate, layer_table, requantise
from qosnets.ops import OpsFile
from qosnets.parameters import Parameters, Requantisation, load_parameters, load_vectors
from qosnets.tiling import tile_layers

from .cases import draw_activations, draw_clamps, draw_parameters, layer_sizes
from .design import Design
from .job import BenchJob

__all__ = ["Acc", "Codes", "Job", "Network"]

Codes = npt.NDArray[np.uint8]
Acc = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Job:
    """Output positions of a group of a layer."""

    layer: int
    group: int
    """0 for a depthwise layer, whose job covers all channels."""
    x: Codes
    """Activations, ``[M, K]``; for a depthwise layer ``[N, M, K]``."""
    last: bool
    """Ends the inference."""

    @property
    def positions(self) -> int:
        """M."""
        return int(self.x.shape[-2])


class Network:
    """Layers of a design with their parameters; those that ``ops.json`` leaves open are drawn."""

    def __init__(self, job: BenchJob):
        self.file = OpsFile.load(Path(job.ops))
        self.ops = self.file.ops
        self.design = Design.open(Path(job.design))
        self.random = np.random.default_rng(job.seed)
        self.luts = self.design.luts(self.file)
        sizes = layer_sizes(self.ops, self.design, self.random)
        self.clamps = draw_clamps(self.ops, self.random)
        self.parameters: Parameters = (
            load_parameters(self.file, self.ops.parameters)
            if self.ops.parameters is not None
            else draw_parameters(self.ops, sizes, self.random)
        )
        self.tilings = tile_layers(sizes, self.design.rows, self.design.cols)
        self.vectors: Mapping[str, npt.NDArray[Any]] = (
            load_vectors(self.file, self.ops.vectors) if self.ops.vectors is not None else {}
        )

    @property
    def n_points(self) -> int:
        """Number of operating points."""
        return len(self.ops.operating_points)

    @property
    def n_layers(self) -> int:
        """Number of multiplying layers."""
        return len(self.ops.layers)

    def requantisation(self, point: int, layer: int) -> Requantisation:
        """Return the requantisation parameters of a layer."""
        names = self.ops.operating_points[point].name, self.ops.layers[layer].name
        return self.parameters.requantisation[names]

    def table_entries(self) -> list[dict[str, int]]:
        """Return the layer table."""
        pairs = zip(self.tilings, self.clamps, strict=True)
        return [tiling.table_entry(clamp) for tiling, clamp in pairs]

    def parameter_words(self, point: int) -> list[tuple[int, int, dict[str, int]]]:
        """Return (tile, column, word) for every output channel of all layers."""
        return [
            word
            for index, layer in enumerate(self.ops.layers)
            for word in self.tilings[index].parameter_words(
                self.parameters.weights[layer.name], self.requantisation(point, index)
            )
        ]

    def expected(self, point: int, job: Job) -> tuple[Acc, Codes]:
        """Return ``acc`` and ``out``, ``[M, N]``, of the golden model."""
        tiling, layer = self.tilings[job.layer], job.layer
        table = layer_table(self.ops, self.luts, point, layer)
        part = slice(job.group * tiling.outputs, (job.group + 1) * tiling.outputs)
        weights = self.parameters.weights[self.ops.layers[layer].name][part]
        values = self.requantisation(point, layer)[part]
        if tiling.depthwise:
            channels = [slice(n, n + 1) for n in range(tiling.outputs)]
            accs = [
                accumulate(fields, weights[n], values.bias[n], table)
                for n, fields in zip(channels, job.x, strict=True)
            ]
            acc = np.hstack(accs)
        else:
            acc = accumulate(job.x, weights, values.bias, table)
        return acc, requantise(acc, values, self.clamps[layer])

    def draw_job(self, layer: int, *, last: bool) -> Job:
        """Return a job of a layer on random activations."""
        tiling = self.tilings[layer]
        group = int(self.random.integers(tiling.n_jobs))
        x = draw_activations(tiling, self.design.psum_depth, self.random)
        return Job(layer, group, x, last)

    def beats(self, job: Job) -> dict[str, Codes]:
        """Return the beats of weights and of activations."""
        tiling = self.tilings[job.layer]
        part = slice(job.group * tiling.outputs, (job.group + 1) * tiling.outputs)
        weights = self.parameters.weights[self.ops.layers[job.layer].name].codes[part]
        return {
            "weights": tiling.weight_beats(weights),
            "activations": tiling.activation_beats(job.x, self.random),
        }

    def request(self, job: Job) -> dict[str, int]:
        """Return the job as the accelerator is asked for it."""
        return {
            "layer": job.layer,
            "positions": job.positions,
            "tile_offset": job.group * self.tilings[job.layer].n_tiles,
            "last": int(job.last),
        }

    def n_results(self, job: Job) -> int:
        """Return the number of beats of results."""
        return job.positions * self.tilings[job.layer].n_tiles
