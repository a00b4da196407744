"""Compilation of kernels, and their execution by several threads.

Kernels are compiled by numba at their first call; the machine code is kept in the cache. A kernel
``kernel(first, last, *arguments)`` does items ``first ≤ i < last`` of its work and leaves Python's
lock alone, so that threads share the items. Plain threads are used rather than numba's own ones:
those abort the process when two threads of Python call them at once, or after a fork.
"""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from numba.core import event
from qosnets_library.compiled import compiler, folder_digest

__all__ = ["compiled", "run_items", "source_digest"]

_log = logging.getLogger(__name__)

_MIN_NANOSECONDS = 100_000
"""Work that is worth a thread: waking one up takes 20 to 60 microseconds."""

_PARTS_PER_THREAD = 16


_FOLDER = Path(__file__).parent

compiled = compiler(_FOLDER, nogil=True)
"""Decorator of kernels."""


@cache
def source_digest() -> str:
    """Return a digest of the kernels' sources."""
    return folder_digest(_FOLDER)


class _FirstCompilation(event.Listener):
    """Says once that compilation takes a while."""

    def __init__(self) -> None:
        self._told = False

    def on_start(self, compilation: event.Event) -> None:
        """Tell about the first kernel of this package that is compiled."""
        function = compilation.data["dispatcher"].py_func
        if not self._told and function.__module__.startswith(__package__):
            self._told = True
            # A warning, for it is shown where nobody configured logging.
            _log.warning("compiling the simulation kernels, once per machine (some seconds)")

    def on_end(self, compilation: event.Event) -> None:
        """Do nothing."""


event.register("numba:compile", _FirstCompilation())


def run_items(
    kernel: Callable[..., None], n_items: int, nanoseconds: float, *arguments: object
) -> None:
    """Run all items of a kernel on as many threads as torch uses; waits for all.

    ``nanoseconds`` is about what one thread would take; it decides how many threads are woken up.
    """
    n_worthwhile = int(nanoseconds / _MIN_NANOSECONDS)
    n_threads = min(torch.get_num_threads(), n_items, n_worthwhile)
    if n_threads <= 1:
        kernel(0, n_items, *arguments)
        return
    # In parts, so that a thread whose core is busy with something else does less.
    n_parts = min(_PARTS_PER_THREAD * n_threads, n_items, n_worthwhile)
    bounds = [n_items * i // n_parts for i in range(n_parts + 1)]
    # Threads take their next part from one iterator; Python's lock makes that safe.
    parts = iter(list(pairwise(bounds)))
    pool = _pool(os.getpid(), n_threads - 1)
    others = [pool.submit(_run_parts, kernel, parts, arguments) for _ in range(n_threads - 1)]
    try:
        _run_parts(kernel, parts, arguments)
    finally:
        for other in others:
            other.result()


def _run_parts(
    kernel: Callable[..., None], parts: Iterator[tuple[int, int]], arguments: tuple[object, ...]
) -> None:
    for first, last in parts:
        kernel(first, last, *arguments)


@cache
def _pool(process: int, n_threads: int) -> ThreadPoolExecutor:
    """Return threads of this process: a forked one inherits the pool without them."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="qosnets-kernel")
