"""Fetches EvoApproxLib with git, for users who are online."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from qosnets.errors import InputError, ToolError
from qosnets.lut import lut_sha256

from .published import check_published, published_hashes
from .sources import Found, Phase, read_circuits
from .store import Imported, check_target, write_found

__all__ = ["EVOAPPROX_COMMIT", "EVOAPPROX_URL", "fetch_evoapprox"]

EVOAPPROX_URL = "https://github.com/ehw-fit/evoapproxlib"

EVOAPPROX_COMMIT = "187ff571556cc1f310e46fa4ac463abb71dd671e"
"""Head of branch ``v2022``, whose figures :mod:`.published` holds."""

_TIMEOUT_S = 600

# A transfer below 1 kB/s for 20 s is given up.
_OPTIONS = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=20")

# Neither questions nor translations.
_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "LC_ALL": "C"}


def fetch_evoapprox(
    name: str = "evoapprox",
    *,
    force: bool = False,
    liberty: Path | None = None,
    progress: Phase | None = None,
    url: str = EVOAPPROX_URL,
    commit: str = EVOAPPROX_COMMIT,
) -> Imported:
    """Import the unsigned 8x8 multipliers of EvoApproxLib v2022 from its repository.

    Parameters
    ----------
    name
        Name of the library.
    force, liberty, progress
        As for :func:`.store.import_library`.
    url, commit
        The repository, and the commit of it that is wanted.

    Raises
    ------
    InputError
        If the repository cannot be reached, or if it does not hold each published circuit with
        its published hash. Nothing is written. Further as :func:`.store.import_library`.
    ToolError
        If git is not installed.
    """
    check_target(name, force=force)
    with TemporaryDirectory(prefix="qosnets-fetch-") as folder:
        checkout = Path(folder)
        _git(["init", "--quiet"], checkout, url)
        _git(["fetch", "--quiet", "--depth", "1", "--", url, commit], checkout, url)
        _git(["checkout", "--quiet", "FETCH_HEAD"], checkout, url)
        found = read_circuits(checkout, progress=progress)
    _check_complete(found, url)
    return write_found(found, name, force=force, liberty=liberty, progress=progress)


def _git(arguments: Sequence[str], folder: Path, url: str) -> None:
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *arguments],
            cwd=folder,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise ToolError("git: is not installed; it is needed to fetch a library") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{url}: cannot be fetched: no end within {_TIMEOUT_S} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("fatal: ")]
        reason = lines[0].removeprefix("fatal: ") if lines else f"git ended with {done.returncode}"
        raise InputError(f"{url}: cannot be fetched (offline?): {reason}")


def _check_complete(found: Found, url: str) -> None:
    """Refuse what is not the published library."""
    if found.refused:
        raise InputError("\n".join(refusal.reason for refusal in found.refused))
    hashes = {circuit.name: lut_sha256(circuit.lut) for circuit in found.circuits}
    check = check_published(hashes)
    if not check.complete:
        missing = sorted(published_hashes().keys() - hashes.keys())
        raise InputError(
            f"{url}: must hold the {check.n_published} published circuits; not as published:"
            f" {', '.join([*check.differing, *missing])}"
        )
