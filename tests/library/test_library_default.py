"""The default library: what comes with the package."""

import json

import pytest
from qosnets_library.characterise import error_metrics
from qosnets_library.default import DEFAULT_FOLDER, default_library, reference_netlist
from qosnets_library.evolution.recipe import Recipe
from qosnets_library.store import all_libraries

ENTRIES = default_library().entries


def test_default_library_comes_first():
    assert [library.name for library in all_libraries()][:2] == ["evolved", "families"]
    assert default_library().name == "evolved"


def test_number_and_range():
    assert 30 <= len(ENTRIES) <= 40
    errors = [entry.metrics.mse for entry in ENTRIES.values()]
    assert errors[0] == 0 and 0 < errors[1] < 1 and errors[-1] > 1e7
    assert all(entry.estimates.liberty.startswith("qosnets") for entry in ENTRIES.values())


@pytest.mark.parametrize("name", ENTRIES)
def test_record_is_that_of_the_netlist(name):
    library = default_library()
    assert error_metrics(library.lut(name)) == ENTRIES[name].metrics


def test_exact_is_the_reference():
    exact = default_library().entry("exact")
    assert exact.metrics.wce == 0 and exact.estimates.relative_power == 1
    assert reference_netlist() == default_library().netlist("exact")


def test_every_circuit_is_on_the_pareto_front():
    costs = [entry.estimates.relative_power for entry in ENTRIES.values()]
    assert costs == sorted(costs, reverse=True)
    assert len({entry.lut_sha256 for entry in ENTRIES.values()}) == len(ENTRIES)


def test_recipe_matches_the_circuits():
    recipe = Recipe.model_validate(json.loads((DEFAULT_FOLDER / "recipe.json").read_bytes()))
    assert len(recipe.bounds) >= len(ENTRIES)
    for entry in ENTRIES.values():
        if entry.name != "exact":
            bound = float(entry.name.removeprefix("mul8u_mse").replace("p", "."))
            assert bound in recipe.bounds and entry.metrics.mse <= bound
