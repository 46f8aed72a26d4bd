"""Text: rows of strokes that are either ink or paper, and how high its small letters are. Nothing is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.sample import Crop, Floats

STRIP = 160
"""Width of what is looked at together: some words of a line, so that lines that are not quite level still show."""

REACH = 8
"""Pixels within which ink and paper must both occur."""

CONTRAST = 40
"""Between ink and paper, of 255."""

CHANGES = 0.07
"""Changes between ink and paper per pixel of a row through small letters (Latin: about 0.9 per x-height)."""

LEGIBLE = 6.0
"""x-height in pixels from which people read without guessing."""

TALLEST = 48


@dataclass(frozen=True, slots=True)
class Lettering:
    """``lines`` of text seen, in strips; ``height`` is the median x-height in pixels, ``even`` the share of lines near it;
    ``share`` is that of the strips that have any; ``contrast`` between ink and paper, of 1."""

    lines: int
    height: float | None
    even: float
    share: float
    contrast: float


def lettering(crops: tuple[Crop, ...]) -> Lettering:
    """What rows of letters the crops show, at full size and, for large letters, at a third."""
    best: Lettering | None = None
    for size in (1, 3):
        found = _looked(crops, size)
        if best is None or found.lines * found.even > 1.5 * best.lines * best.even:
            best = found
    assert best is not None
    return best


def _looked(crops: tuple[Crop, ...], size: int) -> Lettering:
    heights: list[float] = []
    contrasts: list[float] = []
    strips = having = 0
    for crop in crops:
        plane = crop.luma if size == 1 else _reduced(crop.luma, size)
        if plane.shape[0] < 12 or plane.shape[1] < 24:
            continue
        change, apart = _changes(plane)
        for left in range(0, max(1, plane.shape[1] - STRIP // 2), STRIP):
            strips += 1
            rows = change[:, left : left + STRIP].mean(1)
            found = _lines(rows)
            having += bool(found)
            for top, bottom in found:
                heights.append((bottom - top) * size)
                spot = apart[top:bottom, left : left + STRIP]
                contrasts.append(float(np.percentile(spot, 90)) / 255)
    if not heights:
        return Lettering(0, None, 0.0, 0.0, 0.0)
    middle = float(np.median(heights))
    even = float(np.mean(np.abs(np.array(heights) - middle) <= max(1.0 * size, 0.25 * middle)))
    return Lettering(len(heights), middle, even, having / max(1, strips), float(np.median(contrasts)))


def _reduced(plane: Floats, size: int) -> Floats:
    height, width = (n // size * size for n in plane.shape)
    result: Floats = plane[:height, :width].reshape(height // size, size, width // size, size).mean((1, 3))
    return result


def _changes(plane: Floats) -> tuple[NDArray[np.bool_], Floats]:
    """Where a row changes between ink and paper, ``(h, w)``, and how far ink and paper are apart around each pixel."""
    low, high = _around(plane, np.minimum), _around(plane, np.maximum)
    apart = high - low
    ink = plane - low > apart / 2
    change = np.zeros(plane.shape, np.bool_)
    change[:, 1:] = (ink[:, 1:] != ink[:, :-1]) & (apart[:, 1:] >= CONTRAST)
    return change, apart


def _around(plane: Floats, choose: Any) -> Floats:
    """The least or greatest within about :data:`REACH` pixels along both axes."""
    for axis in (0, 1):
        reach = 1
        while reach <= REACH:
            ahead = np.roll(plane, -reach, axis)
            behind = np.roll(plane, reach, axis)
            plane = choose(choose(plane, ahead), behind)
            reach *= 2
    return plane


def _lines(rows: NDArray[Any]) -> list[tuple[int, int]]:
    """Runs of rows through small letters: many changes, and fewer above and below, where only stems and gaps are."""
    found = []
    busy = rows >= CHANGES / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], busy, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        part = rows[start:end]
        top = float(np.percentile(part, 80))
        if top < CHANGES or start == 0 or end == rows.size:
            continue
        dense = np.flatnonzero(part >= 0.55 * top)
        first, last = int(dense[0]), int(dense[-1]) + 1
        if 3 <= last - first <= TALLEST and (part[first:last] >= 0.4 * top).mean() > 0.8:
            found.append((int(start) + first, int(start) + last))
    return found
