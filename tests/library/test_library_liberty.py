"""What is read of Liberty files, and what is refused."""

import gzip
from itertools import product
from pathlib import Path

import pytest
import qosnets_library.liberty as liberty_module
import qosnets_library.liberty_reader as reader
from liberties import (
    AND,
    BUFFER,
    GATES,
    HEADER,
    INVERTER,
    cell,
    input_pin,
    library,
    output_pin,
    timing,
    write,
)
from qosnets.errors import InputError
from qosnets.library import cache_home
from qosnets_library.boolean import ExpressionError, compile_function, parenthesised
from qosnets_library.cells import CELLS, CELLS_NAME
from qosnets_library.liberty import GENERIC, Table, load_liberty
from qosnets_library.liberty import generic as generic_cells
from qosnets_library.liberty_syntax import parse_group


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("QOSNETS_LIBERTY", raising=False)


EXPRESSIONS = {
    "A": lambda a, b, c: a,
    "!A": lambda a, b, c: not a,
    "A'": lambda a, b, c: not a,
    "A''": lambda a, b, c: a,
    "!!A": lambda a, b, c: a,
    "A B": lambda a, b, c: a and b,
    "A*B&C": lambda a, b, c: a and b and c,
    "A + B C": lambda a, b, c: a or (b and c),
    "A B | C": lambda a, b, c: (a and b) or c,
    # Python and ABC would read the next three otherwise.
    "A ^ B C": lambda a, b, c: (a != b) and c,
    "A & B ^ C": lambda a, b, c: a and (b != c),
    "!A ^ B'": lambda a, b, c: a != b,
    "(A + B)' C": lambda a, b, c: not (a or b) and c,
    "!(A !B) + 0": lambda a, b, c: not (a and not b),
    "A(B + C)": lambda a, b, c: a and (b or c),
    "1": lambda a, b, c: True,
    "A 0": lambda a, b, c: False,
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression(text):
    pins = ("A", "B", "C")
    for state in product((0, 1), repeat=3):
        expected = bool(EXPRESSIONS[text](*state))
        for written in (text, parenthesised(text)):
            assert compile_function(written, pins)(state) & 1 == expected, (written, state)


def test_parenthesised():
    assert parenthesised("A ^ B C + D'") == "(((A ^ B) & C) | (!D))"


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "": "must have an operand at its end",
        "A +": "must have an operand at its end",
        "(A": "must close every parenthesis",
        "A)": "must not have ')' behind an expression",
        "A ? B": "has an unknown character at ' ? B'",
        "+ A": "must have an operand before '+'",
        "A D": "names D, which is not an input",
    }.items(),
)
def test_refused_expression(text, message):
    with pytest.raises(ExpressionError) as error:
        compile_function(text, ("A", "B"))
    assert str(error.value) == message


TABLE = Table((10.0, 20.0), (1.0, 2.0, 4.0), ((0.0, 1.0, 5.0), (2.0, 3.0, 9.0)))


@pytest.mark.parametrize(
    ("slew", "load", "value"),
    [
        (10, 1, 0),
        (20, 4, 9),
        (10, 3, 3),  # (1 + 5) / 2
        (15, 1.5, 1.5),  # (0 + 1 + 2 + 3) / 4
        (10, 5, 7),  # continues 1 → 5
        (0, 1, -2),  # continues 2 → 0
        (30, 0, 3),  # slope 2 by slew, 1 by load
    ],
)
def test_interpolation(slew, load, value):
    assert TABLE.at(slew, load) == pytest.approx(value)


def test_axes_that_a_table_lacks():
    assert Table((0.0,), (0.0,), ((7.0,),)).at(3, 9) == 7
    assert Table((0.0,), (0.0, 2.0), ((1.0, 3.0),)).at(5, 1) == 2


