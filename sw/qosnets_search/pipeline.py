"""The search as a whole: from a library to ``ops.json`` with parameters and vectors."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from qosnets.errors import InputError
from qosnets.library import Library
from qosnets_library.liberty import load_liberty
from torch import nn

from .adaptation import Adaptation, adapt
from .checkpoints import Checkpoints
from .datasets.catalogue import load_dataset
from .datasets.dataset import ImageDataset
from .document import Chosen, PointResult, SearchResult, to_files
from .evaluation import accuracy
from .models.catalogue import load_model
from .preparation import Prepared, prepare
from .quantised.integer import traces
from .quantised.trace import trace
from .recipe import Bank, Recipe
from .selection.candidates import Offer, load_offers
from .selection.problem import relative_power
from .selection.selectors import select
from .session import Report, Session
from .training import distributed

__all__ = ["Run", "open_run", "search"]


@dataclass(frozen=True)
class Run:
    """Where a search takes its data from and keeps its state."""

    data_folder: Path | None = None
    """Folder of the data set's files; None: where the data set looks by itself."""
    checkpoints: Path | None = None
    """Folder for the results of stages; None: keep none."""
    resume: bool = False
    """Whether to continue the run in ``checkpoints``."""
    device: str | None = None
    """Device of PyTorch; None: a GPU where there is one."""

    @property
    def torch_device(self) -> torch.device:
        """The device to run on; of several GPUs each process of ``torchrun`` has its own.

        Raises
        ------
        InputError
            If PyTorch has no such device here.
        """
        name = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError):
            raise InputError(f"--device: must be one that PyTorch has, not {name!r}") from None
        if device.type == "cuda" and device.index is None:
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return device


def search(
    recipe: Recipe, library: Library | None, *, run: Run = Run(), progress: Report
) -> dict[str, bytes]:
    """Train a network, choose multipliers for every operating point, adapt and export.

    The stages, in order: float training, quantisation-aware training, search for the noise that
    each layer tolerates, with the bank ``merged`` the making of a merged multiplier, error model
    of every multiplier, selection, and for each operating point the tuning of BatchNorm and the
    integer export. Same recipe, same bytes, on the same
    device with the same number of threads.

    From quantisation on, activations and weights have only codes that all candidates read in full
    (:meth:`.CodeRange.narrowest`): one circuit with 7-bit operands makes the network a 7-bit one.

    Parameters
    ----------
    recipe
        What to do.
    library
        Its entries with a netlist are the candidates, or the modes of a merged multiplier: of
        several ones that with which the operating points need least power. None with the bank
        ``merged``.
    run
        Where data come from and state is kept.
    progress
        Called at least once a second or so with a stage, the steps done and their total.

    Returns
    -------
    dict
        Content of ``ops.json``, ``parameters.safetensors`` and ``vectors.safetensors``, and of the
        files in the folder ``library`` that holds a merged multiplier made for the network.

    Raises
    ------
    InputError
        If the library has no netlist, one without estimates, or modes beside netlists; if the
        network cannot be mapped, or tolerates no errors where a multiplier is to be made for it; if
        data are missing or damaged; if the checkpoints are those of another run.
    CheckError
        If an exported constant or accumulator does not fit its format.
    """
    with open_run(recipe, library, run=run, progress=progress) as session:
        prepared = prepare(session)
        result = _operating_points(session, prepared)
        return to_files(result, session)


@contextlib.contextmanager
def open_run(
    recipe: Recipe,
    library: Library | None,
    *,
    run: Run,
    progress: Report,
    further: Mapping[str, Any] | None = None,
) -> Iterator[Session]:
    """Provide what all stages share, with torch made reproducible.

    Parameters as for a search; ``further`` is what else, JSON-able, the results depend on.
    """
    offers = [] if recipe.bank is Bank.MERGED else _offers(library)
    device = run.torch_device
    with distributed.joined(device), _reproducible(recipe, device):
        dataset = load_dataset(recipe.data, folder=run.data_folder)
        module = load_model(
            recipe.model, input_shape=dataset.input_shape, n_classes=dataset.n_classes
        )
        # What cannot be mapped is refused before any training, and leaves no checkpoints.
        trace(module, dataset.input_shape, where=f"model {recipe.model}")
        identity = _identity(recipe, offers, dataset, module, device) | dict(further or {})
        checkpoints = Checkpoints(run.checkpoints, identity, resume=run.resume)
        yield Session(recipe, dataset, module, offers, device, checkpoints, progress)


