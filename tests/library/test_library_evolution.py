"""The evolution: genomes, compiled simulation against NumPy, and runs that can be repeated."""

import json

import numpy as np
import pytest
from qosnets.errors import InputError
from qosnets.lut import exact_lut
from qosnets.netlist import netlist_lut
from qosnets_library.characterise import error_metrics
from qosnets_library.default import default_library
from qosnets_library.elaborate import elaborate
from qosnets_library.evolution.climb import assess, climb
from qosnets_library.evolution.evolve import evolve
from qosnets_library.evolution.genome import FIRST_NODE, Function, Genome
from qosnets_library.evolution.goal import Cost, Metric
from qosnets_library.evolution.kernel import BLOCK
from qosnets_library.evolution.library import Effort, evolve_library
from qosnets_library.evolution.recipe import RECIPE_SCHEMA, Recipe, Source
from qosnets_library.evolution.stimuli import stimuli
from qosnets_library.evolution.trees import truncated_multipliers
from qosnets_library.evolution.weights import cost_weights
from qosnets_library.liberty import generic
from qosnets_library.netlist import canonical_text
from qosnets_library.operands import UNIFORM, Operands


@pytest.fixture(scope="module")
def liberty():
    return generic()


TREES = list(truncated_multipliers())
TRUNCATED = canonical_text(TREES[1].genome().netlist())
PEAKED = Operands(
    "peaked",
    tuple(np.exp(-np.arange(256) / 30)),
    tuple(np.where(np.arange(256) % 3, 1.0, 0.0)),
)


def lut_of(genome):
    return netlist_lut(canonical_text(genome.netlist()))


def errors_of(lut, operands):
    """Return MSE, MAE and worst case under a distribution, from the table."""
    error = np.abs(lut.astype(float) - exact_lut())
    a, b = (np.array(weights) / sum(weights) for weights in (operands.a, operands.b))
    occurs = np.outer(a, b) > 0
    return a @ error**2 @ b, a @ error @ b, error[occurs].max()


def within(genome, metric, bound, operands=UNIFORM, cost=Cost.POWER):
    """Return the cost of a genome, or -1 if it exceeds the bound."""
    return assess(
        genome.nodes,
        genome.outputs,
        stimuli(operands),
        metric.code,
        float(bound),
        cost_weights(cost),
        cost is Cost.POWER,
    )


@pytest.mark.parametrize("n_left_out", [0, 1, 7, 30, 55, 63, 64])
def test_truncated_multiplier_is_the_sum_of_what_is_kept(n_left_out):
    tree = TREES[n_left_out]
    assert np.count_nonzero(~tree.kept) == n_left_out
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    powers = 1 << np.add.outer(np.arange(8), np.arange(8))
    wanted = bits @ (tree.kept * powers) @ bits.T + tree.constant
    np.testing.assert_array_equal(lut_of(tree.genome()), wanted)
    assert abs(error_metrics(lut_of(tree.genome())).error_mean) <= 0.5


def test_truncation_loses_accuracy_step_by_step():
    errors = [error_metrics(lut_of(tree.genome())).mse for tree in TREES]
    assert len(errors) == 65 and errors[0] == 0
    assert errors == sorted(errors)


def test_every_function_survives_the_way_to_a_netlist_and_back():
    nodes = [(2 + i, 10 + i, function) for i, function in enumerate(Function)]
    nodes += [(0, 1, Function.OR), (18, 1, Function.NAND), (0, 19, Function.XNOR)]
    outputs = [FIRST_NODE + i % len(nodes) for i in range(16)]
    genome = Genome(np.array(nodes), np.array(outputs))
    a, b = np.arange(256)[:, None], np.arange(256)[None, :]
    wanted = np.zeros((256, 256), dtype=np.int64)
    nets = [np.zeros((256, 256), int), np.ones((256, 256), int)]
    nets += [(a >> i & 1) + 0 * b for i in range(8)] + [(b >> i & 1) + 0 * a for i in range(8)]
    compute = {
        Function.AND: lambda x, y: x & y,
        Function.OR: lambda x, y: x | y,
        Function.XOR: lambda x, y: x ^ y,
        Function.NAND: lambda x, y: 1 - (x & y),
        Function.NOR: lambda x, y: 1 - (x | y),
        Function.XNOR: lambda x, y: 1 - (x ^ y),
        Function.NOT: lambda x, y: 1 - x,
    }
    for x, y, function in nodes:
        nets.append(compute[function](nets[x], nets[y]))
    for bit, net in enumerate(outputs):
        wanted |= nets[net] << bit
    np.testing.assert_array_equal(lut_of(genome), wanted)
    again = Genome.from_netlist(genome.netlist())
    np.testing.assert_array_equal(lut_of(again), wanted)
    # The compiled simulator agrees: the error is exactly that of the table.
    worst = errors_of(wanted, UNIFORM)[2]
    assert within(genome, Metric.WCE, worst) >= 0 > within(genome, Metric.WCE, worst - 1)


