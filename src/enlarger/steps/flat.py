"""Flat areas: where the source is one colour as far as a net can see, so that plain resampling says all there is to say.

A source is looked at in cells of 8 x 8 pixels. A cell is flat when the range of every band over the cell and the halo of the net around
it is at most 2/255 after the noise is discounted, or when all of that is fully transparent. What becomes of a pixel depends on the
source alone, never on how it is cut into tiles::

    y = U(x) + w * (net(x) - U(x))      w = 0 in flat cells, climbs to 1 over the cells beside them, is 1 everywhere else

Nets tint flat colours by a few levels; the climb keeps that from showing as an edge. It lies where the net already sees flat
colour in all but the outer 8 pixels of its halo, so nothing of an edge is blended away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Samples, Tile
from enlarger.pixels.bands import smoothed
from enlarger.pixels.scaling import Sizes, planes_of
from enlarger.steps.tiles import Grid, box_between, split

CELL = 8
"""Side of a cell in source pixels; also the width of the climb."""

POOL = 4
"""Side of the blocks whose least, greatest and mean sample stand for them; halos are rounded up to it."""

FLAT = 2 / 255
"""Range of a flat area, white being 1."""

MOST_NOISE = 1 / 255
"""Above this deviation grain is part of the picture, and what a net makes of it cannot be had by resampling."""

NOISE_RANGE, MEAN_RANGE = 8.0, 1.0
"""What noise adds to the range of the pixels (plus and minus 4 deviations) and of the means of blocks, in deviations."""

LEAST = 4
"""Cells along the side of the smallest square that is worth a change from net to resampling."""

BLOCK = 64
"""Side in source pixels of the blocks that are resampled at once."""

BAND = 2**22
"""Samples that are looked at at once while a map is made."""

CALL = 32 * 32
"""What one more call of a net costs, in pixels (measured: 6 ms at 5 us a pixel)."""

WORTH = 0.95
"""A part is cut when its pieces cost no more than this share of it."""

SHORT = 0.25
"""Share of the halo that a net sees beyond a part where all of the halo is flat.

