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


def lines_of(crop: Crop) -> list[tuple[int, int, int, int]]:
    """Lines of letters in a crop that surely are some: ``left, top, right, bottom`` of their small letters, in its pixels.

    Stricter than :func:`lettering`: ink of about one tone on even paper, level over :data:`LEAST` pieces that do not overlap.
    """
    found = []
    for size in (1, 3):
        plane = crop.luma if size == 1 else _reduced(crop.luma, size)
        if plane.shape[0] < 12 or plane.shape[1] < LEAST * PIECE:
            continue
        change, _ = _changes(plane)
        chains: list[list[tuple[int, int, int]]] = []
        for left in range(0, plane.shape[1] - PIECE // 2, PIECE):
            for top, bottom in _lines(change[:, left : left + PIECE].mean(1)):
                # Ascenders and descenders belong to a line, and so does some paper above and below it.
                high = bottom - top
                if not _printed(plane[max(0, top - high // 2) : bottom + high // 2, left : left + PIECE]):
                    continue
                allowed = max(1, high // 4)
                chain = next(
                    (c for c in chains if c[-1][0] == left - PIECE and abs(c[-1][1] - top) <= allowed >= abs(c[-1][2] - bottom)), None
                )
                if chain is None:
                    chains.append([(left, top, bottom)])
                else:
                    chain.append((left, top, bottom))
        for chain in chains:
            if len(chain) >= LEAST:
                tops, bottoms = [top for _, top, _ in chain], [bottom for _, _, bottom in chain]
                left, right = max(0, chain[0][0] - PIECE // 2), min(plane.shape[1], chain[-1][0] + PIECE + PIECE // 2)
                found.append((left * size, min(tops) * size, right * size, max(bottoms) * size))
    return found


PIECE, LEAST = 48, 3
"""Width in which a line must show by itself, a word, and how many of them in a row make one."""

EVEN_PAPER, EVEN_INK = 0.1, 0.3
"""Deviation of paper and of ink from its own tone, of what lies between the two."""


def _printed(plane: Floats) -> bool:
    """Whether ``plane`` is ink of one tone on paper of one tone, some of each."""
    low, high = np.percentile(plane, (3, 97))
    if high - low < CONTRAST:
        return False
    dark = plane < (low + high) / 2
    share = float(dark.mean())
    paper, ink = (plane[~dark], plane[dark]) if share < 0.5 else (plane[dark], plane[~dark])
    if not 0.06 <= min(share, 1 - share) <= 0.45:
        return False
    # Letters of a few pixels are half edge: the middle half of what is darker has to be of one tone.
    quartiles = np.percentile(ink, (25, 75))
    apart = abs(float(np.median(paper)) - float(np.median(ink)))
    calm = _percentile(np.abs(paper - np.median(paper)), 70)
    return calm <= EVEN_PAPER * apart and float(quartiles[1] - quartiles[0]) <= 2 * EVEN_INK * apart


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
                contrasts.append(_percentile(spot, 90) / 255)
    if not heights:
        return Lettering(0, None, 0.0, 0.0, 0.0)
    middle = float(np.median(heights))
    even = float(np.mean(np.abs(np.array(heights) - middle) <= max(1.0 * size, 0.25 * middle)))
    return Lettering(len(heights), middle, even, having / max(1, strips), float(np.median(contrasts)))


def _percentile(values: NDArray[Any], share: float) -> float:
    """As ``np.percentile``, without what that costs on hundreds of small arrays."""
    at = (values.size - 1) * share / 100
    low = int(at)
    near = np.partition(values, (low, min(low + 1, values.size - 1)), axis=None)
    return float(near[low] + (at - low) * (near[min(low + 1, values.size - 1)] - near[low]))


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
        top = _percentile(part, 80)
        if top < CHANGES or start == 0 or end == rows.size:
            continue
        dense = np.flatnonzero(part >= 0.55 * top)
        first, last = int(dense[0]), int(dense[-1]) + 1
        if 3 <= last - first <= TALLEST and (part[first:last] >= 0.4 * top).mean() > 0.8:
            found.append((int(start) + first, int(start) + last))
    return found
