"""Seams: steps along straight lines through the result that the source does not have.

A seam is coherent: averaged along the line it stays, where texture averages out. So each block row of the result becomes one
profile of column means (each block column one of row means), and at a line the step of the profile is what it jumps by beyond
its slope on either side. Taken off is the steepest that the source's own profile does around there, and
what remains is held against the same figure beside the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.fidelity import Measure, Region, Verdict
from enlarger.image import Image
from enlarger.measures.finding import MOST, Finding, median
from enlarger.measures.grid import Grid
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import as_255

AROUND = 12
"""Output pixels beside a line that it is held against."""

REACH = 1
"""Source pixels beside a line within which a step of the source vouches for one of the result."""


class Tally:
    """Steps found along the columns and the rows of a result of ``height`` rows, fed strip by strip.

    ``tile_lines`` are x of columns and y of rows at which tiles meet: line i lies between pixels i - 1 and i.
    """

    def __init__(self, grid: Grid, source: Image, width: int, height: int, tile_lines: tuple[Sequence[int], Sequence[int]] | None) -> None:
        self.grid, self.source = grid, source
        self.width, self.height = width, height
        self.tile_lines = tile_lines
        self.starts = [round(x * grid.scale[0]) for x in grid.xs[:-1]]
        self.widths = np.diff([*self.starts, width])
        self.columns = Steps()
        self.rows = Steps()
        self._row, self._segment = 0, 0
        self._wide = np.float64 if source.alpha else np.uint32
        self._sums = np.zeros(width, np.float64 if source.alpha else np.uint64)
        self._summed = 0
        self._means: list[Floats] = []
        self._means_from = 0
        self._judged = 0

    def add(self, rows: NDArray[Any]) -> None:
        green, unit = self._green(rows)
        means = np.add.reduceat(green, self.starts, axis=1, dtype=self._wide) / self.widths * unit
        self._means.append(means.astype(np.float32))
        at = 0
        while at < len(green):
            end = round(self.grid.ys[self._segment + 1] * self.grid.scale[1])
            take = min(len(green) - at, end - self._row)
            self._sums += green[at : at + take].sum(axis=0, dtype=self._wide)
            self._row, self._summed, at = self._row + take, self._summed + take, at + take
            if self._row == end:
                self._close(unit)

    def _green(self, rows: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """Green, or grey, and what brings it to 1/255; faded to middle grey where it is transparent."""
        if self.source.alpha and rows.shape[-1] in (2, 4):
            return _faded_green(rows), 1.0
        return np.ascontiguousarray(rows[..., 1] if rows.shape[-1] >= 3 else rows[..., 0]), 1 / 257 if rows.dtype == np.uint16 else 1.0

    def _close(self, unit: float) -> None:
        """A block row is complete: judge its column means, and the row means up to a little before its end."""
        y0, y1 = self.grid.ys[self._segment], self.grid.ys[self._segment + 1]
        profile = (self._sums * (unit / self._summed)).astype(np.float32)
        source = green_of(self.source, y0, y1).mean(axis=0, dtype=np.float32)
        at = np.arange(self.width) * len(source) // self.width
        self.columns.put(self._segment, 0, *excess(profile[None], source[None], at), slice(0, self.width))
        self._sums[:], self._summed = 0, 0
        self._segment += 1
        self._judge_rows(self._row if self._row == self.height else self._row - AROUND)

    def _judge_rows(self, end: int) -> None:
        means = np.concatenate(self._means)
        first = self._means_from
        y0 = max(0, int(first * self.source.height / self.height) - 4)
        y1 = min(self.source.height, int(self._row * self.source.height / self.height) + 4)
        starts = self.grid.xs
        source = np.add.reduceat(green_of(self.source, y0, y1), starts[:-1], axis=1) / np.diff(starts)
        at = np.arange(first, first + len(means)) * self.source.height // self.height - y0
        left, beside = excess(np.ascontiguousarray(means.T), np.ascontiguousarray(source.T, np.float32), np.clip(at, 0, len(source) - 1))
        self.rows.put(0, first, left, beside, slice(self._judged - first, end - first))
        self._judged = end
        keep = max(0, end - 2 * AROUND - first)
        self._means, self._means_from = [means[keep:]], first + keep


class Steps:
    """What steps clearly in one direction: by how much, by segment and line."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], float] = {}

    def lines(self) -> dict[int, dict[int, float]]:
        """By line: what it steps by, by segment."""
        found: dict[int, dict[int, float]] = {}
        for (segment, line), value in self.found.items():
            found.setdefault(line, {})[segment] = value
        return found

    def put(self, segment: int, first: int, left: Floats, beside: Floats, part: slice) -> None:
        """``left`` and ``beside`` are ``(segments, lines)``, from ``segment`` and line ``first`` on; only lines of ``part`` count."""
        clear = left[:, part] > np.maximum(LEAST, RATIO * beside[:, part])
        for number, at in zip(*np.nonzero(clear), strict=True):
            line = int(at) + part.start
            self.found[segment + int(number), line + first] = float(left[number, line])


