"""Tiles: pure integer geometry. Read boxes with halo, owned boxes that partition the result exactly, split one in four.

All boxes are in source pixels; a net of whole-number scale ``s`` turns a box into ``box.scaled(s)``. Three boxes per tile::

    read   what the engine sees: the core and ``halo`` pixels of context, cut off at the picture's border
    span   what is kept of its answer: the core and ``feather`` pixels on every side, cut off likewise
    owned  what this tile writes: the owned boxes of all tiles partition the picture

Without feather span, owned and core are one. With feather, neighbouring spans overlap by ``2 * feather``; the tile further
right or down owns the overlap and blends its neighbours' answers into its own, so every pixel has one writer (which is
what makes a resumed run give the same bytes). At the picture's border there is no halo: the net pads there just as it
does on an untiled picture, so that tiled equals untiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from enlarger.image import Box

HALO_BUDGET = 0.20
"""Tiles grow until halos cost no more than this share of the work."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of a grid: ``index`` counts in raster order, ``column`` and ``row`` place it."""

    index: int
    column: int
    row: int
    read: Box
    span: Box
    owned: Box


@dataclass(frozen=True, slots=True)
class Grid:
    """How ``width`` x ``height`` is cut into ``columns`` x ``rows`` tiles of almost equal size."""

    width: int
    height: int
    columns: int
    rows: int
    halo: int = 0
    feather: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.columns <= self.width and 1 <= self.rows <= self.height):
            raise ValueError(f"cannot cut {self.width} x {self.height} into {self.columns} x {self.rows} tiles")
        if not 0 <= self.feather <= self.halo:
            raise ValueError("feather must be between 0 and halo")
        for length, parts in ((self.width, self.columns), (self.height, self.rows)):
            if parts > 1 and length // parts < 2 * self.feather:
                raise ValueError("tiles narrower than the overlap would blend three answers")

    def __len__(self) -> int:
        return self.columns * self.rows

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(i) for i in range(len(self)))

    def tile(self, index: int) -> Tile:
        """Tile number ``index`` in raster order."""
        row, column = divmod(index, self.columns)
        x0, x1 = edge(self.width, self.columns, column), edge(self.width, self.columns, column + 1)
        y0, y1 = edge(self.height, self.rows, row), edge(self.height, self.rows, row + 1)
        f = self.feather
        owned = box_between(
            x0 - f if column else 0,
            y0 - f if row else 0,
            x1 - f if column + 1 < self.columns else self.width,
            y1 - f if row + 1 < self.rows else self.height,
        )
        core = box_between(x0, y0, x1, y1)
        return Tile(index, column, row, self.grown(core, self.halo), self.grown(core, f), owned)

    def grown(self, box: Box, by: int) -> Box:
        """``box`` with ``by`` pixels more on every side, cut off at the picture's border."""
        return box.grown(by, self.width, self.height)

    @property
    def work(self) -> float:
        """Pixels that the engine sees over pixels of the picture: 1.0 means no halo at all."""
        wide = sum(self.tile(c).read.width for c in range(self.columns))
        high = sum(self.tile(r * self.columns).read.height for r in range(self.rows))
        return wide * high / (self.width * self.height)

    @property
    def largest(self) -> tuple[int, int]:
        """Width and height that no read box exceeds."""
        wide = max(self.tile(c).read.width for c in range(self.columns))
        return wide, max(self.tile(r * self.columns).read.height for r in range(self.rows))

    @property
    def largest_read(self) -> int:
        """Pixels of the largest read box."""
        wide, high = self.largest
        return wide * high


def edge(length: int, parts: int, k: int) -> int:
    """Where part ``k`` of ``parts`` begins: floor division keeps all parts within one pixel of each other."""
    return length * k // parts


def box_between(x0: int, y0: int, x1: int, y1: int) -> Box:
    return Box(x0, y0, x1 - x0, y1 - y0)


