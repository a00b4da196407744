"""The bench of a design: runs layers on the accelerator, compares them with the golden model."""

from dataclasses import replace
from typing import Any

import numpy as np
from qosnets.cycles import job_cycles
from qosnets.geometry import Geometry
from qosnets.golden import from_columns, im2col, run_node
from qosnets.graph import INPUT, LayerNode

from .host import Feed, Host, JobResult
from .job import BenchJob
from .network import Acc, Codes, Job, Network
from .results import LayerResult, PointResult

__all__ = ["Bench"]


class Bench:
    """An accelerator, its host, and the network that is run on it.

    Parameters
    ----------
    dut
        The harness.
    job
    raw_accumulators
        Whether to compare accumulators as well; synthesis removes those of the accelerator, which
        no port has.
    """

    def __init__(self, dut: Any, job: BenchJob, *, raw_accumulators: bool = True):
        self.job, self._raw_accumulators = job, raw_accumulators
        self.network = Network(job)
        self.random = self.network.random
        self.host = Host(dut, self.network.design, self.random)
        self.points: list[PointResult] = []
        self.start_record()

    def start_record(self) -> list[PointResult]:
        """Count from zero in :attr:`points`; returns those so far."""
        finished, ops = self.points, self.network.ops
        self.points = [
            PointResult(point.name, layers=[LayerResult(layer.name) for layer in ops.layers])
            for point in ops.operating_points
        ]
        return finished

    async def start(self) -> None:
        """Reset the accelerator and load its tables."""
        await self.host.start(self.job.stalls)
        await self.load_layers()
        await self.load_parameters()

    async def load_layers(self) -> None:
        """Load the layer table."""
        for layer, entry in enumerate(self.network.table_entries()):
            await self.host.write_layer(layer, entry)

    async def load_parameters(self) -> None:
        """Load the parameter bank of all operating points."""
        for point in range(self.network.n_points):
            await self.host.write_parameters(point, self.network.parameter_words(point))

    def feed(self, job: Job) -> Feed:
        """Return a job as the host runs it."""
        network = self.network
        return Feed(network.request(job), **network.beats(job), n_results=network.n_results(job))

    def start_job(self, job: Job) -> None:
        """Begin to feed a job and to take its results."""
        self.host.start_jobs([self.feed(job)])

    async def finish_job(self, point: int, job: Job) -> tuple[Acc, Codes]:
        """Compare a started job with the models; returns ``acc`` and ``out``, ``[M, N]``."""
        (result,) = await self.host.finish_jobs()
        return self.compare(point, job, result)

    def compare(self, point: int, job: Job, result: JobResult) -> tuple[Acc, Codes]:
        """Compare the results of a job; returns ``acc`` and ``out``, ``[M, N]``."""
        tiling, record = self.network.tilings[job.layer], self.points[point]
        name = self.network.ops.layers[job.layer].name
        acc = tiling.results(result.acc).astype(np.int32)
        out = tiling.results(result.out).astype(np.uint8)
        expected_acc, expected_out = self.network.expected(point, job)
        predicted = job_cycles(tiling, job.positions)

        def check(what: str, expected: Any, found: Any) -> None:
            where = f"point {record.name}, layer {name}, group {job.group}: {what}"
            record.comparison.check(where, np.asarray(expected), np.asarray(found))

        if self._raw_accumulators:
            check("acc", expected_acc, acc)
        check("out", expected_out, out)
        check("point", [point], list(result.points))
        check("last result", [self.network.n_results(job) - 1], list(result.lasts))
        if result.cycles is not None:
            if not self.host.stalls:
                check("cycles", [predicted], [result.cycles])
            self._count(record.layers[job.layer], job, result.cycles, predicted)
        return acc, out

    def _count(self, record: LayerResult, job: Job, cycles: int, predicted: int) -> None:
        design, tiling = self.network.design, self.network.tilings[job.layer]
        record.jobs += 1
        record.cycles += cycles
        record.predicted_cycles += predicted
        record.multiplications += tiling.multiplications(job.positions)
        record.utilisation = record.multiplications / (record.cycles * design.rows * design.cols)

    async def run_job(self, point: int, job: Job) -> tuple[Acc, Codes]:
        """Run and compare a job; returns ``acc`` and ``out``, ``[M, N]``."""
        self.start_job(job)
        await self.host.jobs_accepted()
        return await self.finish_job(point, job)

    async def run_image(self, point: int, image: int) -> None:
        """Run the whole network on an image of the vectors and compare every layer with them."""
        ops, vectors = self.network.ops, self.network.vectors
        assert ops.graph is not None
        record = self.points[point]
        index = {layer.name: number for number, layer in enumerate(ops.layers)}
        tensors: dict[str, Codes] = {INPUT: vectors["input"][image : image + 1]}
        last_layer = [node.layer for node in ops.graph if isinstance(node, LayerNode)][-1]
        for node in ops.graph:
            if not isinstance(node, LayerNode):
                tensors[node.output] = run_node(node, tensors)
                continue
            number = index[node.layer]
            geometry = ops.layers[number].geometry
            assert geometry is not None
            acc, out = await self._run_layer(
                point, number, geometry, tensors[node.inputs[0]], node.layer == last_layer
            )
            prefix = f"{record.name}.{node.layer}"
            for field, found in (("acc", acc), ("out", out)):
                expected = vectors[f"{prefix}.{field}"][image : image + 1]
                record.comparison.check(f"vectors {prefix}.{field} image {image}", expected, found)
            tensors[node.output] = out
        record.images += 1

    async def _run_layer(
        self, point: int, layer: int, geometry: Geometry, x: Codes, last: bool
    ) -> tuple[Acc, Codes]:
        """Run a layer in jobs of as many positions as fit; ``last`` ends the inference with it."""
        fields = im2col(x, geometry)
        depthwise = self.network.tilings[layer].depthwise
        groups = [fields] if depthwise else list(fields)
        depth, positions = self.network.design.psum_depth, fields.shape[-2]
        starts = range(0, positions, depth)
        jobs = [
            Job(layer, group, x[..., start : start + depth, :], last=False)
            for group, x in enumerate(groups)
            for start in starts
        ]
        jobs[-1] = replace(jobs[-1], last=last)
        results = [await self.run_job(point, job) for job in jobs]
        tensors = []
        for parts in zip(*results, strict=True):
            columns = np.concatenate(parts).reshape(len(groups), positions, -1)
            if depthwise:  # position, channel
                columns = columns[0].T[:, :, None]
            tensors.append(from_columns(columns, geometry))
        acc, out = tensors
        return acc, out

    async def run_drawn_inference(self, point: int) -> None:
        """Run all layers on random activations."""
        n_layers = self.network.n_layers
        for layer in range(n_layers):
            await self.run_drawn_layer(point, layer, last=layer == n_layers - 1)

    async def run_drawn_layer(self, point: int, layer: int, *, last: bool) -> None:
        """Run a job of a layer on random activations."""
        await self.run_job(point, self.network.draw_job(layer, last=last))
