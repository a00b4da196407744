"""``library``: import, look, draw and verify, and that bad input leaves nothing behind."""

import json

import numpy as np
import pytest
from designs import write_ops
from qosnets.lut import exact_lut, lut_file, lut_sha256
from qosnets_library.generic_liberty import liberty as generic_liberty

PLUS_ONE = """
module add(input [7:0] a, input [7:0] b, output [15:0] o);
  assign o = a * b + 1;
endmodule
"""
ADDER = """
module adder(input [7:0] a, input [7:0] b, output [8:0] o);
  assign o = a + b;
endmodule
"""
LATCH = """
module latch(input [7:0] a, input [7:0] b, output reg [15:0] o);
  always @* if (a[0]) o = a * b;
endmodule
"""


@pytest.fixture
def plus_one(tmp_path):
    path = tmp_path / "plus_one.v"
    path.write_text(PLUS_ONE)
    return path


@pytest.fixture
def own(qosnets_hw, home, plus_one):
    """A library of one netlist."""
    assert qosnets_hw("library", "import", plus_one, "--library", "own")[0] == 0
    return home / "own"


@pytest.fixture
def circuits(tmp_path):
    """A folder with a multiplier, a table, an adder and a latch."""
    folder = tmp_path / "my-circuits"
    folder.mkdir()
    (folder / "plus_one.v").write_text(PLUS_ONE)
    (folder / "half.npy").write_bytes(lut_file(exact_lut() >> 1))
    (folder / "adder.v").write_text(ADDER)
    (folder / "latch.v").write_text(LATCH)
    return folder


def records(qosnets_hw, *arguments):
    code, printed, _ = qosnets_hw("library", *arguments, "--json")
    assert code == 0
    return {record["name"]: record for record in json.loads(printed)}


def test_import_of_a_file(qosnets_hw, home, plus_one):
    code, printed, _ = qosnets_hw("library", "import", plus_one)
    assert (code, printed) == (0, f"plus_one: 1 multipliers imported, in {home / 'plus_one'}\n")
    code, _, errors = qosnets_hw("library", "import", plus_one)
    assert code == 2
    assert "exists already (--force replaces it)" in errors[-1]
    assert qosnets_hw("library", "import", plus_one, "--force")[0] == 0


@pytest.mark.parametrize(
    ("folder", "name"), [("my-circuits", "my_circuits"), ("8 bit", "_8_bit"), ("v1.2", "v1.2")]
)
def test_library_gets_the_name_of_the_folder(qosnets_hw, home, plus_one, folder, name):
    path = plus_one.parent / folder
    path.mkdir()
    plus_one.rename(path / plus_one.name)
    assert qosnets_hw("library", "import", path)[1].startswith(f"{name}: 1 multipliers imported")


def test_refused_circuits_are_named(qosnets_hw, home, circuits):
    code, _, errors = qosnets_hw("library", "import", circuits)
    assert code == 2
    assert f"{circuits / 'latch.v'}: must " in errors[-1]
    assert not list(home.rglob("*"))
    code, printed, _ = qosnets_hw("library", "import", circuits, "--keep-going")
    assert code == 0
    first, skipped, refused = printed.splitlines()
    assert first == f"my_circuits: 2 multipliers imported, in {home / 'my_circuits'}"
    assert skipped == "skipped: 1 files: adders and other widths"
    assert refused.startswith(f"refused: latch: {circuits / 'latch.v'}: must ")


def test_each_refusal_has_its_line(qosnets_hw, home, circuits):
    (circuits / "loop.v").write_text(LATCH.replace("latch", "loop"))
    code, _, errors = qosnets_hw("library", "import", circuits)
    assert code == 2
    for line, name in zip(errors[-2:], ("latch.v", "loop.v"), strict=True):
        assert line.startswith(f"qosnets-hw: {circuits / name}: must ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--operand-width", "8x9"), "--operand-width: must be NxM with N and M of 1..8, not"),
        (("--library", "../x"), "library name: must be an identifier"),
        (("--liberty", "absent.lib"), "absent.lib: cannot be read"),
    ],
)
def test_wrong_options_of_import(qosnets_hw, home, plus_one, arguments, message):
    code, _, errors = qosnets_hw("library", "import", plus_one, *arguments)
    assert code == 2
    assert errors[-1].startswith(f"qosnets-hw: {message}")
    assert not list(home.rglob("*"))


def test_wrong_ports_are_refused(qosnets_hw, home, plus_one):
    plus_one.write_text(PLUS_ONE.replace("[15:0]", "[14:0]"))
    code, _, errors = qosnets_hw("library", "import", plus_one)
    assert code == 2
    assert "plus_one.v" in errors[-1] and "15" in errors[-1]
    assert not list(home.rglob("*"))


