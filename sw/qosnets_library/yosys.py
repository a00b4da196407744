"""Runs Yosys in a child process, since an error in a Yosys pass ends its process."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qosnets.errors import ToolError

__all__ = ["YosysError", "YosysRun", "run_yosys", "yosys_version"]

_MISSING = "pyosys: Yosys cannot be imported; get it with: pip install pyosys"
_EXIT_MISSING = 3

_CHILD = f"""
import json, sys
try:
    from pyosys import libyosys
except ImportError:
    sys.exit({_EXIT_MISSING})
design = libyosys.Design()
for command in json.load(sys.stdin):
    libyosys.run_pass(command, design)
"""

# What Python needs to find pyosys, and the dynamic linker to find its libraries.
_INHERITED = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT")

_ERROR = re.compile(r"^(?:(?P<place>\S+:\d+): )?ERROR: *(?P<text>.+)$", re.MULTILINE)


class YosysError(ToolError):
    """Yosys stopped; the message is Yosys's own, preceded by ``file:line`` where it gives one."""


@dataclass(frozen=True)
class YosysRun:
    """What a run of Yosys left behind."""

    log: str
    """Everything Yosys printed."""
    outputs: dict[str, bytes]
    """Content of the wanted files by name."""


def run_yosys(
    script: Sequence[str],
    files: Mapping[str, str | bytes],
    outputs: Sequence[str],
    *,
    timeout_s: float = 600,
) -> YosysRun:
    """Run Yosys passes in a temporary folder.

    Parameters
    ----------
    script
        Passes, one command each. Yosys splits commands at spaces and semicolons: no text of a
        user belongs here unchecked.
    files
        Files to put into the folder, by name.
    outputs
        Names of the files to return.
    timeout_s
        Longest time the run may take, in seconds.

    Raises
    ------
    YosysError
        If a pass fails, if the run takes too long, or if it does not write a file of ``outputs``.
    ToolError
        If pyosys cannot be imported.
    """
    with tempfile.TemporaryDirectory(prefix="qosnets-yosys-") as name:
        folder = Path(name)
        for file, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / file).write_bytes(data)
        environment = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        try:
            # -P keeps the files of the temporary folder from being imported.
            child = subprocess.run(
                [sys.executable, "-P", "-c", _CHILD],
                input=json.dumps(list(script)),
                cwd=folder,
                env=environment | {"TMPDIR": name},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise YosysError(f"Yosys did not finish within {timeout_s:g} s") from None
        if child.returncode == _EXIT_MISSING:
            raise ToolError(_MISSING)
        if child.returncode != 0:
            raise YosysError(_error_message(child.returncode, child.stderr.replace(name, "")))
        missing = [output for output in outputs if not (folder / output).is_file()]
        if missing:
            raise YosysError(f"Yosys did not write {missing[0]}")
        written = {output: (folder / output).read_bytes() for output in outputs}
    return YosysRun(child.stdout, written)


def _error_message(returncode: int, stderr: str) -> str:
    """Return Yosys's own message out of what it printed before it ended."""
    found = _ERROR.search(stderr)
    if found is None:
        last = stderr.strip().splitlines()[-1:]
        return ": ".join([f"Yosys ended with status {returncode}", *last])
    place = f"{found['place']}: " if found["place"] else ""
    return place + found["text"].strip()


def yosys_version() -> str:
    """Return the version of Yosys, which is that of pyosys; raises ToolError where missing."""
    try:
        return version("pyosys")
    except PackageNotFoundError:
        raise ToolError(_MISSING) from None
