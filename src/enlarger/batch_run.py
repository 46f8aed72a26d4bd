"""One run over many files: one net kept warm, decode and encode beside it, and a record of what became of each file.

Three threads hand pictures on: one plans and decodes the next, the caller's runs the engine on the current, one encodes and
checks the one before. There is at most one picture in each, so memory does not grow with their number. What goes wrong with
one file is a row of the manifest (:mod:`enlarger.manifest`), and the rest go on; only what would go wrong with every file (a
full disk, a record that cannot be written, a cancel) ends the run.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from enlarger.batch_progress import OnBatchProgress, Pace
from enlarger.batch_rows import done_row, error_row, left_behind, skipped_row, standing_among
from enlarger.errors import CancelledError, DiskFullError, InputError, OutputError
from enlarger.formats import possible_names
from enlarger.job import Call, Job
from enlarger.jobs import BatchJob
from enlarger.manifest import BatchRow, Manifest, absolute
from enlarger.options import Options
from enlarger.pipeline import Enlarger, tidy
from enlarger.sizes import PLACING


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


class Run:
    """One run over ``jobs``: the three threads, the manifests, the count."""

    def __init__(
        self,
        jobs: Sequence[BatchJob],
        options: Options,
        progress: OnBatchProgress | None,
        call: Call,
    ) -> None:
        self.rows: list[tuple[int, BatchRow]] = []
        self._jobs = jobs
        self._order = {job.output: number for number, job in enumerate(jobs)}
        self._pace = Pace(jobs, progress)
        self._call = replace(call, progress=self._pace.tick)
        self._tool = Enlarger(options)
        self._stack = contextlib.ExitStack()
        self._manifests: dict[Path, Manifest] = {}
        self._writing: Future[None] | None = None
        self._written: deque[_Written] = deque()

    def __enter__(self) -> Run:
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
                    self._finish()
                    # A signal may strike in here: what counts is what the writer's thread leaves in self._written.
                    self._writing = self._writer.submit(self._delivered, ready)
                    owned.pop_all()
        finally:
            # Also after an interrupt: what is being written is finished. What was decoded ahead has left nothing behind.
            self._writer.shutdown()
            self._record_written()

    def _prepared(self, job: BatchJob) -> _Ready:
        """In the reader's thread: skip, decode or fail."""
        try:
            known = self._manifests[job.home].known
            _make_folder(job.output.parent)
            before = _stamp(job.source)
            own = False
            if any(absolute(path) in known for path in possible_names(job.output)):
                plan = self._tool.plan(job.source, job.output, overwrite=True, digest=False, **job.options.asked())
                standing, last = standing_among(job, known, plan, fresh=self._call.fresh)
                if last is not None:
                    tidy(job.output, self._call.temp)
                    return _Ready(job, row=skipped_row(job, last))
                own = standing == "own"
            picture = self._tool.prepare(
                job.source, job.output, replace(self._call, overwrite=self._call.overwrite or own), **job.options.asked()
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
            self._pace.start(ready.job, ready.picture.planned)
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

    def _delivered(self, ready: _Ready) -> None:
        """In the writer's thread: the file, and its row."""
        self._written.append(self._outcome(ready))

    def _outcome(self, ready: _Ready) -> _Written:
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
        for stale in left_behind(ready.job, manifest.known, Path(output.path or "")):
            stale.unlink(missing_ok=True)
        return _Written(ready.job, done_row(ready.job, picture, output.bytes or 0, output.sha256 or ""))

    def _finish(self) -> None:
        """Wait for the file that is being written and record it."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
        self._record_written()

    def _record_written(self) -> None:
        """Record what the writer's thread has done. A full disk ends the run."""
        while self._written:
            written = self._written[0]
            if not isinstance(written.error, CancelledError):
                self.record(written.job, written.row)
            self._written.popleft()
            if isinstance(written.error, CancelledError | DiskFullError):
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
        return row if row.output is None else replace(row, output=self._manifests[job.home].relative(Path(row.output)))


# --- small parts ------------------------------------------------------------------------------------------------------


def _check_wishes(tool: Enlarger, jobs: Sequence[BatchJob]) -> None:
    """What would be wrong with every file (no such engine, a setting it does not know) is said once, before the first."""
    import numpy as np

    nothing = np.zeros((8, 8, 3), np.uint8)
    seen = set()
    for job in jobs:
        plain = dict.fromkeys(("format", "quality", "max_size", *PLACING))
        wishes = Options.of(job.options, scale=1.0 if job.options.stages == "0" else 2.0, sandbox=False, **plain)
        if (key := wishes.model_dump_json()) not in seen:
            seen.add(key)
            tool.plan(nothing, **wishes.asked())


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
