"""Recording of the toggles of all nets while layers run on the accelerator."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from qosnets.errors import CheckError, InputError
from qosnets.library import cache_home
from qosnets.ops import OpsFile

from .design import Design
from .harness import ACTIVITY_FILE, HARNESS, STREAM_PLAYER, Harness
from .job import BENCH_VARIABLE, BenchJob
from .results import SimulationResult
from .verilator import build_model, run_model

__all__ = ["record"]

BENCH = "qosnets_sim.activity_bench"


def record(
    design_folder: Path,
    ops: OpsFile,
    *,
    sources: Sequence[Path],
    point: int,
    min_cycles: int,
    seed: int,
    folder: Path,
) -> Path:
    """Run layers at an operating point and record the toggles of every net.

    Layers get random activations, again and again, until ``min_cycles`` have passed. Every output
    code is compared with the golden model. Recording begins when all tables are loaded, and ends
    with the last job.

    Parameters
    ----------
    design_folder
        The design.
    ops
        What it was generated from.
    sources
        Verilog with the top of the design: its own, or a netlist of it with models of the cells.
    point
        Index of the operating point.
    min_cycles
        Clock cycles to record at least.
    seed
        Of activations, and of layers where ``ops`` does not give them.
    folder
        Where to write the file.

    Returns
    -------
    Path
        The file in the SAIF format: below the instance ``dut``, the names of the sources. A net
        that is 1 when recording begins has one toggle too many.

    Raises
    ------
    InputError
        If design and ``ops`` do not belong together, or there is no such operating point.
    CheckError
        If an output code is wrong or nothing moves any more.
    ToolError
        If a tool is missing or fails.
    """
    design = Design.open(design_folder)
    design.check_made_from(ops)
    n_points = len(ops.ops.operating_points)
    if not 0 <= point < n_points:
        raise InputError(f"point: must be 0..{n_points - 1}, not {point}")
    model = build_model(
        [*sources, STREAM_PLAYER],
        HARNESS,
        generated=Harness.of(design.manifest).files(),
        activity=True,
    )
    with TemporaryDirectory(prefix="run-", dir=cache_home()) as name:
        work = Path(name)
        job = BenchJob(
            design=str(design_folder.resolve()),
            ops=str(ops.path.resolve()),
            seed=seed,
            n_images=None,
            stalls=0.0,
            result=str(work / "result.json"),
            progress=str(work / "progress"),
            point=point,
            min_cycles=min_cycles,
        )
        job.save(work / "job.json")
        run_model(model, BENCH, environment={BENCH_VARIABLE: str(work / "job.json")}, folder=work)
        comparison = SimulationResult.load(Path(job.result)).points[point].comparison
        if comparison.mismatches:
            raise CheckError(f"{design_folder}: {comparison.first_mismatch}")
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.move(work / ACTIVITY_FILE, folder / ACTIVITY_FILE))
