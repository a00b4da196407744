"""Speed of sums of table entries, by every path, against plain loops in the same run.

Baselines are the gather of plain torch (path ``gather``) and naive loops compiled by numba: over
rows, columns and k of a matrix product, and over the nine taps of a depthwise convolution. The
loops get padded input and receptive fields for nothing. Cases ``…_mode`` and ``…_coarse`` are the
finest and the coarsest approximate mode of the merged multiplier, whose table the planner may take
for masked products.

Whole networks, forward and as a training step of a batch of 32, are compared with themselves on the
path ``direct``, a compiled loop that is faster than the naive one.

    python scripts/bench_simulation.py [--json] [--explain] [--threads N] [--runs N]
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

import numba
import numpy as np
import torch
import torch.nn.functional as F
from bench_networks import attach, multiplications, quantised
from numpy.lib.stride_tricks import sliding_window_view
from qosnets.library import Metrics, user_libraries
from qosnets.lut import exact_lut
from qosnets_library.default import default_library, merged_library
from qosnets_search.kernels import VARIABLE, ConvShape, KernelPath, MatmulShape, explain
from qosnets_search.kernels.paths import path_named
from torch import Tensor

NAIVE = "naive"
NLX_MSE = 2764.0
"""Mean squared error of EvoApproxLib's mul8u_NLX; without it, the nearest one is measured."""

RANK_OF_8U3 = 9
"""Rank of the table of EvoApproxLib's mul8u_8U3."""


def _conv(batch: int, channels: int, *, groups: int = 1) -> ConvShape:
    return ConvShape(
        batch=batch,
        in_channels=channels,
        size=(32, 32),
        out_channels=channels,
        kernel=(3, 3),
        stride=(1, 1),
        padding=(1, 1, 1, 1),
        padding_code=128,
        dilation=(1, 1),
        groups=groups,
    )


CASES = {
    "conv64": _conv(8, 64),
    "conv16": _conv(32, 16),
    "depthwise": _conv(8, 96, groups=96),
    "linear": MatmulShape(256, 512, 512),
}

NETWORKS = ("resnet8", "mobilenetv2")

BATCH = 32


@dataclass(frozen=True)
class Measurement:
    """Speed of one way to compute a case."""

    name: str
    path: str
    gproducts_per_s: float
    """Median."""
    spread: float
    """Range between the quartiles of the runs, relative to the median."""
    ratio_naive: float

    def __str__(self) -> str:
        rate, spread = f"{self.gproducts_per_s:8.2f}", f"{self.spread:7.1%}"
        return f"{self.name:15} {self.path:10} {rate} {spread} {self.ratio_naive:15.2f}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--explain", action="store_true", help="say what the planner expects")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: 1)")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default: 7)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name, lut = _multiplier("mul8u_NLX", lambda metrics: abs(metrics.mse - NLX_MSE))
    low_name, low_lut = _multiplier("mul8u_8U3", lambda metrics: abs(metrics.rank - RANK_OF_8U3))
    cases = [(case, shape, lut) for case, shape in CASES.items()]
    cases.append(("conv64_low_rank", CASES["conv64"], low_lut))
    finest, coarsest = _modes()
    cases += [(f"{case}_mode", shape, finest) for case, shape in CASES.items()]
    cases.append(("conv64_coarse", CASES["conv64"], coarsest))
    cases.append(("conv64_exact", CASES["conv64"], torch.from_numpy(exact_lut())))
    if arguments.explain:
        for case, shape, table in cases:
            print(f"{case}: {shape}", *explain(shape, table), sep="\n  ")
        return
    if not arguments.json:
        print(f"{name}, for low rank {low_name}; {arguments.threads} thread(s)")
        print(f"{'case':15} {'path':10} {'10⁹/s':>8} {'spread':>7} {'ratio to naive':>15}")
    chosen, measured = [], []
    for case, shape, table in cases:
        rows = _measure(case, shape, table, arguments.runs)
        measured += rows
        best = explain(shape, table)[0].path
        chosen += [row for row in rows if row.path == best]
        for row in () if arguments.json else rows:
            print(row, "<- planner" if row.path == best else "")
    for case in NETWORKS:
        rows = _measure_network(case, lut, arguments.runs)
        chosen += rows
        for row in () if arguments.json else rows:
            print(row, "to direct")
    if arguments.json:
        report = {
            "multiplier": name,
            "multiplier_of_low_rank": low_name,
            "threads": arguments.threads,
            "runs": arguments.runs,
            "cases": [vars(row) for row in chosen],
            "paths": [vars(row) for row in measured],
        }
        print(json.dumps(report, indent=2))


def _multiplier(name: str, distance: Callable[[Metrics], float]) -> tuple[str, Tensor]:
    """Return a multiplier that the user has imported, or else the default one nearest to it."""
    for library in user_libraries():
        if name in library.entries:
            return name, torch.from_numpy(library.lut(name))
    library = default_library()
    entry = min(library.entries.values(), key=lambda entry: distance(entry.metrics))
    return entry.name, torch.from_numpy(library.lut(entry.name))


def _modes() -> tuple[Tensor, Tensor]:
    """Return the finest and the coarsest approximate mode of the merged multiplier."""
    library = merged_library()
    modes = sorted(library.entries.values(), key=lambda entry: entry.metrics.mse)
    names = modes[1].name, modes[-1].name
    finest, coarsest = (torch.from_numpy(library.lut(name)) for name in names)
    return finest, coarsest


