"""What one picture's run shows: a bar while it works, doubts and notes, and one line at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import enlarger
from enlarger.interfaces.text import doubts, summary, tile_text


def tell_result(report: enlarger.Report, *, json: bool, quiet: bool) -> None:
    """Notes and doubts on stderr; on stdout the summary, or with ``json`` the report."""
    for warning in () if quiet else report.warnings:
        sys.stderr.write(f"enlarger: note: {warning.message}\n")
    for line in () if quiet else doubts(report.fidelity):
        sys.stderr.write(f"enlarger: {line}\n")
    if json:
        sys.stdout.write(report.to_json() + "\n")
    elif not quiet:
        sys.stdout.write(summary(report) + "\n")


@contextmanager
def progress_bar(name: str, *, hidden: bool) -> Iterator[Callable[[enlarger.Progress], None] | None]:
    """A bar with tiles, speed and time left on stderr; only where somebody watches."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), console=console, transient=True) as bar:
        task = bar.add_task(escape(name), total=1.0, text="reading")

        def show(event: enlarger.Progress) -> None:
            bar.update(task, completed=event.done, text=tile_text(event))

        yield show
