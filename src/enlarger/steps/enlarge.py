"""Enlarge: walks the tiles of one stage, calls the engine, and leaves no pixel of the canvas unwritten.

What engines need not know is done here, once: padding to the size rules of a net, grey as three equal channels, alpha,
feathered overlaps, splitting a tile that does not fit into memory, and checks of what the engine answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enlarger.canvas import Canvas
from enlarger.engines.engine import ModelSpec, PictureEngine, TileEngine
from enlarger.errors import EngineError, OutOfMemoryError
from enlarger.image import Box, Samples, Tile, to_float
from enlarger.steps import tiles
from enlarger.steps.tiles import Grid

STRIP_PIXELS = 2**21
"""Output pixels per strip that a picture engine is asked for."""

SMALLEST_SPLIT = 32
"""A tile whose longer side is no longer than this is not split again."""


@dataclass(slots=True)
class Tally:
    """What happened during a stage; ``engine_seconds`` is the time spent inside the engine."""

    computed: int = 0
    split: int = 0
    engine_seconds: float = 0.0


Tick = Callable[[float], None]
"""Told after every tile which share (0 to 1) of the stage's work is done; raises to cancel."""


def enlarge_by_tiles(samples: Samples, alpha: bool, grid: Grid, model: ModelSpec, engine: TileEngine, canvas: Canvas, tick: Tick) -> Tally:
    """Enlarge ``samples`` (``(h, w, c)``, the last band alpha if ``alpha``) onto ``canvas``, tile by tile.

    ``canvas`` must be ``model.scale`` times as wide and high as ``samples`` and have the same bands. Raises
    :class:`OutOfMemoryError` when even the smallest tile does not fit, :class:`EngineError` when an answer is not what the
    protocol says.
    """
    tally = Tally()
    caller = _Caller(samples, alpha, grid, model, engine, tally)
    blender = _Blender(grid, model.scale, canvas.bands)
    total, seen = sum(t.read.area for t in grid), 0
    for tile in grid:
        answer = caller.answer(tile.span, tile.read)
        canvas.write(tile.owned.scaled(model.scale), quantise(blender.owned(tile, answer), canvas.dtype))
        tally.computed += 1
        seen += tile.read.area
        tick(seen / total)
    return tally


