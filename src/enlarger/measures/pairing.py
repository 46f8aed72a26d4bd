"""Brings strips of a result to its source's size as they come, so that memory does not grow with the result.

Every strip is reduced at once, along its rows and down its columns; what is kept are rows of the source's size, until a band of
them is complete. It goes out in pieces, so that no measure holds more than a piece of a wide picture: a :class:`Band` has source and
result side by side, with a little context on all sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image
from enlarger.measures.grid import BLOCK, Area, Grid
from enlarger.measures.kernels import Falling, Floats, along_rows, down_columns

CONTEXT = 8
"""Source pixels seen around a band; the widest filter needs 6."""

BAND_PIXELS = 160_000
"""Source pixels in the rows of a band, of which several are held when a strip is high."""

PIECE_PIXELS = 64_000
"""Source pixels of the pieces that a band is judged in: enough that calls cost little, few enough for the cache."""

MARGIN = 3
"""Source pixels around a piece that its plain enlargement is made of."""

STRIP_SAMPLES = 400_000
"""Samples that are waited for before they are reduced."""

MOST_SAMPLES, LEAST_ROWS = 1_600_000, 4
"""Samples that are reduced at once, and the fewest rows: libvips holds several times as many floats meanwhile."""


@dataclass(frozen=True)
class Band:
    """The source pixels of ``area`` and what the result has there; arrays begin ``above`` rows and ``before`` columns earlier.

    ``x`` and ``d`` are source and reduced result, ``(n, w, bands) float32`` in 0..255; ``luma_x`` and ``luma_d`` their
    luma ``(n, w)``. ``middle`` is the result's luma at twice the source's size, ``base`` the source's enlarged plainly.
    Colour under transparency is faded to grey in all of them. ``alpha_x`` and ``alpha_d`` are ``(n, w)`` in 0..255.
    """

    area: Area
    above: int
    before: int
    x: Floats
    d: Floats
    luma_x: Floats
    luma_d: Floats
    middle: Floats
    base: Floats
    alpha_x: Floats | None = None
    alpha_d: Floats | None = None

    @property
    def own(self) -> tuple[slice, slice]:
        """Rows and columns of source size that the band owns."""
        return self._own(1)

    @property
    def own_twice(self) -> tuple[slice, slice]:
        """The same in ``middle`` and ``base``."""
        return self._own(2)

    def _own(self, times: int) -> tuple[slice, slice]:
        area = self.area
        return (
            slice(times * self.above, times * (self.above + area.bottom - area.top)),
            slice(times * self.before, times * (self.before + area.right - area.left)),
        )


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
        self._small = Falling(height, source.height, "cubic")
        self._mid = Falling(height, 2 * source.height, "cubic")
        self._row = 0
        self._per_band = min(grid.rows, max(1, BAND_PIXELS // (BLOCK * source.width)))
        self._per_piece = min(grid.columns, max(1, PIECE_PIXELS // (BLOCK * BLOCK * self._per_band)))

    def add(self, rows: NDArray[Any]) -> Iterator[Band]:
        """``rows`` is ``(n, width, bands)``, the next ``n`` rows of the result."""
        self._waiting.append(rows)
        self.rows_seen += len(rows)
        if sum(part.size for part in self._waiting) >= STRIP_SAMPLES or self.rows_seen == self.height:
            rows = np.concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]
            self._waiting.clear()
            few = max(LEAST_ROWS, MOST_SAMPLES * len(rows) // rows.size)
            for y in range(0, len(rows), few):
                self._reduce(rows[y : y + few])
            yield from self._complete()

    @property
    def held(self) -> int:
        """Rows of the source's width in memory."""
        return self._small.held + self._mid.held

    def _reduce(self, rows: NDArray[Any]) -> None:
        small_width = self.source.width
        unit = np.float32(1 / 257) if rows.dtype == np.uint16 else np.float32(1)
        small = along_rows(rows, small_width, "cubic")
        self._small.add(small * unit if unit != 1 else small)
        mid = along_rows(luma(rows[..., : _colours(rows)])[..., None], 2 * small_width, "cubic")[..., 0]
        self._mid.add(mid * unit if unit != 1 else mid)

    def _complete(self) -> Iterator[Band]:
        ys, xs, height = self.grid.ys, self.grid.xs, self.source.height
        while self._row < self.grid.rows:
            last = min(self._row + self._per_band, self.grid.rows)
            high = min(height, ys[last] + CONTEXT)
            if self._small.ready < high or self._mid.ready < 2 * high:
                return
            for column in range(0, self.grid.columns, self._per_piece):
                end = min(column + self._per_piece, self.grid.columns)
                yield self._band(Area(ys[self._row], ys[last], xs[column], xs[end]))
            self._row = last
            low = max(0, ys[last] - CONTEXT)
            self._small.forget(low)
            self._mid.forget(2 * low)

    def _band(self, area: Area) -> Band:
        height, width, channels = self.source.height, self.source.width, self.source.channels
        low, high = max(0, area.top - CONTEXT), min(height, area.bottom + CONTEXT)
        left, right = max(0, area.left - CONTEXT), min(width, area.right + CONTEXT)
        d = self._small.rows(low, high, slice(left, right))
        middle = self._mid.rows(2 * low, 2 * high, slice(2 * left, 2 * right))
        # The plain enlargement needs a little more on all sides; past the border rows and columns repeat, as everywhere.
        from_row, to_row = max(0, low - MARGIN), min(height, high + MARGIN)
        from_column, to_column = max(0, left - MARGIN), min(width, right + MARGIN)
        x = as_255(self.source.samples[from_row:to_row, from_column:to_column])
        twice = along_rows(luma(x[..., :channels])[..., None], 2 * (to_column - from_column), "cubic")[..., 0]
        twice = twice[:, 2 * (left - from_column) : 2 * (right - from_column)]
        base = down_columns(twice, from_row, height, 2 * height, "cubic", 2 * low, 2 * high)
        x = x[low - from_row : high - from_row, left - from_column : right - from_column]
        return _faded(area, area.top - low, area.left - left, x, d, middle, base, channels)


def _colours(samples: NDArray[Any]) -> int:
    return 1 if samples.shape[-1] < 3 else 3


def _faded(area: Area, above: int, before: int, x: Floats, d: Floats, middle: Floats, base: Floats, channels: int) -> Band:
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
    return Band(area, above, before, x, d, luma(x), luma(d), middle, base, alpha_x if both else None, alpha_d if both else None)
