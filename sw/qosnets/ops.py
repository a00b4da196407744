"""``ops.json``: multipliers, layers and operating points, the interface between all stages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic.json_schema import GenerateJsonSchema

from .errors import InputError, shorten
from .files import canonical_json, parse_json, read_bytes, sha256
from .geometry import Geometry, LayerKind
from .graph import INPUT, Clamp, Code, Extent, LayerNode, Node, Padding, Pair, Record
from .lut import ActivationPort
from .names import Name, Sha256
from .shapes import check_shapes
from .validation import refuse, validation_message

__all__ = [
    "MAX_MULTIPLIERS",
    "OPS_SCHEMA",
    "DataFile",
    "Layer",
    "ModeRealisation",
    "Multiplier",
    "NetlistRealisation",
    "OperatingPoint",
    "Ops",
    "OpsFile",
    "ops_json_schema",
]

OPS_SCHEMA: Final = "qosnets-ops/1"
MAX_MULTIPLIERS = 8

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100)]
GEOMETRY_FIELDS = tuple(Geometry.__dataclass_fields__)


class NetlistRealisation(Record):
    """The select code is realised by a netlist of its own."""

    kind: Literal["netlist"]


class ModeRealisation(Record):
    """The select code is a mode of a merged multiplier."""

    kind: Literal["mode"]
    circuit: Name
    index: Annotated[int, Field(ge=0)]


class Multiplier(Record):
    """A multiplier; its position in the list is its select code."""

    name: Name
    lut_sha256: Sha256
    activation_port: Annotated[ActivationPort, Field(strict=False)]
    library: Name | None = None
    netlist_sha256: Sha256 | None = None
    realisation: Annotated[NetlistRealisation | ModeRealisation, Field(discriminator="kind")] = (
        NetlistRealisation(kind="netlist")
    )


class Layer(Record):
    """A multiplying layer; its geometry is given in full or not at all."""

    name: Name
    kind: Annotated[LayerKind, Field(strict=False)] | None = None
    in_channels: Extent | None = None
    out_channels: Extent | None = None
    kernel: Pair | None = None
    stride: Pair | None = None
    padding: Padding | None = None
    dilation: Pair | None = None
    groups: Extent | None = None
    input_size: Pair | None = None
    input_zero_point: Code | None = None
    output_zero_point: Code | None = None
    clamp: Clamp | None = None

    @property
    def geometry(self) -> Geometry | None:
        """The geometry, or None for a layer known by name only."""
        if self.kind is None:
            return None
        return Geometry(**{field: getattr(self, field) for field in GEOMETRY_FIELDS})


class OperatingPoint(Record):
    """One multiplier per layer."""

    name: Name
    assignment: list[int]
    """Select code of each layer, in the order of ``layers``."""


class DataFile(Record):
    """A safetensors file beside ``ops.json``."""

    file: FileName
    sha256: Sha256


class Ops(Record):
    """The content of ``ops.json``."""

    schema_: Literal["qosnets-ops/1"] = Field(alias="schema")
    multipliers: Annotated[list[Multiplier], Field(min_length=1, max_length=MAX_MULTIPLIERS)]
    layers: Annotated[list[Layer], Field(min_length=1)]
    operating_points: Annotated[list[OperatingPoint], Field(min_length=1)]
    """Most accurate first."""
    graph: list[Node] | None = None
    parameters: DataFile | None = None
    vectors: DataFile | None = None
    estimates: dict[str, Any] | None = None
    """Figures for people; nothing that acts reads them."""
    provenance: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_unique("multipliers", [item.name for item in self.multipliers])
        _check_unique("layers", [item.name for item in self.layers])
        _check_unique("operating_points", [item.name for item in self.operating_points])
        for index, layer in enumerate(self.layers):
            _check_geometry(f"layers[{index}]", layer)
        geometries = [layer.geometry is not None for layer in self.layers]
        if any(geometries) and not all(geometries):
            index = geometries.index(False)
            refuse(f"layers[{index}]", "geometry must be given for all layers or for none")
        for index, point in enumerate(self.operating_points):
            self._check_assignment(f"operating_points[{index}].assignment", point.assignment)
        _check_tensor_names(self)
        if self.graph is not None:
            self._check_graph(self.graph)
        if self.parameters is not None and not all(geometries):
            refuse("parameters", "need the geometry of every layer")
        if self.vectors is not None and (self.parameters is None or self.graph is None):
            refuse("vectors", "need parameters and graph")
        return self

    def _check_assignment(self, where: str, assignment: list[int]) -> None:
        if len(assignment) != len(self.layers):
            rule = f"must have one entry for each of the {len(self.layers)} layers"
            refuse(where, f"{rule}, not {len(assignment)}")
        for index, select in enumerate(assignment):
            if not 0 <= select < len(self.multipliers):
                n = len(self.multipliers)
                refuse(f"{where}[{index}]", f"{select} is not one of the {n} multipliers")

    def _check_graph(self, graph: list[Node]) -> None:
        known, layers = {INPUT}, [layer.name for layer in self.layers]
        used: list[str] = []
        for index, node in enumerate(graph):
            where = f"graph[{index}]"
            for number, name in enumerate(node.inputs):
                if name not in known:
                    rule = "must be the network's input or the output of an earlier node"
                    refuse(f"{where}.inputs[{number}]", f"{rule}, not {name!r}")
            if node.output in known:
                refuse(f"{where}.output", f"{node.output!r} is already the name of a tensor")
            known.add(node.output)
            if isinstance(node, LayerNode):
                if node.layer not in layers:
                    refuse(f"{where}.layer", f"{node.layer!r} is not the name of a layer")
                used.append(node.layer)
            for field in ("mult", "input_zero_points"):
                values = getattr(node, field, None)
                if values is not None and len(values) != len(node.inputs):
                    n = len(node.inputs)
                    refuse(f"{where}.{field}", f"must have {n} entries, not {len(values)}")
            _check_clamp(where, getattr(node, "clamp", None))
        for name in layers:
            if used.count(name) != 1:
                refuse("graph", f"layer {name!r} must occur once, not {used.count(name)} times")
        check_shapes(graph, {layer.name: layer.geometry for layer in self.layers})

    def to_bytes(self) -> bytes:
        """Serialise: canonical JSON, absent optional entries left out."""
        return canonical_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))


def _check_unique(field: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            refuse(f"{field}[{index}].name", f"names must be unique, {name!r} appears twice")


def _check_tensor_names(ops: Ops) -> None:
    """Refuse names that join to the same ``<point>.<layer>``, which names tensors."""
    joined: set[str] = set()
    for index, point in enumerate(ops.operating_points):
        for layer in ops.layers:
            name = f"{point.name}.{layer.name}"
            if name in joined:
                rule = f"{name!r} is ambiguous: two pairs of point and layer join to it"
                refuse(f"operating_points[{index}].name", rule)
            joined.add(name)


def _check_clamp(where: str, clamp: tuple[int, int] | None) -> None:
    if clamp is not None and clamp[0] > clamp[1]:
        refuse(f"{where}.clamp", f"lower bound must not exceed upper bound, not {list(clamp)}")


def _check_geometry(where: str, layer: Layer) -> None:
    given = [field for field in GEOMETRY_FIELDS if getattr(layer, field) is not None]
    if given and len(given) != len(GEOMETRY_FIELDS):
        missing = next(field for field in GEOMETRY_FIELDS if field not in given)
        refuse(f"{where}.{missing}", f"is missing; {given[0]} is given, so all geometry must be")
    geometry = layer.geometry
    if geometry is None:
        return
    _check_clamp(where, geometry.clamp)
    for field in ("in_channels", "out_channels"):
        if getattr(geometry, field) % geometry.groups:
            rule = f"must be a multiple of groups ({geometry.groups})"
            refuse(f"{where}.{field}", f"{rule}, not {getattr(geometry, field)}")
    if min(geometry.output_size) < 1:
        height, width = geometry.output_size
        refuse(where, f"output must have at least one position, not {height}x{width}")
    plain = geometry.kernel == geometry.stride == geometry.dilation == geometry.input_size == (1, 1)
    plain = plain and geometry.groups == 1 and not any(geometry.padding)
    if geometry.kind is LayerKind.LINEAR and not plain:
        rule = "kernel, stride, dilation and input_size [1, 1], 1 group and no padding"
        refuse(where, f"a linear layer has {rule}")


@dataclass(frozen=True)
class OpsFile:
    """An ``ops.json`` on disk."""

    path: Path
    sha256: str
    ops: Ops

    @classmethod
    def load(cls, path: Path) -> "OpsFile":
        """Read and validate ``path``.

        Raises
        ------
        InputError
            If the file cannot be read, is not JSON or breaks a rule of the format; the message
            names file, field, rule and value.
        """
        data = read_bytes(path)
        content = parse_json(data, str(path))
        if isinstance(content, dict) and content.get("schema", OPS_SCHEMA) != OPS_SCHEMA:
            raise InputError(
                f"{path}: schema: must be {OPS_SCHEMA!r}, not {shorten(content['schema'])}"
            )
        try:
            return cls(path, sha256(data), Ops.model_validate_json(data))
        except ValidationError as error:
            raise InputError(f"{path}: {validation_message(error)}") from None

    def read_data(self, reference: DataFile) -> bytes:
        """Return the bytes of a file that ``ops.json`` refers to.

        Raises
        ------
        InputError
            If the file is missing or its hash differs.
        """
        path = self.path.parent / reference.file
        data = read_bytes(path)
        if sha256(data) != reference.sha256:
            raise InputError(f"{path}: SHA-256 must be {reference.sha256}, not {sha256(data)}")
        return data


def ops_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``ops.json``.

    It states everything but the rules across fields: unique names, indices, all-or-none geometry.
    """
    schema = Ops.model_json_schema(by_alias=True)
    head = {"$schema": GenerateJsonSchema.schema_dialect, "$id": f"{OPS_SCHEMA}.json"}
    return head | schema
