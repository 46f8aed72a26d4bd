"""Enlarge: walks the tiles of one stage, calls the engine, and leaves no pixel of the canvas unwritten.

What engines need not know is done here, once: padding to the size rules of a net, grey as three equal channels, alpha,
feathered overlaps, sparing the net what is flat, splitting a tile that does not fit into memory, checks of what the engine
answered, and going on where a killed run stopped. A tile's pixels depend on the source, the grid and the model alone, never
on which tiles were made in this run: that is why a resumed run gives the same bytes.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from enlarger.canvas import Canvas
from enlarger.engines.engine import ModelSpec, PictureEngine, TileEngine
from enlarger.errors import EngineError, OutOfMemoryError
from enlarger.image import Box, Samples, Tile, to_float
from enlarger.journal import Done, Ledger
from enlarger.pixels.scaling import Sizes
from enlarger.steps import tiles
from enlarger.steps.blend import Blender, Pieces
from enlarger.steps.flat import FlatMap, Part
from enlarger.steps.tiles import Grid

SMALLEST_SPLIT = 32
"""A tile whose longer side is no longer than this is not split again."""


@dataclass(slots=True)
class Tally:
    """What happened during a stage.

    ``flat`` counts tiles made without the net, ``flat_pixels`` the source pixels that it was spared in tiles made in this run;
    ``engine_seconds`` is the time spent inside the engine.
    """

    done_before: int = 0
    computed: int = 0
    flat: int = 0
    flat_pixels: int = 0
    split: int = 0
    fallback: int = 0
    engine_seconds: float = 0.0

    def add(self, other: Tally) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


Tick = Callable[[float, int, bool], None]
"""Told after every tile which share (0 to 1) of the stage's work and how many of its tiles are done, and whether this one was
made now or found; raises to cancel."""


class NotFiniteError(EngineError):
    """The engine answered NaN or infinity."""


def enlarge_by_tiles(
    samples: Samples,
    alpha: bool,
    grid: Grid,
    model: ModelSpec,
    engine: TileEngine,
    canvas: Canvas,
    tick: Tick,
    *,
    ledger: Ledger | None = None,
    fallback: Callable[[], TileEngine] | None = None,
    flat: FlatMap | None = None,
) -> Tally:
    """Enlarge ``samples`` (``(h, w, c)``, the last band alpha if ``alpha``) onto ``canvas``, tile by tile.

    ``canvas`` must be ``model.scale`` times as wide and high as ``samples`` and have the same bands. Tiles that ``ledger``
    knows and whose samples on the canvas are still sound are not made again. ``fallback`` opens the engine that does a tile
    again when ``engine`` answered NaN or infinity. What ``flat`` calls flat is resampled. Raises :class:`OutOfMemoryError`
    when even the smallest tile does not fit, :class:`EngineError` when an answer is not what the protocol says.
    """
    ledger = ledger or Ledger(None, 0)
    tally = Tally()
    caller = _Caller(samples, alpha, grid, model, engine, fallback, flat, ledger.done(), tally)
    blender = Blender(grid, model.scale, lambda tile: caller.answer(tile)[0])
    total, seen = sum(_work(t, flat) for t in grid), 0.0
    for tile in grid:
        box = tile.owned.scaled(model.scale)
        found = _sound(canvas, box, ledger, tile.index)
        if found:
            canvas.cover(box)
            tally.done_before += 1
        else:
            answer, how = caller.answer(tile)
            _write(canvas, box, blender.owned(tile, answer), ledger, tile.index, how)
            tally.computed += 1
            tally.flat += how.flat
            tally.flat_pixels += how.spared
            tally.split += len(how.split)
            tally.fallback += how.fallback
        seen += _work(tile, flat)
        tick(seen / total, tile.index + 1, not found)
    return tally


def enlarge_by_picture(samples: Samples, engine: PictureEngine, canvas: Canvas, tick: Tick, *, ledger: Ledger | None = None) -> Tally:
    """Ask an engine that sees the whole picture for the canvas, strip by strip."""
    ledger = ledger or Ledger(None, 0)
    tally = Tally()
    for index, box in enumerate(tiles.strips(canvas.width, canvas.height)):
        found = _sound(canvas, box, ledger, index)
        if found:
            canvas.cover(box)
            tally.done_before += 1
        else:
            start = time.perf_counter()
            answer = engine(samples, (canvas.width, canvas.height), box)
            tally.engine_seconds += time.perf_counter() - start
            _check(answer, (box.height, box.width, canvas.bands))
            _write(canvas, box, answer, ledger, index, _How())
            tally.computed += 1
        tick(box.bottom / canvas.height, index + 1, not found)
    return tally


@dataclass(frozen=True, slots=True)
class _How:
    """How a tile came about: what must be done again to get the same pixels, and what the net was spared."""

    split: tuple[Box, ...] = ()
    fallback: bool = False
    flat: bool = False
    spared: int = 0


def _work(tile: tiles.Tile, flat: FlatMap | None) -> float:
    """What ``tile`` costs, about, in pixels that the net sees; resampling one costs next to nothing."""
    return tile.read.area - (0.95 * flat.pixels(tile.span) if flat else 0)


def _sound(canvas: Canvas, box: Box, ledger: Ledger, index: int) -> bool:
    """True when an earlier run finished this tile and its samples are as it left them."""
    entry = ledger.done().get(index)
    return entry is not None and zlib.crc32(canvas.read(box).tobytes()) == entry.crc


def _write(canvas: Canvas, box: Box, answer: Tile, ledger: Ledger, index: int, how: _How) -> None:
    """Samples first, then, when they are on the disk, the line that vouches for them."""
    pixels = quantise(answer, canvas.dtype)
    canvas.write(box, pixels)
    if ledger.kept:
        canvas.sync()
        ledger.add(index, zlib.crc32(pixels.data), how.split, how.fallback)


@dataclass(slots=True)
class _Caller:
    """Calls a tile engine for tiles of one source, with everything that the engine need not know."""

    samples: Samples
    alpha: bool
    grid: Grid
    model: ModelSpec
    engine: TileEngine
    fallback: Callable[[], TileEngine] | None
    flat: FlatMap | None
    past: dict[int, Done]
    tally: Tally
    _split: list[Box] = field(default_factory=list)
    _pinned: frozenset[Box] = frozenset()

    def answer(self, tile: tiles.Tile) -> tuple[Tile, _How]:
        """The enlarged span of ``tile``, ``(h * s, w * s, bands)``, made as it was made before if it was."""
        past = self.past.get(tile.index)
        self._pinned = frozenset(past.split) if past else frozenset()
        if past is not None and past.fallback:
            return self._again(tile)
        try:
            return self._made(tile)
        except NotFiniteError:
            if self.fallback is None:
                raise
        return self._again(tile)

    def _again(self, tile: tiles.Tile) -> tuple[Tile, _How]:
        """``tile`` by the fallback, which is the CPU in 32-bit floats: what an overflowing GPU net gets a second chance on."""
        assert self.fallback is not None
        usual, self.engine = self.engine, self.fallback()
        try:
            answer, how = self._made(tile)
            return answer, replace(how, fallback=True)
        finally:
            self.engine = usual

    def _made(self, tile: tiles.Tile) -> tuple[Tile, _How]:
        """The enlarged span of ``tile``: what is flat resampled, the rest by the net."""
        self._split = []
        if self.flat is None or not self.flat.touches(tile.span):
            return self._part(tile.span, tile.read), _How(tuple(self._split))
        parts = self.flat.parts(tile.span, self.grid, self.model.min_side)
        try:
            answer = self._mixed(tile.span, parts, self.flat)
        except MemoryError as error:
            raise OutOfMemoryError("no memory for a tile", subject=f"{tile.span.width} x {tile.span.height}") from error
        spared = tile.owned.area - sum(tiles.common(tile.owned, part.box) for part in parts)
        return answer, _How(tuple(self._split), flat=not parts, spared=spared)

    def _mixed(self, span: Box, parts: tuple[Part, ...], flat: FlatMap) -> Tile:
        """The enlarged ``span``: the net's answers for ``parts``, the rest resampled, with the transitions of :mod:`steps.flat`."""
        s, (height, width, bands) = self.model.scale, self.samples.shape
        whole = np.zeros((span.height * s, span.width * s, bands), np.float32)
        pieces = Pieces(span, self.grid, s, bands) if self.grid.feather and len(parts) > 1 else None
        for part in parts:
            if pieces is None:
                whole[_within(part.box, span, s)] = self._part(part.box, part.read)
            else:
                pieces.add(part.box, self._part(pieces.asked(part.box), part.read))
        if pieces is not None:
            for part in parts:
                whole[_within(part.box, span, s)] = pieces.joined(part.box)
        flat.resample(whole, self.samples, self.alpha, span, Sizes(width, height, width * s, height * s))
        return whole

    def _part(self, span: Box, read: Box) -> Tile:
        """The enlarged ``span``; cut in four while it does not fit into memory."""
        if span not in self._pinned:
            try:
                return self._whole(span, read)
            except (OutOfMemoryError, MemoryError) as error:
                if max(span.width, span.height) <= SMALLEST_SPLIT:
                    raise OutOfMemoryError(
                        f"even a tile of {span.width} x {span.height} pixels does not fit into memory",
                        hint="close other programs, or choose a smaller model",
                        subject=self.model.id,
                    ) from error
        self._split.append(span)
        s = self.model.scale
        whole = np.empty((span.height * s, span.width * s, self.samples.shape[2]), np.float32)
        for part in tiles.split(span):
            whole[_within(part, span, s)] = self._part(part, self.grid.grown(part, self.grid.halo - self.grid.feather))
        return whole

    def _whole(self, span: Box, read: Box) -> Tile:
        read = self._wide_enough(read)
        source = self.samples[read.slices()]
        inside = Box(span.x - read.x, span.y - read.y, span.width, span.height)
        colour = source[:, :, :-1] if self.alpha else source
        answer = self._net(to_float(colour), inside)
        if not self.alpha:
            return answer
        return np.concatenate((answer, self._alpha(source[:, :, -1:], inside)), axis=2)

    def _wide_enough(self, read: Box) -> Box:
        """``read`` extended over the picture to the least side of the net: only a picture smaller than that is padded.

        Padding a small tile of a larger picture would show the net something else at the border than the whole picture does.
        """
        width, height = min(self.model.min_side, self.grid.width), min(self.model.min_side, self.grid.height)
        x, y = min(read.x, self.grid.width - width), min(read.y, self.grid.height - height)
        return Box(x, y, max(read.right - x, width), max(read.bottom - y, height))

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
        padded, top, left = padded_to_rules(three, self.model)
        padded.flags.writeable = False
        start = time.perf_counter()
        answer = self.engine(padded)
        self.tally.engine_seconds += time.perf_counter() - start
        s = self.model.scale
        _check(answer, (padded.shape[0] * s, padded.shape[1] * s, 3))
        kept = answer[Box(inside.x + left, inside.y + top, inside.width, inside.height).scaled(s).slices()]
        return kept.mean(axis=2, keepdims=True, dtype=np.float32) if channels == 1 else kept


def _within(part: Box, span: Box, scale: int) -> tuple[slice, slice]:
    """Where ``part`` lies in the enlarged ``span``."""
    return Box(part.x - span.x, part.y - span.y, part.width, part.height).scaled(scale).slices()


def padded_to_rules(tile: Tile, model: ModelSpec) -> tuple[Tile, int, int]:
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
        raise NotFiniteError("the engine answered NaN or infinity", hint="try --device cpu or another model")


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