def test_order_and_units_of_tables(tmp_path):
    units = HEADER.replace('"1ns"', '"10ps"').replace("(1, ff)", "(2, pf)")
    units = units.replace('"1V"', '"100mV"').replace('"1nW"', '"1uW"')
    rows = '"0, 2", "1, 3", "5, 9"'
    edges = "".join(
        f"{name} (load_slew) {{ values ({rows}); }}\n"
        for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    )
    arc = f'timing () {{ related_pin : "A"; timing_sense : negative_unate;\n{edges}}}\n'
    power = (
        "internal_power () { rise_power (load_slew)"
        f' {{ index_1 ("1, 3, 5"); values ({rows}); }} }}\n'
    )
    hidden = 'internal_power () { power (slew) { values ("1, 2"); } }\n'
    inverter = cell(
        "INV",
        input_pin("A", 3, hidden),
        output_pin("Y", "A'", arc + power),
        area=2.5,
        more='leakage_power () { value : 1; when : "A"; }\nleakage_power () { value : 2; }\n',
    )
    found = load_liberty(write(tmp_path, library(inverter, AND, BUFFER, header=units))).by_name[
        "INV"
    ]
    assert (found.area_um2, found.leakage_nw) == (2.5, pytest.approx(1500))
    assert found.inputs[0].capacitance_ff == pytest.approx(6000)
    delay = found.arcs[0].rise.delay
    assert delay.slews == pytest.approx((0.1, 0.2))
    assert delay.loads == pytest.approx((2000, 4000, 8000))
    assert delay.values == (
        pytest.approx((0, 0.01, 0.05)),
        pytest.approx((0.02, 0.03, 0.09)),
    )
    (energy,) = found.energies
    assert energy.pin is None and energy.fall is None
    assert energy.rise.loads == pytest.approx((2000, 6000, 10_000))
    # Units of 2 pF · (0.1 V)².
    assert energy.rise.values[1] == pytest.approx((40, 60, 180))
    (hidden_energy,) = found.inputs[0].hidden
    assert hidden_energy.rise == hidden_energy.fall
    assert hidden_energy.mean(0.05, 0) == pytest.approx(30)


def test_cells_that_are_left_out(tmp_path):
    buffer = timing("A", "positive_unate", 1, 1)
    output = output_pin("Y", "A", buffer)
    others = [
        cell("UNUSED", input_pin("A", 1), output, more="dont_use : true;\n"),
        cell("LATCH", input_pin("A", 1), output, more='latch (IQ, IQN) { enable : "A"; }\n'),
        cell("TRI", input_pin("A", 1), output_pin("Y", "A", 'three_state : "A";\n')),
        cell("HALF", input_pin("A", 1), output, output_pin("Z", "A")),
        cell("TIE", output_pin("Y", "1")),
        cell("FILL"),
        cell("BIDI", input_pin("A", 1), output, "pin (Z) { direction : inout; }\n"),
        cell("NO_FUNCTION", input_pin("A", 1), "pin (Y) { direction : output; }\n"),
    ]
    found = load_liberty(write(tmp_path, library(*others, GATES)))
    assert [cell.name for cell in found.cells] == ["INV", "AND", "BUF"]
    assert found.name == "small" and found.voltage_v == 2


