"""Verilator finds nothing to object to in the generated Verilog but what lint.vlt explains."""

import os
import subprocess

import pytest
from designs import make_design, minimal_ops, write_ops
from qosnets_hw.defaults import Isolation

DEPTHWISE = {
    "kind": "conv",
    "in_channels": 4,
    "out_channels": 4,
    "kernel": [3, 3],
    "stride": [1, 1],
    "padding": [1, 1, 1, 1],
    "dilation": [1, 1],
    "groups": 4,
    "input_size": [5, 5],
    "input_zero_point": 3,
    "output_zero_point": 0,
    "clamp": [0, 255],
}

CASES = {
    "smallest": (1, 1, 1, Isolation.BOTH, {}),
    "plain": (3, 2, 3, Isolation.BOTH, {}),
    "eight multipliers": (2, 5, 8, Isolation.BOTH, {}),
    "one gate": (2, 2, 2, Isolation.ACTIVATION, {}),
    "no gate": (2, 2, 2, Isolation.NONE, {}),
    "depthwise": (5, 2, 2, Isolation.BOTH, DEPTHWISE),
    "depthwise, more columns": (2, 3, 2, Isolation.BOTH, DEPTHWISE),
}


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("rows", "cols", "n", "isolation", "geometry"), CASES.values(), ids=CASES)
def test_verilator_lint_is_clean(tmp_path, rows, cols, n, isolation, geometry):
    from qosnets_sim.verilator import verilator_root

    ops = minimal_ops(n)
    ops["layers"] = [layer | geometry for layer in ops["layers"]]
    file = write_ops(tmp_path, ops)
    folder = make_design(tmp_path / "design", file, rows=rows, cols=cols, isolation=isolation)
    root = verilator_root()
    command = [root / "bin" / "verilator", "--lint-only", "-Wall", "--quiet"]
    command += ["--top-module", "qosnets_accelerator", "lint.vlt", "-f", "files.f"]
    lint = subprocess.run(
        command,
        cwd=folder / "rtl",
        env=os.environ | {"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    assert lint.returncode == 0 and not lint.stderr and not lint.stdout.strip(), lint.stderr