What is not flat lies a whole halo inside of the part there, so it sees more context than in a tile; the flat ring around it is hardly
changed by what the net makes of the end of the tile, and is on its way to being resampled."""

LINES = 4
"""Lines across a tile, at most, along which it may be cut."""

CUT = 64
"""Least distance of those lines, in source pixels."""

Cells = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FlatMap:
    """Which ``cells`` (``(rows, columns)``, True is flat) of ``width`` x ``height`` need no net; there ``grain`` is smoothed."""

    width: int
    height: int
    cells: Cells
    grain: bool = False
    _vertices: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        around = np.pad(~self.cells, 1, mode="edge")
        corners = around[:-1, :-1] & around[1:, :-1] & around[:-1, 1:] & around[1:, 1:]
        object.__setattr__(self, "_vertices", corners.astype(np.float32))

    def touches(self, box: Box) -> bool:
        """True when any pixel of ``box`` (source pixels) is flat or beside what is flat, so that ``weight`` is not 1 throughout."""
        return not bool(self._vertices[_cells_of(box, 1)].all())

    def pixels(self, box: Box) -> int:
        """Flat source pixels in ``box``."""
        part = self.cells[_cells_of(box)].astype(np.int64)
        ys, xs = (_overlaps(start, stop) for start, stop in ((box.y, box.bottom), (box.x, box.right)))
        return int(ys @ part @ xs)

    def weight(self, box: Box, scale: int) -> Tile:
        """The net's share ``w`` in the pixels of ``box`` enlarged, ``(h * scale, w * scale, 1)``."""
        part = self._vertices[_cells_of(box, 1)]
        share: Tile = np.matmul(_climb(box.y, box.bottom, scale) @ part, _climb(box.x, box.right, scale).T, dtype=np.float32)
        smooth: Tile = share * share * (3 - 2 * share)
        return smooth[:, :, None]

    def resample(self, answer: Tile, samples: Samples, alpha: bool, span: Box, sizes: Sizes) -> None:
        """Turn ``answer``, the net's for ``span`` (finite also where no part was), into ``y``, in place.

        Block by block: what is all net is left alone, and a block of one colour is not resampled but filled.
        """
        for y in range(span.y // BLOCK * BLOCK, span.bottom, BLOCK):
            for x in range(span.x // BLOCK * BLOCK, span.right, BLOCK):
                self._block(answer, samples, alpha, span, Box(x, y, BLOCK, BLOCK), sizes)

    def _block(self, answer: Tile, samples: Samples, alpha: bool, span: Box, block: Box, sizes: Sizes) -> None:
        box = box_between(max(block.x, span.x), max(block.y, span.y), min(block.right, span.right), min(block.bottom, span.bottom))
        if box.width <= 0 or box.height <= 0:
            return
        corners = self._vertices[_cells_of(box, 1)]
        if corners.all():
            return
        if corners.any() and block.width > 2 * CELL:
            # Small blocks beside the net's part: what is not flat stays out of them, and one colour is cheap.
            for part in split(block):
                self._block(answer, samples, alpha, span, part, sizes)
            return
        scale = sizes.out_width // self.width
        at = Box(box.x - span.x, box.y - span.y, box.width, box.height).scaled(scale).slices()
        plain = self.plain(samples, alpha, box, sizes)
        answer[at] = plain + self.weight(box, scale) * (answer[at] - plain) if corners.any() else plain

    def plain(self, samples: Samples, alpha: bool, box: Box, sizes: Sizes) -> Tile:
        """U of ``box`` (source pixels) of ``samples``, grain smoothed: ``(h * s, w * s, bands)``."""
        scale, bands = sizes.out_width // self.width, samples.shape[2]
        target = box.scaled(scale)
        read = sizes.below(target)
        if self.grain:
            read = read.grown(6, self.width, self.height)
        seen = samples[read.slices()]
        if (seen == seen[0, 0]).all():
            one = planes_of(seen[:1, :1], bands)[:, 0, 0]
            return np.broadcast_to(one, (target.height, target.width, bands))
        planes = planes_of(seen, bands)
        if self.grain:
            colours = bands - alpha
            planes[:colours] = smoothed(smoothed(planes[:colours], 1), 2)
        return sizes.enlarged(planes, (read.x, read.y), target).transpose(1, 2, 0)

    def parts(self, span: Box, grid: Grid, min_side: int = 1) -> tuple[Part, ...]:
        """Disjoint parts of ``span`` that hold all its pixels that are not flat, of about the least work for a net.

        One of the whole span where nothing can be saved, and none where all is flat.
        """
        return _Cutter(self.cells, span, grid, min_side).parts()


@dataclass(frozen=True, slots=True)
class Part:
    """What a net must do of a span: ``box``, for which it sees ``read``; both in source pixels."""

    box: Box
    read: Box


def flat_map(samples: Samples, alpha: bool, halo: int, noise: Sequence[float] = ()) -> FlatMap | None:
    """The flat cells of ``samples`` (``(h, w, bands)``, the last band alpha if ``alpha``) for a net with this ``halo``.

    ``noise`` is its standard deviation per colour channel, white being 1. ``None`` when nothing is flat, or the noise is too strong
    to tell. Reads bands of rows, so samples may be mapped from a file.
    """
    if any(sigma > MOST_NOISE for sigma in noise):
        return None
    height, width, bands = samples.shape
    sigmas = np.zeros(bands)
    sigmas[: len(noise)] = noise
    rows, columns = -(-height // CELL), -(-width // CELL)
    cells = np.empty((rows, columns), np.bool_)
    step = max(8, BAND // (width * bands * CELL))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        cells[first:last] = _flat_rows(samples, alpha, halo, sigmas, first, last)
    cells = _opened(cells)
    return FlatMap(width, height, cells, grain=any(noise)) if cells.any() else None


# --- finding what is flat ---------------------------------------------------------------------------------------------


def _flat_rows(samples: Samples, alpha: bool, halo: int, sigmas: NDArray[np.float64], first: int, last: int) -> Cells:
    """Rows ``[first, last)`` of cells."""
    height, width = samples.shape[:2]
    reach = -(-max(halo, 2 * CELL) // POOL)  # so that what is not flat lies a cell away from the climb, however short the halo
    top, bottom = first * CELL - reach * POOL, last * CELL + reach * POOL
    rows = samples[max(0, top) : min(height, bottom)]
    # Beyond the picture its border goes on, which leaves every range as it is.
    left, columns = reach * POOL, -(-width // CELL)
    right = columns * CELL + left - width
    rows = np.pad(rows, ((max(0, -top), max(0, bottom - height)), (left, right), (0, 0)), mode="edge")
    white = np.iinfo(samples.dtype).max
    window = 2 * reach + CELL // POOL
    least, greatest = _pooled(rows, np.minimum), _pooled(rows, np.maximum)
    high, low = _windows(greatest, window, np.maximum), _windows(least, window, np.minimum)
    allowed = np.floor((FLAT + NOISE_RANGE * sigmas) * white + 1e-6)
    flat: Cells = (high.astype(np.int64) - low <= allowed).all(axis=2)
    if sigmas.any():
        # Means show a faint edge that the range of noisy pixels hides.
        means = _pooled(rows.astype(np.float32), np.add) / np.float32(POOL**2)
        spread = _windows(means, window, np.maximum) - _windows(means, window, np.minimum)
        flat &= (spread <= (FLAT + MEAN_RANGE * sigmas) * white + 1e-3).all(axis=2)
    if alpha:
        flat |= high[:, :, -1] == 0
    return flat


def _pooled(rows: NDArray[Any], op: np.ufunc) -> NDArray[Any]:
    """``op`` over blocks of :data:`POOL` squared pixels."""
    for axis in (0, 1):
        parts = [rows[k::POOL] if axis == 0 else rows[:, k::POOL] for k in range(POOL)]
        rows = op(op(parts[0], parts[1]), op(parts[2], parts[3]))
    return rows


def _windows(blocks: NDArray[Any], length: int, op: np.ufunc) -> NDArray[Any]:
    """``op`` (idempotent) over ``length`` squared blocks, one window per cell; doubling makes it a few passes whatever the length."""
    for axis in (0, 1):
        blocks, span = np.moveaxis(blocks, axis, 0), 1
        while span < length:
            step = min(span, length - span)
            blocks = op(blocks[:-step], blocks[step:])
            span += step
        blocks = np.moveaxis(blocks[:: CELL // POOL], 0, axis)
    return blocks


def _opened(cells: Cells) -> Cells:
    """``cells`` without what no square of :data:`LEAST` flat cells fits into; beyond the border all counts as flat."""
    out = LEAST - 1
    eroded = _windows_of_cells(np.pad(cells, out, constant_values=True), np.logical_and)
    return _windows_of_cells(eroded, np.logical_or)


def _windows_of_cells(cells: Cells, op: np.ufunc) -> Cells:
    for axis in (0, 1):
        moved = np.moveaxis(cells, axis, 0)
        result = moved[: len(moved) - LEAST + 1]
        for k in range(1, LEAST):
            result = op(result, moved[k : len(moved) - LEAST + 1 + k])
        cells = np.moveaxis(result, 0, axis)
    return cells


# --- what the net must do ---------------------------------------------------------------------------------------------


class _Cutter:
    """Cuts one span in two, again and again, along lines of a lattice, for the least pixels that a net must see."""

    def __init__(self, flat: Cells, span: Box, grid: Grid, min_side: int) -> None:
        self.flat, self.span, self.grid, self.min_side = flat, span, grid, min_side
        self._known: dict[Box, tuple[float, tuple[Part, ...]]] = {}
        self._lines = _lines(span.x, span.right), _lines(span.y, span.bottom)

    def parts(self) -> tuple[Part, ...]:
        box = self._shrunk(self.span)
        return self._best(box)[1] if box is not None else ()

    def _shrunk(self, box: Box) -> Box | None:
        """The least box around what is not flat in ``box``."""
        ys, xs = _cells_of(box)
        needed = ~self.flat[ys, xs]
        columns = np.flatnonzero(needed.any(axis=0))
        if not columns.size:
            return None
        rows = np.flatnonzero(needed.any(axis=1))
        return box_between(
            max(box.x, (xs.start + int(columns[0])) * CELL),
            max(box.y, (ys.start + int(rows[0])) * CELL),
            min(box.right, (xs.start + int(columns[-1]) + 1) * CELL),
            min(box.bottom, (ys.start + int(rows[-1]) + 1) * CELL),
        )

    def _read(self, box: Box) -> Box:
        """``box`` with a halo, which is shorter where there is nothing to see in it."""
        whole, span, feather = self.grid.grown(box, self.grid.halo), self.span, self.grid.feather
        short = max(feather, math.ceil(SHORT * self.grid.halo))
        beyond = (
            (box.x == span.x, box_between(whole.x, whole.y, box.x, whole.bottom)),
            (box.y == span.y, box_between(whole.x, whole.y, whole.right, box.y)),
            (box.right == span.right, box_between(box.right, whole.y, whole.right, whole.bottom)),
            (box.bottom == span.bottom, box_between(whole.x, box.bottom, whole.right, whole.bottom)),
        )
        # A side of the span is where a feathered tile ends: its overlap lies within, as in an undivided one.
        left, up, right, down = (
            short if self.flat[_cells_of(side)].all() else self.grid.halo - (feather if outer else 0) for outer, side in beyond
        )
        return box_between(
            max(0, box.x - left), max(0, box.y - up), min(self.grid.width, box.right + right), min(self.grid.height, box.bottom + down)
        )

    def _best(self, box: Box) -> tuple[float, tuple[Part, ...]]:
        known = self._known.get(box)
        if known is None:
            known = self._known[box] = self._found(box)
        return known

    def _found(self, box: Box) -> tuple[float, tuple[Part, ...]]:
        read = self._read(box)
        cost = max(read.width, self.min_side) * max(read.height, self.min_side) + CALL
        best: tuple[float, tuple[Part, ...]] = cost, (Part(box, read),)
        # No two pieces cost less than what is not flat and two calls.
        if int((~self.flat[_cells_of(box)]).sum()) * CELL**2 + 2 * CALL > WORTH * cost:
            return best
        for pieces in self._cuts(box):
            made = [self._best(piece) for piece in map(self._shrunk, pieces) if piece is not None]
            total = sum(price for price, _ in made)
            if total <= WORTH * cost and total < best[0]:
                best = total, tuple(part for _, parts in made for part in parts)
        return best

    def _cuts(self, box: Box) -> list[tuple[Box, Box]]:
        across = [
            (box_between(box.x, box.y, x, box.bottom), box_between(x, box.y, box.right, box.bottom))
            for x in self._lines[0]
            if box.x < x < box.right
        ]
        down = [
            (box_between(box.x, box.y, box.right, y), box_between(box.x, y, box.right, box.bottom))
            for y in self._lines[1]
            if box.y < y < box.bottom
        ]
        return across + down


def _lines(start: int, stop: int) -> list[int]:
    """Where a span may be cut: borders of cells, evenly spaced."""
    step = max(CUT, math.ceil((stop - start) / LINES / CELL) * CELL)
    return list(range(-(-(start + 1) // CELL) * CELL + step - CELL, stop, step))


# --- geometry ---------------------------------------------------------------------------------------------------------


def _cells_of(box: Box, more: int = 0) -> tuple[slice, slice]:
    """The cells that ``box`` touches, to index rows and columns; with ``more`` 1 their corners."""
    ys, xs = ((start // CELL, -(-stop // CELL) + more) for start, stop in ((box.y, box.bottom), (box.x, box.right)))
    return slice(*ys), slice(*xs)


def _overlaps(start: int, stop: int) -> NDArray[np.int64]:
    """Pixels of ``[start, stop)`` in each cell that it touches."""
    edges = np.arange(start // CELL, -(-stop // CELL) + 1) * CELL
    inside = np.clip(edges, start, stop)
    return inside[1:] - inside[:-1]


def _climb(start: int, stop: int, scale: int) -> NDArray[np.float32]:
    """Linear interpolation between the corners of cells at the pixels of ``[start, stop)`` enlarged, as a matrix."""
    at = (np.arange(start * scale, stop * scale) + 0.5) / (scale * CELL) - start // CELL
    corners = np.arange(-(-stop // CELL) - start // CELL + 1)
    share: NDArray[np.float32] = np.clip(1 - np.abs(at[:, None] - corners), 0, 1).astype(np.float32)
    return share
