"""Verilator finds nothing to object to in the generated Verilog but what lint.vlt explains."""

import os
import subprocess

import pytest
from designs import make_design, minimal_ops, write_ops


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("rows", "cols", "n"), [(1, 1, 1), (3, 2, 3), (2, 5, 8)])
def test_verilator_lint_is_clean(tmp_path, rows, cols, n):
    from qosnets_sim.verilator import verilator_root

    file = write_ops(tmp_path, minimal_ops(n))
    folder = make_design(tmp_path / "design", file, rows=rows, cols=cols) / "rtl"
    root = verilator_root()
    command = [root / "bin" / "verilator", "--lint-only", "-Wall", "--quiet"]
    command += ["--top-module", "qosnets_array", "lint.vlt", "-f", "files.f"]
    lint = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    assert (lint.returncode, lint.stderr, lint.stdout.strip()) == (0, "", "")
