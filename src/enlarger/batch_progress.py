"""Where a run over many files stands, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from enlarger.jobs import BatchJob
from enlarger.manifest import BatchRow
from enlarger.progress import Progress
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


class Pace:
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

    def start(self, job: BatchJob, plan: Plan) -> None:
        """The engine begins with this picture."""
        self._current, self._current_pixels = str(job.source), plan.output.width * plan.output.height
        self._seen_pixels += self._current_pixels
        self._seen_bytes += job.size
        self._left -= job.size
        self._started.add(job.output)
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
