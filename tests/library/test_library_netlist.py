import re

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut
from qosnets_library.designs import Design
from qosnets_library.elaborate import Elaboration, elaborate_all
from qosnets_library.netlist import canonical_netlist, canonical_text

HEADER = "module m(input [7:0] a, b, output [15:0] o);"

ADDER_TREE = """
module add(input [15:0] x, y, output [15:0] s); assign s = x + y; endmodule
"""
HIERARCHICAL = """
(* keep_hierarchy *)
module row(input [7:0] a, input b, output [7:0] p); assign p = a & {8{b}}; endmodule
module m(input [7:0] a, b, output [15:0] o);
  wire [7:0] p [0:7];
  wire [15:0] s [0:8];
  genvar i;
  assign s[0] = 0;
  generate for (i = 0; i < 8; i = i + 1) begin : g
    row r(a, b[i], p[i]);
    add u(s[i], {8'b0, p[i]} << i, s[i + 1]);
  end endgenerate
  assign o = s[8];
endmodule
"""


def canonical(verilog: str, *, name: str = "m.v", top: str | None = None) -> str:
    return canonical_netlist({name: verilog.encode()}, top=top, where="m.v")


def test_behavioural_product_is_the_exact_multiplier():
    netlist = canonical(f"{HEADER} assign o = a * b; endmodule")
    assert np.array_equal(netlist_lut(netlist), exact_lut())


def test_hierarchy_over_several_files():
    files = {"add.v": ADDER_TREE.encode(), "m.v": HIERARCHICAL.encode()}
    netlist = canonical_netlist(files, where="m.v")
    assert np.array_equal(netlist_lut(netlist), exact_lut())
    assert len(re.findall(r"\bmodule\b", netlist)) == 1


@pytest.mark.parametrize(
    ("ports", "port_a", "port_b"),
    [
        ("input [7:0] B, A", "A", "B"),
        ("input [7:0] b, a", "a", "b"),
        ("input [7:0] y, x", "y", "x"),
        ("input [0:7] a, input [8:1] b", "a", "b"),
    ],
)
def test_ports_are_bound_by_name_then_by_order(ports, port_a, port_b):
    netlist = canonical(
        f"module m(output [15:0] o, {ports}); assign o = {{{port_a}, ~{port_b}}}; endmodule"
    )
    a, b = np.indices((256, 256))
    assert np.array_equal(netlist_lut(netlist), 256 * a + 255 - b)


def test_text_depends_on_the_circuit_only():
    first = """
      module adder_of_mine(input [7:0] a, b, output [15:0] o);
        wire secret = a[0] & b[1];
        wire unused = a[3] | b[3];
        assign o = {15'b0, secret ^ a[7]};
      endmodule"""
    second = """
      module top(input [7:0] O, A, output [15:0] B);
        assign B[15:1] = 0;
        xor (B[0], w, A[7]);
        and (w, A[0], O[1]);
      endmodule"""
    text = canonical(first)
    assert canonical(second, name="elsewhere.sv") == text
    assert canonical(text) == text
    assert text.splitlines()[:8] == [
        "module multiplier(A, B, O);",
        "  input [7:0] A;",
        "  input [7:0] B;",
        "  output [15:0] O;",
        "  wire n0;",
        "  wire n1;",
        "  assign n0 = A[0] & B[1];",
        "  assign n1 = n0 ^ A[7];",
    ]


def test_structure_is_kept():
    text = canonical(f"{HEADER} assign o = {{15'b0, (a[0] & b[0]) | (a[0] & b[0])}}; endmodule")
    assert text.count("&") == 2


def test_top_chooses_among_modules():
    both = (
        f"{HEADER} assign o = a; endmodule {HEADER.replace(' m(', ' n(')} assign o = b; endmodule"
    )
    a, b = np.indices((256, 256))
    assert np.array_equal(netlist_lut(canonical(both, top="m")), a)
    assert np.array_equal(netlist_lut(canonical(both, top="n")), b)


