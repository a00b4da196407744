"""What the commands put out: progress on standard error, tables and JSON on standard output, files.

Folders are written by :func:`qosnets.files.publish`.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from qosnets.errors import InputError
from qosnets.files import atomic_write, canonical_json

__all__ = [
    "Progress",
    "check_output_file",
    "print_json",
    "print_table",
    "report_progress",
    "write_output_file",
]

Progress = Callable[[str, int, int], None]
"""Called with a stage, the steps done and their total; a total of 0 is not known yet."""

LINE_SECONDS = 10.0
"""Where standard error is no terminal, a running stage prints a line this often."""


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    typer.echo(canonical_json(value).decode(), nl=False)


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str = "",
    n_text: int | None = None,
) -> None:
    """Print a table; in a pipe it is as wide as it needs to be.

    The columns after the first ``n_text`` hold numbers, aligned to the right; None: there are none.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, caption=Text(caption), caption_justify="left")
    for index, name in enumerate(header):
        is_number = n_text is not None and index >= n_text
        table.add_column(Text(name), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


def check_output_file(path: Path, *, suffixes: Sequence[str], force: bool) -> None:
    """Refuse an output file before any work is done.

    Raises
    ------
    InputError
        If the name has none of ``suffixes``, there is no such folder, or the file exists and
        ``force`` is false.
    """
    if path.suffix not in suffixes:
        raise InputError(f"--out: must end in {' or '.join(suffixes)}, not {path.name!r}")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: must be a folder")
    if path.is_dir() or (path.exists() and not force):
        raise InputError(f"{path}: exists already (--force replaces a file)")


def write_output_file(path: Path, data: bytes) -> None:
    """Write ``path`` completely or not at all, and name it."""
    atomic_write(path, data)
    typer.echo(str(path))


@contextmanager
def report_progress(*, silent: bool = False) -> Iterator[Progress]:
    """Show the progress of the block: bars on a terminal, else a line a stage and now and then."""
    if silent:
        yield lambda stage, done, total: None
        return
    if not sys.stderr.isatty():
        yield _line_progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    text = TextColumn("{task.description}")
    console = Console(stderr=True)
    with Bars(
        text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


def _line_progress() -> Progress:
    printed: dict[str, float] = {}
    finished: set[str] = set()

    def show(stage: str, done: int, total: int) -> None:
        now, complete = time.monotonic(), 0 < total <= done
        due = now - printed.get(stage, float("-inf")) >= LINE_SECONDS
        if stage in finished or not (due or complete):
            return
        printed[stage] = now
        if complete:
            finished.add(stage)
        steps = f" {done}/{total}" if total else ""
        print(f"{stage}{steps}", file=sys.stderr, flush=True)

    return show
