"""Ways to compute a sum of table entries, and the registry that the planner chooses from."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .direct import run_direct
from .gather import run_gather
from .lookup_sum import Amounts, LookupSum, Roles, matmul_result
from .permute import permute_work, run_permute
from .row_table import row_table_work, run_row_table
from .shapes import MatmulShape, Shape
from .triton_lut import run_triton, triton_obstacle, triton_work
from .vector import LANES, has_byte_permute

__all__ = ["KernelPath", "Path", "fuller_vectors", "path_named", "register", "registered"]


class KernelPath(StrEnum):
    """Name of a way to compute sums of table entries."""

    GATHER = "gather"
    """Plain torch, any device; the oracle."""
    DIRECT = "direct"
    """Compiled loop over products."""
    ROW_TABLE = "row_table"
    """Rows of products laid side by side, and added."""
    PERMUTE = "permute"
    """The table in vector registers; AVX-512 VBMI."""
    LOW_RANK = "low_rank"
    """Matrix products of exact factors of the table."""
    MASKED = "masked"
    """Products of masked bytes, for modes of merged multipliers; AVX-512 VNNI."""
    TRITON = "triton"
    """Compiled for CUDA by Triton; needs the package triton."""


class Path(Protocol):
    """A way to compute sums of table entries; all ways give the same integers."""

    @property
    def name(self) -> KernelPath:
        """Its name, which is unique."""

    def table_key(self, lut: Tensor) -> Hashable:
        """Return what use and work depend on of the table's content; None: on nothing."""

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        """Return why operands of this shape, on the device of ``lut``, cannot be had, or None."""

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        """Return amounts of work; a calibration finds the seconds that one of each takes.

        None is for a path that is the last resort, whose time nobody needs to know.
        """

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        """Return the sums, int32 ``[M, N]`` or ``[B, O, H', W']``, of checked operands."""


@dataclass(frozen=True)
class _Gather:
    name: KernelPath = KernelPath.GATHER

    def table_key(self, lut: Tensor) -> Hashable:
        return None

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        return None

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        return None

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        return run_gather(shape, x, w, lut)


@dataclass(frozen=True)
class _Compiled:
    """A path that computes the form of ``LookupSum``."""

    name: KernelPath
    kernel: Callable[[LookupSum], npt.NDArray[np.int32]]
    amounts: Callable[[Amounts], tuple[float, ...]]
    roles: Callable[[MatmulShape], Roles]
    obstacle: Callable[[], str | None] = lambda: None

    def table_key(self, lut: Tensor) -> Hashable:
        return None

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        if lut.device.type != "cpu":
            return f"needs operands on the CPU, not on {lut.device}"
        return self.obstacle()

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        if isinstance(shape, MatmulShape):
            return self.amounts(Amounts.of_matmul(shape, self.roles(shape)))
        return self.amounts(Amounts.of_conv2d(shape))

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        if isinstance(shape, MatmulShape):
            roles = self.roles(shape)
            return matmul_result(self.kernel(LookupSum.of_matmul(x, w, lut, roles)), shape, roles)
        out = self.kernel(LookupSum.of_conv2d(x, w, lut, shape))
        return torch.from_numpy(out).reshape(shape.batch, shape.out_channels, *shape.output_size)


@dataclass(frozen=True)
class _Triton:
    name: KernelPath = KernelPath.TRITON

    def table_key(self, lut: Tensor) -> Hashable:
        return None

    def usable(self, shape: Shape, lut: Tensor) -> str | None:
        return triton_obstacle(lut.device)

    def work(self, shape: Shape, lut: Tensor) -> tuple[float, ...] | None:
        return triton_work(shape)

    def run(self, shape: Shape, x: Tensor, w: Tensor, lut: Tensor) -> Tensor:
        return run_triton(shape, x, w, lut)


def fuller_vectors(shape: MatmulShape) -> Roles:
    """Return the roles that leave fewer lanes of vectors unused; in doubt without transposing."""

    def used(n_lanes: int) -> float:
        return n_lanes / (-(-n_lanes // LANES) * LANES)

    return Roles.COLUMNS if used(shape.n_columns) >= 0.8 * used(shape.n_rows) else Roles.ROWS


def _more_positions(shape: MatmulShape) -> Roles:
    """Return the roles that use the tables built more often; in doubt without transposing."""
    return Roles.COLUMNS if 2 * shape.n_columns >= shape.n_rows else Roles.ROWS


def _direct_work(amounts: Amounts) -> tuple[float, ...]:
    return (*amounts.common, float(amounts.n_rows * amounts.reduction * amounts.n_positions))


def _no_byte_permute() -> str | None:
    return None if has_byte_permute() else "needs a processor with AVX-512 VBMI"


_registered: dict[KernelPath, Path] = {}


def register(path: Path) -> None:
    """Make a path known to the planner."""
    _registered[path.name] = path


def registered() -> tuple[Path, ...]:
    """Return all paths, in the order they were registered."""
    return tuple(_registered.values())


def path_named(name: KernelPath) -> Path | None:
    """Return the path of that name, or None if it is not registered."""
    return _registered.get(name)


register(_Gather())
register(_Compiled(KernelPath.DIRECT, run_direct, _direct_work, fuller_vectors))
register(_Compiled(KernelPath.ROW_TABLE, run_row_table, row_table_work, _more_positions))
register(_Compiled(KernelPath.PERMUTE, run_permute, permute_work, fuller_vectors, _no_byte_permute))
register(_Triton())
