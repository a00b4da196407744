"""Isolation and tools for all tests."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from qosnets.errors import ToolError

ROOT = Path(__file__).parent.parent
MISSING = [name for name in ("torch", "sklearn") if find_spec(name) is None]

# Without the packages of the search its tests cannot even be collected; in CI that must fail.
collect_ignore = ["search"] if MISSING and not os.environ.get("CI") else []


def pytest_report_header() -> list[str]:
    return [f"not found: {name}, tests/search is skipped" for name in MISSING]


def pytest_configure() -> None:
    # A cache of the checkout's own: libraries and simulator builds survive between runs, and
    # nothing of the user's is touched.
    os.environ["XDG_CACHE_HOME"] = str(ROOT / "build" / "test-cache")
    os.environ["XDG_DATA_HOME"] = str(ROOT / "build" / "test-data")
    os.environ.pop("QOSNETS_LIBRARY_PATH", None)
    # Figures must not depend on the packages of the machine.
    os.environ["QOSNETS_LIBERTY"] = "generic"


@pytest.fixture(scope="session")
def simulator() -> None:
    """Skip without the simulator, naming what is missing; in CI fail."""
    from qosnets_sim.verilator import verilator_root

    try:
        verilator_root()
    except ToolError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