DIRECTIVE = (
    "directive must be one of celldefine, default_nettype, define, else, elsif, endcelldefine,"
    " endif, ifdef, ifndef, nounconnected_drive, resetall, timescale, unconnected_drive, undef"
    " or the use of a macro defined above, not"
)
GATES = "must consist of combinational gates, not hold"
UNDRIVEN = "depends on a net without a value (undriven, x or z)"
DRIVERS = "a net must have one driver, not several"
PORT = "must be an input of 8 or an output of 16 bits, not"


@pytest.mark.parametrize(
    ("verilog", "message"),
    [
        ("", "must hold a module, has none"),
        ("\xff\x01", "line 1: syntax error, unexpected invalid token"),
        (f"\n{HEADER} assign o = ; endmodule", "line 2: syntax error, unexpected ';'"),
        ("module a; endmodule module b; endmodule", "must have one top module, not a, b"),
        (
            "module a; b u(); endmodule module b; a u(); endmodule",
            "must have one top module, not none: every module is instantiated by another",
        ),
        (
            HEADER.replace(" m(", " \\m;exec (") + " endmodule",
            "name of the top module must be plain, not 'm;exec'",
        ),
        ("module m(input [6:0] a); endmodule", f"port a: {PORT} input of 7"),
        (
            HEADER.replace("15:0", "14:0") + " assign o = a; endmodule",
            f"port o: {PORT} output of 15",
        ),
        (
            HEADER.replace("output", "inout") + " assign o = a; endmodule",
            f"port o: {PORT} inout of 16",
        ),
        (
            "module m(input [7:0] a, b, c, output [15:0] o); assign o = a; endmodule",
            "must have two inputs and one output, not 3 and 1",
        ),
        (
            f"{HEADER} reg [15:0] o; always @(posedge a[0]) o <= b; endmodule",
            f"{GATES} a flip-flop",
        ),
        (f"{HEADER} reg [15:0] o; always @* if (a[0]) o = b; endmodule", f"{GATES} a latch"),
        (
            (
                f"{HEADER} (* blackbox *) f u(a, o); endmodule"
                " (* blackbox *) module f(input [7:0] a, output [15:0] o); endmodule"
            ),
            f"{GATES} a cell of type f",
        ),
        (
            (
                f"{HEADER} NAND2 u(.A(a[0]), .B(b[0]), .Y(o[0])); endmodule"
                " (* blackbox *) module NAND2(input A, B, output Y); endmodule"
            ),
            f"{GATES} a cell of type NAND2",
        ),
        (
            f"{HEADER} \\$_NOT_ u(.A(a[0]), .Y(o[0])); endmodule",
            "Module `$_NOT_' referenced in module `m' in cell `u' is not part of the design.",
        ),
        (
            f"{HEADER} f u(a, o); endmodule",
            "Module `f' referenced in module `m' in cell `u' is not part of the design.",
        ),
        (
            f"{HEADER} assign o = {{15'b0, a[0] & ~o[0]}}; endmodule",
            "bit 0 of o depends on a combinational loop",
        ),
        (f"{HEADER} assign o[14:0] = a; endmodule", f"bit 15 of o {UNDRIVEN}"),
        (
            f"{HEADER} wire w; assign o = {{a, b[7] & w, b[6:0]}}; endmodule",
            f"bit 7 of o {UNDRIVEN}",
        ),
        (f"{HEADER} assign o = {{a, 8'bx}}; endmodule", f"bit 0 of o {UNDRIVEN}"),
        (f"{HEADER} assign o = a[0] ? {{a, b}} : 16'bz; endmodule", f"bit 0 of o {UNDRIVEN}"),
        (f"{HEADER} assign o = a; assign o = b; endmodule", DRIVERS),
        (f"{HEADER} and (o[0], a[0], b[0]); or (o[0], a[0], b[0]); endmodule", DRIVERS),
        (f"{HEADER} assign a[0] = b[0]; assign o = a; endmodule", DRIVERS),
        (
            (
                f'{HEADER} reg [15:0] r [0:255]; initial $readmemh("/etc/hostname", r);'
                " assign o = r[a]; endmodule"
            ),
            "must not read files, not use $readmem",
        ),
        (
            f'import "DPI-C" function integer getpid(); {HEADER} assign o = getpid(); endmodule',
            "line 1: Found DPI function getpid.",
        ),
    ],
)
def test_refusals(verilog, message):
    with pytest.raises(InputError) as error:
        canonical(verilog)
    assert str(error.value) == f"m.v: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('`include "/etc/hostname"', f"line 1: {DIRECTIVE} '`include'"),
        ('`inc\rlude "/etc/hostname"', f"line 1: {DIRECTIVE} '`include'"),
        ('`define in\n`in\0clude "/etc/hostname"', "must be a text, has a zero byte"),
        ("/* two\n lines */ `unknown", f"line 2: {DIRECTIVE} '`unknown'"),
        ("`later\n`define later 1", f"line 1: {DIRECTIVE} '`later'"),
        ("`define x `inc\n`x", f"line 1: {DIRECTIVE} '`inc'"),
        ("`define x a``b", f"line 1: {DIRECTIVE} '`'"),
        ('`define x `"a`"', f"line 1: {DIRECTIVE} '`'"),
        ("`define T(x) x", "line 1: macro T must have no arguments (expand it first)"),
        ("`define", "line 1: `define must be followed by a name"),
        (
            '\n`define include `include\n`include "a"',
            "line 2: a macro must not be named like a directive, not include",
        ),
        ("`define r readmemh\n$`r", "line 2: `r must not follow a name without a space"),
        ("`define r memh\n$read`r", "line 2: `r must not follow a name without a space"),
        ("`define a $read\n`define b memh\n`a`b", "line 3: `b must not follow a name without"),
        ("`define a $read/* */memh\n`a", "line 2: syntax error"),
    ],
)
def test_text_that_could_read_a_file_is_refused(text, message):
    with pytest.raises(InputError) as error:
        canonical(f"{text}\n{HEADER} assign o = a * b; endmodule")
    assert str(error.value).startswith(f"m.v: {message}")


