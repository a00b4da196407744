"""Options of the commands that train networks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from qosnets.errors import InputError, ToolError

__all__ = [
    "DEFAULT_LIBRARY",
    "Bank",
    "CandidateLibrary",
    "Data",
    "DataDir",
    "Device",
    "Model",
    "RecipeSource",
    "Settings",
    "floats",
    "search_packages",
]

RecipeSource = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="What to do: a TOML file, or the name of one in the package.",
        show_default="that of the model",
        metavar="FILE|NAME",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Network: a name that `network` knows, or package.module:factory.",
        show_default="digits",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data: digits, scenes, cifar10, cifar100, tinyimagenet, package.module:factory.",
        show_default="that of the recipe",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with the files of the data set.", metavar="DIR"),
]
Bank = Annotated[
    str | None,
    typer.Option(
        "--bank",
        help="mux: multipliers of a library; merged: modes of one made for the network.",
        show_default="mux",
        metavar="mux|merged",
    ),
]
CandidateLibrary = Annotated[
    str, typer.Option("--library", help="Library to choose multipliers from.", metavar="NAME")
]
DEFAULT_LIBRARY = "evolved"
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change a value of the recipe, as in tuning.epochs=3; may be repeated.",
        metavar="FIELD=VALUE",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device", help="cpu, cuda or another device of PyTorch.", show_default="a GPU, if any"
    ),
]


@contextmanager
def search_packages() -> Iterator[None]:
    """Say what to install where an import in the block fails for want of a package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("qosnets"):
            raise
        hint = "install with: pip install 'qosnets-hw[search]'"
        raise ToolError(f"{error.name}: not found; the search needs it; {hint}") from None


def floats(text: str, option: str) -> list[float]:
    """Return the numbers of an option, which are separated by commas."""
    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise InputError(f"{option}: must be numbers separated by commas, not {text!r}") from None
