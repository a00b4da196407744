# amaranth: UnusedElaboratable=no
"""From the multipliers of an ``ops.json`` to a multiplier bank and the netlists in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amaranth.lib import wiring
from qosnets.errors import InputError
from qosnets.library import Circuit, Found, Library, find_multiplier
from qosnets.lut import Lut, check_lut_sha256
from qosnets.netlist import netlist_lut
from qosnets.ops import ModeRealisation, Multiplier, OpsFile

from .bank import BankMember, MultiplierBank, OperandGate
from .defaults import BankKind, Isolation
from .merged_bank import MergedBank

__all__ = ["Bank", "ProvenMultiplier", "build_bank", "find_multipliers"]


@dataclass(frozen=True)
class ProvenMultiplier:
    """A multiplier of ``ops.json`` whose netlist has the LUT that is named there."""

    where: str
    multiplier: Multiplier
    found: Found
    netlist: str
    """Canonical netlist; of a mode, that of the circuit with its select word."""
    lut: Lut
    label: str
    """Unique and fit for modules and files."""

    @property
    def circuit(self) -> Circuit | None:
        """The merged circuit that it is a mode of."""
        mode = self.found.entry.mode
        return mode and self.found.library.circuit(mode.circuit)


@dataclass(frozen=True)
class Bank:
    """A multiplier bank."""

    kind: BankKind
    isolation: Isolation
    """Of a mux; a merged circuit has no operands of idle multipliers."""
    components: tuple[wiring.Component, ...]
    """The modules that it consists of beside the netlists, the bank last."""
    netlists: Mapping[str, str]
    """Verilog by module."""
    modules: tuple[str, ...]
    """Module of the netlist by select code."""

    @property
    def component(self) -> wiring.Component:
        """The bank itself."""
        return self.components[-1]


def find_multipliers(file: OpsFile, libraries: Sequence[Library]) -> list[ProvenMultiplier]:
    """Find the multipliers of ``file`` and evaluate each for all 65 536 operand pairs.

    Raises
    ------
    InputError
        If one is missing, has no netlist or another table, or is not realised as ``file`` says.
    """
    return [_find(file, libraries, code) for code in range(len(file.ops.multipliers))]


def _find(file: OpsFile, libraries: Sequence[Library], code: int) -> ProvenMultiplier:
    multiplier = file.ops.multipliers[code]
    where = f"{file.path}: multipliers[{code}]"
    found = find_multiplier(libraries, multiplier, where=where)
    library, entry = found.library, found.entry
    _check_realisation(multiplier, found, where)
    if entry.mode is None:
        netlist, path = library.netlist(entry.name), library.folder / f"{entry.name}.v"
    else:
        netlist, path = (
            library.netlist_of_mode(entry.mode),
            library.folder / f"{entry.mode.circuit}.v",
        )
    lut = netlist_lut(netlist, where=f"{where}: {path}")
    check_lut_sha256(lut, multiplier.lut_sha256, where)
    label = f"mul{code}_{multiplier.name.replace('.', '_')}"
    return ProvenMultiplier(where, multiplier, found, netlist, lut, label)


def _check_realisation(multiplier: Multiplier, found: Found, where: str) -> None:
    entry, said = found.entry, multiplier.realisation
    name = f"{entry.name} of library {found.library.name}"
    if not isinstance(said, ModeRealisation):
        if entry.mode is not None:
            rule = f"must be 'mode', as {name} is a mode of {entry.mode.circuit}"
            raise InputError(f"{where}.realisation.kind: {rule}, not 'netlist'")
    elif entry.mode is None:
        rule = f"must be 'netlist', as {name} is no mode of a merged multiplier"
        raise InputError(f"{where}.realisation.kind: {rule}, not 'mode'")
    elif (said.circuit, said.index) != (entry.mode.circuit, entry.mode.index):
        rule = f"must be mode {entry.mode.index} of {entry.mode.circuit}, as {name} is"
        raise InputError(f"{where}.realisation: {rule}, not mode {said.index} of {said.circuit}")


def build_bank(
    multipliers: Sequence[ProvenMultiplier], *, kind: BankKind | None, isolation: Isolation
) -> Bank:
    """Return the bank of ``multipliers``, by select code.

    Parameters
    ----------
    multipliers
        From :func:`find_multipliers`.
    kind
        None: merged where the first multiplier is a mode of a merged circuit. A mux takes modes as
        well, each as a netlist of its own.
    isolation
        For a mux: which operands of idle multipliers are held at zero.

    Raises
    ------
    InputError
        If a merged bank is to have anything but different modes of one circuit with the
        activation at one port.
    """
    if kind is None:
        kind = BankKind.MERGED if multipliers[0].circuit else BankKind.MUX
    if kind is BankKind.MERGED:
        return _merged_bank(multipliers)
    gate = OperandGate()
    members = [BankMember(x.label, x.multiplier.activation_port) for x in multipliers]
    bank = MultiplierBank(members=members, gate=gate, isolation=isolation)
    netlists = {x.label: _named(x.netlist, x.label) for x in multipliers}
    return Bank(kind, isolation, (gate, bank), netlists, tuple(netlists))


def _merged_bank(multipliers: Sequence[ProvenMultiplier]) -> Bank:
    first = multipliers[0]
    for x in multipliers:
        if x.circuit is None:
            rule = "a merged bank takes modes of one circuit"
            raise InputError(f"{x.where}: {rule}, not the netlist {x.multiplier.name}")
        if x.found.entry.netlist_sha256 != first.found.entry.netlist_sha256:
            rule = f"all multipliers of a merged bank must be modes of {first.circuit.name}"
            raise InputError(f"{x.where}: {rule}, not of {x.circuit.name}")
        if x.multiplier.activation_port is not first.multiplier.activation_port:
            port = first.multiplier.activation_port.value
            rule = f"must be {port} like that of the other modes"
            raise InputError(
                f"{x.where}.activation_port: {rule}, not {x.multiplier.activation_port}"
            )
    circuit = first.circuit
    module = f"merged_{circuit.name.replace('.', '_')}"
    bank = MergedBank(
        circuit=module,
        select_width=circuit.select_width,
        select_words=[circuit.select_words[x.found.entry.mode.index] for x in multipliers],
        activation_port=first.multiplier.activation_port,
    )
    text = first.found.library.circuit_netlist(circuit.name)
    netlists = {module: _named(text, module)}
    modules = (module,) * len(multipliers)
    return Bank(BankKind.MERGED, Isolation.NONE, (bank,), netlists, modules)


def _named(netlist: str, module: str) -> str:
    """Return a canonical netlist under another name."""
    return netlist.replace("module multiplier(", f"module {module}(", 1)
