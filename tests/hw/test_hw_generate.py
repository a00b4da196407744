"""Generated text: what it consists of, that it is always the same, and what is refused."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.files import canonical_json, sha256
from qosnets.library import LIBRARY_FILE, Library
from qosnets.lut import ActivationPort, lut_sha256
from qosnets.ops import OpsFile
from qosnets_hw.bank import BankMember
from qosnets_hw.config import ArrayConfig
from qosnets_hw.emit import emit_verilog
from qosnets_hw.generate import Design, generate
from qosnets_hw.modules import build_modules
from qosnets_library.liberty import load_liberty
from qosnets_library.members import Circuit, characterise_circuits, write_library
from qosnets_library.netlist import canonical_netlist

FUNCTIONS = {
    "exact": "a * b",
    "low.bits": "a * (b & 8'hf0)",  # not commutative
    "zero": "16'd0",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Library:
    module = "module m(input [7:0] a, b, output [15:0] o); assign o = {}; endmodule"
    circuits = []
    for name, function in FUNCTIONS.items():
        source = {f"{name}.v": module.format(function).encode()}
        netlist = canonical_netlist(source, where=name)
        circuits.append(Circuit.from_netlist(name, netlist, origin="test"))
    folder = tmp_path_factory.mktemp("libraries") / "tiny"
    exact = circuits[0].netlist
    members = characterise_circuits(circuits, reference=exact, liberty=load_liberty(None))
    return write_library(folder, "tiny", members, force=False)


def write_ops(folder: Path, multipliers, assignments=((0, 0),)) -> OpsFile:
    path = folder / "ops.json"
    points = [{"name": f"o{n}", "assignment": list(a)} for n, a in enumerate(assignments)]
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": multipliers,
        "layers": [{"name": "c1"}, {"name": "c2"}],
        "operating_points": points,
    }
    path.write_bytes(canonical_json(content))
    return OpsFile.load(path)


def multiplier(tiny: Library, name: str, **changes: object) -> dict[str, object]:
    plain = {"name": name, "lut_sha256": tiny.entry(name).lut_sha256, "activation_port": "A"}
    return plain | changes


SIZE = {"rows": 3, "cols": 2, "k_max": 20, "psum_depth": 16}


def two_multipliers(folder: Path, library: Library) -> OpsFile:
    members = [
        multiplier(library, "exact"),
        multiplier(library, "low.bits", activation_port="B"),
    ]
    return write_ops(folder, members, [(0, 0), (1, 0)])


@pytest.fixture(scope="module")
def design(library, tmp_path_factory) -> Design:
    return generate(two_multipliers(tmp_path_factory.mktemp("ops"), library), [library], **SIZE)


def verilog(design: Design) -> dict[str, str]:
    return {Path(n).stem: d.decode() for n, d in design.files.items() if n.endswith(".v")}


def test_every_module_has_a_plain_name_and_lies_in_the_file_of_its_block(design):
    names, instances = set(), set()
    for file, text in verilog(design).items():
        modules = [name.strip() for name in re.findall(r"^module (.*?)\(", text, re.M)]
        assert len(modules) == len(re.findall(r"\bmodule\b", text))
        assert file in modules
        assert all(name == file or name.startswith(f"{file}_") for name in modules)
        assert names.isdisjoint(modules)
        names |= set(modules)
        instances |= set(re.findall(r"^  (\S+) +\S+ +\($", text, re.M))
    assert {"sequencer_loader", "sequencer_issuer", "accumulator_queue"} <= names
    assert names - instances == {"qosnets_array"}
    assert instances <= names


def test_each_block_and_each_netlist_is_emitted_once(design):
    sources = [Path(name).stem for name in design.manifest["sources"]]
    assert sources == [
        "mul0_exact",
        "mul1_low_bits",
        "operand_gate",
        "multiplier_bank",
        "processing_element",
        "column",
        "sum_column",
        "array_edge",
        "grid",
        "accumulator",
        "requantiser",
        "output_stage",
        "sequencer",
        "operating_point_register",
        "qosnets_array",
    ]
    assert set(sources) == set(verilog(design))
    listed = design.files["rtl/files.f"].decode().split()
    assert listed == [f"{name}.v" for name in sources]
    text = verilog(design)
    assert text["column"].count("processing_element pe_") == 3
    assert text["grid"].count("column column_") == 2
    assert text["multiplier_bank"].count("operand_gate ") == 4


def test_netlists_keep_their_text_but_for_the_name(design, library):
    for name, module in (("exact", "mul0_exact"), ("low.bits", "mul1_low_bits")):
        text = library.netlist(name)
        expected = text.replace("module multiplier(", f"module {module}(")
        assert verilog(design)[module] == expected != text


def test_text_names_no_source_and_nothing_absolute(design, library, tmp_path):
    for name, data in design.files.items():
        if name.startswith("rtl/") and not name.endswith(".vlt"):
            text = data.decode()
            assert not re.search(r"\bsrc\b|\.py\b|amaranth|\w/|/\w", text), name
    manifest = canonical_json(design.manifest).decode()
    for path in (library.folder, tmp_path, Path.cwd(), Path.home(), Path(sys.prefix)):
        assert str(path) not in manifest


def test_operand_gates_are_kept_by_synthesis(design):
    kept = [name for name, text in verilog(design).items() if "keep_hierarchy" in text]
    assert kept == ["operand_gate"]
    assert "(* keep_hierarchy = 1 *)\nmodule operand_gate(" in verilog(design)["operand_gate"]


def test_manifest(design, library):
    manifest = design.manifest
    sizes = {name: manifest[name] for name in (*SIZE, "n_layers", "n_points", "n_tiles")}
    assert sizes == SIZE | {"n_layers": 2, "n_points": 2, "n_tiles": 32}
    first, second = manifest["multipliers"]
    assert second == {
        "name": "low.bits",
        "module": "mul1_low_bits",
        "library": "tiny",
        "lut_sha256": library.entry("low.bits").lut_sha256,
        "netlist_sha256": sha256(library.netlist("low.bits").encode()),
        "activation_port": "B",
        "lut": "lut/mul1_low_bits.npy",
    }
    assert first["activation_port"] == "A"
    ports = manifest["top"]["ports"]
    assert ports["weights__payload"] == {
        "direction": "input",
        "width": 16,
        "length": 2,
        "element": {"width": 8, "signed": False},
    }
    header = verilog(design)["qosnets_array"]
    for name, port in ports.items():
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert f"  {port['direction']} {width}{name};" in header


def test_stored_tables_are_those_of_the_netlists(design, library, tmp_path):
    path = tmp_path / "lut.npy"
    path.write_bytes(design.files["lut/mul1_low_bits.npy"])
    a, b = np.indices((256, 256))
    np.testing.assert_array_equal(np.load(path), a * (b & 0xF0))


def digest(design: Design) -> str:
    data = canonical_json(design.manifest)
    return sha256(data + b"".join(n.encode() + d for n, d in design.files.items()))


CHILD = """\
import sys
from pathlib import Path
from qosnets.files import canonical_json
from qosnets.library import Library
from qosnets.ops import OpsFile
from qosnets_hw.generate import generate
d = generate(OpsFile.load(Path(sys.argv[1])), [Library.open(Path(sys.argv[2]))],
             rows=3, cols=2, k_max=20, psum_depth=16)
