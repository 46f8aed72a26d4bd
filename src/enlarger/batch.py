"""Many pictures on one machine: one net kept warm, decode and encode beside it, and a record of what became of each file.

Three threads hand pictures on: one plans and decodes the next, the caller's runs the engine on the current, one encodes and
checks the one before. There is at most one picture in each, so memory does not grow with their number. What goes wrong with
one file is a row of the manifest (:mod:`enlarger.manifest`), and the rest go on; only what would go wrong with every file (a
full disk, a record that cannot be written, a cancel) ends the run.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from enlarger.batch_rows import done_row, error_row, skipped_row, standing_of
from enlarger.errors import CancelledError, DiskFullError, EnlargerError, InputError, OutputError, UsageError
from enlarger.jobs import BatchJob, Filter, Found, collect, named, read_jobs
from enlarger.manifest import NAME, BatchRow, Manifest, absolute, recorded
from enlarger.options import Options
from enlarger.pipeline import Cancel, Enlarger, Job, Progress, tidy
from enlarger.report import Plan


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Where a run over many files stands.

    ``files`` are all, of which ``done``, ``skipped`` and ``failed`` are behind us; ``current`` is the source at the engine and
    ``file`` how far it is. ``seconds_left`` is guessed from the pixels made so far and the bytes of the sources to come.
    """

    files: int
    done: int
    skipped: int
    failed: int
    current: str
    file: Progress | None
    seconds: float
    seconds_left: float | None


OnBatchProgress = Callable[[BatchProgress], None]


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
        options: Options | None = None,
        **changes: Any,
    ) -> None:
        self.options = Options.of(options, **changes)
        self.output = Path(output) if output is not None else None
        self.seconds = 0.0
        self._overwrite, self._temp, self._fresh = overwrite, temp, fresh
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
        if any(job.output.suffix.lower() == ".dzi" for job in self.jobs):
            raise UsageError("DeepZoom is made of one picture at a time", hint="choose another format", subject="--format")

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
                    last = known[job.home].get(absolute(job.output))
                    plan = tool.plan(job.source, **self._formatted(job).model_dump())
                    plan = plan.model_copy(update={"output": plan.output.model_copy(update={"path": str(job.output)})})
                    standing = standing_of(job, last, plan, fresh=self._fresh)
                    if standing == "foreign" and not self._overwrite and job.output.exists():
                        raise OutputError("the file exists already", hint="replace it with --overwrite", subject=str(job.output))
                    yield job, None if standing == "same" else plan
                except EnlargerError as error:
                    yield job, error

    def _formatted(self, job: BatchJob) -> Options:
        # Without an output, which may not be there to be tried yet, the plan must be told the format that its name stands for.
        suffix = job.output.suffix.lower().removeprefix(".")
        return Options.of(job.options, format={"jpe": "jpeg", "jfif": "jpeg"}.get(suffix, suffix))

    def run(self, progress: OnBatchProgress | None = None, cancel: Cancel | None = None) -> list[BatchRow]:
        """Do all of it; one row per file, in the order of :attr:`jobs`. Each also stands in the manifest. Single files raise nothing.

        ``progress`` is called in this thread, after every tile and file. ``cancel`` stops after the tile at hand with
        :class:`CancelledError`; like an interrupt, it keeps what is done, and the same call goes on from there.
        Raises :class:`DiskFullError` and :class:`OutputError` when nothing can be written any more.
        """
        start = time.perf_counter()
        with _Run(self.jobs, self.options, progress, cancel, self._overwrite, self._temp, self._fresh) as run:
            for path, error in self._failed:
                run.record(BatchJob(path, Path(), self.options, self.jobs[0].home), error_row(path, error))
            run.all()
        self.seconds = time.perf_counter() - start
        return [row for _, row in sorted(run.rows, key=lambda entry: entry[0])]


