"""Blend: the answers of a net for neighbouring pieces of a picture, laid over each other where they overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Tile
from enlarger.steps import tiles
from enlarger.steps.tiles import Grid


@dataclass(slots=True)
class Blender:
    """Blends the overlaps of feathered tiles.

    Kept between tiles: the raw right end of the last span, and by column the bottom end of the last tile, blended with its left
    neighbour. What is not kept, because an earlier run made that tile, is asked of the engine again.
    """

    grid: Grid
    scale: int
    again: Callable[[tiles.Tile], Tile]
    _right: tuple[int, Tile] | None = None
    _bottom: dict[int, tuple[int, Tile]] = field(default_factory=dict)

    @property
    def overlap(self) -> int:
        return 2 * self.grid.feather * self.scale

    def owned(self, tile: tiles.Tile, answer: Tile) -> Tile:
        """The pixels that ``tile`` owns, out of the ``answer`` for its span and what its neighbours answered."""
        if self.grid.feather == 0:
            return answer
        across = self._across(tile, answer)
        if tile.row:
            above, across = self._above(tile), across.copy()
            across[: self.overlap] = above + self._ramp()[:, None] * (across[: self.overlap] - above)
        if tile.column + 1 < self.grid.columns:
            self._right = tile.index, answer[:, -self.overlap :].copy()
        if tile.row + 1 == self.grid.rows:
            return across
        self._bottom[tile.column] = tile.index, across[-self.overlap :].copy()
        return across[: -self.overlap]

    def _across(self, tile: tiles.Tile, answer: Tile) -> Tile:
        """``answer`` blended with its left neighbour, over the columns that ``tile`` owns and the rows of its span."""
        blended = answer if tile.column + 1 == self.grid.columns else answer[:, : -self.overlap]
        if tile.column == 0:
            return blended
        if self._right is not None and self._right[0] == tile.index - 1:
            left = self._right[1]
        else:
            left = self.again(self.grid.tile(tile.index - 1))[:, -self.overlap :]
        blended = blended.copy()
        blended[:, : self.overlap] = left + self._ramp() * (blended[:, : self.overlap] - left)
        return blended

    def _above(self, tile: tiles.Tile) -> Tile:
        """The bottom end of the tile above ``tile``, blended with its left neighbour."""
        index = tile.index - self.grid.columns
        known = self._bottom.get(tile.column)
        if known is not None and known[0] == index:
            return known[1]
        above = self.grid.tile(index)
        return self._across(above, self.again(above))[-self.overlap :]

    def _ramp(self) -> Tile:
        """Weights of the tile further right or down across an overlap, ``(overlap, 1)``."""
        return ramp(self.overlap)[:, None]


class Pieces:
    """Answers for pieces inside of one ``span``: where they overlap they are blended as neighbouring tiles are.

    Pieces need not cover the span; what none covers is not to be read.
    """

    def __init__(self, span: Box, grid: Grid, scale: int, bands: int) -> None:
        self.span, self.grid, self.scale = span, grid, scale
        self._sum = np.zeros((span.height * scale, span.width * scale, bands), np.float32)
        self._shares = np.zeros((span.height * scale, span.width * scale, 1), np.float32)

    def asked(self, piece: Box) -> Box:
        """``piece`` and the overlap with its neighbours, to be answered; within the span."""
        feather, span = self.grid.feather, self.span
        return tiles.box_between(
            max(span.x, piece.x - feather),
            max(span.y, piece.y - feather),
            min(span.right, piece.right + feather),
            min(span.bottom, piece.bottom + feather),
        )

    def add(self, piece: Box, answer: Tile) -> None:
        """``answer`` is the enlarged ``asked(piece)``."""
        box = self.asked(piece)
        down = self._axis(piece.y, piece.bottom, self.span.y, self.span.bottom)
        across = self._axis(piece.x, piece.right, self.span.x, self.span.right)
        share = (down[:, None] * across)[:, :, None]
        at = self._at(box)
        self._sum[at] += answer * share
        self._shares[at] += share

    def joined(self, piece: Box) -> Tile:
        """What the answers come to over ``piece``."""
        at = self._at(piece)
        result: Tile = self._sum[at] / self._shares[at]
        return result

    def _at(self, box: Box) -> tuple[slice, slice]:
        return Box(box.x - self.span.x, box.y - self.span.y, box.width, box.height).scaled(self.scale).slices()

    def _axis(self, start: int, stop: int, first: int, last: int) -> NDArray[np.float32]:
        """Along one axis: climbs over the overlap at a border inside of the span."""
        before, after = min(self.grid.feather, start - first), min(self.grid.feather, last - stop)
        share = np.ones((stop - start + before + after) * self.scale, np.float32)
        climb = ramp(2 * self.grid.feather * self.scale)
        # A border nearer to the span's than the feather begins on the way up, as does its neighbour on the way down.
        for side, there in ((share, before), (share[::-1], after)):
            if there:
                part = climb[(self.grid.feather - there) * self.scale :][: side.size]
                side[: part.size] *= part
        return share


def ramp(length: int) -> NDArray[np.float32]:
    """From 0 to 1 in ``length`` steps, at the middle of each."""
    return (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, length))
