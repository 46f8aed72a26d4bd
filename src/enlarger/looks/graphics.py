"""Flat graphics inside a photograph: logos, charts, panels. Where few flat colours meet at hard edges; nothing is recognised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Image
from enlarger.looks.islands import grown, labelled

CELL = 16
"""Side of the squares that a picture is judged in, in pixels."""

ROWS = 512
"""Rows that are looked at at once, and :data:`BESIDE` more above and below."""
BESIDE = 8

PLAIN, PLAIN_JPEG = 2, 4
"""Steps of 255 up to which neighbours are the same colour, and in a JPEG. Photographs have more: noise, and light that changes."""

HARD = 32
"""Steps of 255 that an edge has at least, over :data:`WIDE` pixels."""
WIDE = 3

CLEAN = 4
"""Clean edges, with plain colour on both sides, that a square must have to be a seed of a graphic."""

TWO, SECOND = 0.55, 0.05
"""Shares of a square's pixels that its two commonest tones must have together, and the second of them."""

LEVELS = 64
APART = HARD * LEVELS // 256 // 2
"""Bins of tones, and how many there are between two tones that count as different."""

JOIN, ACROSS = 1, 5
"""Squares that may lie between parts of a graphic; and how many if they are plain, and nothing but plain."""

SEEDS, SIDE, PURE = 10, 2, 0.25
"""Seeds that a graphic has at least, squares that it is wide and high, and the share of them that are seeds or plain."""
MAIN, MAINS = 0.9, 6
"""Share of the plain pixels in its seeds that its :data:`MAINS` commonest tones have. Texture has other tones in every square."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place that may be a graphic, and what speaks for it: how many ``seeds``, how much of them ``main`` tones are, how many of the
    squares that belong to it are seeds or plain (``pure``)."""

    box: Box
    seeds: int
    main: float
    pure: float

    @property
    def sure(self) -> bool:
        wide = min(self.box.width, self.box.height) > (SIDE - 1) * CELL
        return wide and self.seeds >= SEEDS and self.main >= MAIN and self.pure >= PURE


def boxes(picture: Image) -> list[Box]:
    """Where flat graphics surely are, in pixels of ``picture``, with a square around: seeds need plain colour on both sides."""
    return [one.box.grown(CELL, picture.width, picture.height) for one in candidates(picture) if one.sure]


def candidates(picture: Image) -> list[Found]:
    """All places with seeds, sure or not."""
    clean, tones = _cells(picture)
    first, second, plain = _two(tones)
    full = CELL * CELL
    seeds = (clean >= CLEAN) & (first + second >= TWO * full) & (second >= SECOND * full)
    flat = (first >= 0.95 * full) & ~seeds
    labels, places = labelled(grown(seeds, JOIN) | (grown(seeds, ACROSS) & flat))
    found = []
    for number, place in enumerate(places, 1):
        own = seeds[place] & (labels[place] == number)
        count = int(own.sum())
        if count < 2:
            continue
        rows, columns = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
        part = tones[place][own].sum(0, dtype=np.int64)
        pairs = part[:-1] + part[1:]
        main = 0
        for _ in range(MAINS):
            best = int(pairs.argmax())
            main += int(pairs[best])
            part[best : best + 2] = 0
            pairs = part[:-1] + part[1:]
        top, left = place[0].start + int(rows[0]), place[1].start + int(columns[0])
        bottom, right = place[0].start + int(rows[-1]) + 1, place[1].start + int(columns[-1]) + 1
        pure = float((seeds | flat)[top:bottom, left:right].mean())
        total = max(1, int(plain[place][own].sum()))
        x, y = left * CELL, top * CELL
        box = Box(x, y, min(right * CELL, picture.width) - x, min(bottom * CELL, picture.height) - y)
        found.append(Found(box, count, main / total, pure))
    return found


def _two(tones: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Per square: pixels of its commonest tone, of the next that is another, and plain ones."""
    rows, columns, _ = tones.shape
    flat = tones.reshape(-1, LEVELS)
    pairs = flat[:, :-1] + flat[:, 1:]
    best = pairs.argmax(1)
    first = pairs[np.arange(len(flat)), best]
    others = np.abs(np.arange(LEVELS - 1)[None] - best[:, None]) >= APART
    second = (pairs * others).max(1)
    return first.reshape(rows, columns), second.reshape(rows, columns), flat.sum(1).reshape(rows, columns)


def _cells(picture: Image) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per square: clean edges ``(rows, columns)``, and plain pixels by tone ``(rows, columns, LEVELS)``."""
    edges, tones = [], []
    most = PLAIN if picture.jpeg is None else PLAIN_JPEG
    across = -(-picture.width // CELL)
    for y in range(0, picture.height, ROWS):
        top, count = max(0, y - BESIDE), min(ROWS, picture.height - y)
        grey = _grey(picture, top, min(picture.height, y + ROWS + BESIDE))
        kept = slice(y - top, y - top + count)
        clean_x, same_x = _edges(grey, most)
        clean_y, same_y = (part.T for part in _edges(np.ascontiguousarray(grey.T), most))
        edges.append(_summed((clean_x.view(np.uint8) + clean_y)[kept]))
        plain = (same_x & same_y)[kept]
        square = (np.arange(count) // CELL * across)[:, None] + (np.arange(picture.width) // CELL)[None]
        codes = (square * LEVELS + (grey[kept] // (256 // LEVELS)))[plain]
        down = -(-count // CELL)
        tones.append(np.bincount(codes, minlength=down * across * LEVELS).reshape(down, across, LEVELS))
    return np.concatenate(edges), np.concatenate(tones)


def _grey(picture: Image, top: int, bottom: int) -> NDArray[np.int16]:
    part = picture.samples[top:bottom]
    if part.dtype == np.uint16:
        part = (part >> 8).astype(np.uint8)
    if picture.channels == 1:
        return part[..., 0].astype(np.int16)
    # Weights that tell more colours apart than brightness does, of equal luma too.
    grey = part[..., 0].astype(np.int16) * 5
    grey += part[..., 1].astype(np.int16) * 8
    grey += part[..., 2].astype(np.int16) * 3
    grey >>= 4
    return grey


def _edges(grey: NDArray[np.int16], most: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Along rows, each ``(h, w)``: where a clean edge begins, and which pixels equal the next, up to ``most``."""
    height, width = grey.shape
    clean, same = (np.zeros((height, width), np.bool_) for _ in range(2))
    if width < WIDE + 5:
        return clean, same
    same[:, :-1] = np.abs(np.diff(grey, axis=1)) <= most
    over = np.abs(grey[:, WIDE:] - grey[:, :-WIDE]) >= HARD
    # Of an edge from x to x + 3: x - 1 and x are plain, and so are x + 3 and x + 4.
    clean[:, 1 : -WIDE - 1] = over[:, 1:-1] & same[:, : -WIDE - 2] & same[:, WIDE + 1 : -1]
    return clean, same


def _summed(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sums over squares of :data:`CELL`, the last ones of what is there."""
    rows = np.add.reduceat(mask, np.arange(0, mask.shape[0], CELL), axis=0, dtype=np.uint16)
    summed: NDArray[np.int64] = np.add.reduceat(rows, np.arange(0, mask.shape[1], CELL), axis=1, dtype=np.int64)
    return summed
