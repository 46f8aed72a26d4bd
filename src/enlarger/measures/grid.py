"""Blocks of 32 source pixels, in which everything is counted, and small filters that several measures need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.measures.kernels import Floats

BLOCK = 32
"""Side of a block in source pixels."""

Table = NDArray[np.float64]
"""``(rows, columns)``: one figure per block."""


@dataclass(frozen=True, slots=True)
class Area:
    """Whole blocks of a source: its rows ``top`` to ``bottom``, its columns ``left`` to ``right``."""

    top: int
    bottom: int
    left: int
    right: int


def edges(size: int, side: int = BLOCK) -> list[int]:
    """Where blocks begin, and the end: whole blocks, of which the last takes a rest of less than half."""
    return [*(i * side for i in range(max(1, (size + side // 2) // side))), size]


class Grid:
    """The blocks of a source of ``width`` x ``height`` and where they lie in a result of ``out_width`` x ``out_height``."""

    def __init__(self, width: int, height: int, out_width: int, out_height: int) -> None:
        self.xs, self.ys = edges(width), edges(height)
        self.columns, self.rows = len(self.xs) - 1, len(self.ys) - 1
        self.scale = out_width / width, out_height / height

    def table(self) -> Table:
        return np.zeros((self.rows, self.columns))

    @property
    def whole(self) -> Area:
        return Area(0, self.ys[-1], 0, self.xs[-1])

    def blocks(self, area: Area) -> tuple[slice, slice]:
        """The rows and columns of a table that ``area`` consists of."""
        return slice(self.ys.index(area.top), self.ys.index(area.bottom)), slice(self.xs.index(area.left), self.xs.index(area.right))

    def starts(self, area: Area, side: int = 1) -> tuple[list[int], list[int]]:
        """Where the blocks of ``area`` begin, down and across, counted from its corner in units of ``side`` source pixels."""
        rows, columns = self.blocks(area)
        return [(y - area.top) // side for y in self.ys[rows]], [(x - area.left) // side for x in self.xs[columns]]

    def sums(self, values: NDArray[Any], area: Area, side: int = 1) -> Table:
        """Sums per block of ``values``, one per ``side`` x ``side`` source pixels of ``area``."""
        return binned(values, *self.starts(area, side)).astype(np.float64)

    def sizes(self, area: Area) -> Table:
        """Source pixels per block of ``area``."""
        rows, columns = self.blocks(area)
        return np.outer(np.diff(self.ys)[rows], np.diff(self.xs)[columns]).astype(np.float64)

    def box(self, row: int, column: int, end_row: int, end_column: int) -> tuple[int, int, int, int]:
        """``x, y, width, height`` in output pixels of the blocks from ``row, column`` up to the end ones."""
        (sx, sy), xs, ys = self.scale, self.xs, self.ys
        x, y = round(xs[column] * sx), round(ys[row] * sy)
        return x, y, round(xs[end_column] * sx) - x, round(ys[end_row] * sy) - y


def binned(values: NDArray[Any], ys: list[int], xs: list[int]) -> NDArray[Any]:
    """Sums of ``(h, w, ...)`` over the boxes that begin at ``ys`` and ``xs``."""
    # Row by row of boxes: reduceat along the first axis takes four times as long.
    rows = [values[y:end].sum(axis=0) for y, end in zip(ys, [*ys[1:], len(values)], strict=True)]
    return np.asarray(np.add.reduceat(np.stack(rows), xs, axis=1))


def cells(values: Floats, side: int) -> Floats:
    """Means over ``side`` x ``side`` of ``(h, w, ...)``; at the far borders the last row and column are repeated."""
    for axis in (0, 1):
        rest = -values.shape[axis] % side
        if rest:
            values = np.pad(values, [(0, rest if a == axis else 0) for a in range(values.ndim)], mode="edge")
        parts = [values[i::side] if axis == 0 else values[:, i::side] for i in range(side)]
        total = parts[0] + parts[1]
        for part in parts[2:]:
            total += part
        values = total
    return np.asarray(values * np.float32(1 / side**2), np.float32)


def put(whole: NDArray[Any], part: NDArray[Any], row: int, column: int) -> None:
    """Writes ``part`` into ``whole`` at ``row``, ``column``."""
    whole[row : row + part.shape[0], column : column + part.shape[1]] = part


def smooth(values: Floats, step: int = 1) -> Floats:
    """``(h, w)`` through the binomial filter 1 4 6 4 1 in both directions, its taps ``step`` apart; borders repeat."""
    for axis in (0, 1):
        n = values.shape[axis]
        padded = np.pad(values, [(2 * step, 2 * step) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        a, b, c, d, e = (_from(padded, axis, i * step, n) for i in range(5))
        values = ((a + e) + (b + d) * np.float32(4) + c * np.float32(6)) * np.float32(1 / 16)
    return values


def extremes(values: NDArray[Any], radius: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Least and greatest of ``(h, w)`` within ``radius`` pixels (a square), borders repeated."""
    low = high = values
    for axis in (0, 1):
        n = values.shape[axis]
        pad = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        low_padded, high_padded = np.pad(low, pad, mode="edge"), np.pad(high, pad, mode="edge")
        low, high = _from(low_padded, axis, 0, n), _from(high_padded, axis, 0, n)
        for i in range(1, 2 * radius + 1):
            low = np.minimum(low, _from(low_padded, axis, i, n))
            high = np.maximum(high, _from(high_padded, axis, i, n))
    return low, high


def _from(values: NDArray[Any], axis: int, start: int, count: int) -> NDArray[Any]:
    return values[start : start + count] if axis == 0 else values[:, start : start + count]


def patches(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int, int, int]]]:
    """Connected blocks of ``mask`` (sides or corners touching): their mask, and row, column, end row, end column."""
    left = mask.copy()
    while left.any():
        seed = np.unravel_index(int(left.argmax()), left.shape)
        grown = np.zeros_like(left)
        grown[seed] = True
        while True:
            padded = np.pad(grown, 1)
            h, w = left.shape
            near = np.zeros_like(left)
            for y in range(3):
                for x in range(3):
                    near |= padded[y : y + h, x : x + w]
            near &= left
            if (near == grown).all():
                break
            grown = near
        left &= ~grown
        rows, columns = np.flatnonzero(grown.any(1)), np.flatnonzero(grown.any(0))
        yield grown, (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
