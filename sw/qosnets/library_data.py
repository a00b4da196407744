"""Content of ``library.json``: the records of a multiplier library."""

from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .names import Name, Sha256
from .validation import refuse

__all__ = [
    "LIBRARY_SCHEMA",
    "MAX_MODES",
    "Circuit",
    "Entry",
    "Estimates",
    "LibraryData",
    "Metrics",
    "ModeOf",
    "Published",
    "Realisation",
    "Toggles",
]

LIBRARY_SCHEMA = "qosnets-library/2"

MAX_MODES = 8
"""Modes of a merged multiplier: as many as select codes of an array."""

OperandWidth: TypeAlias = Annotated[int, Field(ge=1, le=8)]


class Realisation(StrEnum):
    """What stands behind an entry."""

    NETLIST = "netlist"
    """A netlist: can be simulated and generated."""
    TABLE = "table"
    """A table only: can be simulated, never generated."""
    MODE = "mode"
    """A mode of a merged multiplier: can be simulated, and generated with its circuit."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Metrics(_Record):
    """Error figures over all 65 536 operand pairs, error = M(a, b) − a·b."""

    mae: float
    """Mean absolute error."""
    wce: int
    """Worst-case absolute error."""
    mse: float
    """Mean squared error."""
    error_probability: float
    """Share of operand pairs with a wrong product, 0..1."""
    mre: float
    """Mean of |error| / (a·b) over the pairs with a·b > 0, as in EvoApproxLib's figures."""
    error_mean: float
    error_std: float
    max_product: int
    """Largest entry of the LUT; sizes accumulators."""
    rank: int
    """Rank of the LUT itself (not of the error) as an integer matrix; 1 for the exact product."""


class Toggles(_Record):
    """Switching activity per port bit: mean toggles per operation, least significant bit first."""

    a: tuple[float, ...] = Field(min_length=8, max_length=8)
    b: tuple[float, ...] = Field(min_length=8, max_length=8)
    product: tuple[float, ...] = Field(min_length=16, max_length=16)


class Estimates(_Record):
    """Cost of the mapped netlist. Every figure names what it was estimated with.

    Area and delay of a mode are those of its circuit; power and toggles are those of the mode.
    """

    area_um2: float
    """Cell area."""
    delay_ns: float
    """Longest path from an operand to a product bit."""
    power_uw: float
    """Dynamic and leakage power at 100 million operations per second."""
    leakage_uw: float
    """Leakage power alone."""
    relative_power: float
    """`power_uw` relative to the best exact multiplier of the default library in the same flow."""
    toggles: Toggles
    engine: str
    """Program and method."""
    liberty: str
    """Name of the cell library."""
    liberty_sha256: Sha256
    distribution: str
    """Name of the distribution of the operands."""


class Published(_Record):
    """Figures that the authors of a circuit published."""

    source: str
    power_mw: float
    area_um2: float
    delay_ns: float


class ModeOf(_Record):
    """Which mode of which merged multiplier."""

    circuit: Name
    index: int = Field(ge=0)
    """0 is the finest mode."""


class Entry(_Record):
    """A multiplier of a library."""

    name: Name
    realisation: Realisation
    lut_sha256: Sha256
    netlist_sha256: Sha256 | None
    """Hash of the canonical netlist, for a mode of that of its circuit; None for a table."""
    origin: str
    """Where the circuit comes from, for people."""
    metrics: Metrics
    estimates: Estimates | None
    """None for a table."""
    published: Published | None = None
    operand_width: tuple[OperandWidth, OperandWidth] = (8, 8)
    """Bits of ports A and B that the circuit reads; it ignores those above."""
    mode: ModeOf | None = None
    """Given for a mode, and for nothing else."""


Level: TypeAlias = Annotated[int, Field(ge=1, le=MAX_MODES)]
_Row: TypeAlias = Annotated[tuple[Level, ...], Field(min_length=8, max_length=8)]
Levels: TypeAlias = Annotated[tuple[_Row, ...], Field(min_length=8, max_length=8)]


