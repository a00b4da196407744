"""Toggles at the ports of multipliers that are not selected, by isolation."""

import pytest
from designs import make_design, minimal_ops, write_ops
from qosnets.errors import InputError
from qosnets_hw.defaults import Isolation
from qosnets_library.saif import saif_nets
from qosnets_sim.activity import record
from qosnets_sim.design import Design

SELECTED, N_MULTIPLIERS = 1, 3
ROWS, COLS = 2, 2
MIN_CYCLES = 2000
CLOCK_PS = 10_000


@pytest.fixture(scope="module")
def toggles(simulator, tmp_path_factory):
    """Return, by isolation, toggles by port of each unselected multiplier, and weight swaps."""
    content = minimal_ops(N_MULTIPLIERS, n_layers=2, n_points=2)
    content["operating_points"][1]["assignment"] = [SELECTED] * 2
    found = {}

    def run(isolation):
        if isolation not in found:
            folder = tmp_path_factory.mktemp(isolation)
            file = write_ops(folder, content)
            design = make_design(folder / "design", file, rows=ROWS, cols=COLS, isolation=isolation)
            saif = record(
                design,
                file,
                sources=Design.open(design).sources,
                point=1,
                min_cycles=MIN_CYCLES,
                seed=1,
                folder=folder / "activity",
            )
            found[isolation] = read(saif, content["multipliers"])
        return found[isolation]

    return run


def read(saif, multipliers):
    ports = {"activation": [], "weight": []}
    swaps = cycles = 0
    instances = set()
    for net in saif_nets(saif):
        scope = net.scope[net.scope.index("dut") :] if "dut" in net.scope else ()
        if scope == ("dut",) and net.name == "aclk":
            cycles = net.toggles // 2
        if scope == ("dut", "array", "sequencer") and net.name == "swap":
            swaps = net.high // CLOCK_PS
        if scope[-2:-1] == ("bank",) and net.name in ("A", "B"):
            code = int(scope[-1].removeprefix("multiplier_"))
            if code != SELECTED:
                instances.add(scope)
                port = multipliers[code]["activation_port"]
                ports["activation" if net.name == port else "weight"].append(net.toggles)
    assert cycles >= MIN_CYCLES
    assert len(instances) == ROWS * COLS * (N_MULTIPLIERS - 1)
    assert [len(values) for values in ports.values()] == [8 * len(instances)] * 2
    return ports, swaps


def test_with_both_operands_isolated_nothing_toggles(toggles):
    ports, _ = toggles(Isolation.BOTH)
    assert (max(ports["activation"]), max(ports["weight"])) == (0, 0)


def test_with_the_activation_isolated_weights_toggle_at_swaps_only(toggles):
    ports, swaps = toggles(Isolation.ACTIVATION)
    assert max(ports["activation"]) == 0
    assert 0 < max(ports["weight"]) <= swaps < MIN_CYCLES / 2


def test_without_isolation_everything_toggles(toggles):
    ports, _ = toggles(Isolation.NONE)
    assert min(ports["activation"]) > MIN_CYCLES / 10
    assert min(ports["weight"]) > 0


def test_a_point_that_does_not_exist_is_refused(tmp_path):
    file = write_ops(tmp_path, minimal_ops(1))
    folder = make_design(tmp_path / "design", file, rows=1, cols=1)
    with pytest.raises(InputError, match=r"point: must be 0\.\.2, not 3"):
        record(folder, file, sources=[], point=3, min_cycles=1, seed=1, folder=tmp_path)