def _offers(library: Library | None) -> list[Offer]:
    if library is None:
        raise ValueError("the bank mux needs a library")
    return load_offers(library)


def _identity(
    recipe: Recipe,
    offers: Sequence[Offer],
    dataset: ImageDataset,
    module: nn.Module,
    device: torch.device,
) -> dict[str, Any]:
    """Return everything that the results of a run depend on."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "model": _digest(module),
        "candidates": _costs(offers),
        "data": dict(dataset.provenance),
        "device": device.type,
        "n_processes": distributed.world_size(),
        "torch": version("torch"),
    }


def _costs(offers: Sequence[Offer]) -> dict[str, Any]:
    """Return what multipliers are identified by, or the cells that they are to be made of."""
    if not offers:
        return {"liberty": load_liberty(None).sha256}
    return {
        candidate.entry.name: [candidate.entry.netlist_sha256, candidate.relative_power]
        for offer in offers
        for candidate in offer.candidates
    }


def _digest(module: nn.Module) -> str:
    """Return a digest of a module's structure and initial values."""
    digest = hashlib.sha256(str(module).encode())
    for name, value in module.state_dict().items():
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _reproducible(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Make torch reproducible: threads, seed, deterministic algorithms; restore them afterwards.

    On a GPU some operations have no deterministic form; PyTorch warns of them.
    """
    n_threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    if recipe.n_threads:
        torch.set_num_threads(recipe.n_threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    try:
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            yield
    finally:
        torch.set_num_threads(n_threads)
        torch.use_deterministic_algorithms(deterministic)


def _operating_points(session: Session, prepared: Prepared) -> SearchResult:
    """Select multipliers and adapt the network to those of each operating point."""
    selection = select(prepared.problem, session.recipe.selector)
    powers = prepared.problem.relative_power
    used = sorted(set(selection.members.ravel().tolist()), key=lambda m: (-powers[m], m))
    candidates = prepared.offer.candidates
    chosen = [Chosen(candidates[m], prepared.preferences.ports[m]) for m in used]
    shares = relative_power(prepared.problem, selection.members)
    points = []
    for number, (row, share) in enumerate(
        zip(selection.members.tolist(), shares.tolist(), strict=True), start=1
    ):
        assignment = [used.index(member) for member in row]
        points.append(_point(session, prepared, chosen, assignment, share, number))
    return SearchResult(multipliers=chosen, points=points, prepared=prepared)


def _point(
    session: Session,
    prepared: Prepared,
    chosen: Sequence[Chosen],
    assignment: list[int],
    power: float,
    number: int,
) -> PointResult:
    """Adapt the network to an operating point, and evaluate it."""
    name, dataset = f"operating point {number}", session.dataset
    tables = {
        layer: chosen[select_code].table
        for layer, select_code in zip(prepared.integer.layers, assignment, strict=True)
    }
    codes = prepared.test_codes
    untuned = accuracy(prepared.integer, tables, codes, dataset.test_labels)
    session.progress(f"evaluation of {name}", 1, 2)
    integer = adapt(session, prepared, tables, Adaptation.TUNING, name=f"tuning of {name}")
    tuned = accuracy(integer, tables, codes, dataset.test_labels)
    shown = codes[: session.recipe.n_vector_images]
    found = traces(integer, tables, shown)
    session.progress(f"evaluation of {name}", 2, 2)
    return PointResult(assignment, integer, shown, found, tuned, untuned, power)
