"""Reader of canonical netlists, against Python integers and against Yosys."""

import numpy as np
import pytest
from netlists import netlist, random_netlist
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut, netlist_of_word, netlist_select_width
from qosnets_library.elaborate import elaborate
from qosnets_library.families import embedded_library

A, B = np.ogrid[:256, :256]


def by_yosys(text: str) -> np.ndarray:
    return elaborate({"netlist.v": text.encode()}, top="multiplier", where="here").lut()


@pytest.mark.parametrize(
    ("gate", "value"),
    [
        ("~A[3]", ~(A >> 3) & 1 | B & 0),
        ("A[7] & B[6]", (A >> 7) & (B >> 6) & 1),
        ("B[0] | A[1]", (B | A >> 1) & 1),
        ("A[2] ^ A[5]", (A >> 2 ^ A >> 5) & 1 | B & 0),
        ("~(A[4] ^ B[4])", ~(A ^ B) >> 4 & 1),
        ("B[7] ? A[6] : B[5]", np.where(B >> 7, A >> 6, B >> 5) & 1),
        ("A[0] & 1'b0", A & B & 0),
        ("1'b1 ^ B[1]", ~(B >> 1) & 1 | A & 0),
    ],
)
def test_each_gate(gate, value):
    lut = netlist_lut(netlist([gate], ["1'b0", "n0", *["1'b0"] * 14]))
    assert (lut.dtype, lut.shape) == (np.uint16, (256, 256))
    np.testing.assert_array_equal(lut, value << 1)


def test_ports_are_bound_to_rows_and_columns():
    bits = [f"{port}[{bit}]" for port in "BA" for bit in range(8)]
    np.testing.assert_array_equal(netlist_lut(netlist([], bits)), A << 8 | B)


@pytest.mark.parametrize("seed", range(8))
def test_random_netlists_read_as_yosys_reads_them(seed):
    text = random_netlist(seed, 1 + 40 * seed)
    np.testing.assert_array_equal(netlist_lut(text), by_yosys(text))


def test_families_read_as_yosys_reads_them():
    library = embedded_library()
    np.testing.assert_array_equal(library.lut("mul8u_dadda"), exact_lut())
    for name in list(library.entries)[::4]:
        np.testing.assert_array_equal(library.lut(name), by_yosys(library.netlist(name)))


def test_tables_are_the_callers_own():
    text = netlist([], ["A[0]"] * 16)
    netlist_lut(text)[:] = 7
    np.testing.assert_array_equal(netlist_lut(text), (A & 1) * 65_535 | B & 0)


GOOD = netlist(["A[0] & B[0]", "~n0"], ["n1"] * 16)
GATE_RULE = "a gate must be ~x, x & y, x | y, x ^ y, ~(x ^ y) or s ? x : y"
END_RULE = "the text must end with a complete line 'endmodule'"


def unknown(net: str) -> str:
    return f"line 7: a gate must read gates above it, not '{net}'"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GOOD, "", "line 1: must be 'module multiplier(A, B, O);', not ''"),
        ("module multiplier", "module other", "line 1: must be 'module multiplier(A, B, O);'"),
        ("(A, B, O)", "(B, A, O)", "line 1: must be 'module multiplier(A, B, O);'"),
        ("input [7:0] B", "input [6:0] B", "line 3: must be '  input [7:0] B;'"),
        ("  wire n1;\n", "", "line 7: must be '  assign O[0] = …;', not '  assign n1 = ~n0;'"),
        ("  wire n0;\n", "", "line 5: must be '  assign O[0] = …;', not '  wire n1;'"),
        ("wire n1;", "wire n01;", "line 6: must be '  assign n0 = …;', not '  wire n01;'"),
        ("wire n1;", "wire n1, n2;", "line 6: must be '  assign n0 = …;'"),
        ("~n0;", "~n0", "line 8: must be '  assign n1 = …;', not '  assign n1 = ~n0'"),
        ("assign n1 =", "assign n0 =", "line 8: must be '  assign n1 = …;'"),
        ("A[0] & B[0]", "n1", f"line 7: {GATE_RULE}, not 'n1'"),
        ("A[0] & B[0]", "A[0] & B[0] & B[1]", f"line 7: {GATE_RULE}, not 'A[0] & B[0] & B[1]'"),
        ("A[0] & B[0]", "A[0]  & B[0]", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] && B[0]", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] + B[0]", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] & B[8]", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] & n00", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] & 1'bx", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] & B[0] // and", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "A[0] & n١", f"line 7: {GATE_RULE}"),
        ("A[0] & B[0]", "~n0", unknown("n0")),
        ("A[0] & B[0]", "B[0] ? A[0] : n1", unknown("n1")),
        ("O[15] = n1", "O[15] = n2", "line 24: a product bit must be a constant, a port bit or"),
        ("O[15] = n1", "O[15] = ~n1", "line 24: a product bit must be a constant, a port bit or"),
        ("O[1] =", "O[2] =", "line 10: must be '  assign O[1] = …;'"),
        ("  assign O[15] = n1;\n", "", "line 24: must be '  assign O[15] = …;', not 'endmodule'"),
        ("endmodule", "  assign O[16] = n1;\nendmodule", "line 25: must be 'endmodule', not"),
        ("endmodule\n", "", "line 25: must be 'endmodule', not ''"),
        ("endmodule\n", "endmodule", f"line 26: {END_RULE}, not ''"),
        ("endmodule\n", "endmodule\nmodule x;\n", f"line 26: {END_RULE}, not 'module x;"),
        ("endmodule\n", "endmodule\n\n", f"line 26: {END_RULE}, not '\\n'"),
        ("\n", "\r\n", "line 1: must be 'module multiplier(A, B, O);'"),
    ],
)
def test_anything_else_is_refused(old, new, message):
    changed = GOOD.replace(old, new)
    assert changed != GOOD
    with pytest.raises(InputError) as error:
        netlist_lut(changed, where="here")
    assert str(error.value).startswith(f"here: {message}")
    assert "\n" not in str(error.value)


