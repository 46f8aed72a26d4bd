"""Brings strips of a result to its source's size as they come, so that memory does not grow with the result.

Every strip is reduced along its rows at once; what is kept are rows of the source's width, until a band of source rows is
complete. A :class:`Band` then holds source and result side by side, with a little context above and below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image
from enlarger.measures.grid import Grid
from enlarger.measures.kernels import Floats, along_rows, down_columns, reach

CONTEXT = 8
"""Source rows seen above and below a band; the widest filter needs 6."""

BAND_SAMPLES = 8_000_000
"""Samples of a result that make up a band: enough that calls cost little, few enough for the cache."""

STRIP_SAMPLES = 400_000


@dataclass(frozen=True)
class Band:
    """Source rows ``first`` to ``end`` and what the result has there; arrays begin ``above`` rows earlier.

    ``x`` and ``d`` are source and reduced result, ``(n, w, bands) float32`` in 0..255; ``luma_x`` and ``luma_d`` their
    luma ``(n, w)``. ``middle`` is the result's luma at twice the source's size, ``base`` the source's enlarged plainly.
    Colour under transparency is faded to grey in all of them. ``alpha_x`` and ``alpha_d`` are ``(n, w)`` in 0..255.
    """

    first: int
    end: int
    above: int
    x: Floats
    d: Floats
    luma_x: Floats
    luma_d: Floats
    middle: Floats
    base: Floats
    alpha_x: Floats | None = None
    alpha_d: Floats | None = None

    @property
    def own(self) -> slice:
        """The rows of source size that the band owns."""
        return slice(self.above, self.above + self.end - self.first)


def luma(colour: NDArray[Any]) -> Floats:
    """``(..., 1 or 3)`` to one luma, (R + 2G + B) / 4, float32 in the samples' own units."""
    if colour.shape[-1] == 1:
        return colour[..., 0].astype(np.float32)
    wide = {"uint8": np.uint16, "uint16": np.uint32}.get(colour.dtype.name, np.float32)
    total: NDArray[Any] = colour[..., 1].astype(wide)
    np.add(total, total, out=total)
    np.add(total, colour[..., 0], out=total)
    np.add(total, colour[..., 2], out=total)
    return total.astype(np.float32) * np.float32(0.25)


def over_bands(function: np.ufunc, values: Floats) -> Floats:
    """``(h, w, 1 or 3)`` to ``(h, w)``; numpy's own reduction over so short an axis takes ten times as long."""
    result = values[..., 0]
    for band in range(1, values.shape[-1]):
        result = function(result, values[..., band])
    return result


def as_255(samples: NDArray[Any]) -> Floats:
    """Stored samples as float32 in 0..255."""
    values = samples.astype(np.float32)
    return values * np.float32(1 / 257) if samples.dtype == np.uint16 else values


class Pairing:
    """Takes strips of the result in order, gives bands of source rows that are complete.

    The result is ``width`` x ``height``; it may be grey where the source is RGB or the other way round, and may lack or have
    alpha: what only one of them has is not compared.
    """

    def __init__(self, source: Image, width: int, height: int, grid: Grid) -> None:
        self.source = source
        self.width, self.height = width, height
        self.grid = grid
        self.rows_seen = 0
        self._waiting: list[NDArray[Any]] = []
        self._small: list[Floats] = []
        self._mid: list[Floats] = []
        self._start = 0
        self._row = 0
        self._per_band = max(1, BAND_SAMPLES // max(1, width * (height * 32 // max(1, source.height) + 1) * 3))

    def add(self, rows: NDArray[Any]) -> Iterator[Band]:
        """``rows`` is ``(n, width, bands)``, the next ``n`` rows of the result."""
        self._waiting.append(rows)
        self.rows_seen += len(rows)
        if sum(part.size for part in self._waiting) >= STRIP_SAMPLES or self.rows_seen == self.height:
            self._reduce(np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0])
            self._waiting.clear()
            yield from self._complete()

    def _reduce(self, rows: NDArray[Any]) -> None:
        small_width = self.source.width
        unit = np.float32(1 / 257) if rows.dtype == np.uint16 else np.float32(1)
        small, mid = (
            along_rows(rows, small_width, "cubic"),
            along_rows(luma(rows[..., : _colours(rows)])[..., None], 2 * small_width, "cubic"),
        )
        self._small.append(small * unit if unit != 1 else small)
        self._mid.append(mid[..., 0] * unit if unit != 1 else mid[..., 0])

    def _complete(self) -> Iterator[Band]:
        edges = self.grid.ys
        while self._row < self.grid.rows:
            last = min(self._row + self._per_band, self.grid.rows)
            first, end = edges[self._row], edges[last]
            low, high = max(0, first - CONTEXT), min(self.source.height, end + CONTEXT)
            if self._needs(low, high)[1] > self.rows_seen:
                return
            yield self._band(first, end, low, high)
            self._row = last
            if last < self.grid.rows:
                self._forget(self._needs(max(0, edges[last] - CONTEXT), edges[last] + 1)[0])

    def _needs(self, low: int, high: int) -> tuple[int, int]:
        return reach(self.height, self.source.height, "cubic", low, high)

    def _forget(self, row: int) -> None:
        """Drops rows before ``row``; the rest is copied, or what is dropped would stay with it."""
        over = row - self._start
        self._small, self._mid = ([np.concatenate(parts)[over:].copy()] for parts in (self._small, self._mid))
        self._start = row

    def _band(self, first: int, end: int, low: int, high: int) -> Band:
        small, mid = np.concatenate(self._small), np.concatenate(self._mid)
        self._small, self._mid = [small], [mid]
        height = self.source.height
        d = down_columns(small, self._start, self.height, height, "cubic", low, high)
        middle = down_columns(mid, self._start, self.height, 2 * height, "cubic", 2 * low, 2 * high)
        wide_low, wide_high = max(0, low - 3), min(height, high + 3)
        samples = self.source.samples[wide_low:wide_high]
        x = as_255(samples)
        channels = self.source.channels
        twice = along_rows(luma(x[..., :channels])[..., None], 2 * self.source.width, "cubic")[..., 0]
        base = down_columns(twice, wide_low, height, 2 * height, "cubic", 2 * low, 2 * high)
        x = x[low - wide_low : high - wide_low]
        return _faded(first, end, first - low, x, d, middle, base, channels)


def _colours(samples: NDArray[Any]) -> int:
    return 1 if samples.shape[-1] < 3 else 3


def _faded(first: int, end: int, above: int, x: Floats, d: Floats, middle: Floats, base: Floats, channels: int) -> Band:
    alpha_x = np.ascontiguousarray(x[..., channels]) if x.shape[-1] > channels else None
    alpha_d = np.ascontiguousarray(d[..., -1]) if d.shape[-1] in (2, 4) else None
    x, d = x[..., :channels], d[..., : _colours(d)]
    if x.shape[-1] != d.shape[-1]:
        x, d = (np.broadcast_to(part, (*part.shape[:2], 3)) for part in (x, d))
    if alpha_x is not None:
        cover = alpha_x * np.float32(1 / 255)
        x, d = ((part - 128) * cover[..., None] + 128 for part in (x, d))
        twice = cover.repeat(2, axis=0).repeat(2, axis=1)
        middle, base = ((part - 128) * twice + 128 for part in (middle, base))
    both = alpha_x is not None and alpha_d is not None
    return Band(first, end, above, x, d, luma(x), luma(d), middle, base, alpha_x if both else None, alpha_d if both else None)
