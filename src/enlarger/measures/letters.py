"""Where a picture may have words: rows of strokes that are either ink or paper. Cheap, and meant to find too much rather than too little.

Looked for at the source's size, for small print, and at a quarter of it, for lettering that is larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image
from enlarger.measures.grid import binned, cells, extremes
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import as_255, luma

CELL = 8
"""Side of what is counted together, in pixels of the size that is looked at."""
SIZES = (1, 4)
"""By how much the source is reduced before it is looked at."""
REACH = 5
"""Pixels within which ink and paper must both occur."""
CONTRAST = 32
"""Between ink and paper, of 255."""
CHANGES = 0.06
"""Changes between ink and paper per pixel of a row, from which there may be strokes."""
NEAR = 5
"""Pixels of a row around a change that should be one or the other."""
STRIP = 256
"""Rows looked at together: memory does not depend on the height."""
MARGIN = 12
"""Pixels added on all sides."""
WINDOW, LINE, OVERLAP = (40, 16), 3, 2
"""Cells that a crop has at most, across and down; and those that crops have in common: a line's height, and some letters."""
FEWEST = 3
"""Cells with strokes that make a window worth reading."""
MOST, BUDGET = 6, 120_000
"""Crops, and their pixels together, of the size that is looked at."""


@dataclass(frozen=True)
class Crop:
    """``x, y, width, height`` in source pixels; ``size`` says by how much strokes are larger than small print."""

    x: int
    y: int
    width: int
    height: int
    size: int


def grey(samples: NDArray[np.generic]) -> Floats:
    """``(n, w, 1 to 4)`` to ``(n, w)`` in 0..255; what is transparent fades to grey."""
    values = as_255(samples)
    bands = values.shape[-1]
    if bands in (1, 3):
        return luma(values)
    return (luma(values[..., : bands - 1]) - 128) * (values[..., -1] * np.float32(1 / 255)) + 128


def find(source: Image) -> list[Crop]:
    """The most promising crops, the best first; none lies by half on those before it."""
    found = [(score, crop) for size in SIZES if min(source.width, source.height) >= 2 * CELL * size for score, crop in _at(source, size)]
    found.sort(key=lambda item: -item[0])
    kept: list[Crop] = []
    spent = 0
    for _, crop in found:
        area = crop.width * crop.height // crop.size**2
        if len(kept) == MOST:
            break
        if spent + area <= BUDGET and sum(_common(crop, other) for other in kept) * 2 < crop.width * crop.height:
            kept.append(crop)
            spent += area
    return kept


def _common(a: Crop, b: Crop) -> int:
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return max(0, across) * max(0, down)


def _at(source: Image, size: int) -> list[tuple[float, Crop]]:
    """Windows with strokes and how many strokes they have, cut to what has some."""
    density = _density(source, size)
    # A word is a row of such cells; a lone edge or speck is not.
    padded = np.pad(density, [(0, 0), (1, 1)], mode="edge")
    strokes = np.where((padded[:, :-2] + density + padded[:, 2:]) / 3 >= CHANGES, density, np.float32(0))
    found = []
    for left in range(0, max(1, strokes.shape[1] - OVERLAP), WINDOW[0] - OVERLAP):
        column = strokes[:, left : left + WINDOW[0]]
        for top, bottom in _runs(np.asarray(column.any(axis=1))):
            window = column[top:bottom]
            if np.count_nonzero(window) < FEWEST:
                continue
            across = np.flatnonzero(window.any(axis=0))
            x, y = max(0, (left + int(across[0])) * CELL - MARGIN) * size, max(0, top * CELL - MARGIN) * size
            end_x = min(source.width, ((left + int(across[-1]) + 1) * CELL + MARGIN) * size)
            end_y = min(source.height, (bottom * CELL + MARGIN) * size)
            found.append((float(window.sum()), Crop(x, y, end_x - x, end_y - y, size)))
    return found


def _runs(rows: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """From where to where rows have strokes; long runs in pieces, with a line's height in common."""
    steps = np.diff(np.concatenate([[False], rows, [False]]).astype(np.int8))
    for start, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        for top in range(int(start), max(int(start) + 1, int(end) - LINE), WINDOW[1] - LINE):
            yield top, min(top + WINDOW[1], int(end))


def _density(source: Image, size: int) -> Floats:
    """Per cell, changes between ink and paper per pixel."""
    height, parts = source.height // size, []
    for y in range(0, height, STRIP):
        low, high = max(0, y - REACH), min(height, y + STRIP + REACH)
        values = grey(source.samples[low * size : high * size])
        values = cells(values, size) if size > 1 else values
        strokes = _strokes(np.rint(values).clip(0, 255).astype(np.uint8))[y - low : y - low + STRIP]
        counted = binned(strokes, list(range(0, strokes.shape[0], CELL)), list(range(0, strokes.shape[1], CELL)))
        parts.append(counted.astype(np.float32) / np.float32(NEAR * CELL**2))
    return np.concatenate(parts)


def _strokes(values: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """``(h, w)``: 0 to :data:`NEAR` where a row changes between ink and paper, by how much around is clearly one of the two."""
    low, high = extremes(values, REACH)
    apart = high - low
    clear = apart >= CONTRAST
    ink = values - low > apart >> 1
    change = np.zeros(values.shape, np.bool_)
    change[:, 1:] = (ink[:, 1:] != ink[:, :-1]) & clear[:, 1:] & clear[:, :-1]
    # Ink and paper lie at the ends of what is around; shades lie between.
    settled = np.pad(clear & (np.minimum(values - low, high - values) <= apart >> 2), [(0, 0), (NEAR // 2, NEAR // 2)], mode="edge")
    near = np.zeros(values.shape, np.uint32)
    for i in range(NEAR):
        near += settled[:, i : i + values.shape[1]]
    return near * change
