"""The program under test."""

import sys

import pytest
from qosnets_hw.cli import main


@pytest.fixture
def qosnets_hw(monkeypatch, capsys):
    """Run the program in this process; returns exit code, output and error lines."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qosnets-hw", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return ended.value.code, captured.out, captured.err.splitlines()

    return run


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home for libraries."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "qosnets-hw"