def test_narrow_operands(qosnets_hw, home, tmp_path):
    path = tmp_path / "narrow.v"
    path.write_text(
        "module m(input [3:0] a, input [5:0] b, output [9:0] o); assign o = a * b; endmodule"
    )
    assert qosnets_hw("library", "import", path, "--operand-width", "4x6")[0] == 0
    assert records(qosnets_hw, "show", "narrow")["narrow"]["operand_width"] == [4, 6]


METRICS = {"mae", "wce", "mse", "mre", "error_mean", "error_std", "error_probability", "rank"}
ESTIMATES = {"area_um2", "delay_ns", "power_uw", "leakage_uw", "relative_power"}
PUBLISHED = {"published_power_mw", "published_area_um2", "published_delay_ns"}


def test_list_as_json(qosnets_hw, home, circuits):
    (circuits / "latch.v").unlink()
    assert qosnets_hw("library", "import", circuits)[0] == 0
    found = records(qosnets_hw, "list")
    assert len(found) >= 26
    assert len({tuple(record) for record in found.values()}) == 1  # the same keys, the same order
    for record in found.values():
        assert all(isinstance(record[key], int | float) for key in METRICS)
        assert all(record[key] is None for key in PUBLISHED)  # names are not those published
        kind = type(None) if record["realisation"] == "table" else float
        assert all(isinstance(record[key], kind) for key in ESTIMATES)
    half, plus_one = found["half"], found["plus_one"]
    assert (half["library"], half["realisation"]) == ("my_circuits", "table")
    assert half["lut_sha256"] == lut_sha256(exact_lut() >> 1)
    assert (plus_one["mae"], plus_one["wce"], plus_one["rank"]) == (1.0, 1, 2)
    assert [len(toggles) for toggles in plus_one["toggles"].values()] == [8, 8, 16]
    assert set(records(qosnets_hw, "list", "--library", "my_circuits")) == {"half", "plus_one"}


def test_list_as_table(qosnets_hw, home, circuits):
    assert qosnets_hw("library", "import", circuits, "--keep-going")[0] == 0
    code, printed, _ = qosnets_hw("library", "list", "--library", "my_circuits")
    header, _, half, plus_one, *rest = [line for line in printed.splitlines() if line.strip()]
    assert code == 0
    for heading in ("MRE [%]", "area [µm²]", "delay [ns]", "power [µW]", "published [mW]"):
        assert heading in header
    assert half.split()[-5:] == ["-"] * 5
    assert plus_one.split()[:5] == ["plus_one", "my_circuits", "1", "1", "1"]
    assert rest[0].strip().endswith("uniform operands")


def test_other_cells_and_operands(qosnets_hw, own, tmp_path):
    cells, operands = tmp_path / "generic.lib", tmp_path / "operands.json"
    cells.write_text(generic_liberty())
    weights = {"a": [1] + [0] * 255, "b": [1] * 256}
    operands.write_text(json.dumps({"schema": "qosnets-operands/1", "name": "zero"} | weights))
    plain = records(qosnets_hw, "show", "plus_one")["plus_one"]
    arguments = ("show", "plus_one", "--liberty", cells, "--operands", operands)
    changed = records(qosnets_hw, *arguments)["plus_one"]
    assert changed["distribution"].startswith("zero-")
    assert changed["toggles"]["product"] == [0.0] * 16  # a is always 0
    assert changed["power_uw"] < plain["power_uw"]
    assert records(qosnets_hw, "show", "plus_one")["plus_one"] == plain
    code, _, errors = qosnets_hw("library", "list", "--operands", cells)
    assert code == 2
    assert errors[-1].startswith(f"qosnets-hw: {cells}: must be JSON")


def test_show(qosnets_hw, own):
    code, printed, _ = qosnets_hw("library", "show", "plus_one")
    assert code == 0
    assert "imported from plus_one.v" in printed
    code, _, errors = qosnets_hw("library", "show", "nothing")
    assert code == 2
    assert errors[-1].startswith("qosnets-hw: multiplier: 'nothing' is in no library; searched ")


def test_generate_refuses_a_table(qosnets_hw, home, circuits, tmp_path):
    assert qosnets_hw("library", "import", circuits, "--keep-going")[0] == 0
    reference = {"name": "half", "lut_sha256": lut_sha256(exact_lut() >> 1)}
    content = {
        "schema": "qosnets-ops/1",
        "multipliers": [reference | {"activation_port": "A"}],
        "layers": [{"name": "only"}],
        "operating_points": [{"name": "o1", "assignment": [0]}],
    }
    file, out = write_ops(tmp_path, content), tmp_path / "out"
    code, _, errors = qosnets_hw("generate", "--ops", file.path, "--out", out)
    assert code == 2
    assert errors[-1].endswith("half is a table without a netlist: simulation only")
    assert not out.exists()


@pytest.mark.usefixtures("simulator")
def test_verify(qosnets_hw, own):
    code, printed, _ = qosnets_hw("library", "verify", "--library", "own")
    assert (code, printed) == (0, "1 of 1 multipliers verified\n")
    path = own / "plus_one.v"
    path.write_text(path.read_text().replace(" & ", " | ", 1))
    code, printed, _ = qosnets_hw("library", "verify", "--library", "own")
    assert code == 1
    assert f"own plus_one: {path}: netlist hash must be " in printed
    assert "0 of 1 multipliers verified" in printed


