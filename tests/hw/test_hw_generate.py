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
import qosnets_hw.collateral
from qosnets.cycles import job_cycles
from qosnets.errors import InputError
from qosnets.files import canonical_json, publish, sha256
from qosnets.library import LIBRARY_FILE, Library
from qosnets.lut import ActivationPort, lut_sha256
from qosnets.ops import OpsFile
from qosnets.tiling import Tiling
from qosnets_hw.bank import BankMember, MultiplierBank, OperandGate
from qosnets_hw.config import ArrayConfig
from qosnets_hw.defaults import Isolation
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
    assert names - instances == {"qosnets_accelerator"}
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
        "psum_memory",
        "accumulator",
        "requantiser",
        "parameter_memory",
        "output_stage",
        "layer_table",
        "sequencer",
        "operating_point_register",
        "qosnets_array",
        "register_block",
        "event_counters",
        "point_source",
        "job_queue",
        "parameter_reader",
        "qosnets_accelerator",
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
    assert manifest["array"]["ports"]["activations__payload"] == {
        "direction": "input",
        "width": 25,
        "fields": {
            "codes": {
                "offset": 0,
                "width": 24,
                "length": 3,
                "element": {"width": 8, "signed": False},
            },
            "last": {"offset": 24, "width": 1, "signed": False},
        },
    }
    assert manifest["bank"]["select_words"] == [1, 2]
    for part in ("bank", "array", "top"):
        header = verilog(design)[manifest[part]["module"]]
        for name, port in manifest[part]["ports"].items():
            width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
            assert f"  {port['direction']} {width}{name};" in header


AXI_LITE = """awaddr:i12 awprot:i3 awvalid:i awready:o wdata:i32 wstrb:i4 wvalid:i wready:o
bresp:o2 bvalid:o bready:i araddr:i12 arprot:i3 arvalid:i arready:o rdata:o32 rresp:o2 rvalid:o
rready:i"""


def test_ports_of_the_top_are_standard_axi(design):
    expected = {"aclk": "i", "aresetn": "i", "irq": "o", "point_pins": "i2"}
    expected |= {f"s_axi_{name}": kind for name, kind in (p.split(":") for p in AXI_LITE.split())}
    streams = {
        "s_axis_weights": ("i", {"tdata": 16, "tlast": 1}),
        "s_axis_activations": ("i", {"tdata": 24, "tlast": 1}),
        "s_axis_parameters": ("i", {"tdata": 128}),
        "m_axis_results": ("o", {"tdata": 16, "tlast": 1, "tuser": 8}),
    }
    for stream, (flow, payload) in streams.items():
        back = {"i": "o", "o": "i"}[flow]
        expected |= {f"{stream}_tvalid": flow, f"{stream}_tready": back}
        for name, width in payload.items():
            expected[f"{stream}_{name}"] = f"{flow}{width if width > 1 else ''}"
    ports = design.manifest["top"]["ports"]
    found = {
        name: port["direction"][0] + (str(port["width"]) if port["width"] > 1 else "")
        for name, port in ports.items()
    }
    assert found == expected


def test_cycle_model_of_the_manifest_is_that_of_the_contract(design):
    model = design.manifest["cycle_model"]
    for k_tiles, n_tiles, positions in [(1, 1, 1), (3, 2, 1), (2, 4, 4), (7, 3, 16)]:
        tiling = Tiling(3, 2, 3 * k_tiles, 2 * n_tiles, 1, 0)
        values = model | {"k_tiles": k_tiles, "n_tiles": n_tiles, "positions": positions}
        assert eval(model["formula"], {"max": max}, values) == job_cycles(tiling, positions)


def test_registers_of_the_manifest(design):
    registers = design.manifest["registers"]
    assert list(registers)[:2] == ["ID", "VERSION"]
    assert (registers["ID"], registers["JOB_START"]) == (0, 0x12C)
    read = re.findall(r"12'h(\w{3}):", verilog(design)["register_block"])
    assert {int(offset, 16) for offset in read} == set(registers.values()) - {0x044}


