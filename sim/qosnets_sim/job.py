"""What a bench is asked to do: the file that the runner hands to the simulator."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qosnets.files import atomic_write, canonical_json, read_json

__all__ = ["BENCH_VARIABLE", "BenchJob"]

BENCH_VARIABLE = "QOSNETS_BENCH"
"""Environment variable with the path of the job file."""


@dataclass(frozen=True)
class BenchJob:
    """A run of a bench."""

    design: str
    """Folder of the design."""
    ops: str
    """Path of ``ops.json``."""
    seed: int
    n_images: int | None
    """Images per operating point; None: all vectors."""
    stalls: float
    """Share of cycles in which streams stall, 0..1."""
    result: str
    """Where to write the result."""
    progress: str
    """Where to write progress, ``done total``."""
    point: int = 0
    """Operating point whose activity is recorded."""
    min_cycles: int = 0
    """Clock cycles to record at least."""

    def save(self, path: Path) -> None:
        """Write the job to ``path``."""
        atomic_write(path, canonical_json(asdict(self)))

    @classmethod
    def from_environment(cls) -> "BenchJob":
        """Read the job that the runner left for this simulation."""
        data: dict[str, Any] = read_json(Path(os.environ[BENCH_VARIABLE]))
        return cls(**data)

    def report_progress(self, done: int, total: int) -> None:
        """Tell the runner how far the bench is."""
        atomic_write(Path(self.progress), f"{done} {total}".encode())
