"""Power of a small array: where its energy goes, by activity that is made up and by simulation."""

from pathlib import Path

import pytest
from designs import minimal_ops, write_ops
from qosnets.errors import InputError
from qosnets.lut import exact_lut, lut_sha256
from qosnets_hw.blocks import Block
from qosnets_hw.cli_report import power_recorder
from qosnets_hw.exact_only import exact_multiplier, exact_only
from qosnets_hw.generate import generate
from qosnets_hw.power import CLOCK, measure_power
from qosnets_hw.report import power_values
from qosnets_hw.synthesis import map_design
from qosnets_library.liberty import GENERIC, load_liberty
from qosnets_library.store import all_libraries

SIZE = {"rows": 1, "cols": 1, "k_max": 4, "psum_depth": 16}
CYCLES, TOGGLES = 1000, 10


@pytest.fixture(scope="module")
def libraries():
    return all_libraries()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_ops(tmp_path_factory.mktemp("ops"), minimal_ops(2))


@pytest.fixture(scope="module")
def design(file, libraries):
    return generate(file, libraries, **SIZE)


@pytest.fixture(scope="module")
def mapped(design):
    return map_design(design, load_liberty(GENERIC))


def saif(flat, toggles):
    """Return a file in which every net toggles ``toggles(path)`` times, and the clock always."""

    def write(scope, children):
        nets = ""
        for name, bits in scope.module.names.items():
            count = 2 * CYCLES if name in ("aclk", "clk") else toggles(scope.path)
            for bit in range(len(bits)):
                nets += f"({name}\\[{bit}\\] (T0 1) (T1 1) (TC {count}))\n"
        inner = "".join(write(child, grouped(child)) for child in children)
        return f"(INSTANCE {scope.path[-1] if scope.path else 'dut'}\n(NET {nets})\n{inner})\n"

    def grouped(scope):
        depth = len(scope.path)
        return [s for s in flat.scopes if len(s.path) == depth + 1 and s.path[:depth] == scope.path]

    return f"(SAIFILE {write(flat.scopes[0], grouped(flat.scopes[0]))})"


def recorder(flat, toggles):
    def record(design, file, sources, point, folder: Path) -> Path:
        assert (design / "manifest.json").is_file() and all(path.is_file() for path in sources)
        folder.mkdir()
        path = folder / "a.saif"
        path.write_text(saif(flat, toggles))
        return path

    return record


def measure(design, mapped, file, toggles):
    (power,) = measure_power(design, mapped, file, recorder(mapped.flat, toggles), [1])
    return power


@pytest.fixture(scope="module")
def still(design, mapped, file):
    return measure(design, mapped, file, lambda path: 0)


def test_a_design_that_stands_still_costs_its_clock(still, mapped, file):
    assert (still.name, still.cycles, still.annotated) == (
        file.ops.operating_points[1].name,
        CYCLES,
        1.0,
    )
    assert set(still.energy_pj) == {*Block, CLOCK}
    (kind,) = mapped.liberty.flip_flops
    n = len(mapped.flat.cells[kind.name].scopes)
    # Both edges of every clock pin, at 1 V, and the energies of the pin.
    each = kind.clock.capacitance_ff + sum(
        table.at(0, 0) for energy in kind.clock.hidden for table in (energy.rise, energy.fall)
    )
    assert still.energy_pj == {**dict.fromkeys(Block, 0.0), CLOCK: pytest.approx(n * each / 1000)}
    assert still.power_mw == pytest.approx(still.total_pj * 0.1)  # at 100 MHz; no leakage


def test_energy_belongs_to_the_block_that_toggles(design, mapped, file, still):
    power = measure(design, mapped, file, lambda path: TOGGLES if "multiplier_0" in path else 0)
    changed = {part for part, energy in power.energy_pj.items() if energy > still.energy_pj[part]}
    # The product drives the bank, but its net counts for the multiplier.
    assert Block.MULTIPLIERS in changed
    assert not changed & {Block.REQUANTISATION, Block.CONTROL, CLOCK}


def test_energy_grows_with_activity(design, mapped, file, still):
    one = measure(design, mapped, file, lambda path: TOGGLES)
    two = measure(design, mapped, file, lambda path: 2 * TOGGLES)
    for block in Block:
        assert two.energy_pj[block] == pytest.approx(2 * one.energy_pj[block])
    values = power_values([two], [one])["operating_points"][0]
    assert values["exact_only_pj"] == one.total_pj
    assert values["relative_to_exact_only"] == pytest.approx(two.total_pj / one.total_pj)
    assert values["energy_pj"]["total"] == pytest.approx(sum(two.energy_pj.values()))
    assert power_values([two], None)["operating_points"][0]["relative_to_exact_only"] is None


def test_the_reference_has_the_exact_multiplier_alone(file, libraries, tmp_path):
    exact = exact_only(file, libraries, tmp_path)
    (multiplier,) = exact.ops.multipliers
    assert multiplier.lut_sha256 == lut_sha256(exact_lut())
    assert [point.name for point in exact.ops.operating_points] == [
        point.name for point in file.ops.operating_points
    ]
    assert all(set(point.assignment) == {0} for point in exact.ops.operating_points)
    assert exact.ops.layers == file.ops.layers


def test_no_exact_multiplier(file, tmp_path):
    content = minimal_ops(2)
    wanted = lut_sha256(exact_lut())
    content["multipliers"] = [m for m in content["multipliers"] if m["lut_sha256"] != wanted][:1]
    for point in content["operating_points"]:
        point["assignment"] = [0] * len(content["layers"])
    other = write_ops(tmp_path, content)
    with pytest.raises(InputError, match=r"^exact multiplier: is in no library; searched $"):
        exact_multiplier(other, [])


@pytest.mark.long
@pytest.mark.usefixtures("simulator")
def test_power_by_simulation(design, mapped, file):
    (power,) = measure_power(design, mapped, file, power_recorder(1), [0])
    assert power.cycles >= 2000 and power.annotated > 0.99
    assert all(energy > 0 for energy in power.energy_pj.values())
