"""Checkpoints: an interrupted run goes on where it stopped, and nothing else goes on with it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from qosnets.errors import InputError
from qosnets_search.checkpoints import Checkpoints
from qosnets_search.pipeline import Run, search
from small_searches import TINY, Circuit, write_library

CIRCUITS = {
    "exact": Circuit("a * b", 1.0),
    "coarse": Circuit("(a >> 3 << 3) * (b >> 2 << 2)", 0.5),
}
IDENTITY = {"recipe": {"seed": 1, "scales": [0.1, 1.0]}, "torch": "2"}


def test_stage_is_computed_once(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"state": {"w": torch.arange(3)}, "sigmas": [0.1, 0.2], "name": "x"}

    first = Checkpoints(tmp_path / "run", IDENTITY, resume=False).stage("a stage", compute)
    again = Checkpoints(tmp_path / "run", IDENTITY, resume=True)
    second = again.stage("a stage", compute)
    assert len(calls) == 1
    assert torch.equal(first["state"]["w"], second["state"]["w"])
    assert (second["sigmas"], second["name"]) == ([0.1, 0.2], "x")
    again.stage("another", compute)
    assert len(calls) == 2


def test_run_is_not_taken_for_another(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Checkpoints(folder, IDENTITY, resume=False)
    with pytest.raises(InputError, match=r"run: holds an interrupted run \(--resume continues"):
        Checkpoints(folder, IDENTITY, resume=False)
    for other, difference in (
        ({"recipe": {"seed": 2, "scales": [0.1, 1.0]}, "torch": "2"}, r"recipe\.seed was 1, not 2"),
        ({"recipe": {"seed": 1, "scales": [0.1]}, "torch": "2"}, r"recipe\.scales was \[0\.1, 1"),
        ({"recipe": IDENTITY["recipe"]}, "torch was '2', not None"),
    ):
        with pytest.raises(InputError, match=rf"belongs to another run: {difference}"):
            Checkpoints(folder, other, resume=True)


def test_damaged_stage_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY, resume=False)
    checkpoints.stage("one", lambda: {"x": 1})
    path = tmp_path / "one.pt"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"one\.pt: must be a checkpoint: "):
        checkpoints.stage("one", lambda: {"x": 1})


def test_journal_forgets_a_line_that_was_cut_short(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY, resume=False)
    journal = checkpoints.journal("alwann")
    journal.keep((1, 2), (0.5,))
    journal.keep((3,), (0.25, 0.75))
    path = tmp_path / "alwann.jsonl"
    path.write_text(path.read_text()[:-4])
    again = checkpoints.journal("alwann")
    assert again.known == {(1, 2): (0.5,)}
    again.keep((4,), (1.0,))
    assert checkpoints.journal("alwann").known == {(1, 2): (0.5,), (4,): (1.0,)}
    assert Checkpoints(None, IDENTITY, resume=False).journal("alwann").known == {}


def test_interrupted_search_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    library = write_library(tmp_path / "library", CIRCUITS)
    whole = search(TINY, library, progress=lambda *_: None)
    state = tmp_path / "state"

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "tuning of operating point 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(TINY, library, run=Run(checkpoints=state), progress=interrupt)
    stages: list[str] = []
    resumed = search(
        TINY,
        library,
        run=Run(checkpoints=state, resume=True),
        progress=lambda stage, *_: stages.append(stage),
    )
    assert resumed == whole
    assert set(stages) == {
        "evaluation of operating point 1",
        "evaluation of operating point 2",
        "tuning of operating point 2",
    }
    other = TINY.model_copy(update={"seed": 2})
    with pytest.raises(InputError, match=r"belongs to another run: recipe\.seed was 1, not 2"):
        search(other, library, run=Run(checkpoints=state, resume=True), progress=lambda *_: None)