def test_multiplexers_become_gates():
    text = b"module m(input [7:0] a, b, output [15:0] o); assign o = a[0] ? {b, a} : b; endmodule"
    netlist = elaborate({"m.v": text}, top=None, where="m")
    assert any(gate.type == "$_MUX_" for gate in netlist.gates)
    genome = Genome.from_netlist(netlist)
    a, b = np.arange(256)[:, None], np.arange(256)[None, :]
    np.testing.assert_array_equal(lut_of(genome), np.where(a & 1, b << 8 | a, b))


@pytest.mark.parametrize("seed", range(3))
def test_scattering_keeps_the_circuit_and_adds_spare_nodes(seed):
    genome = TREES[20].genome()
    scattered = genome.scattered(25, np.random.default_rng(seed))
    np.testing.assert_array_equal(lut_of(scattered), lut_of(genome))
    assert len(scattered.nodes) == np.count_nonzero(genome.active()) + 25
    assert np.count_nonzero(scattered.active()) == np.count_nonzero(genome.active())
    reads = scattered.nodes[:, :2].max(axis=1)
    assert np.all(reads < FIRST_NODE + np.arange(len(scattered.nodes)))
    assert not np.array_equal(scattered.nodes, genome.scattered(25, np.random.default_rng(9)).nodes)


@pytest.mark.parametrize("operands", [UNIFORM, PEAKED], ids=lambda operands: operands.name)
@pytest.mark.parametrize("n_left_out", [3, 30, 60])
@pytest.mark.parametrize("metric", Metric)
def test_bound_is_kept_to_the_last_unit(metric, n_left_out, operands):
    genome = TREES[n_left_out].genome()
    error = dict(zip(Metric, errors_of(lut_of(genome), operands), strict=True))[metric]
    assert within(genome, metric, error * (1 + 1e-9), operands) >= 0
    below = error - 1 if metric is Metric.WCE else error * (1 - 1e-4)
    assert within(genome, metric, below, operands) == -1


def test_worst_case_counts_both_signs():
    outputs = TREES[0].genome().outputs.copy()
    outputs[4] = 1
    too_much = Genome(TREES[0].genome().nodes, outputs)
    outputs = outputs.copy()
    outputs[4] = 0
    too_little = Genome(TREES[0].genome().nodes, outputs)
    for genome in (too_much, too_little):
        assert within(genome, Metric.WCE, 16) >= 0
        assert within(genome, Metric.WCE, 15) == -1


def test_cost_of_power_is_load_times_activity():
    genome = TREES[50].genome()
    pins, nodes, outputs = cost_weights(Cost.POWER)
    lanes = stimuli(UNIFORM)
    values = [np.zeros(64 * BLOCK, int), np.ones(64 * BLOCK, int)]
    values += [np.unpackbits(w[:BLOCK].view(np.uint8), bitorder="little") for w in lanes.inputs]
    loads = np.zeros(FIRST_NODE + len(genome.nodes), dtype=np.int64)
    compute = {
        Function.AND: np.bitwise_and,
        Function.OR: np.bitwise_or,
        Function.XOR: np.bitwise_xor,
        Function.NOT: lambda x, _: 1 - x,
    }
    active = genome.active()
    for index, (x, y, function) in enumerate(genome.nodes.tolist()):
        values.append(compute[Function(function)](values[x], values[y]))
        if active[index]:
            loads[FIRST_NODE + index] += nodes[function]
            loads[x] += pins[function]
            loads[y] += pins[function] if function != Function.NOT else 0
    for net in genome.outputs:
        loads[net] += outputs[0]
    ones = np.array([int(value.sum()) for value in values])
    wanted = int((loads * ((ones * (64 * BLOCK - ones)) >> 6))[2:].sum())
    assert within(genome, Metric.MSE, 1e9) == wanted


def test_cost_of_area_counts_nodes():
    genome = TREES[40].genome()
    weights = cost_weights(Cost.AREA)[1]
    wanted = sum(weights[function] for function in genome.nodes[genome.active(), 2])
    assert within(genome, Metric.MSE, 1e9, cost=Cost.AREA) == wanted


