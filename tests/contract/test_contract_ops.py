"""ops.json: the minimal form, its bytes and schema, and one table of everything refused."""

import copy
import json
import re

import pytest
from qosnets.errors import InputError
from qosnets.lut import ActivationPort
from qosnets.ops import NetlistRealisation, OpsFile, ops_json_schema

HASH = "0123456789abcdef" * 4

MINIMAL = {
    "schema": "qosnets-ops/1",
    "multipliers": [
        {"name": "mul8u_1JJQ", "lut_sha256": HASH, "activation_port": "A"},
        {"name": "mul8u_8U3", "lut_sha256": "f" * 64, "activation_port": "B"},
    ],
    "layers": [{"name": "conv1"}, {"name": "block.conv2"}],
    "operating_points": [
        {"name": "o1", "assignment": [0, 0]},
        {"name": "o2", "assignment": [1, 0]},
    ],
}

GEOMETRY = {
    "kind": "conv",
    "in_channels": 4,
    "out_channels": 4,
    "kernel": [3, 3],
    "stride": [1, 1],
    "padding": [1, 1, 1, 1],
    "dilation": [1, 1],
    "groups": 1,
    "input_size": [6, 6],
    "input_zero_point": 0,
    "output_zero_point": 128,
    "clamp": [0, 255],
}

COMPLETE = MINIMAL | {
    "layers": [layer | GEOMETRY for layer in MINIMAL["layers"]],
    "graph": [
        {"op": "layer", "layer": "conv1", "inputs": ["input"], "output": "a"},
        {"op": "layer", "layer": "block.conv2", "inputs": ["a"], "output": "b"},
        {
            "mult": [16384, -16384],
            "shift": 15,
            "input_zero_points": [0, 128],
            "output_zero_point": 0,
            "clamp": [0, 255],
            "op": "add",
            "inputs": ["a", "b"],
            "output": "sum",
        },
        {
            "op": "max_pool",
            "inputs": ["sum"],
            "output": "pooled",
            "kernel": [2, 2],
            "stride": [2, 2],
            "padding": [0, 0, 0, 0],
        },
        {"op": "flatten", "inputs": ["pooled"], "output": "y"},
    ],
    "parameters": {"file": "parameters.safetensors", "sha256": HASH},
    "vectors": {"file": "vectors.safetensors", "sha256": HASH},
    "estimates": {"accuracy": 0.5},
    "provenance": {"seed": 1},
}

MODE = {"kind": "mode", "circuit": "merged", "index": 3}


def load(tmp_path, data: bytes) -> OpsFile:
    path = tmp_path / "ops.json"
    path.write_bytes(data)
    return OpsFile.load(path)


def refusal(tmp_path, data: bytes) -> str:
    with pytest.raises(InputError) as error:
        load(tmp_path, data)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    return message.removeprefix(f"{tmp_path / 'ops.json'}: ")


def test_minimal_form(tmp_path):
    file = load(tmp_path, json.dumps(MINIMAL).encode())
    first, second = file.ops.multipliers
    assert (first.name, first.lut_sha256) == ("mul8u_1JJQ", HASH)
    assert (first.activation_port, second.activation_port) == (ActivationPort.A, ActivationPort.B)
    assert first.realisation == NetlistRealisation(kind="netlist")
    assert [layer.geometry for layer in file.ops.layers] == [None, None]
    assert [point.assignment for point in file.ops.operating_points] == [[0, 0], [1, 0]]


@pytest.mark.parametrize("content", [MINIMAL, COMPLETE], ids=["minimal", "complete"])
def test_bytes_are_deterministic_and_reload_equal(tmp_path, content):
    file = load(tmp_path, json.dumps(content).encode())
    data = file.ops.to_bytes()
    again = load(tmp_path, data)
    assert again.ops == file.ops
    assert again.ops.to_bytes() == data
    # The realisation is the only default that is not absence.
    expected = copy.deepcopy(content)
    for multiplier in expected["multipliers"]:
        multiplier["realisation"] = {"kind": "netlist"}
    assert json.loads(data) == expected