def enlarge_by_picture(samples: Samples, engine: PictureEngine, canvas: Canvas, tick: Tick) -> Tally:
    """Ask an engine that sees the whole picture for the canvas, strip by strip."""
    tally = Tally()
    rows = max(1, STRIP_PIXELS // canvas.width)
    for y in range(0, canvas.height, rows):
        box = Box(0, y, canvas.width, min(rows, canvas.height - y))
        start = time.perf_counter()
        answer = engine(samples, (canvas.width, canvas.height), box)
        tally.engine_seconds += time.perf_counter() - start
        _check(answer, (box.height, box.width, canvas.bands))
        canvas.write(box, quantise(answer, canvas.dtype))
        tally.computed += 1
        tick(box.bottom / canvas.height)
    return tally


@dataclass(slots=True)
class _Caller:
    """Calls a tile engine for boxes of one source, with everything that the engine need not know."""

    samples: Samples
    alpha: bool
    grid: Grid
    model: ModelSpec
    engine: TileEngine
    tally: Tally

    def answer(self, span: Box, read: Box) -> Tile:
        """The enlarged ``span``, ``(h * s, w * s, bands)``; split in four while it does not fit into memory."""
        try:
            return self._whole(span, read)
        except (OutOfMemoryError, MemoryError) as error:
            if max(span.width, span.height) <= SMALLEST_SPLIT:
                raise OutOfMemoryError(
                    f"even a tile of {span.width} x {span.height} pixels does not fit into memory",
                    hint="close other programs, or choose a smaller model",
                    subject=self.model.id,
                ) from error
        self.tally.split += 1
        s = self.model.scale
        whole = np.empty((span.height * s, span.width * s, self.samples.shape[2]), np.float32)
        for part in tiles.split(span):
            at = Box(part.x - span.x, part.y - span.y, part.width, part.height).scaled(s)
            whole[at.slices()] = self.answer(part, self.grid.grown(part, self.grid.halo - self.grid.feather))
        return whole

    def _whole(self, span: Box, read: Box) -> Tile:
        source = self.samples[read.slices()]
        inside = Box(span.x - read.x, span.y - read.y, span.width, span.height)
        colour = source[:, :, :-1] if self.alpha else source
        answer = self._net(to_float(colour), inside)
        if not self.alpha:
            return answer
        return np.concatenate((answer, self._alpha(source[:, :, -1:], inside)), axis=2)

    def _alpha(self, alpha: Samples, inside: Box) -> Tile:
        """Alpha through the same net, so that its edges follow the colour's; fully clear and opaque areas stay exact."""
        s = self.model.scale
        if alpha.min() == alpha.max():
            return np.full((inside.height * s, inside.width * s, 1), to_float(alpha[:1, :1]).item(), np.float32)
        answer = self._net(to_float(alpha), inside)
        around = np.pad(alpha[:, :, 0], 1, mode="edge")
        shifted = [around[y : y + alpha.shape[0], x : x + alpha.shape[1]] for y in range(3) for x in range(3)]
        low, high = np.minimum.reduce(shifted)[inside.slices()], np.maximum.reduce(shifted)[inside.slices()]
        for value, flat in ((0.0, high == 0), (1.0, low == np.iinfo(alpha.dtype).max)):
            answer[np.repeat(np.repeat(flat, s, 0), s, 1)] = value
        return answer

    def _net(self, tile: Tile, inside: Box) -> Tile:
        """One call of the net for ``(h, w, 1 or 3)``; the answer for ``inside``, with as many channels."""
        height, width, channels = tile.shape
        three = np.broadcast_to(tile, (height, width, 3)) if channels == 1 else tile
        padded, top, left = _padded(three, self.model)
        padded.flags.writeable = False
        start = time.perf_counter()
        answer = self.engine(padded)
        self.tally.engine_seconds += time.perf_counter() - start
        s = self.model.scale
        _check(answer, (padded.shape[0] * s, padded.shape[1] * s, 3))
        kept = answer[Box(inside.x + left, inside.y + top, inside.width, inside.height).scaled(s).slices()]
        return kept.mean(axis=2, keepdims=True, dtype=np.float32) if channels == 1 else kept


def _padded(tile: Tile, model: ModelSpec) -> tuple[Tile, int, int]:
    """A contiguous copy of ``tile`` extended by reflection to the size rules of ``model``, and where in it the tile begins.

    The tile lies in the middle: nets err most along their own border.
    """
    more = [max(model.min_side, -(-n // model.multiple_of) * model.multiple_of) - n for n in tile.shape[:2]]
    top, left = more[0] // 2, more[1] // 2
    if not any(more):
        return np.array(tile, np.float32, order="C"), 0, 0
    return np.pad(tile, ((top, more[0] - top), (left, more[1] - left), (0, 0)), mode="symmetric"), top, left


def _check(answer: Tile, shape: tuple[int, int, int]) -> None:
    """An engine's answer must have the promised shape and no NaN or infinity: such pixels are never written."""
    if answer.shape != shape or answer.dtype != np.float32:
        raise EngineError(
            f"the engine answered {answer.shape} {answer.dtype} where {shape} float32 was due", hint="report this to its author"
        )
    # A sum is finite exactly when all terms are (samples near [0, 1] cannot overflow it), and costs one pass.
    if not np.isfinite(answer.sum(dtype=np.float32)):
        raise EngineError("the engine answered NaN or infinity", hint="try --device cpu or another model")


@dataclass(slots=True)
class _Blender:
    """Blends the overlaps of feathered tiles, which must come in raster order.

    Kept between tiles: the raw right end of the last span, and of the row above the blended bottom ends, side by side.
    """

    grid: Grid
    scale: int
    bands: int
    right: Tile = field(init=False)
    above: Tile = field(init=False)
    below: Tile = field(init=False)

    def __post_init__(self) -> None:
        overlap = 2 * self.grid.feather * self.scale
        shape = (overlap, self.grid.width * self.scale, self.bands)
        self.right = np.empty((0, 0, self.bands), np.float32)
        self.above = np.empty(shape if self.grid.rows > 1 else (0, 0, 0), np.float32)
        self.below = np.empty_like(self.above)

    def owned(self, tile: tiles.Tile, answer: Tile) -> Tile:
        """The pixels that ``tile`` owns, out of the ``answer`` for its span and what its neighbours answered."""
        if self.grid.feather == 0:
            return answer
        overlap = 2 * self.grid.feather * self.scale
        columns = slice(tile.owned.x * self.scale, tile.owned.right * self.scale)
        ramp = ((np.arange(overlap, dtype=np.float32) + 0.5) / overlap)[:, None]
        last_column, last_row = tile.column + 1 == self.grid.columns, tile.row + 1 == self.grid.rows
        blended = answer if last_column else answer[:, :-overlap]
        if tile.column or tile.row:
            blended = blended.copy()
        if tile.column:
            blended[:, :overlap] = self.right + ramp * (blended[:, :overlap] - self.right)
        if not last_column:
            self.right = answer[:, -overlap:].copy()
        if not last_row:
            self.below[:, columns] = blended[-overlap:]
        if tile.row:
            above = self.above[:, columns]
            blended[:overlap] = above + ramp[:, None] * (blended[:overlap] - above)
        if last_column:
            self.above, self.below = self.below, self.above
        return blended if last_row else blended[:-overlap]


def quantise(tile: Tile, dtype: np.dtype[Any]) -> Samples:
    """``(h, w, c) float32`` to contiguous ``uint8`` or ``uint16``: clipped to [0, 1], rounded half up."""
    top = np.float32(np.iinfo(dtype).max)
    out = np.empty(tile.shape, dtype)
    rows = max(1, 2**16 // max(1, tile.shape[1]))
    buffer = np.empty((rows, tile.shape[1]), np.float32)
    # Small blocks of one channel: all passes run in the cache, whatever the layout the engine answered in.
    for y in range(0, tile.shape[0], rows):
        for c in range(tile.shape[2]):
            block = buffer[: min(rows, tile.shape[0] - y)]
            np.clip(tile[y : y + rows, :, c], 0, 1, out=block)
            np.multiply(block, top, out=block)
            np.add(block, np.float32(0.5), out=block)
            out[y : y + rows, :, c] = block
    return out