SYNTAX = {
    "all forms": (
        r"""/* a { comment */ library("x" , y) // "another {
        { area:2;unit : 1ns ; text : "a;}{ /*" ; none : ;
          no_semicolon : 0.7 * VDD
          path : a/b // comment
          load (1,pf) values("1, 2", \
            "3, \
        4" /* five */, 5);
          cell (A) { pin(Y) { function : "!A" } };
          cell (B)
          { }
          twice : 1; twice : 2 } ;
        """,
        {
            "area": ["2"],
            "unit": ["1ns"],
            "text": ["a;}{ /*"],
            "none": [""],
            "no_semicolon": ["0.7 * VDD"],
            "path": ["a/b"],
            "load": ["1", "pf"],
            "values": ["1, 2", "3,         4", "5"],
            "twice": ["2"],
        },
    ),
    "lines of Windows": (
        'library(x){\r\na : 1\r\nb ("1, \\\r\n2");\r\n}',
        {"a": ["1"], "b": ["1, 2"]},
    ),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_syntax(case):
    text, expected = SYNTAX[case]
    group = parse_group(text, "x.lib")
    assert group.name == "library" and group.title == "x"
    assert set(group.attributes) == set(expected)
    for name, (first, *others) in expected.items():
        if others or name == "b":
            assert group.values(name) == [first, *others], name
        else:
            assert group.value(name) == first, name
    assert group.value("absent") is None and group.values("absent") == []


def test_nested_groups():
    group = parse_group(SYNTAX["all forms"][0], "x.lib")
    assert group.arguments == ["x", "y"]
    first, second = group.of_kind("cell")
    assert (first.title, second.title, second.groups) == ("A", "B", [])
    (pin,) = first.of_kind("pin")
    assert pin.value("function") == "!A"


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "": "must be a Liberty file, not empty",
        "/* nothing */": "must be a Liberty file, not empty",
        "hello": "line 1: must be a Liberty file, not 'hello'",
        "\n// x\n{\n}": "line 3: must be a Liberty file, not '{'",
        "area : 2;": "line 1: must be a Liberty file, not 'area : 2;'",
        "}": "line 1: must be a Liberty file, not '}'",
        "library (x) {\n}\n}": "line 3: must be the end of the file, not '}'",
        "library (x) { }\nlibrary": "line 2: must be the end of the file, not 'library'",
        "library (x) {\narea 2;\n}": "line 2: must be a Liberty statement, not 'area 2;'",
        "library (x) {\narea : 2 {\n}": "line 2: must be a Liberty statement, not '{'",
        "library (x) {\n/* ": "line 2: must be a Liberty statement, not '/* '",
        'library (x) {\nv ("1, ': "line 2: must be a Liberty statement, not 'v (\"1, '",
        "library (x) {\ncell (y) {\n": "line 2: must close the group cell before the end",
        "library (x) {\ncell (y) {\n}": "line 1: must close the group library before the end",
    }.items(),
)
def test_refused_syntax(text, message):
    with pytest.raises(InputError) as error:
        parse_group(text, "x.lib")
    assert str(error.value) == f"x.lib: {message}"


def gate(function: str, *pins: str) -> str:
    arcs = "".join(timing(pin, "non_unate", 1, 1) for pin in pins)
    return cell("GATE", *(input_pin(pin, 1) for pin in pins), output_pin("Y", function, arcs))


@pytest.mark.parametrize(
    "cells",
    [
        INVERTER + BUFFER + gate("!(A B)", "A", "B"),
        INVERTER + BUFFER + gate("A + B'", "A", "B"),
        INVERTER + AND + gate("!(A + B)", "A", "B"),
        INVERTER + AND + gate("A B + B C + C A", "A", "B", "C"),
    ],
)
def test_cells_that_suffice(tmp_path, cells):
    assert len(load_liberty(write(tmp_path, library(cells))).cells) == 3


@pytest.mark.parametrize(
    "cells",
    [
        "",
        INVERTER,
        AND + BUFFER + gate("!(A B)", "A", "B"),
        INVERTER + AND,
        INVERTER + AND + gate("!(A' + B')", "A", "B"),  # AND again
        INVERTER + BUFFER + gate("A ^ B", "A", "B"),
        INVERTER + BUFFER + gate("!(A B C)", "A", "B", "C"),
    ],
)
def test_cells_that_do_not_suffice(tmp_path, cells):
    path = write(tmp_path, library(cells))
    with pytest.raises(InputError) as error:
        load_liberty(path)
    rule = "must have an inverter, an AND, OR, NAND or NOR of two inputs, and a third function"
    assert str(error.value) == f"{path}: {rule}"