class Circuit(_Record):
    """A merged multiplier: one netlist, with a select that chooses between modes.

    M_m(a, b) = Σ_ij [kill_level[i][j] > m]·2^(i+j)·a_i·b_j + Σ_ij [force_level[i][j] <= m]·2^(i+j)
    """

    name: Name
    n_modes: int = Field(ge=2, le=MAX_MODES)
    select_width: int = Field(ge=1, le=MAX_MODES)
    select_words: tuple[int, ...]
    """Value of the select in each mode, all different; with 0 the product is 0."""
    netlist_sha256: Sha256
    kill_level: Levels
    """First mode without the partial product a_i·b_j, row = bit i of A; n_modes: never killed."""
    force_level: Levels
    """First mode in which it is 1 whatever the operands, not below its kill level; n_modes: never.
    """


class LibraryData(_Record):
    """Content of ``library.json``."""

    schema_: Literal["qosnets-library/2"] = Field(alias="schema")
    name: Name
    entries: list[Entry]
    circuits: tuple[Circuit, ...] = ()
    """Merged multipliers; each mode of theirs that the library offers has an entry."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_unique("entries", [entry.name for entry in self.entries])
        _check_unique("circuits", [circuit.name for circuit in self.circuits])
        taken = {entry.name for entry in self.entries}
        for index, circuit in enumerate(self.circuits):
            if circuit.name in taken:
                rule = "must not be the name of an entry"
                refuse(f"circuits[{index}].name", f"{rule}, not {circuit.name!r}")
            _check_words(f"circuits[{index}].select_words", circuit)
            _check_levels(f"circuits[{index}]", circuit)
        circuits = {circuit.name: circuit for circuit in self.circuits}
        used: set[ModeOf] = set()
        for index, entry in enumerate(self.entries):
            _check_realisation(f"entries[{index}]", entry)
            if entry.mode is not None:
                _check_mode(f"entries[{index}]", entry, entry.mode, circuits)
                if entry.mode in used:
                    rule = f"must be the only entry of mode {entry.mode.index}"
                    refuse(f"entries[{index}].mode", f"{rule} of {entry.mode.circuit}")
                used.add(entry.mode)
        return self


def _check_unique(field: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            refuse(field, f"names must be unique, {name} appears twice")


def _check_words(where: str, circuit: Circuit) -> None:
    words, highest = circuit.select_words, (1 << circuit.select_width) - 1
    if len(words) != circuit.n_modes:
        refuse(where, f"must have an entry per mode, {circuit.n_modes}, not {len(words)}")
    for mode, word in enumerate(words):
        if not 1 <= word <= highest:
            refuse(f"{where}[{mode}]", f"must be 1..{highest}, not {word}")
        if word in words[:mode]:
            refuse(f"{where}[{mode}]", f"must differ from those before, not {word}")


def _check_levels(where: str, circuit: Circuit) -> None:
    n = circuit.n_modes
    for i, rows in enumerate(zip(circuit.kill_level, circuit.force_level, strict=True)):
        for j, (kill, force) in enumerate(zip(*rows, strict=True)):
            if kill > n:
                refuse(f"{where}.kill_level[{i}][{j}]", f"must be 1..{n}, not {kill}")
            if not kill <= force <= n:
                rule = f"must be {kill}..{n}, from the kill level on"
                refuse(f"{where}.force_level[{i}][{j}]", f"{rule}, not {force}")


def _check_realisation(where: str, entry: Entry) -> None:
    """Refuse what goes with another realisation."""
    kind = entry.realisation
    if (entry.mode is not None) != (kind is Realisation.MODE):
        rule = "must be there" if entry.mode is None else "must be absent"
        refuse(f"{where}.mode", f"{rule}, as realisation is {kind.value!r}")
    if (entry.netlist_sha256 is None) != (kind is Realisation.TABLE):
        rule = "must be a hash" if entry.netlist_sha256 is None else "must be null"
        refuse(f"{where}.netlist_sha256", f"{rule}, as realisation is {kind.value!r}")


def _check_mode(where: str, entry: Entry, mode: ModeOf, circuits: dict[str, Circuit]) -> None:
    circuit = circuits.get(mode.circuit)
    if circuit is None:
        refuse(f"{where}.mode.circuit", f"{mode.circuit!r} is not the name of a circuit")
    if mode.index >= circuit.n_modes:
        refuse(f"{where}.mode.index", f"must be 0..{circuit.n_modes - 1}, not {mode.index}")
    if entry.netlist_sha256 != circuit.netlist_sha256:
        rule = f"must be that of {circuit.name}, {circuit.netlist_sha256}"
        refuse(f"{where}.netlist_sha256", f"{rule}, not {entry.netlist_sha256}")