def test_directives_and_macros():
    netlist = canonical(
        """`timescale 1ns/1ps // a comment with `include is no directive
        `define WIDTH 8 // bits
        `define TOP (`WIDTH - 1)
        `define BODY assign o = \\
          a * b;
        /* nor `is
           this */
        `ifdef NOT_DEFINED
        syntax error
        `else
        module m(input [`TOP:0] a, input [`WIDTH-1:0] b, output [2*`WIDTH-1:0] o);
        `endif
        `BODY
        `undef BODY
        endmodule"""
    )
    assert np.array_equal(netlist_lut(netlist), exact_lut())


def test_macros_of_one_design_are_unknown_in_the_next():
    define = f"`define F a * b\n{HEADER} assign o = `F; endmodule"
    use = f"`ifdef F\nsyntax error\n`endif\n{HEADER} assign o = a; endmodule"
    designs = [Design({"m.v": text.encode()}, "m.v") for text in (define, use)]
    first, second = elaborate_all([Elaboration(design, "m") for design in designs])
    assert np.array_equal(first.lut(), exact_lut())
    assert np.array_equal(second.lut(), np.indices((256, 256))[0])


def test_one_fault_hides_neither_results_nor_other_faults():
    texts = [f"{HEADER} assign o = a + {n} * b; endmodule" for n in range(7)]
    texts[2] = "\nmodule 1"
    texts[5] = '`include "x"'
    designs = [Design({"m.v": text.encode()}, f"{n}.v") for n, text in enumerate(texts)]
    results = elaborate_all([Elaboration(design, "m") for design in designs])
    assert [str(result) for result in results if isinstance(result, InputError)] == [
        "2.v: line 2: syntax error, unexpected TOK_CONSTVAL, expecting TOK_ID",
        f"5.v: line 1: {DIRECTIVE} '`include'",
    ]
    a, b = np.indices((256, 256))
    for n in (0, 1, 3, 4, 6):
        assert np.array_equal(results[n].lut(), a + n * b)


