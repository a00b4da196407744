# amaranth: UnusedElaboratable=no
"""Banks from ops.json: a netlist each or modes of one circuit, and what is refused."""

import json
import re
from typing import Any

import pytest
from designs import write_ops
from qosnets.errors import InputError
from qosnets.netlist import netlist_lut, netlist_of_word
from qosnets_hw.defaults import BankKind
from qosnets_hw.generate import generate
from qosnets_hw.merged_bank import MergedBank
from qosnets_library.default import default_library, merged_library

SIZE = {"rows": 2, "cols": 2, "k_max": 8, "psum_depth": 4}
CIRCUIT = "mul8u_merged"


def mode(index: int, circuit: str = CIRCUIT, **changes: Any) -> dict[str, Any]:
    entry = merged_library().entry(f"{circuit}_mode{index}")
    return {
        "name": entry.name,
        "lut_sha256": entry.lut_sha256,
        "activation_port": "A",
        "realisation": {"kind": "mode", "circuit": circuit, "index": index},
    } | changes


def netlist(name: str = "exact", **changes: Any) -> dict[str, Any]:
    entry = default_library().entry(name)
    return {"name": name, "lut_sha256": entry.lut_sha256, "activation_port": "A"} | changes


def ops(tmp_path, multipliers: list[dict[str, Any]]):
    points = [{"name": f"o{code}", "assignment": [code]} for code in range(len(multipliers))]
    layers = [{"name": "layer"}]
    content = {"multipliers": multipliers, "layers": layers, "operating_points": points}
    return write_ops(tmp_path, {"schema": "qosnets-ops/1"} | content)


def make(tmp_path, multipliers, **options):
    libraries = [default_library(), merged_library()]
    return generate(ops(tmp_path, multipliers), libraries, **SIZE, **options)


@pytest.mark.parametrize("port", ["A", "B"])
def test_modes_become_one_circuit(tmp_path, port):
    design = make(tmp_path, [mode(index, activation_port=port) for index in (2, 0, 3)])
    manifest, library = design.manifest, merged_library()
    words = library.circuit(CIRCUIT).select_words
    assert (manifest["bank_kind"], manifest["isolation"]) == ("merged", "none")
    assert manifest["bank"]["select_words"] == [words[2], words[0], words[3]]
    assert {member["module"] for member in manifest["multipliers"]} == {"merged_mul8u_merged"}
    assert len({member["lut"] for member in manifest["multipliers"]}) == 3
    assert not any("operand_gate" in name for name in design.files)
    text = design.files["rtl/merged_mul8u_merged.v"].decode()
    canonical = text.replace("module merged_mul8u_merged(", "module multiplier(")
    assert canonical == library.circuit_netlist(CIRCUIT)
    bank = design.files["rtl/multiplier_bank.v"].decode()
    assert bank.count("merged_mul8u_merged ") == 1
    assert re.search(rf"\.{port}\(activation\)", bank)


def test_modes_in_a_mux_are_netlists_of_their_own(tmp_path):
    design = make(tmp_path, [mode(0), mode(3), netlist()], bank=BankKind.MUX)
    assert (design.manifest["bank_kind"], design.manifest["isolation"]) == ("mux", "both")
    assert [member["module"] for member in design.manifest["multipliers"]] == [
        "mul0_mul8u_merged_mode0",
        "mul1_mul8u_merged_mode3",
        "mul2_exact",
    ]
    text = design.files["rtl/mul1_mul8u_merged_mode3.v"].decode()
    lut = netlist_lut(text.replace("mul1_mul8u_merged_mode3(", "multiplier("))
    assert (lut == merged_library().lut("mul8u_merged_mode3")).all()


def test_word_0_gives_product_0():
    library = merged_library()
    for name in library.circuits:
        assert not netlist_lut(netlist_of_word(library.circuit_netlist(name), 0)).any()


@pytest.mark.parametrize(
    ("multipliers", "bank", "message"),
    [
        (
            [mode(0), netlist()],
            None,
            "multipliers[1]: a merged bank takes modes of one circuit, not the netlist exact",
        ),
        (
            [netlist()],
            BankKind.MERGED,
            "multipliers[0]: a merged bank takes modes of one circuit, not the netlist exact",
        ),
        (
            [mode(0), mode(1, "mul8u_merged_zero")],
            None,
            "must be modes of mul8u_merged, not of mul8u_merged_zero",
        ),
        (
            [mode(0), mode(1, activation_port="B")],
            None,
            "multipliers[1].activation_port: must be A like that of the other modes, not B",
        ),
        (
            [mode(0, realisation={"kind": "netlist"})],
            None,
            "mul8u_merged_mode0 of library merged is a mode of mul8u_merged, not 'netlist'",
        ),
        (
            [netlist(realisation={"kind": "mode", "circuit": CIRCUIT, "index": 0})],
            None,
            "exact of library evolved is no mode of a merged multiplier, not 'mode'",
        ),
        (
            [mode(1, realisation={"kind": "mode", "circuit": CIRCUIT, "index": 2})],
            None,
            "as mul8u_merged_mode1 of library merged is, not mode 2 of mul8u_merged",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, multipliers, bank, message):
    multipliers = json.loads(json.dumps(multipliers))
    for multiplier in multipliers:  # both libraries have an exact one
        merged = multiplier["name"].startswith(CIRCUIT)
        multiplier["library"] = "merged" if merged else "evolved"
    with pytest.raises(InputError) as error:
        make(tmp_path, multipliers, bank=bank)
    assert str(error.value).endswith(message)


def test_select_words_are_checked():
    for words in ((0, 1), (1, 8)):
        with pytest.raises(ValueError, match=r"Select word must be 1\.\.7"):
            MergedBank(circuit="m", select_width=3, select_words=words, activation_port="A")