def test_size_is_limited():
    assert netlist_lut(netlist(["~A[0]"] * 32_768, ["n0"] * 16))[0, 0] == 65_535
    with pytest.raises(InputError, match=r"^here: must have at most 32768 gates, not 32769$"):
        netlist_lut(netlist(["~A[0]"] * 32_769, ["n0"] * 16), where="here")


def merged(gates, outputs, width=3):
    """Return a netlist with a select."""
    text = netlist(gates, outputs).replace("(A, B, O)", "(A, B, S, O)")
    return text.replace("[7:0] B;\n", f"[7:0] B;\n  input [{width - 1}:0] S;\n")


MERGED = merged(["A[0] & S[0]", "S[2] ? B[0] : n0", "~(S[1] ^ A[1])"], ["n1", *["n2"] * 14, "S[1]"])


@pytest.mark.parametrize("word", range(8))
def test_a_word_makes_a_canonical_netlist(word):
    s = [word >> bit & 1 for bit in range(3)]
    low = np.where(s[2], B & 1, A & s[0]) + B * 0
    rest = np.where((A >> 1 & 1) == s[1], 0x7FFE, 0) | s[1] << 15
    np.testing.assert_array_equal(netlist_lut(netlist_of_word(MERGED, word)), low | rest)
    assert netlist_select_width(MERGED) == 3


@pytest.mark.parametrize("word", [-1, 8])
def test_words_that_the_select_cannot_have(word):
    with pytest.raises(InputError, match=rf"^here: select word must be 0\.\.7, not {word}$"):
        netlist_of_word(MERGED, word, where="here")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(A, B, S, O)", "(A, B, O)", "line 1: must be 'module multiplier(A, B, S, O);', not"),
        ("  input [2:0] S;\n", "", "line 4: must be '  input [n:0] S;' with n = 0..7, not"),
        ("[2:0] S", "[8:0] S", "line 4: must be '  input [n:0] S;'"),
        ("[2:0] S", "[2:0] T", "line 4: must be '  input [n:0] S;'"),
        ("output [15:0]", "output [14:0]", "line 5: must be '  output [15:0] O;', not"),
    ],
)
def test_ports_of_a_merged_netlist(old, new, message):
    assert old in MERGED
    for read in (netlist_select_width, lambda text, where: netlist_of_word(text, 1, where=where)):
        with pytest.raises(InputError) as error:
            read(MERGED.replace(old, new), where="here")
        assert str(error.value).startswith(f"here: {message}")


@pytest.mark.parametrize("bit", ["S[3]", "S[00]", "S", "S[0:0]"])
def test_bits_that_the_select_lacks_are_no_operands(bit):
    text = netlist_of_word(MERGED.replace("& S[0]", f"& {bit}"), 1)
    with pytest.raises(InputError, match=r"^netlist: line 8: a gate must be ~x"):
        netlist_lut(text)


def test_a_select_is_no_part_of_a_canonical_netlist():
    with pytest.raises(
        InputError, match=r"^netlist: line 1: must be 'module multiplier\(A, B, O\)"
    ):
        netlist_lut(MERGED)