@pytest.mark.parametrize("style", ["{}[{}]", "{}{}", "{}_{}_", "{}({})", "{}<{}>"])
def test_blif_with_scalar_ports(style):
    def port(name, width):
        return " ".join(style.format(name, bit) for bit in reversed(range(width)))

    def bit(name, index):
        return style.format(name, index)

    covers = [f".names {bit('b', i)} {bit('a', i)} {bit('o', i)}\n1- 1\n01 1" for i in range(8)]
    covers += [f".names {bit('b', i)} {bit('o', 8 + i)}\n0 1" for i in range(7)]
    covers += [f".names {bit('o', 15)}\n1"]
    text = "\n".join(
        (
            ".model m",
            f".inputs {port('b', 8)} {port('a', 8)}",
            f".outputs {port('o', 16)}",
            *covers,
            ".end",
        )
    )
    netlist = canonical(text, name="m.blif")
    a, b = np.indices((256, 256))
    assert np.array_equal(netlist_lut(netlist), 0x8000 | (~b & 0x7F) << 8 | b | a)
    assert "?" not in netlist


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (".latch a0 o0 re b0 0", f"{GATES} a flip-flop"),
        (
            ".gate AND2 A=a0 B=b0 Y=o0",
            "Module `AND2' referenced in module `m' in cell `$blif$1$0'",
        ),
        (".names a0 b0\n1 1", DRIVERS),
        (".names w o0\n1 1", f"bit 0 of o {UNDRIVEN}"),
        (".names a0 o0 o0\n11 1", "bit 0 of o depends on a combinational loop"),
        ("garbage", "Syntax error in line"),
    ],
)
def test_refused_blif(body, message):
    ports = [
        " ".join(f"{name}{i}" for i in range(width))
        for name, width in (("a", 8), ("b", 8), ("o", 16))
    ]
    constants = "\n".join(f".names o{i}" for i in range(1, 16))
    text = (
        f".model m\n.inputs {ports[0]} {ports[1]}\n.outputs {ports[2]}\n{constants}\n{body}\n.end"
    )
    with pytest.raises(InputError) as error:
        canonical(text, name="m.blif")
    assert str(error.value).startswith(f"m.v: {message}")


def test_narrow_operands_are_zero_extended():
    text = "module m(input [7:0] A, input [2:0] B, output [10:0] O); assign O = A * B; endmodule"
    design = Design({"m.v": text.encode()}, "m.v")
    (netlist,) = elaborate_all([Elaboration(design, "m", (8, 3))])
    a, b = np.indices((256, 256))
    assert np.array_equal(netlist.lut(), a * (b % 8))
    assert np.array_equal(netlist_lut(canonical_text(netlist)), a * (b % 8))


def test_message_names_the_file_where_there_are_several():
    files = {"x.v": f"{HEADER} assign o = a; endmodule".encode(), "y.v": b"\n\nmodule 1"}
    with pytest.raises(InputError) as error:
        canonical_netlist(files, where="folder")
    expected = "folder: y.v: line 3: syntax error, unexpected TOK_CONSTVAL, expecting TOK_ID"
    assert str(error.value) == expected


def test_unknown_top_is_refused():
    with pytest.raises(InputError) as error:
        canonical(f"{HEADER} assign o = a; endmodule", top="other")
    assert str(error.value) == "m.v: Module `other' not found!"


def test_initial_constants_and_rom_are_combinational():
    netlist = canonical(
        f"{HEADER} reg [7:0] square [0:15]; integer i;"
        " initial for (i = 0; i < 16; i = i + 1) square[i] = i * i;"
        " assign o = square[a[3:0]]; endmodule"
    )
    a, _ = np.indices((256, 256))
    assert np.array_equal(netlist_lut(netlist), (a % 16) ** 2)
