"""Who may import whom (only ``cli`` modules put the packages together, inside functions)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "qosnets": "sw",
    "qosnets_library": "sw",
    "qosnets_search": "sw",
    "qosnets_hw": "hw",
    "qosnets_sim": "sim",
}
FORBIDDEN = {
    "qosnets": {"torch", "amaranth", "cocotb", "pyosys", *PACKAGES} - {"qosnets"},
    "qosnets_library": {
        *("torch", "amaranth", "cocotb"),
        *("qosnets_search", "qosnets_hw", "qosnets_sim"),
    },
    "qosnets_search": {"amaranth", "cocotb", "qosnets_hw", "qosnets_sim"},
    "qosnets_hw": {"torch", "cocotb", "qosnets_search", "qosnets_sim"},
    "qosnets_sim": {
        *("torch", "amaranth"),
        *("qosnets_library", "qosnets_search", "qosnets_hw"),
    },
}


def imported(node: ast.AST) -> set[str]:
    """Return the top-level packages that an import statement names; none if it is relative."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return {(node.module or "").partition(".")[0]}
    return set()


def violations(source: str, forbidden: set[str], *, is_cli: bool) -> list[str]:
    """Return the forbidden packages that ``source`` imports, where it must not."""
    tree = ast.parse(source)
    inside_functions = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if is_cli and (id(node) in inside_functions or id(node) in typing_only):
            continue
        found += sorted(imported(node) & forbidden)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_crosses_its_border(package):
    modules = sorted((ROOT / PACKAGES[package] / package).rglob("*.py"))
    assert len(modules) > 5
    for module in modules:
        is_cli = module.name.startswith("cli")
        found = violations(module.read_text(), FORBIDDEN[package], is_cli=is_cli)
        assert not found, f"{module.relative_to(ROOT)} imports {found}"


def test_a_crossing_is_found():
    assert violations("import torch.nn", {"torch"}, is_cli=False) == ["torch"]
    assert violations("def f():\n    from torch import nn", {"torch"}, is_cli=False) == ["torch"]
    assert violations("def f():\n    from torch import nn", {"torch"}, is_cli=True) == []
    assert violations("from torch import nn", {"torch"}, is_cli=True) == ["torch"]


def test_generate_needs_no_torch():
    """The modules of ``generate``, ``report`` and the library load with torch made unimportable."""
    script = (
        "import sys; sys.modules.update(torch=None, sklearn=None, cocotb=None)\n"
        "import qosnets_hw.cli, qosnets_hw.cli_stages, qosnets_hw.generate, qosnets_hw.report\n"
        "import qosnets_library.store\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_help_loads_nothing_heavy():
    script = (
        "import sys, qosnets_hw.cli\n"
        "heavy = {'torch', 'amaranth', 'cocotb', 'numpy', 'pyosys', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
