"""Seconds that the paths need on this machine, from a few short runs that are kept in the cache.

The time of a path is modelled as a sum over its amounts of work, each times a cost that is not
negative. The costs are those with the least squared relative errors over the cases below.
"""

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from functools import cache, partial

import llvmlite  # type: ignore[import-untyped]
import numba
import numpy as np
import torch
from numba.core.registry import cpu_target
from qosnets.errors import InputError
from qosnets.files import atomic_write, canonical_json, read_json
from qosnets.library import cache_home
from qosnets_library.merged.masks import WEIGHTS
from scipy.optimize import nnls  # type: ignore[import-untyped]
from torch import Tensor

from .compiled import source_digest
from .paths import KernelPath, Path, path_named
from .shapes import ConvShape, MatmulShape, Shape

__all__ = ["seconds_per_work"]

_log = logging.getLogger(__name__)

_N_RUNS = 4
"""Runs of a case after the first; the fastest counts, for others were disturbed."""


def _conv(
    batch: int,
    channels: tuple[int, int],
    size: int,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
) -> ConvShape:
    return ConvShape(
        batch=batch,
        in_channels=channels[0],
        size=(size, size),
        out_channels=channels[1],
        kernel=(kernel, kernel),
        stride=(stride, stride),
        padding=(kernel // 2,) * 4,
        padding_code=0,
        dilation=(1, 1),
        groups=groups,
    )


_CASES: tuple[Shape, ...] = (
    _conv(4, (32, 64), 16),
    _conv(16, (16, 16), 32),
    _conv(8, (3, 16), 32),
    _conv(4, (64, 64), 8),
    _conv(2, (64, 128), 4),
    _conv(4, (16, 32), 32, stride=2),
    _conv(4, (32, 96), 16, kernel=1),
    _conv(4, (96, 96), 32, groups=96),
    _conv(16, (64, 64), 8, groups=64),
    MatmulShape(256, 512, 128),
    MatmulShape(128, 256, 512),
    MatmulShape(32, 512, 10),
    MatmulShape(1, 256, 256),
)


def seconds_per_work(path: Path, device: torch.device) -> tuple[float, ...]:
    """Return the seconds that one of each of a path's amounts of work takes.

    Measured at the first call on a machine, with the number of threads that torch has now.
    """
    return _costs(path.name, _key(device, torch.get_num_threads()), device)


@cache
def _costs(name: KernelPath, key: str, device: torch.device) -> tuple[float, ...]:
    file = cache_home() / "kernels" / f"{key}.json"
    known: dict[str, list[float]] = {}
    if file.exists():
        try:
            known = read_json(file)
        except InputError as error:
            _log.warning("measuring again: %s", error)
    path = path_named(name)
    if name not in known and path is not None:
        _log.info("measuring path %s on this machine", name)
        known[name] = _measure(path, device)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(file, canonical_json(known))
    return tuple(known[name])


@cache
def _key(device: torch.device, n_threads: int) -> str:
    """Return what identifies a machine, with all that decides how fast it is."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    versions = [module.__version__ for module in (llvmlite, numba, np, torch)]
    compiler = cpu_target.target_context.codegen().magic_tuple()
    facts = [name, compiler, device.type, n_threads, source_digest(), *versions]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _measure(path: Path, device: torch.device) -> list[float]:
    """Return the costs of a path, from cases that it can do."""
    generator = torch.Generator().manual_seed(1)
    rows, seconds = [], []
    for shape, lut in _cases(path, device):
        amounts = None if path.usable(shape, lut) else path.work(shape, lut)
        if amounts is None:
            continue
        x, w = (
            torch.randint(0, 256, size, generator=generator, dtype=torch.uint8).to(device)
            for size in _sizes(shape)
        )
        rows.append(amounts)
        seconds.append(_fastest(partial(path.run, shape, x, w, lut), device))
    if not rows:
        return []
    relative = np.array(rows) / np.array(seconds)[:, None]
    # Amounts differ by orders of magnitude, which the solver does not like.
    scale = np.maximum(relative.max(axis=0), np.finfo(float).tiny)
    costs, _ = nnls(relative / scale, np.ones(len(rows)))
    return [float(cost) for cost in costs / scale]


def _cases(path: Path, device: torch.device) -> Sequence[tuple[Shape, Tensor]]:
    """Return shapes and tables: the exact product and, where it matters, a mode of five terms."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    kept = np.add.outer(np.arange(8), np.arange(8)) >= 4
    tables = [
        torch.from_numpy((bits @ (WEIGHTS * mask) @ bits.T).astype(np.uint16)).to(device)
        for mask in (np.ones_like(kept), kept)
    ]
    if path.table_key(tables[0]) == path.table_key(tables[1]):
        tables = tables[:1]
    return [(shape, table) for table in tables for shape in _CASES]


def _sizes(shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(shape, MatmulShape):
        return (shape.n_rows, shape.reduction), (shape.reduction, shape.n_columns)
    channels = shape.in_channels // shape.groups
    return (
        (shape.batch, shape.in_channels, *shape.size),
        (shape.out_channels, channels, *shape.kernel),
    )


def _fastest(run: Callable[[], object], device: torch.device) -> float:
    durations = []
    for _ in range(1 + _N_RUNS):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - start)
    return min(durations[1:])
