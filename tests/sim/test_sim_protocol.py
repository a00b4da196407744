"""The AXI interfaces against models of others."""

import pytest
from designs import make_design, minimal_ops, write_ops
from qosnets_sim.design import Design
from qosnets_sim.job import BENCH_VARIABLE, BenchJob
from qosnets_sim.results import SimulationResult
from qosnets_sim.verilator import build_model, run_model

pytest.importorskip("cocotbext.axi")


@pytest.mark.usefixtures("simulator")
def test_streams_and_registers_under_the_models_of_cocotbext_axi(tmp_path):
    file = write_ops(tmp_path, minimal_ops(2, n_layers=2, n_points=2))
    folder = make_design(tmp_path / "design", file, rows=3, cols=2)
    design = Design.open(folder)
    model = build_model(design.sources, design.manifest["top"]["module"])
    for seed, stalls in ((1, 0.0), (2, 0.5)):
        result = run(model, tmp_path / f"run{seed}", folder, file, seed, stalls)
        assert result.rules is not None
        assert result.rules.mismatches == 0, result.rules
        assert result.rules.compared > 500


def run(model, work, folder, file, seed, stalls) -> SimulationResult:
    work.mkdir()
    job = BenchJob(
        design=str(folder),
        ops=str(file.path),
        seed=seed,
        n_images=None,
        stalls=stalls,
        result=str(work / "result.json"),
        progress=str(work / "progress"),
    )
    job.save(work / "job.json")
    environment = {BENCH_VARIABLE: str(work / "job.json")}
    run_model(model, "sim.protocol_bench", environment=environment, folder=work)
    return SimulationResult.load(work / "result.json")