@pytest.mark.parametrize("isolation", Isolation)
def test_isolation(library, tmp_path, isolation):
    """Two gates for each multiplier, one, or none; the registers tell which."""
    file = two_multipliers(tmp_path, library)
    design = generate(file, [library], isolation=isolation, documents=True, **SIZE)
    gates, code = {"none": (0, 0), "activation": (2, 1), "both": (4, 2)}[isolation]
    assert verilog(design)["multiplier_bank"].count("operand_gate ") == gates
    assert design.manifest["isolation"] == isolation.value
    header = design.files["drivers/c/qosnets_registers.h"].decode()
    assert f"QOSNETS__FEATURES__ISOLATION_reset {code:#x}\n" in header


def test_drivers_are_those_of_the_package(design):
    assert design.files["drivers/c/qosnets.c"].startswith(b'#include "qosnets.h"')
    assert b"class Accelerator:" in design.files["drivers/python/qosnets_driver.py"]
    assert not any(name.startswith("docs/") for name in design.files)


def test_documents_of_the_registers(design, library, tmp_path, caplog):
    file = two_multipliers(tmp_path, library)
    documented = generate(file, [library], documents=True, **SIZE)
    added = set(documented.files) - set(design.files)
    assert {"docs/qosnets_registers.xml", "docs/html/index.html"} <= added
    header = documented.files["drivers/c/qosnets_registers.h"].decode()
    hash_word = int(documented.manifest["ops_sha256"][:8], 16)
    assert f"QOSNETS__OPS_HASH_0__WORD_reset {hash_word:#x}\n" in header
    assert caplog.messages == []


def test_documents_that_cannot_be_made_are_left_out_with_a_warning(
    design, library, tmp_path, caplog, monkeypatch
):
    find = qosnets_hw.collateral.find_spec
    hidden = {"peakrdl_html"}
    monkeypatch.setattr(
        qosnets_hw.collateral, "find_spec", lambda name: None if name in hidden else find(name)
    )
    file = two_multipliers(tmp_path, library)
    assert generate(file, [library], documents=True, **SIZE).files == design.files
    (message,) = caplog.messages
    assert message.startswith("peakrdl-html: not found; without it there are no docs/ ")
    assert message.endswith("install with: pip install 'qosnets-hw[registers]'")


def fusesoc(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run FuseSoC in ``folder``, on the cores in ``folder/design``."""
    options = ["--cores-root", "design", *map(str, arguments)]
    environment = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "fusesoc.main", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.usefixtures("simulator")
def test_fusesoc_lints_the_core(design, tmp_path):
    """The core is found, its files are there, and its target runs without a complaint."""
    from qosnets_sim.verilator import verilator_root

    publish(tmp_path / "design", design.files, force=False, manifest=design.manifest)
    core = "::qosnets_accelerator:1.0"
    shown = fusesoc(tmp_path, "core", "show", core)
    assert shown.returncode == 0 and "lint" in shown.stdout, shown.stderr
    arguments = ("run", "--target=lint", "--setup", "--build-root", "build", core)
    made = fusesoc(tmp_path, *arguments)
    assert made.returncode == 0 and "WARNING" not in made.stderr, made.stderr
    (makefile,) = (tmp_path / "build").rglob("Makefile")
    root = verilator_root()
    path = f"{root / 'bin'}:{os.environ['PATH']}"
    linted = subprocess.run(
        ["make", "--silent"],
        cwd=makefile.parent,
        env=os.environ | {"VERILATOR_ROOT": str(root), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert linted.returncode == 0 and "%" not in linted.stdout + linted.stderr, linted.stderr


def test_the_core_lists_the_sources_in_order(design):
    text = design.files["qosnets.core"].decode()
    assert text.startswith("CAPI=2:\n")
    assert re.findall(r"- (rtl/.*\.v)\n", text) == design.manifest["sources"]


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
    gate = OperandGate()
    bank = MultiplierBank(members=members, gate=gate, isolation=Isolation.BOTH)
    return emit_verilog(build_modules(config, [gate, bank]), keep_hierarchy=[])


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
