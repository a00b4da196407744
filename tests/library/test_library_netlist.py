import re

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets_library.evaluate import netlist_lut
from qosnets_library.netlist import canonical_netlist

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


DIRECTIVES = (
    "celldefine, default_nettype, else, elsif, endcelldefine, endif, ifdef, ifndef,"
    " nounconnected_drive, resetall, timescale, unconnected_drive"
)
GATES = "must consist of combinational gates, not hold"
UNDRIVEN = "depends on a net without a value (undriven, x or z)"
DRIVERS = "a net must have one driver, not several"
PORT = "must be an input of 8 or an output of 16 bits, not"


@pytest.mark.parametrize(
    ("verilog", "message"),
    [
        ("", "must hold a Verilog module, has none"),
        ("\xff\x00", "line 1: syntax error, unexpected invalid token"),
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
            '`include "/etc/hostname"',
            (
                f"line 1: directive must be one of {DIRECTIVES},"
                " not '`include' (expand macros and includes first)"
            ),
        ),
        (
            "// macros can compose an include\n`define T(x) `inc\n",
            (
                f"line 2: directive must be one of {DIRECTIVES},"
                " not '`define' (expand macros and includes first)"
            ),
        ),
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