BAD_INVERTER = INVERTER.replace
REFUSED = {
    "other group": ("cell (x) { }", "must be a Liberty file, not a group cell"),
    "no voltage": (
        library(INVERTER, header=HEADER.replace("nom_voltage : 2.0;", "")),
        "nom_voltage: is missing",
    ),
    "voltage": (
        library(INVERTER, header=HEADER.replace("nom_voltage : 2.0;", 'nom_voltage : "x";')),
        "nom_voltage: must be a number, not 'x'",
    ),
    "time unit": (
        library(INVERTER, header=HEADER.replace("1ns", "1min")),
        "time_unit: must be a unit of s, not '1min'",
    ),
    "capacitance unit": (
        library(INVERTER, header=HEADER.replace("(1, ff)", "(1, F)")),
        "capacitive_load_unit: must be a unit of ff or pf",
    ),
    "no capacitance": (
        library(BAD_INVERTER("capacitance : 3;", "")),
        "cell INV: pin A: capacitance: is missing",
    ),
    "area": (
        library(BAD_INVERTER("area : 2;", "area : inf;")),
        "cell INV: area: must be a number, not 'inf'",
    ),
    "no area": (library(BAD_INVERTER("area : 2;", "")), "cell INV: area: is missing"),
    "no timing": (
        library(BAD_INVERTER('related_pin : "A"; timing', 'related_pin : "B"; timing')),
        "cell INV: pin Y: timing from A: is missing",
    ),
    "no slew": (
        library(BAD_INVERTER("rise_transition", "something")),
        "cell INV: pin Y: timing: rise_transition: is missing",
    ),
    "function": (
        library(BAD_INVERTER("!A", "!A |")),
        "cell INV: function '!A |' must have an operand at its end",
    ),
    "other pin": (
        library(BAD_INVERTER("!A", "!B")),
        "cell INV: function '!B' names B, which is not an input",
    ),
    "table of another size": (
        library(BAD_INVERTER("cell_rise (scalar)", "cell_rise (load_slew)")),
        "cell INV: pin Y: cell_rise: must be a table of as many numbers as its indices",
    ),
    "unknown template": (
        library(BAD_INVERTER('"7"', '"7, 8"')),
        "cell INV: pin Y: cell_rise: must be a table of as many numbers as its indices",
    ),
    "not finite": (
        library(BAD_INVERTER('"7"', '"nan"')),
        "cell INV: pin Y: cell_rise: must be a table of as many numbers as its indices",
    ),
    "indices": (
        library(
            BAD_INVERTER('cell_rise (scalar) { values ("7")', 'cell_rise (slew) { values ("7, 8")'),
            header=HEADER.replace('"0, 10"', '"10, 0"'),
        ),
        "cell INV: pin Y: cell_rise: indices must rise",
    ),
    "variable": (
        library(
            BAD_INVERTER('cell_rise (scalar) { values ("7")', 'cell_rise (slew) { values ("7, 8")'),
            header=HEADER.replace("input_transition_time", "frequency"),
        ),
        "cell INV: pin Y: cell_rise: frequency: is not a variable known here",
    ),
    "name": (
        library(BAD_INVERTER("cell (INV)", 'cell ("IN V")')),
        "cell IN V: must have plain names, not 'IN V'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_file(tmp_path, case):
    text, message = REFUSED[case]
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        load_liberty(path)
    assert str(error.value) == f"{path}: {message}"


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"absent\.lib: cannot be read"):
        load_liberty(tmp_path / "absent.lib")
    packed = tmp_path / "broken.lib.gz"
    packed.write_bytes(gzip.compress(b"library")[:-9])
    with pytest.raises(InputError, match=r"broken\.lib\.gz: must be packed by gzip"):
        load_liberty(packed)


def test_a_packed_file_is_the_same_library(tmp_path):
    text = library(GATES)
    packed = tmp_path / "small.lib.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert load_liberty(packed) == load_liberty(write(tmp_path, text))


def test_which_library_is_in_force(tmp_path, monkeypatch):
    named, installed = tmp_path / "named", tmp_path / "installed"
    for folder in (named, installed):
        folder.mkdir()
        write(folder, library(GATES).replace("small", folder.name))
    monkeypatch.setattr(liberty_module, "_OSU018", tmp_path / "absent.lib")
    assert load_liberty(None).name == CELLS_NAME
    monkeypatch.setattr(liberty_module, "_OSU018", installed / "small.lib")
    assert load_liberty(None).name == "installed"
    monkeypatch.setenv("QOSNETS_LIBERTY", str(named / "small.lib"))
    assert load_liberty(None).name == "named"
    monkeypatch.setenv("QOSNETS_LIBERTY", str(tmp_path / "absent.lib"))
    with pytest.raises(InputError, match=r"absent\.lib: cannot be read"):
        load_liberty(None)
    monkeypatch.setenv("QOSNETS_LIBERTY", "generic")
    assert load_liberty(None) == generic_cells() == load_liberty(GENERIC)


def test_a_file_called_generic_is_given_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "generic").write_text(library(GATES))
    monkeypatch.chdir(tmp_path)
    assert load_liberty(Path("generic")).name == CELLS_NAME
    assert load_liberty(tmp_path / "generic").name == "small"


