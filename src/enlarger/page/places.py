"""Where to look at 100 %: an edge, small text, a shadow. Found by arithmetic on the source's brightness, without any model.

The source (reduced where it is large) is cut into small blocks; each gets a few figures; windows of blocks are scored by them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from enlarger.fidelity import Fidelity, Region
from enlarger.image import Box

Floats = NDArray[np.float32]

CROP = (400, 300)
"""Width and height of a crop in the result's pixels."""
REGIONS = 6
ACROSS = 12
"""Blocks along the width of a window."""
STROKE = 40.0
"""Contrast in 1/255 from which strokes are legible as such."""
TEXT_LEAST, SHADOW_LEAST = 0.09, 18.0
"""Text scores 0.10 and more on print and labels; lattices and zebras reach 0.08, other photographs 0.06."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and why: ``box`` in the result's pixels."""

    box: Box
    title: str
    why: str
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Blocks:
    """Per block, ``(rows, columns)`` each: mean brightness, strongest step, cornerness; ``(rows, columns, 8)``: signs of strokes."""

    mean: Floats
    step: Floats
    corner: Floats
    strokes: Floats


def blocks(luma: Floats, side: int) -> Blocks:
    """Figures of whole blocks of ``side`` pixels of ``luma``, ``(h, w)`` in 0 to 255, strip by strip."""
    rows, columns = luma.shape[0] // side, luma.shape[1] // side
    tables = [np.zeros((rows, columns, *more), np.float32) for more in ((), (), (), (8,))]
    many = max(1, 2**18 // (side * luma.shape[1]))
    for first in range(0, rows, many):
        last = min(rows, first + many)
        top, bottom = max(0, first * side - 4), min(len(luma), last * side + 4)
        for table, values in zip(tables, _figures(luma[top:bottom, : columns * side], first * side - top, last - first, side), strict=True):
            table[first:last] = values
    return Blocks(*tables)


def _figures(part: Floats, skip: int, rows: int, side: int) -> tuple[Floats, ...]:
    """The four tables of ``rows`` rows of blocks, the first of which begins ``skip`` pixels down in ``part``."""

    def cut(values: Floats) -> Floats:
        return values[skip : skip + rows * side].reshape(rows, side, -1, side)

    # Central differences, as a step over two pixels.
    gx, gy = np.zeros_like(part), np.zeros_like(part)
    gx[:, 1:-1], gy[1:-1] = part[:, 2:] - part[:, :-2], part[2:] - part[:-2]
    xx, yy, xy = (cut(v).mean((1, 3)) for v in (gx * gx, gy * gy, gx * gy))
    weaker = (xx + yy) / 2 - np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    step = cut(np.maximum(np.abs(gx), np.abs(gy))).max((1, 3))
    low, high = _extreme(part, np.minimum), _extreme(part, np.maximum)
    span = high - low
    strong = span >= STROKE
    # Ink and paper, and many changes from one to the other.
    ink = strong & (part - low < span / 2)
    changes = np.zeros_like(part)
    changes[:, 1:] += (ink[:, 1:] != ink[:, :-1]) & strong[:, 1:] & strong[:, :-1]
    changes[1:] += (ink[1:] != ink[:-1]) & strong[1:] & strong[:-1]
    either = strong & (np.minimum(part - low, high - part) < 0.25 * span)
    signs = (strong, changes, either, span * strong, high * strong, high * high * strong, low * strong, low * low * strong)
    strokes = np.stack([cut(np.asarray(sign, np.float32)).mean((1, 3)) for sign in signs], -1)
    return cut(part).mean((1, 3)), step, np.sqrt(np.maximum(weaker, 0)), strokes


def _extreme(values: Floats, of: np.ufunc) -> Floats:
    """Least or greatest over 7 x 7, borders repeated."""
    for axis in (0, 1):
        padded = np.pad(values, [(3, 3) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        values = of.reduce([np.take(padded, range(i, i + values.shape[axis]), axis) for i in range(7)])
    return values


def automatic(luma: Floats, width: int, height: int, faces: tuple[Region, ...] = ()) -> list[Place]:
    """Up to three places in a result of ``width`` x ``height`` whose source is ``luma``, ``(h, w)`` in 0 to 255, at any size.

    Eyes, where ``faces`` are known, or else the strongest edge; writing, or else the finest detail; a shadow.
    """
    size = min(CROP[0], width), min(CROP[1], height)
    across, down = width / luma.shape[1], height / luma.shape[0]
    side = max(2, round(size[0] / across / ACROSS))
    if min(luma.shape) < 2 * side:
        middle = around((width / 2, height / 2), width, height)
        return [Place(middle, "The middle", "The picture is too small to choose from.")]
    found = blocks(luma, side)
    window = (
        max(1, min(found.mean.shape[0], round(size[1] / down / side))),
        max(1, min(found.mean.shape[1], round(size[0] / across / side))),
    )
    taken: dict[int, Place] = {}

    def add(order: int, score: Floats, title: str, why: str) -> None:
        row, column = _best(score, window, list(taken.values()), (across * side, down * side))
        centre = (column + window[1] / 2) * side * across, (row + window[0] / 2) * side * down
        taken[order] = Place(around(centre, width, height), title, why)

    if faces:
        x, y, w, h = faces[0].box
        taken[0] = Place(around((x + w / 2, y + h * 0.4), width, height), "Eyes", "The first face that was found.")
    # Writing before edges: the strongest edges of a label are its letters.
    text, shadow = _text(found, window), _shadow(found, window)
    written = float(text.max()) >= TEXT_LEAST
    if written:
        add(1, text, "Small text or strokes", "Where the source has fine strokes of two tones, as letters and labels have.")
    if not faces:
        add(0, _edge(found, window), "Strongest edge", "Where a clear contour meets calm surroundings.")
    if not written:
        add(1, _means(found.corner, window), "Finest detail", "No writing was found; here the source has the most fine detail.")
    if float(shadow.max()) >= SHADOW_LEAST:
        add(2, shadow, "Shadow", "Where the source goes smoothly from dark to light; banding and blotches would show here.")
    else:
        add(2, -_means(found.step, window), "Calmest area", "No smooth shadow was found; here the source is calmest.")
    return _distinct([taken[order] for order in sorted(taken)])


def _distinct(places: list[Place]) -> list[Place]:
    """Small pictures have only one place."""
    kept: list[Place] = []
    for place in places:
        if all(place.box != other.box for other in kept):
            kept.append(place)
    return kept


def _best(score: Floats, window: tuple[int, int], taken: list[Place], block: tuple[float, float]) -> tuple[int, int]:
    """Row and column of the best window that lies aside of those taken, if any does."""
    rows, columns = np.indices(score.shape)
    free = np.ones(score.shape, bool)
    for place in taken:
        x = place.box.x / block[0]
        y = place.box.y / block[1]
        free &= (np.abs(columns - x) >= 0.7 * window[1]) | (np.abs(rows - y) >= 0.7 * window[0])
    masked = np.where(free, score, -np.inf) if free.any() else score
    row, column = np.unravel_index(int(np.argmax(masked)), score.shape)
    return int(row), int(column)


def _means(table: Floats, window: tuple[int, int]) -> Floats:
    """Means over every window, by sums of sums."""
    total = np.pad(table.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    h, w = window
    return np.asarray((total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]) / (h * w), np.float32)


def _edge(found: Blocks, window: tuple[int, int]) -> Floats:
    """A strong step in the middle of the window, more so with corners, and no more than a third of the window busy."""
    strong = found.step + found.corner
    middle = max(1, window[0] // 3), max(1, window[1] // 3)
    inner = _means(strong.astype(np.float32), middle)
    top, left = (window[0] - middle[0]) // 2, (window[1] - middle[1]) // 2
    centred = inner[top : top + found.mean.shape[0] - window[0] + 1, left : left + found.mean.shape[1] - window[1] + 1]
    busy = _means((found.step > 60).astype(np.float32), window)
    return np.asarray(centred * (1 - np.maximum(busy - 0.33, 0)), np.float32)


def _text(found: Blocks, window: tuple[int, int]) -> Floats:
    """Likeness to writing in the middle rows of the window: many changes between two tones, each the same all over it.

    Foliage and cloth change as often, but what is bright or dark in them differs from place to place.
    """
    middle = max(1, window[0] // 2), window[1]
    share, changes, either, span, high, high2, low, low2 = (_means(found.strokes[..., i], middle) for i in range(8))
    some = np.maximum(share, 0.02)
    tones = (np.sqrt(np.maximum(squares / some - (mean / some) ** 2, 0)) for mean, squares in ((high, high2), (low, low2)))
    better, other = np.sort(np.stack(list(tones)), axis=0)
    unlike = (better + 0.5 * other) / np.maximum(span / some, STROKE)
    score = np.minimum(changes, 0.35) * np.maximum(either / some - 0.4, 0) * np.clip(1.2 - 3 * unlike, 0, 1)
    top = (window[0] - middle[0]) // 2
    return np.asarray(score, np.float32)[top : top + found.mean.shape[0] - window[0] + 1]


def _shadow(found: Blocks, window: tuple[int, int]) -> Floats:
    """How far brightness climbs across the window in one plane, less what departs from the plane, less edges; dark at one end."""
    h, w = window
    y, x = np.indices(window, np.float32) - np.array([(h - 1) / 2, (w - 1) / 2], np.float32)[:, None, None]
    views = sliding_window_view(found.mean, window)
    mean = _means(found.mean, window)
    slope_y = np.einsum("abij,ij->ab", views, y) / max(1e-6, float((y * y).sum()))
    slope_x = np.einsum("abij,ij->ab", views, x) / max(1e-6, float((x * x).sum()))
    variance = np.maximum(_means(found.mean**2, window) - mean**2, 0)
    explained = slope_y**2 * float((y * y).mean()) + slope_x**2 * float((x * x).mean())
    left = np.sqrt(np.maximum(variance - explained, 0))
    climb = np.abs(slope_y) * (h - 1) + np.abs(slope_x) * (w - 1)
    bright = np.maximum(mean - climb / 2 - 80, 0) * 0.5
    return np.asarray(np.minimum(climb, 90) - 2 * left - 0.8 * _means(found.step, window) - bright, np.float32)


def around(centre: tuple[float, float], width: int, height: int) -> Box:
    """The crop about ``centre``, moved to lie within ``width`` x ``height``."""
    w, h = min(CROP[0], width), min(CROP[1], height)
    x = min(max(0, round(centre[0] - w / 2)), width - w)
    y = min(max(0, round(centre[1] - h / 2)), height - h)
    return Box(x, y, w, h)


def doubted(fidelity: Fidelity | None) -> list[Place]:
    """Up to :data:`REGIONS` crops of what verify named, the worst first; what lies within one crop is said at it."""
    places: list[Place] = []
    if fidelity is None:
        return places
    for region in fidelity.regions:
        if region.verdict == "pass":
            continue
        x, y, w, h = region.box
        centre = x + w / 2, y + h / 2
        holds = [i for i, p in enumerate(places) if p.box.x <= centre[0] < p.box.right and p.box.y <= centre[1] < p.box.bottom]
        if holds:
            old = places[holds[0]]
            if region.reason not in old.why:
                places[holds[0]] = Place(old.box, old.title, f"{old.why}; {region.reason}", old.region)
        elif len(places) < REGIONS:
            places.append(Place(around(centre, fidelity.width, fidelity.height), "", region.reason, region))
    return places