def judge(tally: Tally) -> Finding | None:
    """Steps along the lines where tiles meet; where these are not known, along any line over most of the picture.

    ``None`` where they are not known and the picture is too small for a line to stand out.
    """
    places: list[Region] = []
    lines, worst = 0, 0.0
    for upright, part in enumerate((tally.rows, tally.columns)):
        count = tally.grid.rows if upright else tally.grid.columns
        known = None if tally.tile_lines is None else set(tally.tile_lines[0 if upright else 1])
        if known is None and count < LONG:
            continue
        lines += 1
        enough = max(LONG, count / 2) if known is None else min(2, count)
        for line, values in part.lines().items():
            if known is not None and line not in known:
                continue
            if len(values) < enough and not (known is not None and max(values.values()) > 8 * LEAST):
                continue
            places.append(_region(tally, bool(upright), line, values))
            worst = max(worst, *values.values())
    if not lines:
        return None
    places.sort(key=lambda region: -region.value)
    reason = (
        f"{len(places)} straight {'line shows' if len(places) == 1 else 'lines show'} that the source does not have"
        if places
        else "no seams"
    )
    verdict: Verdict = "pass" if not places else "fail" if worst > VISIBLE else "doubtful"
    return Finding(
        Measure(verdict=verdict, value=worst, unit="1/255", limit=LEAST, reason=reason, next_step=ADVICE if places else ""),
        tuple(places[:MOST]),
    )


def _region(tally: Tally, upright: bool, line: int, values: dict[int, float]) -> Region:
    low, high = min(values), max(values) + 1
    x, y, width, height = tally.grid.box(low, 0, high, 1) if upright else tally.grid.box(0, low, 1, high)
    box = (max(0, line - 4), y, 8, height) if upright else (x, max(0, line - 4), width, 8)
    value = median(np.array(list(values.values())))
    verdict: Verdict = "fail" if value > VISIBLE else "doubtful"
    return Region(
        box=box,
        verdict=verdict,
        measure="seams",
        value=value,
        reason=f"a straight step of {value:.1f}/255 that the source does not have",
        next_step=ADVICE,
    )


LEAST = 1.0
"""Step in 1/255, averaged over 32 source pixels along the line."""
RATIO = 2.5
"""Times what lines beside it step by."""
VISIBLE = 3.0
LONG = 3
"""Segments that a line must have to be called one where tiles are not known."""
ADVICE = "use larger tiles or a larger halo; if another tool made it, its tiles do not overlap enough"


def green_of(source: Image, first: int, end: int) -> Floats:
    if source.alpha:
        return _faded_green(source.samples[first:end])
    return as_255(source.samples[first:end, :, 1 if source.channels == 3 else 0])


def _faded_green(rows: NDArray[Any]) -> Floats:
    green = as_255(rows[..., 1 if rows.shape[-1] == 4 else 0])
    return (green - 128) * (as_255(rows[..., -1]) * np.float32(1 / 255)) + 128


def steps(profile: Floats, *, border: bool = False) -> Floats:
    """``(..., n)`` means along lines: by how much line i lies off line i - 1, beyond the slope on either side.

    Lines too close to the border for that have 0, with ``border`` all that they lie off.
    """
    slope = np.diff(profile, axis=-1, prepend=profile[..., :1])
    before, after = np.roll(slope, 1, axis=-1), np.roll(slope, -1, axis=-1)
    result = np.abs(slope - (before + after) / 2)
    result[..., :2] = result[..., -1:] = 0
    if border:
        result[..., :2], result[..., -1:] = np.abs(slope[..., :2]), np.abs(slope[..., -1:])
    return np.asarray(result, np.float32)


def vouched(profile: Floats, at: NDArray[np.int64]) -> Floats:
    """``(..., m)`` means of source lines: the steepest step that a sharp rendering of them may have at lines ``at``."""
    bend = steps(profile, border=True)
    padded = np.pad(bend, [(0, 0)] * (profile.ndim - 1) + [(REACH, REACH)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1, axis=-1)
    return np.asarray(windows.max(axis=-1)[..., at], np.float32)


def excess(profile: Floats, source: Floats, at: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """What steps at each line that the source does not vouch for, and what lines beside it step by (the third largest)."""
    step = steps(profile)
    left = np.maximum(0, step - vouched(source, at))
    padded = np.pad(step, [(0, 0)] * (step.ndim - 1) + [(AROUND, AROUND)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1, axis=-1)
    beside = np.concatenate([windows[..., : AROUND - 1], windows[..., AROUND + 2 :]], axis=-1)
    return left, np.asarray(np.partition(beside, -3, axis=-1)[..., -3], np.float32)
