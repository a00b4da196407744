"""Data-parallel training: two processes of ``torchrun`` train one network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from qosnets_search.training import distributed


def _average(rank: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    tensors = [torch.full((2, 3), float(rank)), torch.tensor(rank), torch.tensor(10.0 * rank)]
    distributed.average_(tensors)
    torch.save(tensors, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_means_are_those_of_all_processes(tmp_path: Path) -> None:
    mp.spawn(_average, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        mean, count, scalar = torch.load(tmp_path / f"{rank}.pt")
        assert (mean == 0.5).all() and scalar == 5
        assert count == rank  # integers are left alone


def test_one_process_averages_nothing() -> None:
    value = torch.tensor([1.0, 2.0])
    distributed.average_([value])
    assert value.tolist() == [1, 2]
    assert (distributed.rank(), distributed.world_size()) == (0, 1)


@pytest.mark.long
def test_search_under_torchrun(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["-m", "qosnets_hw.cli", "search", "--out", str(tmp_path / "out")]
    for setting in ("float_training.epochs=8", "quantised_training.epochs=1"):
        command += ["--set", setting]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("relative power") == 1  # one process speaks
    ops = json.loads((tmp_path / "out" / "ops.json").read_text())
    assert ops["provenance"]["processes"] == 2
    assert ops["estimates"]["baseline_accuracy"] > 0.9
