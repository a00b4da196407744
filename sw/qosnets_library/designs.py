"""Runs Yosys on the sources of users, many designs per process."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeAlias

from qosnets.errors import InputError

from .directives import harmless_text
from .yosys import YosysError, run_yosys

__all__ = ["Design", "Job", "Outputs", "Step", "run_job", "run_jobs"]

_TIMEOUT_S = 120
_CHUNK = 64

# -nodpi: otherwise Yosys calls any C function that the file names. -sop: covers stay what they
# are, instead of becoming truth tables.
_READ_VERILOG = "-nodpi -nodisplay -noassert -noassume -norestrict"
_READERS = {
    ".v": f"read_verilog {_READ_VERILOG}",
    ".sv": f"read_verilog -sv {_READ_VERILOG}",
    ".blif": "read_blif -sop",
}

Outputs: TypeAlias = dict[str, bytes]

Step: TypeAlias = Callable[[int, int], None]
"""Called as ``step(n_done, n_total)``."""


@dataclass(frozen=True)
class Design:
    """The source files of one circuit."""

    files: Mapping[str, bytes]
    """Content by name; the suffix is ``.sv``, ``.blif``, or else means Verilog."""
    where: str
    """What the files are called in messages."""


@dataclass(frozen=True)
class Job:
    """What to do with a design once Yosys has read it."""

    design: Design
    passes: tuple[str, ...]
    """Commands of Yosys in which ``{job}`` precedes the name of each file."""
    outputs: tuple[str, ...]
    """Names of the files that the passes write."""


def run_job(job: Job) -> Outputs:
    """Return what one job wrote; raises InputError where the design is refused."""
    (result,) = run_jobs([job])
    if isinstance(result, InputError):
        raise result
    return result


def run_jobs(jobs: Sequence[Job], *, step: Step | None = None) -> list[Outputs | InputError]:
    """Run jobs on all cores, isolated from each other; return what each one wrote, in their order.

    The result of a design that is refused is its error: one fault does not hide the others.

    Raises
    ------
    ToolError
        If pyosys cannot be imported.
    """
    n_workers = os.cpu_count() or 1
    size = max(1, min(_CHUNK, -(-len(jobs) // n_workers)))
    chunks = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    results: list[Outputs | InputError] = []
    executor = ThreadPoolExecutor(n_workers)
    try:
        for chunk in executor.map(_run_chunk, chunks):
            results += chunk
            if step:
                step(len(results), len(jobs))
    finally:
        executor.shutdown(cancel_futures=True)
    return results


def _run_chunk(jobs: Sequence[Job]) -> list[Outputs | InputError]:
    prepared: list[_Prepared | InputError] = []
    for job in jobs:
        try:
            prepared.append(_Prepared(job))
        except InputError as error:
            prepared.append(error)
    results = iter(_run_together([item for item in prepared if isinstance(item, _Prepared)]))
    return [next(results) if isinstance(item, _Prepared) else item for item in prepared]


class _Prepared:
    """A job whose files are harmless."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.files: dict[str, bytes] = {}
        self.places: dict[str, str] = {}
        self.passes = ["design -reset", "design -reset-vlog"]
        design = job.design
        for index, (name, content) in enumerate(design.files.items()):
            base, suffix = PurePath(name).name, PurePath(name).suffix.lower()
            suffix = suffix if suffix in _READERS else ".v"
            place = f"{base}: " if len(design.files) > 1 else ""
            where = f"{design.where}: {base}" if len(design.files) > 1 else design.where
            file = f"source{index}{suffix}"
            self.files[file] = harmless_text(name, content, where)
            self.places[file] = place
            self.passes.append(f"{_READERS[suffix]} {{job}}{file}")
        self.passes += job.passes

    def refused(self, error: YosysError) -> InputError:
        """Return the error of a run of this job only, in terms of the user's files."""
        message = re.sub(
            r"job0_(source\d+\.(?:sv|v|blif)):(\d+)",
            lambda found: f"{self.places[found[1]]}line {found[2]}",
            str(error),
        )
        return InputError(f"{self.job.design.where}: {message.replace(chr(92), '')}")


def _run_together(jobs: Sequence[_Prepared]) -> list[Outputs | InputError]:
    """Run jobs in one process; where it fails, those of each half in one of their own."""
    if not jobs:
        return []
    script: list[str] = []
    files: dict[str, bytes] = {}
    outputs: list[str] = []
    for index, prepared in enumerate(jobs):
        prefix = f"job{index}_"
        script += [command.replace("{job}", prefix) for command in prepared.passes]
        files |= {prefix + name: content for name, content in prepared.files.items()}
        outputs += [prefix + name for name in prepared.job.outputs]
    try:
        written = run_yosys(script, files, outputs, timeout_s=_TIMEOUT_S).outputs
    except YosysError as error:
        if len(jobs) == 1:
            return [jobs[0].refused(error)]
        half = len(jobs) // 2
        return _run_together(jobs[:half]) + _run_together(jobs[half:])
    return [
        {name: written[f"job{index}_{name}"] for name in prepared.job.outputs}
        for index, prepared in enumerate(jobs)
    ]