def _measure_network(case: str, lut: Tensor, n_runs: int) -> list[Measurement]:
    """Measure forward pass and training step of a network; products are those of the forward."""
    torch.manual_seed(1)
    network = quantised(case).train()
    attach(network, lut)
    images = torch.randn(BATCH, *network.input_shape)
    labels = torch.zeros(BATCH, dtype=torch.int64)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)

    def forward() -> None:
        with torch.no_grad():
            network(images)

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimiser.step()

    n_products = BATCH * multiplications(network)
    rows = []
    for way, run in (("forward", forward), ("training", step)):
        seconds = _durations(run, n_runs)
        with _only(KernelPath.DIRECT):
            direct = median(_durations(run, n_runs))
        rows.append(
            Measurement(
                case,
                way,
                n_products / median(seconds) / 1e9,
                _spread(seconds),
                direct / median(seconds),
            )
        )
    return rows


@contextmanager
def _only(path: KernelPath) -> Iterator[None]:
    """Let all sums go one way."""
    os.environ[VARIABLE] = path
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def _durations(run: Callable[[], object], n_runs: int) -> list[float]:
    """Return the seconds of runs, after one that does not count."""
    run()
    seconds = []
    for _ in range(n_runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def _spread(seconds: list[float]) -> float:
    return float(np.subtract(*np.percentile(seconds, [75, 25]))) / median(seconds)


def _measure(
    case: str, shape: ConvShape | MatmulShape, lut: Tensor, n_runs: int
) -> list[Measurement]:
    """Measure all paths of a case, one after the other, each after a run that does not count."""
    generator = torch.Generator().manual_seed(1)
    codes = partial(torch.randint, 0, 256, generator=generator, dtype=torch.uint8)
    if isinstance(shape, MatmulShape):
        x = codes((shape.n_rows, shape.reduction))
        w = codes((shape.reduction, shape.n_columns))
    else:
        group_channels = shape.in_channels // shape.groups
        x = codes((shape.batch, shape.in_channels, *shape.size))
        w = codes((shape.out_channels, group_channels, *shape.kernel))
    runs: dict[str, Callable[[], Tensor]] = {NAIVE: _naive(shape, x, w, lut)}
    for candidate in explain(shape, lut):
        path = path_named(candidate.path)
        if path is not None and path.usable(shape, lut) is None:
            runs[candidate.path] = partial(path.run, shape, x, w, lut)
    expected = runs[KernelPath.GATHER]()
    seconds: dict[str, list[float]] = {}
    for way, run in runs.items():
        if not torch.equal(run(), expected):
            raise SystemExit(f"{case}: {way} differs from gather")
        seconds[way] = _durations(run, n_runs)
    naive = median(seconds[NAIVE])
    return [
        Measurement(
            case,
            way,
            shape.n_products / median(times) / 1e9,
            _spread(times),
            naive / median(times),
        )
        for way, times in seconds.items()
    ]


def _naive(
    shape: ConvShape | MatmulShape, x: Tensor, w: Tensor, lut: Tensor
) -> Callable[[], Tensor]:
    """Return a naive compiled loop, which gives the same result as the paths."""
    table = lut.numpy()
    if isinstance(shape, MatmulShape):
        sums = np.empty((shape.n_rows, shape.n_columns), np.int32)
        columns = np.ascontiguousarray(w.numpy().T)
        return lambda: torch.from_numpy(_matmul_loop(x.numpy(), columns, table, sums))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=shape.padding_code)
    if shape.groups > 1:
        sums = np.empty((shape.batch, shape.out_channels, *shape.output_size), np.int32)
        taps = w.numpy().reshape(shape.out_channels, 9)
        return lambda: torch.from_numpy(_depthwise_loop(padded, taps, table, sums))
    windows = sliding_window_view(padded, shape.kernel, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    fields = np.ascontiguousarray(windows).reshape(-1, shape.reduction)
    rows = w.numpy().reshape(shape.out_channels, shape.reduction)
    sums = np.empty((len(fields), shape.out_channels), np.int32)
    size = (shape.batch, *shape.output_size, shape.out_channels)
    assert math.prod(size) == sums.size
    return lambda: (
        torch.from_numpy(_matmul_loop(fields, rows, table, sums)).reshape(size).permute(0, 3, 1, 2)
    )


@numba.njit
def _matmul_loop(x, w, table, sums):
    for m in range(x.shape[0]):
        for n in range(w.shape[0]):
            total = np.int32(0)
            for k in range(x.shape[1]):
                total += table[x[m, k], w[n, k]]
            sums[m, n] = total
    return sums


@numba.njit
def _depthwise_loop(x, w, table, sums):
    images, channels, height, width = sums.shape
    for image in range(images):
        for channel in range(channels):
            w0, w1, w2, w3, w4, w5, w6, w7, w8 = (
                w[channel, 0],
                w[channel, 1],
                w[channel, 2],
                w[channel, 3],
                w[channel, 4],
                w[channel, 5],
                w[channel, 6],
                w[channel, 7],
                w[channel, 8],
            )
            for row in range(height):
                plane = x[image, channel]
                above, middle, below = plane[row], plane[row + 1], plane[row + 2]
                for i in range(width):
                    sums[image, channel, row, i] = (
                        np.int32(table[above[i], w0])
                        + table[above[i + 1], w1]
                        + table[above[i + 2], w2]
                        + table[middle[i], w3]
                        + table[middle[i + 1], w4]
                        + table[middle[i + 2], w5]
                        + table[below[i], w6]
                        + table[below[i + 1], w7]
                        + table[below[i + 2], w8]
                    )
    return sums


if __name__ == "__main__":
    main()