def common(one: Box, other: Box) -> int:
    """Pixels that both boxes hold."""
    width, height = min(one.right, other.right) - max(one.x, other.x), min(one.bottom, other.bottom) - max(one.y, other.y)
    return max(0, width) * max(0, height)


def split(box: Box) -> tuple[Box, ...]:
    """``box`` cut into four (two or one when a side is a single pixel) that partition it."""
    xs = (box.x, box.x + box.width // 2, box.right) if box.width > 1 else (box.x, box.right)
    ys = (box.y, box.y + box.height // 2, box.bottom) if box.height > 1 else (box.y, box.bottom)
    return tuple(box_between(x0, y0, x1, y1) for y0, y1 in pairwise(ys) for x0, x1 in pairwise(xs))


STRIP_PIXELS = 2**21
"""Pixels per strip that an engine which sees the whole picture is asked for."""


def strips(width: int, height: int) -> list[Box]:
    """A result of ``width`` x ``height`` as strips of rows of about :data:`STRIP_PIXELS`."""
    rows = max(1, STRIP_PIXELS // width)
    return [Box(0, y, width, min(rows, height - y)) for y in range(0, height, rows)]


def side_for_budget(halo: int, budget: float = HALO_BUDGET) -> int:
    """Core side of a square tile whose halo on all sides costs ``budget`` of extra work; 256 without halo."""
    return max(256, math.ceil(2 * halo / (math.sqrt(1 + budget) - 1)))


def plan_grid(width: int, height: int, *, halo: int, feather: int, max_read: int, min_side: int = 1, side: int | None = None) -> Grid:
    """The grid of least work whose tiles fit.

    ``max_read`` is the largest read box in pixels that memory allows, ``min_side`` what the engine pads smaller sides to.
    Tiles need not be larger than halos ask (:func:`side_for_budget`); a narrow picture gets longer tiles of the same area.
    ``side`` fixes the core side instead. Raises :class:`ValueError` when not even the smallest useful tile fits.
    """
    smallest = max(2 * feather, 16)
    if side is not None:
        side = max(side, smallest)
        grid = Grid(width, height, _parts(width, side, smallest), _parts(height, side, smallest), halo, feather)
        if grid.largest_read > max_read:
            raise ValueError(f"tiles of {side} with a halo of {halo} are too large for {max_read} pixels")
        return grid
    area = min(max_read, (side_for_budget(halo) + 2 * halo) ** 2)
    best: tuple[int, int, int] | None = None
    for columns in range(1, max(1, width // smallest) + 1):
        read_width = max(min_side, _longest_read(width, columns, halo))
        rows = _rows_within(height, area // read_width, halo, smallest)
        if rows is None:
            continue
        work = (width + 2 * halo * (columns - 1)) * (height + 2 * halo * (rows - 1))
        if best is None or work < best[0]:
            best = (work, columns, rows)
        elif (width + 2 * halo * (columns - 1)) * height > best[0]:
            break  # more columns only cost more
    if best is None:
        raise ValueError(f"a halo of {halo} does not fit into tiles of {max_read} pixels")
    return Grid(width, height, best[1], best[2], halo, feather)


def _parts(length: int, side: int, smallest: int) -> int:
    return min(-(-length // side), max(1, length // smallest))


def _longest_read(length: int, parts: int, halo: int) -> int:
    """Longest read box along one axis: inner parts have halo on both sides, outer ones on one."""
    return min(length, -(-length // parts) + halo * min(2, parts - 1))


def _rows_within(height: int, limit: int, halo: int, smallest: int) -> int | None:
    """The fewest rows whose read boxes are no higher than ``limit``, or ``None``."""
    for rows in (1, 2, -(-height // (limit - 2 * halo)) if limit > 2 * halo else 0):
        if 1 <= rows <= max(1, height // smallest) and _longest_read(height, rows, halo) <= limit:
            return rows
    return None
