"""The bench of an array: runs layers on the hardware and compares them with the golden model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.geometry import Geometry
from qosnets.golden import (
    accumulate,
    from_columns,
    im2col,
    layer_table,
    requantise,
    run_node,
)
from qosnets.graph import INPUT, LayerNode
from qosnets.ops import OpsFile
from qosnets.parameters import Parameters, load_parameters, load_vectors

from .cases import draw_activations, draw_clamps, draw_parameters, layer_sizes
from .design import Design
from .host import Host
from .job import BenchJob
from .results import PointResult
from .schedule import activation_beats, parameter_words, plan_layers, weight_beats

__all__ = ["ArrayBench"]

Codes = npt.NDArray[np.uint8]


class ArrayBench:
    """An array, its host, the parameters it is loaded with and the model it must equal."""

    def __init__(self, dut: Any, job: BenchJob):
        self.job = job
        self.file = OpsFile.load(Path(job.ops))
        self.ops = self.file.ops
        self.design = Design.open(Path(job.design))
        self.random = np.random.default_rng(job.seed)
        self.host = Host(dut, self.design, self.random)
        self.points = [PointResult(point.name) for point in self.ops.operating_points]
        self.luts = self.design.luts(self.file)
        sizes = layer_sizes(self.ops, self.design, self.random)
        self.clamps = draw_clamps(self.ops, self.random)
        self.parameters: Parameters = (
            load_parameters(self.file, self.ops.parameters)
            if self.ops.parameters is not None
            else draw_parameters(self.ops, sizes, self.random)
        )
        self.plans = plan_layers(sizes, self.design.rows, self.design.cols)
        self.vectors: Mapping[str, npt.NDArray[Any]] = (
            load_vectors(self.file, self.ops.vectors) if self.ops.vectors is not None else {}
        )

    async def start(self) -> None:
        """Reset the array and load its tables."""
        await self.host.start()
        await self.load_tables()

    async def load_tables(self) -> None:
        """Load the layer table and the parameter bank of all operating points."""
        for index, layer in enumerate(self.ops.layers):
            plan = self.plans[index]
            await self.host.write_layer(index, plan.table_entry(self.clamps[index]))
            weights = self.parameters.weights[layer.name]
            for number, point in enumerate(self.ops.operating_points):
                values = self.parameters.requantisation[point.name, layer.name]
                for tile, column, word in parameter_words(plan, weights, values):
                    await self.host.write_parameters(number, tile, column, word)

    async def run_columns(
        self, point: int, layer: int, group: int, x: Codes, *, last: bool
    ) -> tuple[npt.NDArray[np.int32], Codes]:
        """Run positions ``[M, K]`` of a group; check and return ``acc`` and ``out``, ``[M, N]``.

        ``last`` ends the inference with these positions.
        """
        depth = self.design.psum_depth
        parts = [
            await self._run_job(point, layer, group, x[start : start + depth], last and end)
            for start, end in ((s, s + depth >= len(x)) for s in range(0, len(x), depth))
        ]
        acc = np.concatenate([part[0] for part in parts])
        out = np.concatenate([part[1] for part in parts])
        return acc, out

    async def _run_job(
        self, point: int, layer: int, group: int, x: Codes, last: bool
    ) -> tuple[npt.NDArray[np.int32], Codes]:
        plan, name = self.plans[layer], self.ops.layers[layer].name
        part = slice(group * plan.outputs, (group + 1) * plan.outputs)
        weights = self.parameters.weights[name][part]
        values = self.parameters.requantisation[self.ops.operating_points[point].name, name][part]
        result = await self.host.run_job(
            {
                "layer": layer,
                "positions": len(x),
                "tile_offset": group * plan.n_tiles,
                "last": last,
            },
            weight_beats(plan, weights.codes),
            activation_beats(plan, x, self.random),
            len(x) * plan.n_tiles,
            self.job.stalls,
        )
        acc = result.acc[:, : plan.outputs].astype(np.int32)
        out = result.out[:, : plan.outputs].astype(np.uint8)

        expected = accumulate(
            x, weights, values.bias, layer_table(self.ops, self.luts, point, layer)
        )
        record = self.points[point]
        where = f"point {record.name}, layer {name}, group {group}: "
        record.jobs += 1
        record.cycles += result.cycles
        record.comparison.check(f"{where}acc", expected, acc)
        expected_out = requantise(expected, values, self.clamps[layer])
        record.comparison.check(f"{where}out", expected_out, out)
        record.comparison.check(f"{where}point", np.array([point]), np.array([result.point]))
        return acc, out

    async def run_image(self, point: int, image: int) -> None:
        """Run the whole network on an image of the vectors and compare every layer with them."""
        assert self.ops.graph is not None
        record = self.points[point]
        index = {layer.name: number for number, layer in enumerate(self.ops.layers)}
        tensors: dict[str, Codes] = {INPUT: self.vectors["input"][image : image + 1]}
        last_layer = [node.layer for node in self.ops.graph if isinstance(node, LayerNode)][-1]
        for node in self.ops.graph:
            if not isinstance(node, LayerNode):
                tensors[node.output] = run_node(node, tensors)
                continue
            number = index[node.layer]
            geometry = self.ops.layers[number].geometry
            assert geometry is not None
            acc, out = await self._run_layer(
                point, number, geometry, tensors[node.inputs[0]], node.layer == last_layer
            )
            prefix = f"{record.name}.{node.layer}"
            for field, found in (("acc", acc), ("out", out)):
                expected = self.vectors[f"{prefix}.{field}"][image : image + 1]
                record.comparison.check(f"vectors {prefix}.{field} image {image}", expected, found)
            tensors[node.output] = out
        record.images += 1

    async def _run_layer(
        self, point: int, layer: int, geometry: Geometry, x: Codes, last: bool
    ) -> tuple[npt.NDArray[np.int32], Codes]:
        fields = im2col(x, geometry)
        runs = [
            await self.run_columns(
                point, layer, group, fields[group], last=last and group == geometry.groups - 1
            )
            for group in range(geometry.groups)
        ]
        acc, out = (np.stack(values) for values in zip(*runs, strict=True))
        return from_columns(acc, geometry), from_columns(out, geometry)

    async def run_drawn_inference(self, point: int) -> None:
        """Run all layers on random activations."""
        n_layers = len(self.ops.layers)
        for layer in range(n_layers):
            await self.run_drawn_layer(point, layer, last=layer == n_layers - 1)

    async def run_drawn_layer(self, point: int, layer: int, *, last: bool) -> None:
        """Run a layer on random activations."""
        plan = self.plans[layer]
        group = int(self.random.integers(plan.groups))
        x = draw_activations(plan.reduction, self.random)
        await self.run_columns(point, layer, group, x, last=last)
