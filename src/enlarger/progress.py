"""Progress: where a run stands, how long the rest takes, and whether somebody asked it to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from enlarger.errors import CancelledError
from enlarger.report import Plan


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. ``step`` is ``decode``, ``enlarge``, ``lock``, ``verify`` or ``encode``; ``done`` the share (0 to 1) of all
    enlarging.

    ``tiles_done`` of ``tiles`` counts over all stages, ``megapixels_per_second`` is output made per second so far,
    ``seconds_left`` is a guess from the pace so far and ``None`` before there is one.
    """

    step: str
    done: float
    tiles_done: int
    tiles: int
    megapixels_per_second: float
    seconds: float
    seconds_left: float | None


OnProgress = Callable[[Progress], None]
Cancel = threading.Event | Callable[[], bool]


class Watch:
    """Time, progress and cancelling of one run."""

    def __init__(self, planned: Plan, progress: OnProgress | None, cancel: Cancel | None, started: float) -> None:
        self.timings: dict[str, float] = {}
        self._planned, self._progress, self._started = planned, progress, started
        self._stopped: Callable[[], bool] = cancel.is_set if isinstance(cancel, threading.Event) else cancel or (lambda: False)
        costs = [max(s.seconds, 1e-9) for s in planned.stages]
        self._shares = [cost / sum(costs) for cost in costs]
        self._counts = [s.tiles for s in planned.stages]
        self._stage, self._begun = 0, started
        self._at = 0.0, 0
        self._found = 0.0  # share of the work that an earlier run did: it says nothing about the pace of this one

    def add(self, name: str, seconds: float) -> None:
        self.timings[name] = self.timings.get(name, 0.0) + seconds

    def total(self) -> None:
        """The time from the start until now becomes the timing ``total``."""
        self.timings["total"] = time.perf_counter() - self._started

    def stage(self, number: int) -> None:
        self._stage = number
        if number == 0:
            self._begun = time.perf_counter()
        self.tick(0.0, 0, True)

    def step(self, name: str) -> None:
        """``decode`` begins before all tiles and ``encode`` after them; what else there is, where the tiles stand."""
        if name == "encode":
            self._at = 1.0, sum(self._counts)
        self._tell(name, *self._at)

    def tick(self, share: float, tiles: int, made: bool) -> None:
        done = sum(self._shares[: self._stage]) + share * self._shares[self._stage]
        if not made:
            self._found = done
        self._at = done, sum(self._counts[: self._stage]) + tiles
        self._tell("enlarge", *self._at)

    def _tell(self, step: str, done: float, tiles: int) -> None:
        now = time.perf_counter()
        spent, made = now - self._begun, done - self._found
        if self._progress is not None:
            pace = made * self._planned.output.width * self._planned.output.height / 1e6 / spent if spent > 0 else 0.0
            left = spent / made * (1 - done) if step == "enlarge" and made > 0 else None
            self._progress(Progress(step, done, tiles, sum(self._counts), pace, now - self._started, left))
        if self._stopped():
            raise CancelledError("stopped on request", hint="the same call goes on from there")
