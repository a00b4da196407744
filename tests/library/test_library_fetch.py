import subprocess
from pathlib import Path

import pytest
from qosnets.errors import InputError, ToolError
from qosnets.library import data_home
from qosnets.lut import exact_lut, lut_sha256
from qosnets_library import published
from qosnets_library.fetch import EVOAPPROX_COMMIT, fetch_evoapprox
from qosnets_library.published import published_figures

PRODUCT = "module m(input [7:0] a, b, output [15:0] o); assign o = a {} b; endmodule"


@pytest.fixture(autouse=True)
def data_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return data_home()


@pytest.fixture
def only_the_exact_one(monkeypatch) -> None:
    """Make 1JJQ the only circuit that was published."""
    figures = published_figures("mul8u_1JJQ", exact_lut())
    table = {"mul8u_1JJQ": (lut_sha256(exact_lut()), figures)}
    monkeypatch.setattr(published, "_table", lambda: table)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    command = ["git", *identity, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder: Path, operator: str) -> tuple[str, str]:
    """Make a repository; return its address and a commit that is not its newest."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    circuits = folder / "multiplers"
    circuits.mkdir()
    (circuits / "mul8u_1JJQ.v").write_text(PRODUCT.format(operator))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    commit = git(folder, "rev-parse", "HEAD")
    (circuits / "mul8u_1JJQ.v").write_text("changed since")
    git(folder, "commit", "--quiet", "--all", "--message", "second")
    return folder.as_uri(), commit


def test_the_pinned_commit_is_imported(tmp_path, data_folder, only_the_exact_one):
    url, commit = repository(tmp_path / "repository", "*")
    imported = fetch_evoapprox(url=url, commit=commit)
    assert imported.library.folder == data_folder / "evoapprox"
    entry = imported.library.entry("mul8u_1JJQ")
    assert entry.published.power_mw == 0.391
    assert imported.published.complete
    with pytest.raises(InputError, match=r"exists already \(--force replaces it\)$"):
        fetch_evoapprox(url=url, commit=commit)


def test_other_tables_than_those_published_are_refused(tmp_path, data_folder, only_the_exact_one):
    url, commit = repository(tmp_path / "repository", "|")
    with pytest.raises(InputError) as error:
        fetch_evoapprox(url=url, commit=commit)
    rule = "must hold the 1 published circuits; not as published: mul8u_1JJQ"
    assert str(error.value) == f"{url}: {rule}"
    assert not data_folder.exists()


def test_an_unreachable_repository_takes_one_line(tmp_path):
    url = (tmp_path / "absent").as_uri()
    with pytest.raises(InputError) as error:
        fetch_evoapprox(url=url)
    message = str(error.value)
    assert message.startswith(f"{url}: cannot be fetched (offline?): ")
    assert "\n" not in message


def test_an_unknown_commit_takes_one_line(tmp_path):
    url, _ = repository(tmp_path / "repository", "*")
    with pytest.raises(InputError) as error:
        fetch_evoapprox(url=url, commit=EVOAPPROX_COMMIT)
    assert str(error.value).startswith(f"{url}: cannot be fetched (offline?): ")
    assert EVOAPPROX_COMMIT in str(error.value)


def test_missing_git_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as error:
        fetch_evoapprox()
    assert str(error.value) == "git: is not installed; it is needed to fetch a library"


def test_names_are_checked_first(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"^library name: must be an identifier other than"):
        fetch_evoapprox("families")
