import tempfile

import pytest
from qosnets.errors import ToolError
from qosnets_library.yosys import YosysError, run_yosys, yosys_version


def test_outputs_and_log():
    run = run_yosys(
        ["read_verilog m.v", "tee -q -o cells.txt stat", "write_verilog -noattr o.v"],
        {"m.v": "module m(input a, output b); assign b = ~a; endmodule"},
        ["o.v", "cells.txt"],
    )
    assert b"endmodule" in run.outputs["o.v"]
    assert b"$not" in run.outputs["cells.txt"]
    assert "Executing Verilog-2005 frontend: m.v" in run.log


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (["read_verilog m.v"], "m.v:2: syntax error, unexpected invalid token"),
        (["no_such_pass"], "No such command: no_such_pass (type 'help' for a command overview)"),
        (["log nothing"], "Yosys did not write o.v"),
    ],
)
def test_yosys_errors(script, message):
    with pytest.raises(YosysError) as error:
        run_yosys(script, {"m.v": b"\n\xff"}, ["o.v"])
    assert str(error.value) == message
    assert error.value.exit_code == 3


def test_runs_that_take_too_long_are_stopped():
    with pytest.raises(YosysError, match=r"^Yosys did not finish within 0\.01 s$"):
        run_yosys(["help"], {}, [], timeout_s=0.01)


def test_missing_yosys_is_named(tmp_path, monkeypatch):
    (tmp_path / "pyosys.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ToolError) as error:
        run_yosys([], {}, [])
    expected = "pyosys: Yosys cannot be imported; get it with: pip install pyosys"
    assert str(error.value) == expected
    assert not isinstance(error.value, YosysError)


def test_nothing_is_left_behind_and_files_are_not_imported(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run_yosys(["log hello"], {"pyosys.py": "raise SystemExit('imported')"}, [])
    assert list(tmp_path.iterdir()) == []


def test_version():
    assert yosys_version()[0].isdigit()