def climbed(seed, operands=UNIFORM, metric=Metric.MSE, bound=3000.0, cost=Cost.POWER):
    start = TREES[20].genome().scattered(40, np.random.default_rng(0))
    nodes, outputs, reached = climb(
        start.nodes,
        start.outputs,
        stimuli(operands),
        metric.code,
        bound,
        cost_weights(cost),
        cost is Cost.POWER,
        3000,
        np.uint64(seed),
    )
    return Genome(nodes, outputs), reached


@pytest.mark.parametrize(
    ("metric", "bound", "operands", "cost"),
    [
        (Metric.MSE, 3000.0, UNIFORM, Cost.POWER),
        (Metric.MSE, 3000.0, PEAKED, Cost.POWER),
        (Metric.MAE, 60.0, UNIFORM, Cost.POWER),
        (Metric.WCE, 250.0, UNIFORM, Cost.POWER),
        (Metric.WCE, 250.0, PEAKED, Cost.AREA),
        (Metric.MSE, 3000.0, UNIFORM, Cost.AREA),
    ],
)
def test_climbing_lowers_the_cost_within_the_bound(metric, bound, operands, cost):
    start = within(TREES[20].genome(), metric, bound, operands, cost)
    genome, reached = climbed(1, operands, metric, bound, cost)
    assert 0 < reached < start
    assert reached == within(genome, metric, bound, operands, cost)
    error = dict(zip(Metric, errors_of(lut_of(genome), operands), strict=True))[metric]
    assert 0 < error <= bound * (1 + 1e-12)


def test_climbing_depends_on_the_seed_alone():
    (first, _), (same, _), (other, _) = climbed(1), climbed(1), climbed(2)
    np.testing.assert_array_equal(first.nodes, same.nodes)
    assert not np.array_equal(first.nodes, other.nodes)


def recipe(liberty, **changes):
    arguments = {
        "schema": RECIPE_SCHEMA,
        "metric": "mse",
        "bounds": (0, 300, 200000),
        "cost": "power",
        "operands": Source(name="uniform", sha256=UNIFORM.sha256),
        "liberty": Source(name=liberty.name, sha256=liberty.sha256),
        "seeds": (),
        "islands": 2,
        "rounds": 2,
        "evaluations": 500,
        "seed": 1,
    }
    return Recipe(**arguments | changes)


class Interrupted(Exception):
    pass


def run(liberty, checkpoint, *, n_jobs=1, stop_after=None, **changes):
    def progress(done, _total):
        if done == stop_after:
            raise Interrupted

    return evolve(
        recipe(liberty, **changes),
        operands=UNIFORM,
        liberty=liberty,
        seeds=[],
        checkpoint=checkpoint,
        n_jobs=n_jobs,
        progress=progress,
    )


def test_evolved_circuits_keep_their_bounds_and_cost_less_step_by_step(liberty, tmp_path):
    circuits = run(liberty, tmp_path / "c.json")
    errors = [error_metrics(netlist_lut(text)).mse for text in circuits]
    assert errors[0] == 0 < errors[1] <= 300 < errors[2] <= 200000
    state = json.loads((tmp_path / "c.json").read_text())
    costs = [found["cost"] for found in state["found"]]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == 3


def test_result_depends_neither_on_processes_nor_on_interruptions(liberty, tmp_path):
    wanted = run(liberty, tmp_path / "a.json")
    assert run(liberty, tmp_path / "b.json", n_jobs=2) == wanted
    for stop_after in (3, 6, 9):
        with pytest.raises(Interrupted):
            run(liberty, tmp_path / "c.json", stop_after=stop_after)
    assert run(liberty, tmp_path / "c.json") == wanted
    assert run(liberty, tmp_path / "d.json", seed=2) != wanted


def test_checkpoint_of_another_recipe_is_refused(liberty, tmp_path):
    run(liberty, tmp_path / "c.json", rounds=1, islands=1)
    with pytest.raises(InputError, match=r"c\.json: seed: must be 1 to resume, not 2$"):
        run(liberty, tmp_path / "c.json", rounds=1, islands=1, seed=2)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state["islands"][1]["nodes"][0].__setitem__(0, 500), "must read nets"),
        (lambda state: state["islands"][1]["nodes"][0].__setitem__(2, 9), "must have a function"),
        (lambda state: state["islands"][1]["outputs"].__setitem__(3, -1), "outputs: must be nets"),
        (lambda state: state.pop("found"), "found: is missing"),
    ],
)
def test_damaged_checkpoint_is_refused(liberty, tmp_path, damage, message):
    path = tmp_path / "c.json"
    run(liberty, path, rounds=1, islands=1)
    state = json.loads(path.read_text())
    damage(state)
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match=message):
        run(liberty, path, rounds=1, islands=1)


