"""``generate``: from ``ops.json`` and netlists to Verilog and a manifest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.lib import wiring
from qosnets.cycles import fixed_cycles, load_cycles
from qosnets.library import Entry, Library
from qosnets.lut import lut_file
from qosnets.ops import OpsFile

from .accelerator import build_accelerator
from .banks import Bank, ProvenMultiplier, build_bank, find_multipliers
from .collateral import collateral
from .config import ArrayConfig
from .defaults import DEFAULT_EXTENT, DEFAULT_K_MAX, DEFAULT_PSUM_DEPTH, BankKind, Isolation
from .emit import emit_verilog
from .modules import build_modules
from .ports import describe_ports
from .registers.parameters import RegisterParameters
from .registers.register_map import read_register_map

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


def generate(
    file: OpsFile,
    libraries: Sequence[Library],
    *,
    rows: int = DEFAULT_EXTENT,
    cols: int = DEFAULT_EXTENT,
    k_max: int = DEFAULT_K_MAX,
    psum_depth: int = DEFAULT_PSUM_DEPTH,
    bank: BankKind | None = None,
    isolation: Isolation = Isolation.BOTH,
    documents: bool = False,
) -> Design:
    """Generate the accelerator for ``file``.

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
    bank
        How the multipliers are realised; None: as ``file`` says.
    isolation
        Which operands of idle multipliers are held at zero, in a mux.
    documents
        Whether to make the documents of the registers as well, see :func:`.collateral`.

    Raises
    ------
    InputError
        If a multiplier cannot be found or proven, or a parameter is out of range.
    """
    multipliers = find_multipliers(file, libraries)
    config = ArrayConfig.from_ops(
        file.ops,
        [multiplier.lut for multiplier in multipliers],
        rows=rows,
        cols=cols,
        k_max=k_max,
        psum_depth=psum_depth,
    )
    built = build_bank(multipliers, kind=bank, isolation=isolation)
    address_map = RegisterParameters(
        config=config, isolation=built.isolation, ops_sha256=file.sha256
    ).compile()
    register_map = read_register_map(address_map)
    core = build_modules(config, built.components)
    modules = [*core, *build_accelerator(config, core[-1], register_map)]
    verilog = emit_verilog(modules, keep_hierarchy=["operand_gate"])

    files = {f"rtl/{name}.v": text.encode() for name, text in (built.netlists | verilog).items()}
    sources = list(files)
    files |= {f"lut/{x.label}.npy": lut_file(x.lut) for x in multipliers}
    files |= collateral(
        sources, top=modules[-1].module_name, address_map=address_map, documents=documents
    )
    interfaces = {"bank": built.component, "array": core[-1], "top": modules[-1]}
    manifest = {
        "schema": MANIFEST_SCHEMA,
        "ops_sha256": file.sha256,
        **_sizes(config),
        "bank_kind": built.kind.value,
        "isolation": built.isolation.value,
        "cycle_model": _cycle_model(config),
        "sources": sources,
        "multipliers": _multipliers(multipliers, built),
        **{name: _interface(component) for name, component in interfaces.items()},
        "registers": {register.name: register.offset for register in register_map.registers},
    }
    manifest["bank"]["select_words"] = list(built.component.select_words)
    return Design(files, manifest, tuple(x.found.entry for x in multipliers))


def _sizes(config: ArrayConfig) -> dict[str, int]:
    names = ["rows", "cols", "k_max", "psum_depth", "n_layers", "n_points", "n_tiles"]
    names += ["psum_width", "depthwise_lanes", "depthwise_taps", "array_latency"]
    return {name: getattr(config, name) for name in names}


def _cycle_model(config: ArrayConfig) -> dict[str, Any]:
    """Return the cycles of a job by :func:`qosnets.cycles.job_cycles`, for readers of JSON."""
    return {
        "formula": "fixed + (k_tiles * n_tiles - 1) * max(positions, tile) + positions",
        "fixed": fixed_cycles(config.rows, config.cols),
        "tile": load_cycles(config.rows),
    }


def _multipliers(multipliers: Sequence[ProvenMultiplier], bank: Bank) -> list[dict[str, str]]:
    return [
        {
            "name": x.multiplier.name,
            "module": module,
            "library": x.found.library.name,
            "lut_sha256": x.multiplier.lut_sha256,
            "netlist_sha256": x.found.entry.netlist_sha256,
            "activation_port": x.multiplier.activation_port.value,
            "lut": f"lut/{x.label}.npy",
        }
        for x, module in zip(multipliers, bank.modules, strict=True)
    ]


def _interface(component: wiring.Component) -> dict[str, Any]:
    return {"module": component.module_name, "ports": describe_ports(component)}