def enlarge_many(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    scale: float = 4.0,
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
    return Batch(paths, output, overwrite=overwrite, scale=scale, **options).run(progress, cancel)


# --- the run ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Ready:
    """A decoded job, or the row of one that is settled already."""

    job: BatchJob
    picture: Job | None = None
    row: BatchRow | None = None

    def close(self) -> None:
        if self.picture is not None:
            self.picture.close()


@dataclass(frozen=True, slots=True)
class _Written:
    """What the writer's thread came to."""

    job: BatchJob
    row: BatchRow
    error: Exception | None = None


class _Run:
    """One run over ``jobs``: the three threads, the manifests, the count."""

    def __init__(
        self,
        jobs: Sequence[BatchJob],
        options: Options,
        progress: OnBatchProgress | None,
        cancel: Cancel | None,
        overwrite: bool,
        temp: Path | None,
        fresh: bool,
    ) -> None:
        self.rows: list[tuple[int, BatchRow]] = []
        self._jobs = jobs
        self._order = {job.output: number for number, job in enumerate(jobs)}
        self._overwrite, self._temp, self._fresh = overwrite, temp, fresh
        self._cancel = cancel
        self._pace = _Pace(jobs, progress)
        self._tool = Enlarger(options)
        self._stack = contextlib.ExitStack()
        self._manifests: dict[Path, Manifest] = {}

    def __enter__(self) -> _Run:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._tool)
            _check_wishes(self._tool, self._jobs)
            for home in sorted({job.home for job in self._jobs}):
                _make_folder(home)
                self._manifests[home] = stack.enter_context(Manifest(home))
            self._reader = stack.enter_context(ThreadPoolExecutor(1, "enlarger-decode"))
            self._writer = stack.enter_context(ThreadPoolExecutor(1, "enlarger-encode"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def all(self) -> None:
        """Every job, in order."""
        ahead: Future[_Ready] | None = None
        writing: Future[_Written] | None = None
        try:
            for number, job in enumerate(self._jobs):
                ready = (ahead or self._reader.submit(self._prepared, job)).result()
                more = number + 1 < len(self._jobs)
                ahead = self._reader.submit(self._prepared, self._jobs[number + 1]) if more else None
                with contextlib.ExitStack() as owned:
                    owned.callback(ready.close)
                    if ready.picture is None or not self._enlarged(ready):
                        self._settled(ready)
                        continue
                    before, writing = writing, None
                    self._written(before)
                    writing = self._writer.submit(self._delivered, ready)
                    owned.pop_all()
        finally:
            # Also after an interrupt: what is being written is finished. What was decoded ahead has left nothing behind.
            self._written(writing)

    def _prepared(self, job: BatchJob) -> _Ready:
        """In the reader's thread: skip, decode or fail."""
        try:
            last = self._manifests[job.home].known.get(absolute(job.output))
            _make_folder(job.output.parent)
            before = _stamp(job.source)
            own = False
            if last is not None:
                plan = self._tool.plan(job.source, job.output, overwrite=True, **job.options.model_dump())
                standing = standing_of(job, last, plan, fresh=self._fresh)
                if standing == "same":
                    tidy(job.output, self._temp)
                    return _Ready(job, row=skipped_row(job, last))
                own = standing == "own"
            picture = self._tool.prepare(
                job.source,
                job.output,
                overwrite=self._overwrite or own,
                progress=self._pace.tick,
                cancel=self._cancel,
                temp=self._temp,
                fresh=self._fresh,
                **job.options.model_dump(),
            )
            if _stamp(job.source) != before:
                raise InputError("the file changed while it was read", hint="try again when it is complete", subject=str(job.source))
            return _Ready(job, picture)
        except CancelledError:
            return _Ready(job)
        except Exception as error:  # noqa: BLE001 (a bug, or a library's, that shows with one file must not cost the others)
            return _Ready(job, row=error_row(job.source, error, job))

    def _enlarged(self, ready: _Ready) -> bool:
        """Run the engine; ``False`` when that failed, and the row says how."""
        assert ready.picture is not None
        try:
            self._pace.start(ready)
            self._tool.run(ready.picture)
            return True
        except CancelledError:
            raise
        except Exception as error:
            ready.row = error_row(ready.job.source, error, ready.job, ready.picture)
            if isinstance(error, DiskFullError):
                self._settled(ready)
                raise
            return False

    def _delivered(self, ready: _Ready) -> _Written:
        """In the writer's thread: the file, and its row."""
        picture = ready.picture
        assert picture is not None
        manifest = self._manifests[ready.job.home]

        def announce(size: int, sha256: str) -> None:
            start = time.perf_counter()
            manifest.announce(self._placed(ready.job, done_row(ready.job, picture, size, sha256)))
            picture.watch.add("record", time.perf_counter() - start)

        try:
            result = self._tool.deliver(picture, announce=announce)
        except Exception as error:  # noqa: BLE001 (as above)
            return _Written(ready.job, error_row(ready.job.source, error, ready.job, picture), error)
        finally:
            picture.close()
        output = result.report.output
        return _Written(ready.job, done_row(ready.job, picture, output.bytes or 0, output.sha256 or ""))

    def _written(self, writing: Future[_Written] | None) -> None:
        """Wait for a file that is being written and record it. A full disk ends the run."""
        if writing is None:
            return
        written = writing.result()
        if isinstance(written.error, CancelledError):
            raise written.error
        self.record(written.job, written.row)
        if isinstance(written.error, DiskFullError):
            raise written.error

    def _settled(self, ready: _Ready) -> None:
        if ready.row is None:
            raise CancelledError("stopped on request", hint="the same call goes on from there")
        self.record(ready.job, ready.row)

    def record(self, job: BatchJob, row: BatchRow) -> None:
        """Count ``row`` and put it into the manifest."""
        row = self._placed(job, row)
        self._manifests[job.home].add(row)
        self.rows.append((self._order.get(job.output, -1), row))
        self._pace.settled(job, row)

    def _placed(self, job: BatchJob, row: BatchRow) -> BatchRow:
        return row if row.output is None else replace(row, output=self._manifests[job.home].relative(job.output))


class _Pace:
    """Counts, and guesses how long the rest takes."""

    def __init__(self, jobs: Sequence[BatchJob], progress: OnBatchProgress | None) -> None:
        self._progress = progress
        self._files = len(jobs)
        self._counts = {"done": 0, "skipped": 0, "error": 0}
        self._left = sum(job.size for job in jobs)
        self._begun = time.perf_counter()
        self._worked: float | None = None
        self._pixels = self._seen_pixels = self._seen_bytes = 0
        self._current = ""
        self._current_pixels = 0
        self._started: set[Path] = set()

    def start(self, ready: _Ready) -> None:
        """The engine begins with this picture."""
        assert ready.picture is not None
        output = ready.picture.planned.output
        self._current, self._current_pixels = str(ready.job.source), output.width * output.height
        self._seen_pixels += self._current_pixels
        self._seen_bytes += ready.job.size
        self._left -= ready.job.size
        self._started.add(ready.job.output)
        self._worked = self._worked or time.perf_counter()

    def tick(self, event: Progress) -> None:
        """A tile is done. Only the engine's part counts: the others report from their own threads."""
        if event.step == "enlarge":
            self._tell(event)

    def settled(self, job: BatchJob, row: BatchRow) -> None:
        self._counts[row.status] += 1
        if row.status == "done":
            self._pixels += (row.output_size or (0, 0))[0] * (row.output_size or (0, 0))[1]
        elif job.output not in self._started:
            self._left -= job.size
        self._tell(None)

    def _tell(self, event: Progress | None) -> None:
        if self._progress is None:
            return
        now = time.perf_counter()
        counts = self._counts
        left = self._seconds_left(now, event.done if event else 0.0)
        self._progress(
            BatchProgress(self._files, counts["done"], counts["skipped"], counts["error"], self._current, event, now - self._begun, left)
        )

    def _seconds_left(self, now: float, share: float) -> float | None:
        made = self._pixels + share * self._current_pixels
        if self._worked is None or made <= 0 or not self._seen_bytes:
            return None
        to_come = max(0, self._seen_pixels - made) + max(0, self._left) * self._seen_pixels / self._seen_bytes
        return (now - self._worked) * to_come / made


# --- small parts ------------------------------------------------------------------------------------------------------


def _check_wishes(tool: Enlarger, jobs: Sequence[BatchJob]) -> None:
    """What would be wrong with every file (no such engine, a setting it does not know) is said once, before the first."""
    import numpy as np

    nothing = np.zeros((8, 8, 3), np.uint8)
    seen = set()
    for job in jobs:
        wishes = job.options.model_copy(update={"format": None, "quality": None, "scale": 2.0, "sandbox": False})
        if (key := wishes.model_dump_json()) not in seen:
            seen.add(key)
            tool.plan(nothing, **wishes.model_dump())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise OutputError(f"the folder cannot be made ({why})", hint="choose another place", subject=str(folder)) from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written to or replaced; ``None`` when it is not there."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
