"""``sim``: the benches of a design, built, run and summed up."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from qosnets.errors import CheckError, InputError, ToolError
from qosnets.library import cache_home
from qosnets.ops import OpsFile
from qosnets.parameters import check_data

from .design import Design
from .harness import HARNESS, STREAM_PLAYER, Harness
from .job import BENCH_VARIABLE, BenchJob
from .multiplier_model import (
    LOOK_UP,
    TABLES_VARIABLE,
    MultiplierModel,
    look_up_bank,
    write_tables,
)
from .results import SimulationResult
from .verilator import Model, build_model, run_model, verilator_root

__all__ = ["ACCELERATOR_BENCH", "BANK_BENCH", "Progress", "build_accelerator", "simulate"]

Progress = Callable[[str, int, int], None]
"""Called with a stage, the steps done and their total (0: not known yet)."""

BANK_BENCH = "qosnets_sim.bank_bench"
ACCELERATOR_BENCH = "qosnets_sim.accelerator_bench"
HIERARCHICAL: Mapping[MultiplierModel, Sequence[str]] = {
    MultiplierModel.NETLIST: ("processing_element",),
    MultiplierModel.LUT: (),
}
"""Modules to compile on their own. The netlists are most of an array, and compiled once build
several times faster; a call into such a module costs more than a look-up, though."""
POLL_SECONDS = 0.3


@dataclass(frozen=True)
class _Bench:
    stage: str
    name: str
    test_module: str
    build: Callable[[], Model]
    environment: Mapping[str, str]


def build_accelerator(
    design: Design, multiplier_model: MultiplierModel, hierarchical: Sequence[str]
) -> Model:
    """Compile the accelerator in its harness, see :func:`build_model`."""
    sources, generated = [*design.sources, STREAM_PLAYER], Harness.of(design.manifest).files()
    if multiplier_model is MultiplierModel.LUT:
        bank = design.manifest["bank"]["module"]
        replaced = {bank, *design.module_names}
        sources = [LOOK_UP, *(path for path in sources if path.stem not in replaced)]
        generated |= {f"{bank}.sv": look_up_bank(design)}
    return build_model(sources, HARNESS, generated=generated, hierarchical=hierarchical)


def simulate(
    folder: Path,
    ops: OpsFile,
    *,
    seed: int = 1,
    n_images: int | None = None,
    stalls: float = 0.0,
    multiplier_model: MultiplierModel = MultiplierModel.NETLIST,
    progress: Progress,
    accelerator_bench: str = ACCELERATOR_BENCH,
) -> SimulationResult:
    """Compare a generated design with the golden model, and both with the vectors.

    The multiplier bank is compared exhaustively; then the network runs on the images of the
    vectors through the accelerator's AXI interfaces, or layers are drawn where there are none.

    Parameters
    ----------
    folder
        The design.
    ops
        What it was generated from.
    seed
        Of everything that is drawn.
    n_images
        Images per operating point; None: all vectors.
    stalls
        Share of cycles in which streams stall, 0..1.
    multiplier_model
        What stands for the multipliers in the accelerator; the bank has its netlists always.
    progress
        Called often.
    accelerator_bench
        cocotb test module for the accelerator.

    Returns
    -------
    SimulationResult
        Mismatches are reported in it, not raised.

    Raises
    ------
    InputError
        If design and ``ops`` do not belong together.
    CheckError
        If a bench cannot finish, for example because the array hangs.
    ToolError
        If a tool is missing or fails.
    """
    verilator_root()
    design = Design.open(folder)
    design.check_made_from(ops)
    check_data(ops)
    if not 0 <= stalls < 1:
        raise InputError(f"stalls: must be at least 0 and below 1, not {stalls}")
    if n_images is not None and n_images < 1:
        raise InputError(f"images: must be at least 1, not {n_images}")
    products = design.product_tables(ops)
    cache_home().mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix="run-", dir=cache_home()))
    tables = work / "tables"
    write_tables(products, tables)
    bank_module = design.manifest["bank"]["module"]
    benches = (
        _Bench(
            "multiplier bank",
            "bank",
            BANK_BENCH,
            lambda: build_model(design.sources, bank_module),
            {},
        ),
        _Bench(
            "accelerator",
            "accelerator",
            accelerator_bench,
            lambda: build_accelerator(design, multiplier_model, HIERARCHICAL[multiplier_model]),
            {TABLES_VARIABLE: str(tables)},
        ),
    )
    jobs = [
        BenchJob(
            design=str(folder.resolve()),
            ops=str(ops.path.resolve()),
            seed=seed,
            n_images=n_images,
            stalls=stalls,
            result=str(work / bench.name / "result.json"),
            progress=str(work / bench.name / "progress"),
        )
        for bench in benches
    ]
    try:
        bank, accelerator = _run_all(benches, jobs, progress)
    except (CheckError, ToolError):
        raise  # the message names a log in the folder
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work)
    accelerator.bank = bank.bank
    return accelerator


def _run_all(
    benches: Sequence[_Bench], jobs: Sequence[BenchJob], progress: Progress
) -> list[SimulationResult]:
    """Build and run the benches side by side."""
    with ThreadPoolExecutor(len(benches)) as pool:
        runs = [pool.submit(_run, bench, job) for bench, job in zip(benches, jobs, strict=True)]
        watched = [
            (bench.stage, Path(job.progress), run)
            for bench, job, run in zip(benches, jobs, runs, strict=True)
        ]
        _watch(watched, progress)
        return [run.result() for run in runs]


def _run(bench: _Bench, job: BenchJob) -> SimulationResult:
    model = bench.build()
    folder = Path(job.result).parent
    folder.mkdir()
    job.save(folder / "job.json")
    environment = {**bench.environment, BENCH_VARIABLE: str(folder / "job.json")}
    run_model(model, bench.test_module, environment=environment, folder=folder)
    return SimulationResult.load(Path(job.result))


def _watch(
    runs: Sequence[tuple[str, Path, "Future[SimulationResult]"]], progress: Progress
) -> None:
    """Report the progress of the benches until all have ended."""
    pending = {run for _, _, run in runs}
    while pending:
        _, pending = wait(pending, timeout=POLL_SECONDS)
        for stage, path, run in runs:
            if path.is_file():
                done, total = map(int, path.read_text().split())
                progress(f"Simulating {stage}", done, total)
            elif run in pending:
                progress(f"Building simulation of {stage}", 0, 0)
