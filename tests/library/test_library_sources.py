from pathlib import Path

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets_library.signedness import is_signed
from qosnets_library.sources import Found, Skipped, read_circuits

A, B = np.indices((256, 256))
PORTS = "input [7:0] a, b, output [15:0] o"
PRODUCT = f"module m({PORTS}); assign o = a * b; endmodule\n"
ADDER = "module add8u(input [7:0] A, B, output [8:0] O); assign O = A + B; endmodule"
SIGNED = f"module m({PORTS}); assign o = $signed(a) * $signed(b); endmodule"
CELL = "module {}(input a, b, output y); assign y = a {} b; endmodule"


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(folder: Path, files: dict[str, str | bytes], **options) -> Found:
    return read_circuits(write(folder, files), **options)


def table(lut: np.ndarray) -> bytes:
    return lut.astype("<u2").tobytes()


def npy(array: np.ndarray, folder: Path) -> bytes:
    np.save(folder / "temporary.npy", array)
    content = (folder / "temporary.npy").read_bytes()
    (folder / "temporary.npy").unlink()
    return content


def test_a_small_checkout(tmp_path):
    """The layout of EvoApproxLib: equal circuits in several folders, and much beside them."""
    mapped = f"module mul8u_1({PORTS}); AND2X1 n(.A(a[0]), .B(b[0]), .Y(o[0])); endmodule"

    def gates(operator: str) -> str:
        """A circuit with a helper module whose name another file gives another function."""
        bits = " ".join(f"GATE g{i}(A[{i % 8}], B[{i // 2}], O[{i}]);" for i in range(16))
        ports = "input [7:0] A; input [7:0] B; output [15:0] O;"
        return f"module m(A, B, O); {ports} {bits} endmodule\n" + CELL.format("GATE", operator)

    eight = "multiplers/8x8_unsigned"
    found = read(
        tmp_path,
        {
            f"{eight}/pareto_pwr_mse/mul8u_1.v": gates("&"),
            f"{eight}/pareto_pwr_mse/mul8u_1.c": "not Verilog",
            f"{eight}/pareto_pwr_mse/mul8u_1_pdk45.v": mapped,
            f"{eight}/pareto_pwr_mse/mul8u_2.v": gates("|"),
            f"{eight}/pareto_pwr_ep/mul8u_1.v": gates("&") + "// the same",
            "multiplers/8x8_signed/mul8s_1.v": SIGNED,
            "multiplers/7x7_unsigned/mul7u_1.v": PRODUCT.replace("7:0", "6:0").replace("15", "13"),
            "adders/8_unsigned/add8u_1.v": ADDER,
            ".git/hidden.v": "module",
            "meta.json": "[]",
        },
    )
    assert [circuit.name for circuit in found.circuits] == ["mul8u_1", "mul8u_2"]
    first, second = found.circuits
    assert first.origin == f"imported from {eight}/pareto_pwr_ep/mul8u_1.v"
    assert all(circuit.published is None for circuit in found.circuits)
    bits = [(A >> i % 8 & 1, B >> i // 2 & 1, i) for i in range(16)]
    assert np.array_equal(first.lut, sum((a & b) << i for a, b, i in bits))
    assert np.array_equal(second.lut, sum((a | b) << i for a, b, i in bits))
    assert found.refused == ()
    assert found.skipped == {Skipped.PORTS: 2, Skipped.SIGNED: 1, Skipped.MAPPED: 1}


GATES = "must consist of combinational gates, not hold"
OTHER_PORT = "must be an input of 8 or an output of 16 bits, not"
REFUSED = {
    "flip_flop": (
        f"module m({PORTS}); reg [15:0] o; always @(posedge a[0]) o <= b; endmodule",
        f"{GATES} a flip-flop",
    ),
    "clocked": (
        f"module m(input clk, {PORTS}); reg [15:0] o; always @(posedge clk) o <= a; endmodule",
        f"port clk: {OTHER_PORT} input of 1",
    ),
    "latch": (
        f"module m({PORTS}); reg [15:0] o; always @* if (a[0]) o = b; endmodule",
        f"{GATES} a latch",
    ),
    "loop": (
        f"module m({PORTS}); assign o = {{15'b0, a[0] & ~o[0]}}; endmodule",
        "bit 0 of o depends on a combinational loop",
    ),
    "inout_port": (
        f"module m({PORTS.replace('output', 'inout')}); assign o = a; endmodule",
        f"port o: {OTHER_PORT} inout of 16",
    ),
    "no_output": (
        "module m(input [7:0] a, b); endmodule",
        "must have two inputs and one output, not 2 and 0",
    ),
    "one_input": (
        "module m(input [7:0] a, output [15:0] o); assign o = a; endmodule",
        "must have two inputs and one output, not 1 and 1",
    ),
    "no_ports": ("module m; endmodule", "must have two inputs and one output, not 0 and 0"),
    "unreadable": ("module m(", "line 1: syntax error, unexpected end of file"),
    "empty": ("// nothing", "must hold a module, has none"),
    "undriven": (
        f"module m({PORTS}); assign o[14:0] = a; endmodule",
        "bit 15 of o depends on a net without a value (undriven, x or z)",
    ),
    "unknown": (
        f"module m({PORTS}); assign o = {{a, 8'bx}}; endmodule",
        "bit 0 of o depends on a net without a value (undriven, x or z)",
    ),
    "two_tops": (
        PRODUCT.replace("m(", "x(") + PRODUCT.replace("m(", "y("),
        "must have one top module, not x, y",
    ),
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Found:
    """All bad files and a good one, read at once."""
    files = {f"{name}.v": text for name, (text, _) in REFUSED.items()}
    return read(tmp_path_factory.mktemp("bad"), {**files, "good.v": PRODUCT})


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_folder(bad, name):
    (reason,) = [refusal.reason for refusal in bad.refused if refusal.name == name]
    place, _, rule = reason.partition(f"{name}.v: ")
    assert Path(place).is_dir()
    assert rule.startswith(REFUSED[name][1])


def test_a_refused_file_hides_no_other(bad):
    assert [circuit.name for circuit in bad.circuits] == ["good"]
    assert len(bad.refused) == len(REFUSED)
    assert bad.skipped == {}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("add8u.v", ADDER, f"port O: {OTHER_PORT} output of 9"),
        ("mul8s.v", SIGNED, "must be an unsigned multiplier, is a signed one"),
        (
            "mapped.v",
            f"module m({PORTS}); AND2X1 n(a, b, o); endmodule",
            "Module `AND2X1' referenced in module `m' in cell `n' is not part of the design.",
        ),
        ("cell.v", CELL.format("AND", "&"), f"port a: {OTHER_PORT} input of 1"),
        ("no name.v", PRODUCT, "file name must be an identifier, not 'no name'"),
        ("short.bin", b"\0" * 131_071, "table must have 131072 bytes, not 131071"),
        ("short.npy", b"\x93NUMPY", "must be a NumPy array: "),
    ],
)
def test_a_named_file_is_never_skipped(tmp_path, name, text, reason):
    write(tmp_path, {name: text, "AND2X1.v": CELL.format("AND2X1", "&")})
    found = read_circuits(tmp_path / name)
    (refusal,) = found.refused
    assert refusal.reason.startswith(f"{tmp_path / name}: {reason}")
    assert refusal.name == Path(name).stem
    assert (found.circuits, found.skipped) == ((), {})


def test_refused_paths(tmp_path):
    rule = "must be a folder or end in one of .v, .sv, .blif, .npy, .bin"
    write(tmp_path, {"notes.txt": "", "empty/.hidden.v": PRODUCT})
    for path in (tmp_path / "notes.txt", tmp_path / "absent"):
        with pytest.raises(InputError) as error:
            read_circuits(path)
        assert str(error.value) == f"{path}: {rule}"
    with pytest.raises(InputError) as error:
        read_circuits(tmp_path / "empty")
    expected = "must hold circuits (.v, .sv, .blif, .npy, .bin), has none"
    assert str(error.value) == f"{tmp_path / 'empty'}: {expected}"
    path = tmp_path / "absent.v"
    (refusal,) = read_circuits(path).refused
    assert refusal.reason == f"{path}: cannot be read: No such file or directory"


def test_one_name_with_two_tables_is_refused(tmp_path):
    files = {
        "b/mul.v": PRODUCT,
        "a/mul.sv": PRODUCT.replace("a * b", "b * a"),
        "c/mul.npy": npy(exact_lut(), tmp_path),
        "0/other.v": PRODUCT,
    }
    found = read(tmp_path / "equal", files)
    assert [(c.name, c.origin) for c in found.circuits] == [
        ("mul", "imported from a/mul.sv"),
        ("other", "imported from 0/other.v"),
    ]
    found = read(tmp_path / "different", {**files, "d/mul.v": PRODUCT.replace("a * b", "a | b")})
    assert [circuit.name for circuit in found.circuits] == ["other"]
    (refusal,) = found.refused
    assert refusal.name == "mul"
    assert refusal.reason == (
        "mul: files of one name must be the same multiplier, not different ones:"
        " a/mul.sv, b/mul.v, d/mul.v, c/mul.npy"
    )


def test_helpers_come_from_the_same_folder(tmp_path):
    top = f"module m({PORTS}); GATE g [15:0]({{a, a}}, {{b, b}}, o); endmodule"
    nested = "module GATE(input a, b, output y); AND n(a, b, y); endmodule"
    files = {"x/top.v": top, "x/gate.v": nested, "x/and.v": CELL.format("AND", "&")}
    found = read(tmp_path / "1", {**files, "y/gate.v": CELL.format("GATE", "|")})
    assert found.skipped == {Skipped.PORTS: 3}
    assert np.array_equal(found.circuits[0].lut, (A & B) * 257)

    found = read(tmp_path / "2", {**files, "x/gate2.v": CELL.format("GATE", "|")})
    (refusal,) = found.refused
    assert refusal.reason == (
        f"{tmp_path / '2' / 'x' / 'top.v'}: module GATE: must be in one other file,"
        " not gate.v, gate2.v"
    )
    assert read(tmp_path / "3", {"x/top.v": top}).skipped == {Skipped.MAPPED: 1}


@pytest.mark.parametrize("text", [PRODUCT + ADDER, PRODUCT + PRODUCT.replace("m(", "circuit(")])
def test_the_top_module_is_found(tmp_path, text):
    found = read(tmp_path, {"circuit.v": text})
    assert np.array_equal(found.circuits[0].lut, exact_lut())


def test_tables(tmp_path):
    files = {
        "words.bin": table(exact_lut()),
        "array.npy": npy(exact_lut().T.copy(order="F") | 1, tmp_path),
        "signed.npy": npy(exact_lut().astype(np.int64), tmp_path),
        "small.npy": npy(exact_lut()[:128], tmp_path),
        "truncated.npy": npy(exact_lut(), tmp_path)[:-1],
        "pickled.npy": npy(np.array([None]), tmp_path),
        "negative.bin": table(((A ^ 128) - 128) * ((B ^ 128) - 128)),
    }
    found = read(tmp_path, files)
    assert [(circuit.name, circuit.netlist) for circuit in found.circuits] == [
        ("array", None),
        ("words", None),
    ]
    assert np.array_equal(found.circuits[0].lut, exact_lut() | 1)
    assert np.array_equal(found.circuits[1].lut, exact_lut())
    rules = {refusal.name: refusal.reason.split(": ", 1)[1] for refusal in found.refused}
    assert rules["signed"] == "LUT must be uint16[256, 256], not int64[256, 256]"
    assert rules["small"] == "LUT must be uint16[256, 256], not uint16[128, 256]"
    assert rules["truncated"].startswith("must be a NumPy array: ")
    assert rules["pickled"].startswith("must be a NumPy array: ")
    assert found.skipped == {Skipped.SIGNED: 1}
    (refusal,) = read_circuits(tmp_path / "words.bin", operand_width=(8, 7)).refused
    assert refusal.reason == f"{tmp_path / 'words.bin'}: a table must have operands of 8 bits"


def test_narrow_multipliers_are_imported_where_they_are_wanted(tmp_path):
    narrow = "module m(input [7:0] A, input [2:0] B, output [10:0] O); assign O = A * B; endmodule"
    swapped = narrow.replace("7:0] A", "2:0] A").replace("2:0] B", "7:0] B")
    files = {"mul8x3u.v": narrow, "mul8u.v": PRODUCT, "words.bin": table(exact_lut())}
    found = read(tmp_path, files)
    assert [circuit.operand_width for circuit in found.circuits] == [(8, 8)] * 2
    assert found.skipped == {Skipped.PORTS: 1}
    found = read(tmp_path, files | {"swapped.v": swapped}, operand_width=(8, 3))
    (circuit,) = found.circuits
    assert (circuit.name, circuit.operand_width) == ("mul8x3u", (8, 3))
    assert np.array_equal(circuit.lut, A * (B % 8))
    assert found.skipped == {Skipped.PORTS: 2}
    (refusal,) = found.refused
    rule = "operands A and B: must have 8 and 3 bits, not 3 and 8"
    assert refusal.reason == f"{tmp_path / 'swapped.v'}: {rule}"


def test_progress_counts_each_phase(tmp_path):
    steps = []
    files = {f"m{n}.v": PRODUCT for n in range(3)} | {"add.v": ADDER}
    read(tmp_path, files, progress=lambda *step: steps.append(step))
    assert [step for step in steps if step[0] == step[1]] == [
        (4, 4, "Reading"),
        (3, 3, "Elaborating"),
    ]


def test_signed_tables_are_told_from_poor_unsigned_ones():
    n, m = 1 << 8, 1 << 5
    signed = ((A ^ 128) - 128) * ((B ^ 128) - 128)
    narrow = ((A % n ^ 128) - 128) * ((B % m ^ 16) - 16) % (n * m)
    assert is_signed((signed % 65_536).astype(np.uint16), (8, 8))
    assert is_signed((signed // 4096 * 4096 % 65_536).astype(np.uint16), (8, 8))
    assert is_signed(narrow.astype(np.uint16), (8, 5))
    for unsigned in (A * B, A * 0, A * 0 + 32_768, (A & 0xE0) * (B & 0xE0), A, (A & 15) * (B & 15)):
        assert not is_signed(unsigned.astype(np.uint16), (8, 8))
    assert not is_signed((A * (B % m)).astype(np.uint16), (8, 5))
