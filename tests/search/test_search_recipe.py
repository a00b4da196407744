"""Recipes: those of the package, files, changes, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from qosnets.errors import InputError
from qosnets_search.models.catalogue import MODELS
from qosnets_search.recipe import choose_recipe, load_recipe, recipe_names
from qosnets_search.selection.selectors import Selector


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_of_the_package_are_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.model in MODELS
    if name != "default":
        assert recipe.model == name


def test_every_network_has_a_recipe() -> None:
    assert set(MODELS) <= set(recipe_names())


@pytest.mark.parametrize(
    ("recipe", "model", "chosen"),
    [
        (None, None, "digits"),
        (None, "resnet8", "resnet8"),
        (None, "mine:net", "default"),
        ("resnet20", "mine:net", "resnet20"),
        ("here/own.toml", None, Path("here/own.toml")),
    ],
)
def test_recipe_is_that_of_the_model(
    recipe: str | None, model: str | None, chosen: str | Path
) -> None:
    assert choose_recipe(recipe, model) == chosen


def test_changes_and_settings_replace_values(tmp_path: Path) -> None:
    recipe = load_recipe(
        "digits", {"seed": 7, "data": None}, ["tuning.epochs=9", 'model="m:f"', "selector=kmeans"]
    )
    assert (recipe.seed, recipe.data, recipe.tuning.epochs, recipe.model) == (7, "digits", 9, "m:f")
    assert recipe.selector is Selector.KMEANS
    assert recipe.tuning.lr == load_recipe("digits").tuning.lr


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"n_multipliers": 9}, [], "n_multipliers: must be less than or equal to 8, not 9"),
        ({"bank": "both"}, [], "bank: must be 'mux' or 'merged', not 'both'"),
        (
            {"bank": "merged", "n_multipliers": 1},
            [],
            "n_multipliers: must be at least 2 with the bank merged, not 1",
        ),
        ({}, ["merging.n_mappings=-1"], "merging.n_mappings: must be greater than or equal to 0"),
        ({"seed": -1}, [], "seed: must be greater than or equal to 0, not -1"),
        ({"scales": []}, [], "scales: must have at least 1 entries, not []"),
        ({"scales": [1.0, 0.5]}, [], "scales[1]: must exceed 1.0, not 0.5"),
        ({"scales": [0.0]}, [], "scales[0]: must be greater than 0, not 0.0"),
        ({}, ["tuning.epochs=1.5"], "tuning.epochs: must be a valid integer, not 1.5"),
        ({}, ["tuning.lr=fast"], "tuning.lr: must be a valid number, not 'fast'"),
        ({}, ["tuning.lr=nan"], "tuning.lr: must be a finite number, not nan"),
        ({}, ["noise_search.epochs=0"], "noise_search.epochs: must be at least 1, not 0"),
        ({}, ["tuning.momentum=0.9"], "tuning.momentum: unknown key"),
        ({}, ["selector='best'"], "selector: must be "),
    ],
)
def test_value_out_of_range_is_refused(
    changes: dict[str, Any], settings: list[str], message: str
) -> None:
    with pytest.raises(InputError) as error:
        load_recipe("digits", changes, settings)
    assert str(error.value).startswith(f"recipe digits: {message}")


@pytest.mark.parametrize("setting", ["epochs", "tuning.lr=", "model.x=3"])
def test_setting_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=r"^--set: must be FIELD=VALUE or STAGE.FIELD=VALUE"):
        load_recipe("digits", {}, [setting])


def test_file_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("seed = ")
    with pytest.raises(InputError, match=r"own\.toml: must be TOML: "):
        load_recipe(path)
    path.write_text("seed = 1")
    with pytest.raises(InputError, match=r"own\.toml: model: is missing"):
        load_recipe(path)
    with pytest.raises(InputError, match=r"^recipe: must be a TOML file or one of .*digits"):
        load_recipe("nothing")
