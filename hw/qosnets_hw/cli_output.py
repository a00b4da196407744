"""What the commands print: progress on standard error, tables and JSON on standard output."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from qosnets.files import canonical_json

__all__ = ["Progress", "print_json", "print_table", "report_progress"]

Progress = Callable[[str, int, int], None]
"""Called with a stage, the steps done and their total; a total of 0 is not known yet."""

LINE_SECONDS = 10.0
"""Where standard error is no terminal, a running stage prints a line this often."""


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    typer.echo(canonical_json(value).decode(), nl=False)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; in a pipe it is as wide as it needs to be."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


@contextmanager
def report_progress() -> Iterator[Progress]:
    """Show the progress of the block: bars on a terminal, else a line a stage and now and then."""
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