data = canonical_json(d.manifest) + b"".join(n.encode() + d for n, d in d.files.items())
sys.stdout.buffer.write(data)
"""


def test_bytes_depend_on_the_input_only(design, library, tmp_path):
    """Not on the run, the hash seed, or where the input lies."""
    file = two_multipliers(tmp_path, library)
    assert digest(generate(file, [library], **SIZE)) == digest(design)
    result = subprocess.run(
        [sys.executable, "-c", CHILD, str(file.path), str(library.folder)],
        env=os.environ | {"PYTHONHASHSEED": "123"},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert hashlib.sha256(result.stdout).hexdigest() == digest(design)


def emit(extent: int) -> dict[str, str]:
    config = ArrayConfig(
        rows=extent,
        cols=extent,
        n_multipliers=2,
        max_product=65_025,
        k_max=20,
        psum_depth=16,
        n_tiles=4,
        assignments=((0, 1),),
    )
    members = [BankMember(f"m{code}", ActivationPort.A) for code in range(2)]
    return emit_verilog(build_modules(config, members), keep_hierarchy=[])


def test_text_grows_with_the_edges_of_the_array():
    small, large = emit(8), emit(16)
    for name in ("processing_element", "multiplier_bank", "requantiser"):
        assert small[name].count("\n") == large[name].count("\n")

    def lines(text):
        return sum(text[name].count("\n") for name in ("grid", "column"))

    assert lines(large) < 2.5 * lines(small)


def test_a_multiplier_that_is_always_zero(library, tmp_path):
    """Sums of no bits: Verilog would read the range [-1:0] as two."""
    file = write_ops(tmp_path, [multiplier(library, "zero")])
    design = generate(file, [library], **SIZE)
    for name, text in verilog(design).items():
        assert "[-1:0]" not in text, name


def refusal(*arguments, **options) -> str:
    with pytest.raises(InputError) as error:
        generate(*arguments, **SIZE | options)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{arguments[0].path}: ")


LUTS = {
    "exact": np.multiply.outer(np.arange(256), np.arange(256)).astype(np.uint16),
    "low.bits": np.multiply.outer(np.arange(256), np.arange(256) & 0xF0).astype(np.uint16),
}
SWAPPED = lut_sha256(LUTS["low.bits"].T.copy())


def test_a_wrong_hash_is_refused(library, tmp_path):
    wrong = lut_sha256(LUTS["exact"] >> 1)
    members = [multiplier(library, "exact"), multiplier(library, "low.bits", lut_sha256=wrong)]
    stored = lut_sha256(LUTS["low.bits"])
    message = f"multipliers[1]: LUT hash of the netlist must be {wrong}, not {stored}"
    assert refusal(write_ops(tmp_path, members), [library]) == message
    members[1]["library"] = "tiny"
    assert refusal(write_ops(tmp_path, members), [library]) == message


def test_swapped_operands_are_named(library, tmp_path):
    file = write_ops(tmp_path, [multiplier(library, "low.bits", lut_sha256=SWAPPED)])
    message = refusal(file, [library])
    assert message.startswith("multipliers[0]: LUT hash ")
    assert message.endswith("(operands swapped: the hash is that of the transposed table)")


def test_a_mode_is_refused(library, tmp_path):
    mode = {"kind": "mode", "circuit": "merged", "index": 0}
    file = write_ops(tmp_path, [multiplier(library, "exact", realisation=mode)])
    message = "multipliers[0].realisation: 'mode' cannot be generated, only 'netlist' can"
    assert refusal(file, [library]) == message


def test_an_unknown_library_is_refused(library, tmp_path):
    file = write_ops(tmp_path, [multiplier(library, "exact", library="other")])
    assert refusal(file, [library]) == "multipliers[0]: library 'other' is not one of tiny"


@pytest.fixture
def damaged(library, tmp_path):
    """Return a function that changes the record of ``exact`` in a copy of the library."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in library.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())

    def damage(**changes: object) -> Library:
        path = folder / LIBRARY_FILE
        content = json.loads(path.read_text())
        content["entries"][0] |= changes
        path.write_text(json.dumps(content))
        return Library.open(folder)

    return damage


