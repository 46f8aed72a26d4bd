"""The engine ``pixelart``: pixels as blocks, or with the corners that their neighbours suggest; whole picture, any scale.

- ``blocks``: every pixel a block of one colour.
- ``scale2x``: EPX (Eric Johnston 1992), known as Scale2x and Scale3x from AdvanceMAME (Andrea Mazzoleni 2001): a corner takes the
  colour of two neighbours that agree. Steps of 2 and 3 up to the scale or just beyond it, then the pixel under each centre.
- ``edges``: smooth outlines after the rules of xBR (:mod:`enlarger.engines.pixel_edges`).

The first two only ever repeat pixels of the source. A source that was enlarged by blocks before is first brought back to its true
pixels (:mod:`enlarger.engines.pixel_grid`); scales are still those of the file.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

from enlarger.engines import pixel_edges, pixel_grid
from enlarger.engines.engine import Device, EngineSpec, ModelSpec
from enlarger.engines.pixel_grid import Axis
from enlarger.engines.weights import catalogue
from enlarger.errors import DeviceError, EngineError, EngineMissingError, OutOfMemoryError
from enlarger.image import Box, Samples, Tile, to_float

MODELS = ("blocks", "scale2x", "edges")

REACH = 2 + 1
"""True pixels around the one under the middle of a place that decide on it: steps of 2 see 1 + 1/2 + 1/4 ..., xBR's rules see 2, and a
place may begin or end in the pixel beside that one."""

AT_ONCE = 2**19
"""Pixels of the result, about, that are drawn at once."""

FINEST = 64
"""What a true pixel is enlarged by in steps at most; beyond that its parts are repeated."""


class Settings(BaseModel):
    """What ``--set`` may say. ``grid``: ``auto`` looks for blocks, ``off`` takes pixels as they are, a number is the side of a block."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: Literal["auto", "off"] | int = "auto"

    @field_validator("grid", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        if value in ("auto", "off"):
            return value
        if str(value).isdecimal() and 2 <= int(str(value)) <= pixel_grid.LARGEST:
            return int(str(value))
        raise ValueError(f"it is auto, off, or the side of a block from 2 to {pixel_grid.LARGEST}")


class PixelArt:
    """The engine ``pixelart``."""

    spec = EngineSpec(name="pixelart", title="Pixel art", scope="picture", devices=("cpu",), settings=Settings)

    def models(self) -> tuple[ModelSpec, ...]:
        return catalogue("pixelart")

    def device(self, wanted: str, threads: int | None) -> Device:
        """Always the CPU, on one thread whatever ``threads`` allows; a GPU raises :class:`DeviceError`."""
        if wanted not in ("auto", "cpu"):
            raise DeviceError("the engine pixelart computes on the CPU only", hint="use --device cpu", subject=wanted)
        return Device("cpu", threads=1)

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> Redrawer:
        """Raises :class:`EngineMissingError` for a model that it does not have, :class:`DeviceError` for a GPU."""
        if device.kind != "cpu":
            raise DeviceError("the engine pixelart computes on the CPU only", hint="use --device cpu", subject=str(device))
        if not isinstance(settings, Settings):
            raise EngineError("these are not settings of the engine pixelart", subject=type(settings).__name__)
        if model.id not in MODELS:
            raise EngineMissingError("no such model", hint=f"models are {', '.join(MODELS)}", subject=model.id)
        return Redrawer(model.id, settings)


@dataclass(frozen=True, slots=True)
class _Source:
    """A source as its true pixels."""

    pixels: Samples
    across: Axis
    down: Axis

    def factors(self, size: tuple[int, int]) -> tuple[float, float]:
        """Pixels of a result of ``size`` per true pixel, across and down. They differ by rounding, or where blocks are no squares."""
        return size[0] * self.across.block / self.across.length, size[1] * self.down.block / self.down.length

    def around(self, box: Box, size: tuple[int, int]) -> tuple[Samples, int, int]:
        """The true pixels that decide on ``box`` of a result of ``size``, and the column and row of the first of them."""
        x, width = _needed(self.across, box.x, box.right, size[0])
        y, height = _needed(self.down, box.y, box.bottom, size[1])
        return np.ascontiguousarray(self.pixels[y : y + height, x : x + width]), x, y


class Redrawer:
    """One model, as a :class:`enlarger.engines.engine.PictureEngine`.

    The grid is looked for once per source: samples must not change between the boxes of one picture.
    """

    def __init__(self, model: str, settings: Settings) -> None:
        self.model, self.settings = model, settings
        self._seen: weakref.ref[Samples] | None = None
        self._source: _Source | None = None

    def __call__(self, samples: Samples, size: tuple[int, int], box: Box) -> Tile:
        """``box`` of ``samples`` ``(h, w, c)`` enlarged to ``size``; ``(box.height, box.width, c) float32``.

        With 2 or 4 bands the last is alpha. Raises :class:`OutOfMemoryError` when the answer does not fit, :class:`EngineError` for
        a box outside of the result or a size below the source's.
        """
        height, width, _ = samples.shape
        if size[0] < width or size[1] < height:
            raise EngineError(f"the engine pixelart enlarges; {size[0]} x {size[1]} is smaller than {width} x {height}")
        if box.width < 1 or box.height < 1 or box.x < 0 or box.y < 0 or box.right > size[0] or box.bottom > size[1]:
            raise EngineError(f"the box {tuple(box)} is not inside of a result of {size[0]} x {size[1]}")
        try:
            return self._drawn(self._true(samples), size, box)
        except MemoryError as error:
            raise OutOfMemoryError("no memory for a tile", subject=f"{box.width} x {box.height}") from error

    def close(self) -> None:
        """Let go of the picture seen last."""
        self._seen = self._source = None

    def _true(self, samples: Samples) -> _Source:
        if self._source is None or self._seen is None or self._seen() is not samples:
            self._source = _brought_back(samples, self.settings.grid)
            self._seen = weakref.ref(samples)
        return self._source

    def _drawn(self, source: _Source, size: tuple[int, int], box: Box) -> Tile:
        if self.model == "blocks":
            rows, columns = source.down.under(box.y, box.bottom, size[1]), source.across.under(box.x, box.right, size[0])
            return to_float(source.pixels[rows[:, None], columns[None, :]])
        draw = _corners if self.model == "scale2x" else _outlines
        out = np.empty((box.height, box.width, source.pixels.shape[2]), np.float32)
        step = max(16, AT_ONCE // box.width)
        for y in range(0, box.height, step):
            part = Box(box.x, box.y + y, box.width, min(step, box.height - y))
            out[y : y + step] = draw(source, size, part)
        return out


def _corners(source: _Source, size: tuple[int, int], box: Box) -> Tile:
    """``scale2x``: ``box`` of the result."""
    crop, left, top = source.around(box, size)
    steps = steps_to(max(source.factors(size)))
    fine = math.prod(steps)
    where = scaled(pixel_grid.keys(crop), steps)
    rows = source.down.under(box.y, box.bottom, size[1], fine) - top * fine
    columns = source.across.under(box.x, box.right, size[0], fine) - left * fine
    return to_float(crop.reshape(-1, crop.shape[2])[where[rows[:, None], columns[None, :]]])


def _outlines(source: _Source, size: tuple[int, int], box: Box) -> Tile:
    """``edges``: ``box`` of the result. Drawn at the next whole scale, where no line between pixels is cut, and averaged from there."""
    crop, left, top = source.around(box, size)
    fine_x, fine_y = (max(1, math.ceil(factor - 1e-9)) for factor in source.factors(size))
    across = source.across.covered(box.x, box.right, size[0], fine_x)
    down = source.down.covered(box.y, box.bottom, size[1], fine_y)
    (x, columns), (y, rows) = _spanned(*across), _spanned(*down)
    centres = (x + 0.5) / fine_x - left, (y + 0.5) / fine_y - top
    fine = pixel_edges.drawn(to_float(crop), *centres, min(fine_x, fine_y))
    if all(np.array_equal(edges[1] - edges[0], np.ones(edges[0].size)) for edges in (across, down)):
        return fine
    alpha = fine[..., -1:] if fine.shape[2] in (2, 4) else None
    if alpha is None or bool((alpha == 1).all()):
        return _averaged(_averaged(fine, *rows), *columns, axis=1)
    seen = _averaged(_averaged(np.concatenate([fine[..., :-1] * alpha, fine], axis=2), *rows), *columns, axis=1)
    colours = fine.shape[2] - 1
    visible = seen[..., -1:] > 1 / 1024
    colour = np.where(visible, seen[..., :colours] / np.where(visible, seen[..., -1:], 1), seen[..., colours:-1])
    return np.concatenate([np.clip(colour, 0, 1), seen[..., -1:]], axis=2)


Edges = tuple[NDArray[np.float64], NDArray[np.float64]]


def _spanned(begin: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[NDArray[np.float64], Edges]:
    """The pixels that lie between the first of ``begin`` and the last of ``end``, and both counted from the first of them."""
    first = math.floor(begin[0] + 1e-9)
    return np.arange(first, math.ceil(end[-1] - 1e-9), dtype=np.float64), (begin - first, end - first)


def _averaged(values: Tile, begin: NDArray[np.float64], end: NDArray[np.float64], axis: int = 0) -> Tile:
    """Means of ``values`` from ``begin`` to ``end`` along ``axis``, by differences of their integral."""
    moved = np.moveaxis(values, axis, 0)
    whole = np.concatenate([np.zeros_like(moved[:1], np.float64), np.cumsum(moved, axis=0, dtype=np.float64)])

    def integral(at: NDArray[np.float64]) -> NDArray[np.float64]:
        full = np.clip(np.floor(at).astype(np.int64), 0, len(moved) - 1)
        part: NDArray[np.float64] = whole[full] + moved[full] * (at - full)[:, None, None]
        return part

    means = (integral(end) - integral(begin)) / (end - begin)[:, None, None]
    return np.moveaxis(means, 0, axis).astype(np.float32)


def _brought_back(samples: Samples, grid: str | int) -> _Source:
    """``samples`` with one sample per true pixel."""
    found = None
    if isinstance(grid, int):
        found = pixel_grid.grid_of(samples, grid)
    elif grid == "auto":
        found = pixel_grid.true_grid(samples)
    height, width, _ = samples.shape
    if found is None:
        return _Source(samples, Axis(width), Axis(height))
    across, down = Axis(width, found[0], found[2]), Axis(height, found[1], found[3])
    merge = not pixel_grid.is_exact(samples, found)
    return _Source(pixel_grid.brought_back(samples, across, down, merge=merge), across, down)


def _needed(axis: Axis, begin: int, end: int, result: int) -> tuple[int, int]:
    """The first true pixel that decides on pixels ``[begin, end)`` of the result, and how many do."""
    first, last = (int(at) for at in axis.under(begin, end, result)[[0, -1]])
    first, last = max(0, first - REACH), min(axis.cells, last + REACH + 1)
    return first, last - first


# --- Scale2x ------------------------------------------------------------------------------------------------------------


def steps_to(scale: float) -> tuple[int, ...]:
    """Steps of 2 and 3 whose product is the smallest that is no less than ``scale`` (at most :data:`FINEST`), threes first."""
    products = {2**twos * 3**threes: (3,) * threes + (2,) * twos for twos in range(7) for threes in range(4)}
    reached = [product for product in products if product <= FINEST and product >= scale - 1e-9]
    return products[min(reached, default=FINEST)]


def scaled(look: NDArray[np.generic], steps: tuple[int, ...]) -> NDArray[np.int64]:
    """For ``(h, w)`` keys: the number (row by row) of the pixel that is shown at each place of the picture enlarged by ``steps``."""
    where = np.arange(look.size).reshape(look.shape)
    flat = look.reshape(-1)
    for step in steps:
        where = (_twice if step == 2 else _thrice)(where, flat)
    return where


def _around(where: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The nine neighbours of every place, row by row; borders are repeated."""
    height, width = where.shape
    padded = np.pad(where, 1, mode="edge")
    return [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]


def _twice(where: NDArray[np.int64], look: NDArray[np.generic]) -> NDArray[np.int64]:
    """Scale2x: a corner becomes what both pixels beside it are, unless one of them goes on past it."""
    _, up, _, left, _, right, _, down, _ = _around(where)
    u, l, r, d = (look[side] for side in (up, left, right, down))  # noqa: E741
    out = np.repeat(np.repeat(where, 2, 0), 2, 1)
    corner = (u != d) & (l != r)
    np.copyto(out[0::2, 0::2], up, where=corner & (l == u))
    np.copyto(out[0::2, 1::2], up, where=corner & (u == r))
    np.copyto(out[1::2, 0::2], down, where=corner & (l == d))
    np.copyto(out[1::2, 1::2], down, where=corner & (d == r))
    return out


def _thrice(where: NDArray[np.int64], look: NDArray[np.generic]) -> NDArray[np.int64]:
    """Scale3x: corners as in Scale2x, and the middle of a side where the edge goes on along it."""
    _, up, _, left, _, right, _, down, _ = nine = _around(where)
    nw, u, ne, l, e, r, sw, d, se = (look[side] for side in nine)  # noqa: E741
    out = np.repeat(np.repeat(where, 3, 0), 3, 1)
    corner = (u != d) & (l != r)
    a, b, c, f = (corner & same for same in (l == u, u == r, l == d, d == r))
    for y, x, condition, from_ in (
        (0, 0, a, up),
        (0, 2, b, up),
        (2, 0, c, down),
        (2, 2, f, down),
        (0, 1, (a & (e != ne)) | (b & (e != nw)), up),
        (1, 0, (c & (e != nw)) | (a & (e != sw)), left),
        (1, 2, (b & (e != se)) | (f & (e != ne)), right),
        (2, 1, (f & (e != sw)) | (c & (e != se)), down),
    ):
        np.copyto(out[y::3, x::3], from_, where=condition)
    return out


engine = PixelArt()