def test_a_file_is_parsed_once(tmp_path, monkeypatch):
    path = write(tmp_path, library(GATES))
    first = load_liberty(path)
    (kept,) = Path(cache_home(), "liberty").iterdir()

    def parse(*arguments):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(reader, "parse_liberty", parse)
        assert load_liberty(path) == first
    for damaged in (kept.read_bytes()[:-5], b'{"name": 3}', b""):
        kept.write_bytes(damaged)
        assert load_liberty(path) == first
        assert kept.read_bytes() != damaged


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_liberty(write(tmp_path, library(GATES))).name == "small"


@pytest.fixture
def generic():
    return generic_cells()


def test_generic_cells_follow_from_the_table(generic):
    assert [cell.name for cell in generic.cells] == [n for n, c in CELLS.items() if not c.clock]
    for found in generic.cells:
        assert found.area_um2 == pytest.approx(CELLS[found.name].area_ge, rel=1e-5)
        for pin in found.inputs:
            assert pin.capacitance_ff == pytest.approx(CELLS[found.name].capacitance(pin.name) / 10)
    assert generic.inverter.name == "INV"


@pytest.mark.parametrize(
    ("name", "parasitic"),
    {
        "INV": 1,
        "NAND2": 2,
        "NAND3": 3,
        "NOR2": 2,
        "NOR3": 3,
        "AOI21": 7 / 3,
        "OAI21": 8 / 3,
    }.items(),
)
def test_delay_of_a_generic_gate(generic, name, parasitic):
    """d = τ·(g·h + p), τ = 3 ps; p as Sutherland, Sproull and Harris estimate it."""
    found = generic.by_name[name]
    for arc in found.arcs:
        effort = CELLS[name].capacitance(arc.pin) / 3
        for fanout in (0, 4):
            load = fanout * CELLS[name].capacitance(arc.pin) / 10
            expected = 0.003 * (effort * fanout + parasitic)
            assert arc.rise.delay.at(0.05, load) == pytest.approx(expected, rel=1e-5)
            assert arc.fall.slew.at(0.05, load) == pytest.approx(
                2 * 0.003 * (load / 0.3 + parasitic), rel=1e-5
            )
        assert (arc.positive, arc.negative) == (False, True)


def test_generic_cell_of_several_stages(generic):
    """XOR2: NOR2, whose output n drives the pin of capacitance 0.5 fF of an AOI21."""
    xor = generic.by_name["XOR2"]
    delays = {(arc.pin, arc.positive): arc.rise.delay.at(0, 0) for arc in xor.arcs}
    direct, through = 10 * 0.7e-3, 10 * (0.6 + 0.5 + 0.7) * 1e-3
    assert delays == {
        (pin, positive): pytest.approx(through if positive else direct)
        for pin in "AB"
        for positive in (True, False)
    }
    # The output always changes; n only if the other input is low, which it is in half the cases.
    assert xor.energies[0].mean(0, 0) == pytest.approx(0.5 * (0.7 + (0.6 + 0.5) / 2))
    # AND2: the net inside never changes without the output. MUX2: S changes the inverter, and with
    # A = B = 1 both NANDs, while the output stays; with A = B = 0 the inverter alone.
    assert generic.by_name["AND2"].inputs[0].hidden == ()
    (hidden,) = generic.by_name["MUX2"].inputs[2].hidden
    inverter, nand = 0.3 + 0.4, 0.6 + 0.4
    assert hidden.mean(0, 0) == pytest.approx(0.5 * (inverter + (0 + 2 * nand) / 2))
