"""``generate``: from ``ops.json`` and netlists to Verilog and a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from qosnets.errors import InputError
from qosnets.library import Entry, Found, Library, find_multiplier
from qosnets.lut import Lut, check_lut_sha256, lut_file
from qosnets.netlist import netlist_lut
from qosnets.ops import ModeRealisation, Multiplier, OpsFile

from .bank import BankMember
from .config import ArrayConfig
from .defaults import DEFAULT_EXTENT, DEFAULT_K_MAX, DEFAULT_PSUM_DEPTH
from .emit import emit_verilog
from .modules import build_modules
from .ports import describe_ports

__all__ = ["MANIFEST_SCHEMA", "Design", "generate"]

MANIFEST_SCHEMA = "qosnets-design/1"


@dataclass(frozen=True)
class Design:
    """A generated design."""

    files: dict[str, bytes]
    """By relative path."""
    manifest: dict[str, Any]
    """Without the listing of the files."""
    entries: tuple[Entry, ...]
    """Library entry of each multiplier."""


@dataclass(frozen=True)
class _Member:
    """A multiplier with its proven netlist."""

    multiplier: Multiplier
    module_name: str
    found: Found
    netlist: str
    lut: Lut


def generate(
    file: OpsFile,
    libraries: Sequence[Library],
    *,
    rows: int = DEFAULT_EXTENT,
    cols: int = DEFAULT_EXTENT,
    k_max: int = DEFAULT_K_MAX,
    psum_depth: int = DEFAULT_PSUM_DEPTH,
) -> Design:
    """Generate the array for ``file``.

    Every netlist is evaluated for all 65 536 operand pairs and must have the LUT that
    ``ops.json`` names.

    Parameters
    ----------
    file
        The operating points.
    libraries
        Where to find the multipliers; the default library first.
    rows, cols
        Size of the array.
    k_max
        Largest reduction, where ``ops.json`` has no geometry.
    psum_depth
        Largest number of output positions in a job.

    Raises
    ------
    InputError
        If a multiplier cannot be found or proven, or a parameter is out of range.
    """
    members = [_find(file, libraries, code) for code in range(len(file.ops.multipliers))]
    config = ArrayConfig.from_ops(
        file.ops,
        [member.lut for member in members],
        rows=rows,
        cols=cols,
        k_max=k_max,
        psum_depth=psum_depth,
    )
    bank_members = [
        BankMember(member.module_name, member.multiplier.activation_port) for member in members
    ]
    modules = build_modules(config, bank_members)
    verilog = emit_verilog(modules, keep_hierarchy=["operand_gate"])

    files = {f"rtl/{m.module_name}.v": _module(m).encode() for m in members}
    files |= {f"rtl/{name}.v": text.encode() for name, text in verilog.items()}
    files["rtl/files.f"] = "".join(f"{name.removeprefix('rtl/')}\n" for name in files).encode()
    files["rtl/lint.vlt"] = resources.files(__package__).joinpath("lint.vlt").read_bytes()
    files |= {f"lut/{member.module_name}.npy": lut_file(member.lut) for member in members}
    entries = tuple(member.found.entry for member in members)
    return Design(files, _manifest(file, config, members, modules), entries)


def _find(file: OpsFile, libraries: Sequence[Library], code: int) -> _Member:
    multiplier = file.ops.multipliers[code]
    where = f"{file.path}: multipliers[{code}]"
    if isinstance(multiplier.realisation, ModeRealisation):
        raise InputError(f"{where}.realisation: 'mode' cannot be generated, only 'netlist' can")
    found = find_multiplier(
        libraries,
        name=multiplier.name,
        lut_sha256=multiplier.lut_sha256,
        library=multiplier.library,
        netlist_sha256=multiplier.netlist_sha256,
        where=where,
    )
    netlist = found.library.netlist(found.entry.name)
    path = found.library.folder / f"{found.entry.name}.v"
    lut = netlist_lut(netlist, where=f"{where}: {path}")
    check_lut_sha256(lut, multiplier.lut_sha256, where)
    module_name = f"mul{code}_{multiplier.name.replace('.', '_')}"
    return _Member(multiplier, module_name, found, netlist, lut)


def _module(member: _Member) -> str:
    """Return the netlist under the module name it has in the bank."""
    return member.netlist.replace("module multiplier(", f"module {member.module_name}(", 1)


def _manifest(
    file: OpsFile, config: ArrayConfig, members: Sequence[_Member], modules: Sequence[Any]
) -> dict[str, Any]:
    bank, top = modules[1], modules[-1]
    return {
        "schema": MANIFEST_SCHEMA,
        "ops_sha256": file.sha256,
        "rows": config.rows,
        "cols": config.cols,
        "k_max": config.k_max,
        "psum_depth": config.psum_depth,
        "n_layers": config.n_layers,
        "n_points": config.n_points,
        "n_tiles": config.n_tiles,
        "psum_width": config.psum_width,
        "array_latency": config.array_latency,
        "sources": [
            *(f"rtl/{member.module_name}.v" for member in members),
            *(f"rtl/{module.module_name}.v" for module in modules),
        ],
        "multipliers": [
            {
                "name": member.multiplier.name,
                "module": member.module_name,
                "library": member.found.library.name,
                "lut_sha256": member.multiplier.lut_sha256,
                "netlist_sha256": member.found.entry.netlist_sha256,
                "activation_port": member.multiplier.activation_port.value,
                "lut": f"lut/{member.module_name}.npy",
            }
            for member in members
        ],
        "bank": {"module": bank.module_name, "ports": describe_ports(bank)},
        "top": {"module": top.module_name, "ports": describe_ports(top)},
    }