def test_order_of_keys_in_the_file_does_not_matter(tmp_path):
    shuffled = json.dumps(dict(reversed(MINIMAL.items()))).encode()
    plain = load(tmp_path, json.dumps(MINIMAL).encode()).ops.to_bytes()
    assert load(tmp_path, shuffled).ops.to_bytes() == plain


def test_mode_realisation_is_kept(tmp_path):
    content = copy.deepcopy(MINIMAL)
    content["multipliers"][0]["realisation"] = MODE
    reloaded = json.loads(load(tmp_path, json.dumps(content).encode()).ops.to_bytes())
    assert reloaded["multipliers"][0]["realisation"] == MODE


TEXT = json.dumps(MINIMAL)

NOT_JSON = [
    (b"", "must be JSON: Expecting value at line 1, column 1"),
    (TEXT[:-1].encode(), "must be JSON: Expecting ',' delimiter at line 1, column 457"),
    (
        b'{"schema": \xff}',
        "must be JSON: 'utf-8' codec can't decode byte 0xff in position 11: invalid start byte",
    ),
    (b'{"a": 1, "a": 2}', "key 'a' appears twice in one object"),
    (b'{"x": {"a\\n": 1, "a\\n": 2}}', "key 'a\\n' appears twice in one object"),
    (b'{"estimates": {"a": NaN}}', "numbers must be finite, not NaN"),
    (b'{"estimates": {"a": -Infinity}}', "numbers must be finite, not -Infinity"),
    (
        b"[" * 100_000,
        (
            "must be JSON: maximum recursion depth exceeded while decoding a JSON array from a"
            " unicode string"
        ),
    ),
    (b"[1]", "must be an object, not [1]"),
    (b'"qosnets-ops/1"', "must be an object, not 'qosnets-ops/1'"),
    (b"null", "must be an object, not None"),
]


@pytest.mark.parametrize(("data", "message"), NOT_JSON, ids=[m[:40] for _, m in NOT_JSON])
def test_refused_text(tmp_path, data, message):
    assert refusal(tmp_path, data) == message


def test_missing_file_and_folder(tmp_path):
    for path, reason in ((tmp_path / "x.json", "No such file or directory"), (tmp_path, "Is a")):
        with pytest.raises(InputError) as error:
            OpsFile.load(path)
        assert str(error.value).startswith(f"{path}: cannot be read: {reason}")


def test_numbers_that_overflow_are_refused(tmp_path):
    """1e999 is valid JSON; to_bytes could not write it back."""
    text = TEXT[:-1] + ', "estimates": {"accuracy": 1e999}}'
    assert refusal(tmp_path, text.encode()) == "numbers must be finite, not 1e999"


def test_deep_nesting_is_refused(tmp_path):
    text = TEXT[:-1] + ', "estimates": {"x": ' + "[" * 500 + "]" * 500 + "}}"
    assert "recursion" in refusal(tmp_path, text.encode())


