"""The command line over many files: two bars while it works, one line per failure, one line for the whole."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import enlarger
from enlarger.interfaces.text import duration, megabytes, tile_text

SHOWN = 20
"""Failures that are told one by one; the manifest has all."""


def is_many(paths: tuple[Path, ...]) -> bool:
    """Whether these are more than one picture: several, a folder, or a pattern that the shell left to us."""
    return len(paths) != 1 or paths[0].is_dir() or (any(c in str(paths[0]) for c in "*?[") and not paths[0].exists())


def listed_on_stdin(*, null: bool) -> list[str]:
    """Paths on standard input, one per line or, with ``null``, ended by NUL bytes; names are bytes, so they stay as they are."""
    data = sys.stdin.buffer.read()
    names = data.split(b"\0") if null else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [name.decode(sys.getfilesystemencoding(), "surrogateescape") for name in names if name]


def run_batch(batch: enlarger.Batch, *, json: bool, quiet: bool, dry_run: bool) -> None:
    """Do it and tell; raises :class:`enlarger.BatchError` when some files failed."""
    for note in () if quiet else batch.notes:
        sys.stderr.write(f"enlarger: note: {note}\n")
    if dry_run:
        _tell_plans(batch, json=json, quiet=quiet)
        return
    with _bars(batch, hidden=quiet or json) as progress:
        rows = batch.run(progress)
    failed = [row for row in rows if row.status == "error"]
    for row in failed[:SHOWN]:
        sys.stderr.write(f"enlarger: {_line(row)}\n")
    if json:
        sys.stdout.write("[" + ",\n".join(row.as_json() for row in rows) + "]\n")
    elif not quiet:
        sys.stdout.write(_summary(batch, rows) + "\n")
    if failed:
        where = ", ".join(map(str, batch.manifests()[:3]))
        raise enlarger.BatchError(f"{len(failed)} of {len(rows)} files failed", hint=f"see {where}")


def _line(row: enlarger.BatchRow) -> str:
    message = row.message or ""
    # A bug's message does not name the file.
    return message if Path(row.source).name in message else f"{row.source}: {row.error}: {message}"


def _summary(batch: enlarger.Batch, rows: list[enlarger.BatchRow]) -> str:
    counts = [f"{sum(row.status == status for row in rows)} {word}" for status, word in STATUSES.items()]
    homes = batch.manifests()
    where = str(homes[0]) if len(homes) == 1 else f"{homes[0].name} in {len(homes)} folders"
    spent = duration(batch.seconds)
    return f"{', '.join(counts)}  {spent}  {where}"


STATUSES = {"done": "done", "skipped": "skipped", "error": "failed"}


def _tell_plans(batch: enlarger.Batch, *, json: bool, quiet: bool) -> None:
    seconds, disk, todo, skipped, failed, temporary = 0.0, 0, 0, 0, 0, 0
    entries: list[dict[str, Any]] = []
    for job, plan in batch.plan():
        entry: dict[str, Any] = {"source": str(job.source), "output": str(job.output)}
        if isinstance(plan, enlarger.EnlargerError):
            failed += 1
            entry |= {"status": "error", "error": type(plan).__name__, "message": str(plan)}
            line = f"error    {plan}"
        elif plan is None:
            skipped += 1
            entry["status"] = "skipped"
            line = f"skip     {job.source}: done already, {job.output}"
        else:
            todo += 1
            guess, out = plan.estimate, plan.output
            seconds, disk, temporary = seconds + guess.seconds, disk + guess.disk_output, max(temporary, guess.disk_temporary)
            entry |= {"status": "planned", "plan": plan.model_dump(mode="json", by_alias=True)}
            line = f"enlarge  {job.source} -> {job.output}: {out.width}x{out.height} {out.format}, about {duration(guess.seconds)}"
        if json:
            entries.append(entry)
        elif not quiet:
            sys.stdout.write(line + "\n")
    if json:
        sys.stdout.write(jsonlib.dumps(entries, indent=2) + "\n")
    elif not quiet:
        sys.stdout.write(
            f"{todo} to do, {skipped} done already, {failed} that would fail: about {duration(seconds)}, "
            f"files of about {megabytes(disk)}, up to {megabytes(temporary)} of temporary disk\n"
        )


@contextmanager
def _bars(batch: enlarger.Batch, *, hidden: bool) -> Iterator[Callable[[enlarger.BatchProgress], None] | None]:
    """One bar for all files, one for the current; only where somebody watches."""
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), console=console, transient=True) as bar:
        whole = bar.add_task("all files", total=len(batch.jobs), text="")
        one = bar.add_task("", total=1.0, text="")

        def show(event: enlarger.BatchProgress) -> None:
            behind = event.done + event.skipped + event.failed
            text = f"{behind}/{event.files}" + (f", {event.failed} failed" if event.failed else "")
            if event.seconds_left is not None:
                text += f"  {duration(event.seconds_left)} left"
            bar.update(whole, completed=behind, total=event.files, text=text)
            if event.file is not None:
                bar.update(one, description=escape(Path(event.current).name), completed=event.file.done, text=tile_text(event.file))

        yield show
