"""Data-parallel training by ``torchrun``: processes with equal networks and different images.

Gradients, BatchNorm statistics and activation ranges are averaged after every step, so that all
processes hold the same network at any time. In one process all of this does nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["average_", "is_first", "joined", "rank", "world_size"]


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Join the other processes, if ``torchrun`` has started this one; leave them after the block.

    Within another such block it does nothing.
    """
    if not dist.is_available() or "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if _is_parallel() else 1


def rank() -> int:
    """Return the number of this process, 0 for the first."""
    return dist.get_rank() if _is_parallel() else 0


def is_first() -> bool:
    """Tell whether this process speaks and writes for all; works before :func:`joined`, too."""
    return int(os.environ.get("RANK", "0")) == 0


def average_(tensors: Iterable[Tensor]) -> None:
    """Replace float tensors by their means over all processes."""
    if world_size() == 1:
        return
    with torch.no_grad():
        parts = [tensor for tensor in tensors if tensor.is_floating_point()]
        flat = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(flat)
        flat /= world_size()
        for part, mean in zip(
            parts, torch.split(flat, [part.numel() for part in parts]), strict=True
        ):
            part.copy_(mean.view_as(part))


def _is_parallel() -> bool:
    return dist.is_available() and dist.is_initialized()