class Absent:
    """Value that removes a key."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()
NAME = "must match pattern '^[A-Za-z_][A-Za-z0-9_.]*$', not "
FILE = "must match pattern '^[A-Za-z0-9_][A-Za-z0-9_.-]*$', not "
EARLIER = "must be the network's input or the output of an earlier node, not "
LINEAR = {
    "kind": "linear",
    "kernel": [1, 1],
    "stride": [1, 1],
    "dilation": [1, 1],
    "input_size": [1, 1],
    "padding": [0, 0, 0, 0],
}
POINT = ("operating_points", 1)

REFUSED = [
    # (form, place, value, message)
    # schema version
    (MINIMAL, ("schema",), ABSENT, "schema: is missing"),
    (MINIMAL, ("schema",), 1, "schema: must be 'qosnets-ops/1', not 1"),
    (MINIMAL, ("schema",), "qosnets-ops/2", "schema: must be 'qosnets-ops/1', not 'qosnets-ops/2'"),
    # unknown keys, at every level
    (MINIMAL, ("x",), 1, "x: unknown key"),
    (MINIMAL, ("multipliers", 1, "x"), 1, "multipliers[1].x: unknown key"),
    (MINIMAL, ("layers", 0, "x"), 1, "layers[0].x: unknown key"),
    (MINIMAL, (*POINT, "x"), 1, "operating_points[1].x: unknown key"),
    (COMPLETE, ("graph", 0, "x"), 1, "graph[0].x: unknown key"),
    (COMPLETE, ("graph", 4, "shift"), 1, "graph[4].shift: unknown key"),
    (COMPLETE, ("parameters", "x"), 1, "parameters.x: unknown key"),
    (COMPLETE, ("vectors", "x"), 1, "vectors.x: unknown key"),
    (
        MINIMAL,
        ("multipliers", 0, "realisation"),
        {"kind": "netlist", "x": 1},
        "multipliers[0].realisation.x: unknown key",
    ),
    (MINIMAL, ("a\nb",), 1, "a\\nb: unknown key"),
    # missing and empty
    (MINIMAL, ("multipliers",), ABSENT, "multipliers: is missing"),
    (MINIMAL, ("layers",), ABSENT, "layers: is missing"),
    (MINIMAL, ("operating_points",), ABSENT, "operating_points: is missing"),
    (MINIMAL, ("multipliers", 0, "name"), ABSENT, "multipliers[0].name: is missing"),
    (MINIMAL, ("multipliers", 0, "lut_sha256"), ABSENT, "multipliers[0].lut_sha256: is missing"),
    (MINIMAL, (*POINT, "assignment"), ABSENT, "operating_points[1].assignment: is missing"),
    (MINIMAL, ("layers",), [], "layers: must have at least 1 entries, not []"),
    (MINIMAL, ("multipliers",), [], "multipliers: must have at least 1 entries, not []"),
    (MINIMAL, ("operating_points",), [], "operating_points: must have at least 1 entries, not []"),
    (
        MINIMAL,
        ("multipliers",),
        [MINIMAL["multipliers"][0] | {"name": f"m{n}"} for n in range(9)],
        "multipliers: must have at most 8 entries, not 9",
    ),
    (MINIMAL, ("layers",), {}, "layers: must be a valid array, not {}"),
    (MINIMAL, ("layers", 0), "conv1", "layers[0]: must be an object, not 'conv1'"),
    # names
    *(
        (MINIMAL, ("layers", 0, "name"), name, f"layers[0].name: {NAME}{name!r}")
        for name in ("../x", "a b", "a\n", "\na", "$(x)", "`x`", "", "é", "1st", "a-b", "a/b")
    ),
    (MINIMAL, ("multipliers", 0, "name"), "../x", f"multipliers[0].name: {NAME}'../x'"),
    (MINIMAL, (*POINT, "name"), "$(x)", f"operating_points[1].name: {NAME}'$(x)'"),
    (MINIMAL, ("multipliers", 0, "library"), "../x", f"multipliers[0].library: {NAME}'../x'"),
    (COMPLETE, ("graph", 4, "output"), "a b", f"graph[4].output: {NAME}'a b'"),
    (
        MINIMAL,
        ("layers", 0, "name"),
        "x" * 101,
        f"layers[0].name: must have at most 100 characters, not '{'x' * 58}…",
    ),
    (MINIMAL, ("layers", 0, "name"), 5, "layers[0].name: must be a valid string, not 5"),
    (
        MINIMAL,
        ("multipliers", 1, "name"),
        "mul8u_1JJQ",
        "multipliers[1].name: names must be unique, 'mul8u_1JJQ' appears twice",
    ),
    (
        MINIMAL,
        ("layers", 1, "name"),
        "conv1",
        "layers[1].name: names must be unique, 'conv1' appears twice",
    ),
    (
        MINIMAL,
        (*POINT, "name"),
        "o1",
        "operating_points[1].name: names must be unique, 'o1' appears twice",
    ),
    # multipliers
    (
        MINIMAL,
        ("multipliers", 0, "lut_sha256"),
        "A" * 64,
        f"multipliers[0].lut_sha256: must match pattern '^[0-9a-f]{{64}}$', not '{'A' * 58}…",
    ),
    (
        MINIMAL,
        ("multipliers", 0, "netlist_sha256"),
        "5",
        "multipliers[0].netlist_sha256: must match pattern '^[0-9a-f]{64}$', not '5'",
    ),
    (
        MINIMAL,
        ("multipliers", 0, "activation_port"),
        "a",
        "multipliers[0].activation_port: must be 'A' or 'B', not 'a'",
    ),
    (
        MINIMAL,
        ("multipliers", 0, "realisation"),
        {"kind": "x"},
        "multipliers[0].realisation.kind: must be one of 'netlist', 'mode', not 'x'",
    ),
    (
        MINIMAL,
        ("multipliers", 0, "realisation"),
        {},
        "multipliers[0].realisation.kind: is missing",
    ),
    (
        MINIMAL,
        ("multipliers", 0, "realisation"),
        MODE | {"index": -1},
        "multipliers[0].realisation.index: must be greater than or equal to 0, not -1",
    ),
    # assignments
    *(
        (
            MINIMAL,
            (*POINT, "assignment", 1),
            select,
            f"operating_points[1].assignment[1]: {select} is not one of the 2 multipliers",
        )
        for select in (2, -1, 10**30)
    ),
    *(
        (
            MINIMAL,
            (*POINT, "assignment", 1),
            select,
            f"operating_points[1].assignment[1]: must be a valid integer, not {select!r}",
        )
        for select in (1.0, True, "1", None)
    ),
    *(
        (
            MINIMAL,
            (*POINT, "assignment"),
            [0] * n,
            (
                "operating_points[1].assignment: must have one entry for each of the 2 layers,"
                f" not {n}"
            ),
        )
        for n in (0, 1, 3)
    ),
    # geometry
    (
        COMPLETE,
        ("layers", 0, "groups"),
        ABSENT,
        "layers[0].groups: is missing; kind is given, so all geometry must be",
    ),
    (
        COMPLETE,
        ("layers", 0, "kind"),
        ABSENT,
        "layers[0].kind: is missing; in_channels is given, so all geometry must be",
    ),
    (
        COMPLETE,
        ("layers", 1),
        {"name": "block.conv2"},
        "layers[1]: geometry must be given for all layers or for none",
    ),
    (
        COMPLETE,
        ("layers", 0, "groups"),
        3,
        "layers[0].in_channels: must be a multiple of groups (3), not 4",
    ),
    (
        COMPLETE,
        ("layers", 0),
        COMPLETE["layers"][0] | {"in_channels": 6, "groups": 3},
        "layers[0].out_channels: must be a multiple of groups (3), not 4",
    ),
    (
        COMPLETE,
        ("layers", 0, "stride"),
        [1, 0],
        "layers[0].stride[1]: must be greater than or equal to 1, not 0",
    ),
    (COMPLETE, ("layers", 0, "kernel"), [3], "layers[0].kernel[1]: is missing"),
    (
        COMPLETE,
        ("layers", 0, "padding"),
        [1, 1],
        "layers[0].padding[2]: is missing",
    ),
    (
        COMPLETE,
        ("layers", 0, "kernel"),
        [9, 3],
        "layers[0]: output must have at least one position, not 0x6",
    ),
    (
        COMPLETE,
        ("layers", 0, "dilation"),
        [1, 5],
        "layers[0]: output must have at least one position, not 6x-2",
    ),
    (
        COMPLETE,
        ("layers", 0, "kind"),
        "linear",
        (
            "layers[0]: a linear layer has kernel, stride, dilation and input_size [1, 1], 1 group"
            " and no padding"
        ),
    ),
    (
        COMPLETE,
        ("layers", 0, "kind"),
        "pool",
        "layers[0].kind: must be 'conv' or 'linear', not 'pool'",
    ),
    (
        COMPLETE,
        ("layers", 0, "clamp"),
        [9, 3],
        "layers[0].clamp: lower bound must not exceed upper bound, not [9, 3]",
    ),
    (
        COMPLETE,
        ("layers", 0, "clamp"),
        [0, 256],
        "layers[0].clamp[1]: must be less than or equal to 255, not 256",
    ),
    (
        COMPLETE,
        ("layers", 0, "input_zero_point"),
        1.5,
        "layers[0].input_zero_point: must be a valid integer, not 1.5",
    ),
    # graph
    (COMPLETE, ("graph", 1, "inputs"), ["b"], f"graph[1].inputs[0]: {EARLIER}'b'"),
    (COMPLETE, ("graph", 2, "inputs"), ["a", "zz"], f"graph[2].inputs[1]: {EARLIER}'zz'"),
    (COMPLETE, ("graph", 1, "output"), "a", "graph[1].output: 'a' is already the name of a tensor"),
    (
        COMPLETE,
        ("graph", 0, "output"),
        "input",
        "graph[0].output: 'input' is already the name of a tensor",
    ),
    (COMPLETE, ("graph", 1, "layer"), "zz", "graph[1].layer: 'zz' is not the name of a layer"),
    (
        COMPLETE,
        ("graph", 1, "layer"),
        "conv1",
        "graph: layer 'conv1' must occur once, not 2 times",
    ),
    (
        COMPLETE,
        ("graph",),
        COMPLETE["graph"][:1],
        "graph: layer 'block.conv2' must occur once, not 0 times",
    ),
    (COMPLETE, ("graph", 2, "mult"), [1], "graph[2].mult: must have 2 entries, not 1"),
    (
        COMPLETE,
        ("graph", 2, "input_zero_points"),
        [1, 2, 3],
        "graph[2].input_zero_points: must have 2 entries, not 3",
    ),
    (
        COMPLETE,
        ("graph", 2, "clamp"),
        [4, 3],
        "graph[2].clamp: lower bound must not exceed upper bound, not [4, 3]",
    ),
    (
        COMPLETE,
        ("graph", 2, "shift"),
        48,
        "graph[2].shift: must be less than or equal to 47, not 48",
    ),
    (COMPLETE, ("graph", 2, "shift"), ABSENT, "graph[2].shift: is missing"),
    (COMPLETE, ("graph", 2, "op"), ABSENT, "graph[2].op: is missing"),
    (
        COMPLETE,
        ("graph", 2, "op"),
        "mul",
        (
            "graph[2].op: must be one of 'layer', 'add', 'concat', 'max_pool', 'avg_pool',"
            " 'flatten', not 'mul'"
        ),
    ),
    # files
    (
        MINIMAL,
        ("parameters",),
        COMPLETE["parameters"],
        "parameters: need the geometry of every layer",
    ),
    (COMPLETE, ("parameters",), ABSENT, "vectors: need parameters and graph"),
    (COMPLETE, ("graph",), ABSENT, "vectors: need parameters and graph"),
    *(
        (COMPLETE, ("parameters", "file"), name, f"parameters.file: {FILE}{name!r}")
        for name in ("/etc/x", "../x", "a/b", "..", ".hidden", "", "x\n", "-x", "a\\b")
    ),
    (COMPLETE, ("vectors", "file"), "../v", f"vectors.file: {FILE}'../v'"),
]


def changed(form, place, value) -> bytes:
    content = copy.deepcopy(form)
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    if value is ABSENT:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("form", "place", "value", "message"),
    REFUSED,
    ids=[f"{'.'.join(map(str, place))}={value!r:.30}" for _, place, value, _ in REFUSED],
)
def test_refused_content(tmp_path, form, place, value, message):
    load(tmp_path, json.dumps(form).encode())
    assert refusal(tmp_path, changed(form, place, value)) == message


def test_a_linear_layer_has_no_groups(tmp_path):
    """Its weights are [O, I]: with groups, half of them would silently not be used."""
    content = copy.deepcopy(COMPLETE)
    for key in ("graph", "vectors"):
        del content[key]
    content["layers"][0] |= LINEAR
    load(tmp_path, json.dumps(content).encode())
    content["layers"][0]["groups"] = 2
    assert refusal(tmp_path, json.dumps(content).encode()).startswith("layers[0]")


def test_names_that_join_to_the_same_tensor_are_refused(tmp_path):
    """Parameters are named <point>.<layer>.<field>: a + b.c and a.b + c are both a.b.c."""
    content = copy.deepcopy(COMPLETE)
    for key in ("graph", "vectors"):
        del content[key]
    for layer, name in zip(content["layers"], ("c", "b.c"), strict=True):
        layer["name"] = name
    for point, name in zip(content["operating_points"], ("a", "a.b"), strict=True):
        point["name"] = name
    assert "a.b.c" in refusal(tmp_path, json.dumps(content).encode())


def test_tensors_of_a_graph_fit_the_layers(tmp_path):
    """block.conv2 wants 4x6x6 codes; it is given the 4x3x3 of a pool."""
    content = copy.deepcopy(COMPLETE)
    content["graph"] = [
        content["graph"][0],
        content["graph"][3] | {"inputs": ["a"]},
        content["graph"][1] | {"inputs": ["pooled"]},
    ]
    assert refusal(tmp_path, json.dumps(content).encode()).startswith("graph[2]")


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)


def test_schema_is_a_closed_draft_2020_12_schema():
    schema = ops_json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "qosnets-ops/1.json"
    assert json.loads(json.dumps(schema)) == schema
    objects = [schema, *(item for item in schema["$defs"].values() if item["type"] == "object")]
    assert len(objects) == 13
    assert all(item["additionalProperties"] is False for item in objects)
    assert all(ref.removeprefix("#/$defs/") in schema["$defs"] for ref in references(schema))
    assert schema["required"] == ["schema", "multipliers", "layers", "operating_points"]
    assert set(schema["properties"]) == set(COMPLETE)
    assert schema["properties"]["schema"]["const"] == "qosnets-ops/1"
    assert schema["properties"]["multipliers"]["maxItems"] == 8
    required = {name: item.get("required") for name, item in schema["$defs"].items()}
    assert required["Multiplier"] == ["name", "lut_sha256", "activation_port"]
    assert required["Layer"] == ["name"]
    assert required["OperatingPoint"] == ["name", "assignment"]


def accepts(schema: dict, value: object, definitions: dict) -> bool:
    """Evaluate the keywords that the schema uses; fails on one that it does not know."""
    types = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}

    def of(name, test):
        return name not in schema or test(schema[name])

    def every(items, schemas):
        return all(accepts(s, v, definitions) for s, v in zip(schemas, items, strict=False))

    known = "$ref type const enum anyOf oneOf properties required additionalProperties"
    known += " items prefixItems minItems maxItems pattern minLength maxLength minimum maximum"
    known += " $schema $id $defs title description default discriminator"
    assert set(schema) <= set(known.split())
    if "$ref" in schema:
        return accepts(definitions[schema["$ref"].removeprefix("#/$defs/")], value, definitions)
    checks = [
        of("type", lambda t: isinstance(value, types[t]) and not isinstance(value, bool)),
        of("const", lambda constant: value == constant),
        of("enum", lambda values: value in values),
        of("anyOf", lambda parts: any(accepts(part, value, definitions) for part in parts)),
        of("oneOf", lambda parts: sum(accepts(part, value, definitions) for part in parts) == 1),
    ]
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        checks += [
            of("required", lambda names: set(names) <= set(value)),
            every(
                [value[key] for key in inner if key in value],
                [inner[k] for k in inner if k in value],
            ),
            schema.get("additionalProperties", True) is True or set(value) <= set(inner),
        ]
    if isinstance(value, list):
        checks += [
            of("minItems", lambda n: len(value) >= n),
            of("maxItems", lambda n: len(value) <= n),
            of("items", lambda item: every(value, [item] * len(value))),
            of("prefixItems", lambda items: every(value, items)),
        ]
    if isinstance(value, str):
        checks += [
            of("pattern", lambda pattern: re.search(pattern, value) is not None),
            of("maxLength", lambda n: len(value) <= n),
        ]
    if isinstance(value, int):
        checks += [of("minimum", lambda n: value >= n), of("maximum", lambda n: value <= n)]
    return all(checks)


def test_schema_accepts_and_refuses_what_the_model_does():
    """But for rules across fields, which the schema cannot state, and newlines: $ of ECMA 262."""
    schema = ops_json_schema()

    def valid(content):
        return accepts(schema, content, schema["$defs"])

    assert valid(MINIMAL)
    assert valid(COMPLETE)
    across = ("names must be", "not one of", "one entry for", "is given", "all layers or", "groups")
    across += ("position", "linear layer", "lower bound", "earlier node", "already the name")
    across += ("not the name", "must occur", "must have 2", "need the", "need parameters")
    for form, place, value, message in REFUSED:
        if not any(part in message for part in across) and str(value)[-1:] != "\n":
            assert not valid(json.loads(changed(form, place, value))), message
