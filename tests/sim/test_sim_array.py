import pytest
from designs import make_design, minimal_ops, run, write_ops
from qosnets_sim.multiplier_model import MultiplierModel

SIZES = [(1, 1, 1), (3, 5, 2), (16, 4, 5), (8, 8, 8)]


@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("rows", "cols", "n"), SIZES)
def test_minimal_ops_simulates_without_mismatch(tmp_path, rows, cols, n):
    file = write_ops(tmp_path, minimal_ops(n))
    folder = make_design(tmp_path / "design", file, rows=rows, cols=cols)
    result = run(folder, file, stalls=0.3)
    assert result.mismatches == 0, result
    assert result.bank is not None
    assert result.bank.compared == n * (65_536 + 5)
    assert result.rules is not None
    assert result.rules.compared > 80
    assert [point.jobs >= 12 for point in result.points] == [True] * 3


@pytest.mark.long
@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 5), (16, 4), (8, 8), (1, 9), (9, 1)])
def test_every_size_with_every_number_of_multipliers(tmp_path, rows, cols, n):
    file = write_ops(tmp_path, minimal_ops(n))
    folder = make_design(tmp_path / "design", file, rows=rows, cols=cols)
    for seed, stalls in ((2, 0.0), (3, 0.5), (4, 0.9)):
        result = run(folder, file, stalls=stalls, seed=seed)
        assert result.mismatches == 0, result


@pytest.mark.long
@pytest.mark.usefixtures("simulator")
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (4, 3), (3, 5)])
def test_many_faults_leave_no_trace(tmp_path, rows, cols):
    file = write_ops(tmp_path, minimal_ops(3))
    folder = make_design(tmp_path / "design", file, rows=rows, cols=cols)
    result = run(
        folder,
        file,
        seed=rows,
        multiplier_model=MultiplierModel.LUT,
        accelerator_bench="sim.recovery_bench",
    )
    assert result.rules is not None
    assert result.rules.mismatches == 0, result.rules
    assert result.rules.compared > 20_000