def test_verify_takes_the_simulators_word(qosnets_hw, own, monkeypatch):
    """A difference that only the simulator sees counts."""
    monkeypatch.setattr(
        "qosnets_sim.netlists.simulate_netlists",
        lambda netlists: {name: np.zeros((256, 256), np.uint16) for name in netlists},
    )
    code, printed, _ = qosnets_hw("library", "verify", "--library", "own")
    assert code == 1
    assert f"own plus_one: {own / 'plus_one.v'}: simulation: LUT hash " in printed


def test_verify_without_simulator(qosnets_hw, own, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = qosnets_hw("library", "verify", "--library", "own")
    assert code == 3
    assert "not found" in errors[-1]


@pytest.mark.parametrize(
    ("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_pictures(qosnets_hw, own, tmp_path, suffix, magic):
    for command in (
        ("plot",),
        ("plot", "--library", "own", "--cost", "area_um2", "--metric", "mre"),
    ):
        out = tmp_path / f"{len(command)}.{suffix}"
        code, printed, _ = qosnets_hw("library", *command, "--out", out)
        assert (code, printed) == (0, f"{out}\n")
        assert out.read_bytes().startswith(magic)
    out = tmp_path / f"heatmap.{suffix}"
    assert qosnets_hw("library", "heatmap", "plus_one", "--out", out)[0] == 0
    assert out.read_bytes().startswith(magic)


def test_all_libraries_are_drawn_in_the_order_given(qosnets_hw, own, tmp_path):
    def drawn(*names):
        out = tmp_path / "plot.svg"
        options = [word for name in names for word in ("--library", name)]
        assert qosnets_hw("library", "plot", *options, "--out", out, "--force")[0] == 0
        text = out.read_text()
        return sorted((n for n in ("families", "own") if f"<!-- {n}: " in text), key=text.index)

    assert drawn() == drawn("families", "own") == ["families", "own"]
    assert drawn("own", "families") == ["own", "families"]
    assert drawn("own") == ["own"]


@pytest.mark.parametrize("command", [("plot",), ("heatmap", "plus_one")])
def test_output_files_are_refused(qosnets_hw, own, tmp_path, command):
    existing = tmp_path / "there.svg"
    existing.write_text("mine")
    for out, message in (
        (existing, f"{existing}: exists already (--force replaces a file)"),
        (tmp_path / "x.jpg", "--out: must end in .svg or .png or .pdf, not 'x.jpg'"),
        (tmp_path / "absent" / "x.svg", f"{tmp_path / 'absent'}: must be a folder"),
    ):
        code, _, errors = qosnets_hw("library", *command, "--out", out)
        assert (code, errors[-1]) == (2, f"qosnets-hw: {message}")
    assert existing.read_text() == "mine"
    assert qosnets_hw("library", *command, "--out", existing, "--force")[0] == 0
    assert existing.read_text().startswith("<?xml")
    assert not list(tmp_path.glob(".*"))


def test_nothing_to_draw(qosnets_hw, own, tmp_path):
    out = tmp_path / "x.svg"
    for arguments, message in (
        (("plot", "--library", "nowhere"), "--library: must be one of "),
        (("plot", "--library", "own", "--cost", "published_power_mw"), "plot: library own has no "),
        (("heatmap", "nothing"), "multiplier: 'nothing' is in no library; searched "),
        (("plot", "--metric", "beauty"), "Invalid value for '--metric'"),
    ):
        code, _, errors = qosnets_hw("library", *arguments, "--out", out)
        assert code == 2
        assert errors[-1].startswith(f"qosnets-hw: {message}")
    assert not out.exists()


def test_a_name_that_means_two_circuits(qosnets_hw, own, plus_one, tmp_path):
    plus_one.write_text(PLUS_ONE.replace("+ 1", "+ 2"))
    assert qosnets_hw("library", "import", plus_one, "--library", "other")[0] == 0
    arguments = ("library", "heatmap", "plus_one", "--out", tmp_path / "x.svg")
    code, _, errors = qosnets_hw(*arguments)
    message = "multiplier: 'plus_one' is not the same in other and own; choose by --library"
    assert (code, errors[-1]) == (2, f"qosnets-hw: {message}")
    assert qosnets_hw(*arguments, "--library", "own")[0] == 0


def test_fetch_needs_git(qosnets_hw, home, tmp_path, monkeypatch):
    code, _, errors = qosnets_hw("library", "fetch", "something")
    assert (code, errors) == (2, ["qosnets-hw: fetch: must be 'evoapprox', not 'something'"])
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = qosnets_hw("library", "fetch", "evoapprox")
    assert code == 3
    assert errors[-1].startswith("qosnets-hw: git: ")
    assert not list(home.rglob("*"))