def test_a_table_is_refused(library, damaged, tmp_path):
    tables = damaged(realisation="table", netlist_sha256=None)
    file = write_ops(tmp_path, [multiplier(library, "exact")])
    message = "library tiny: exact is a table without a netlist: simulation only"
    assert refusal(file, [tables]) == message
    # Another library with a netlist of this function follows.
    assert generate(file, [library], **SIZE).manifest["multipliers"][0]["library"] == "tiny"


def test_the_table_of_the_netlist_is_proven(library, damaged, tmp_path):
    """The record may claim anything; the netlist is evaluated."""
    text = library.netlist("low.bits")
    forged = damaged(netlist_sha256=sha256(text.encode()))
    (forged.folder / "exact.v").write_text(text)
    file = write_ops(tmp_path, [multiplier(library, "exact")])
    exact, stored = (lut_sha256(LUTS[name]) for name in ("exact", "low.bits"))
    message = f"multipliers[0]: LUT hash of the netlist must be {exact}, not {stored}"
    assert refusal(file, [forged]) == message


@pytest.mark.parametrize(("field", "value"), [("rows", 0), ("cols", 65)])
def test_a_wrong_size_is_refused(library, tmp_path, field, value):
    file = write_ops(tmp_path, [multiplier(library, "exact")])
    assert refusal(file, [library], **{field: value}) == f"{field}: must be 1..64, not {value}"