def evolved(folder, liberty, **changes):
    arguments = {
        "metric": Metric.MSE,
        "bounds": (0, 0.25, 300),
        "cost": Cost.POWER,
        "operands": UNIFORM,
        "liberty": liberty,
        "seeds": {},
        "reference": None,
        "effort": Effort(islands=1, rounds=1, evaluations=300, n_jobs=1),
        "seed": 1,
    }
    return evolve_library(folder, "mine", **arguments | changes)


def test_library_holds_circuits_figures_and_recipe(liberty, tmp_path):
    library = evolved(tmp_path / "mine", liberty)
    assert list(library.entries) == ["exact", "mul8u_mse0p25", "mul8u_mse300"]
    for entry, bound in zip(library.entries.values(), (0, 0.25, 300), strict=True):
        assert entry.metrics.mse <= bound
        assert error_metrics(library.lut(entry.name)) == entry.metrics
    assert library.entry("exact").estimates.relative_power == 1
    assert library.entry("mul8u_mse300").estimates.relative_power < 0.9
    written = json.loads((library.folder / "recipe.json").read_text())
    assert written["bounds"] == [0, 0.25, 300] and written["seed"] == 1
    assert written["liberty"] == {"name": liberty.name, "sha256": liberty.sha256}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_circuit_of_several_bounds_has_one_entry(liberty, tmp_path):
    options = {"bounds": (0.26, 0.27), "reference": TRUNCATED, "effort": Effort(1, 1, 1, 1)}
    library = evolved(tmp_path / "mine", liberty, **options)
    assert list(library.entries) == ["mul8u_mse0p26"]


def test_seed_netlists_are_used(liberty, tmp_path):
    seed = default_library().netlist("mul8u_mse2760")
    options = {"bounds": (2760,), "reference": TRUNCATED, "effort": Effort(1, 1, 1, 1)}
    alone = evolved(tmp_path / "alone", liberty, **options)
    seeded = evolved(tmp_path / "seeded", liberty, seeds={"seed": seed}, **options)
    (alone,), (seeded,) = alone.data.entries, seeded.data.entries
    assert seeded.estimates.power_uw < alone.estimates.power_uw


def interrupt(done, _total, _name):
    raise KeyboardInterrupt


def test_interrupted_library_resumes(liberty, tmp_path):
    folder, state = tmp_path / "mine", tmp_path / ".evolving-mine"
    with pytest.raises(InputError, match=r"\.evolving-mine: must be there to resume, is missing$"):
        evolved(folder, liberty, resume=True)
    with pytest.raises(KeyboardInterrupt):
        evolved(folder, liberty, progress=interrupt)
    assert not folder.exists() and (state / "checkpoint.json").exists()
    with pytest.raises(InputError, match=r"holds an unfinished evolution \(--resume continues"):
        evolved(folder, liberty)
    with pytest.raises(InputError, match=r"checkpoint\.json: seed: must be 1 to resume, not 2$"):
        evolved(folder, liberty, resume=True, seed=2)
    resumed = evolved(folder, liberty, resume=True)
    assert resumed.data.entries == evolved(tmp_path / "other", liberty).data.entries
    assert not state.exists()
    with pytest.raises(InputError, match=r"mine: exists already \(--force replaces it\)$"):
        evolved(folder, liberty)
    assert list(evolved(folder, liberty, bounds=(300,), reference=TRUNCATED, force=True).entries)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": (5, 5)}, "^bounds: must rise strictly$"),
        ({"bounds": (-1,)}, r"^bounds\[0\]: .*greater than or equal to 0"),
        ({"bounds": ()}, "^bounds: must have at least 1 entries"),
        ({"seed": -1}, "^seed: .*greater than or equal to 0"),
        ({"effort": Effort(0, 1, 1, 1)}, "^islands: "),
        ({"effort": Effort(1, 1, 0, 1)}, "^evaluations: "),
    ],
)
def test_refused_recipes(liberty, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        evolved(tmp_path / "mine", liberty, **changes)
    assert not list(tmp_path.iterdir())
