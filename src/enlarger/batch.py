"""Many pictures on one machine: :class:`Batch` settles which files are meant and what their results are called, and what would
be done with each. How they are done, :mod:`enlarger.batch_run` says.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from enlarger.batch_progress import OnBatchProgress
from enlarger.batch_rows import error_row, standing_among
from enlarger.batch_run import Run
from enlarger.errors import EnlargerError, InputError, OutputError
from enlarger.formats import possible_names
from enlarger.job import Call
from enlarger.job_lists import read_jobs
from enlarger.job_names import named
from enlarger.jobs import BatchJob, Filter, Found, collect
from enlarger.manifest import NAME, BatchRow, recorded
from enlarger.options import Options
from enlarger.pipeline import Enlarger
from enlarger.progress import Cancel
from enlarger.report import Plan


class Batch:
    """Many files to enlarge, with the names of all results settled; :meth:`run` does the work.

    ``paths`` are files, folders (walked with everything below them) and, unless ``literal``, globs; ``listed`` is a ``.csv``
    or ``.jsonl`` file with options per row. Results go below the folder ``output``, which is made if need be, or beside
    their sources. ``include`` and ``exclude`` are globs over paths relative to the folder that is walked. ``options`` and
    ``changes`` are as for :class:`Enlarger`. Nothing is opened or written yet.

    Raises :class:`InputError` when there is nothing to do and :class:`UsageError` for what cannot be meant.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]] = (),
        output: str | os.PathLike[str] | None = None,
        *,
        listed: str | os.PathLike[str] | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        literal: bool = False,
        overwrite: bool = False,
        temp: Path | None = None,
        fresh: bool = False,
        report: bool = False,
        options: Options | None = None,
        **changes: Any,
    ) -> None:
        self.options = Options.of(options, **changes)
        self.output = Path(output) if output is not None else None
        self.seconds = 0.0
        self._overwrite, self._temp, self._fresh, self._report = overwrite, temp, fresh, report
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise OutputError("many results need a folder, and this is a file", hint="name a folder", subject=str(output))
        named_paths = [Path(path) for path in paths]
        brought = collect(named_paths, self.output, self.options, Filter(tuple(include), tuple(exclude)), literal=literal)
        home = self.output
        if listed is not None:
            extra = read_jobs(Path(listed), self.output, self.options)
            home = home or Path(listed).parent
            brought.found += extra.found
        self.notes: tuple[str, ...] = tuple(brought.notes)
        self._failed = brought.failed
        if not brought.found:
            raise self._nothing([*named_paths, *([Path(listed)] if listed is not None else [])])
        self.jobs: tuple[BatchJob, ...] = tuple(named(brought.found, home, self._kind))

    def _nothing(self, paths: list[Path]) -> EnlargerError:
        if self._failed:
            return self._failed[0][1]
        where = str(paths[0]) if len(paths) == 1 else ""
        left = f" ({', '.join(self.notes)})" if self.notes else ""
        return InputError(f"there is no picture to enlarge{left}", hint="check the path and the patterns", subject=where)

    def _kind(self, one: Found) -> str:
        """Format of the result for a source whose name tells nothing. A source that is none gets one too, and fails later."""
        with contextlib.suppress(EnlargerError):
            return Enlarger(one.options).plan(one.source).output.format
        return "png"

    def manifests(self) -> list[Path]:
        """The files that hold the record of this run: one, unless results go beside their sources in several folders."""
        return sorted({job.home / NAME for job in self.jobs})

    def plan(self) -> Iterator[tuple[BatchJob, Plan | EnlargerError | None]]:
        """What :meth:`run` would do with each file: the plan, the error, or ``None`` for one that would be skipped. Writes nothing."""
        known = {home: recorded(home) for home in {job.home for job in self.jobs}}
        with Enlarger(self.options) as tool:
            for path, error in self._failed:
                yield BatchJob(path, Path(), self.options, Path()), error
            for job in self.jobs:
                try:
                    plan = tool.plan(job.source, digest=False, **self._formatted(job).asked())
                    plan = plan.model_copy(update={"output": plan.output.model_copy(update={"path": str(job.output)})})
                    standing, _ = standing_among(job, known[job.home], plan, fresh=self._fresh)
                    there = next((path for path in possible_names(job.output) if path.exists()), None)
                    if standing == "foreign" and not self._overwrite and there is not None:
                        raise OutputError("the file exists already", hint="replace it with --overwrite", subject=str(there))
                    yield job, None if standing == "same" else plan
                except EnlargerError as error:
                    yield job, error

    def _formatted(self, job: BatchJob) -> Options:
        # Without an output, which may not be there to be tried yet, the plan must be told the format that its name stands for.
        suffix = job.output.suffix.lower().removeprefix(".")
        return Options.of(job.options, format={"jpe": "jpeg", "jfif": "jpeg", "dzi": "dz"}.get(suffix, suffix))

    def run(self, progress: OnBatchProgress | None = None, cancel: Cancel | None = None) -> list[BatchRow]:
        """Do all of it; one row per file, in the order of :attr:`jobs`. Each also stands in the manifest. Single files raise nothing.

        ``progress`` is called in this thread, after every tile and file. ``cancel`` stops after the tile at hand with
        :class:`CancelledError`; like an interrupt, it keeps what is done, and the same call goes on from there.
        Raises :class:`DiskFullError` and :class:`OutputError` when nothing can be written any more.
        """
        start = time.perf_counter()
        call = Call(self._overwrite, cancel=cancel, temp=self._temp, fresh=self._fresh, report=self._report, triage=False)
        with Run(self.jobs, self.options, progress, call) as run:
            for path, error in self._failed:
                run.record(BatchJob(path, Path(), self.options, self.jobs[0].home), error_row(path, error))
            run.all()
        self.seconds = time.perf_counter() - start
        return [row for _, row in sorted(run.rows, key=lambda entry: entry[0])]


def enlarge_many(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    scale: float | None = None,
    *,
    progress: OnBatchProgress | None = None,
    cancel: Cancel | None = None,
    overwrite: bool = False,
    **options: Any,
) -> list[BatchRow]:
    """Enlarge many files: :class:`Batch` with the fields of :class:`Options`, made and run. Look at the rows for failures.

    >>> rows = enlarge_many(["photos"], "big", 2)      # the folder photos, with its tree, to the folder big
    >>> [(row.source, row.message) for row in rows if row.status == "error"]
    """
    if scale is not None:
        options["scale"] = scale
    return Batch(paths, output, overwrite=overwrite, **options).run(progress, cancel)
