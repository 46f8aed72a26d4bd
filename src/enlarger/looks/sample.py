"""What of a picture is looked at: a few full-resolution crops, mostly where much happens, and a sparse grid over the whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Image, Samples

SIDE = 320
"""Side of a crop, in pixels. A multiple of 8 and of most pixel-art blocks is not needed: crops know where they lie."""

CROPS = 8
EVEN = 3
"""Crops of a large picture, and how many of them are spread evenly; the others lie where most happens."""

WHOLE = CROPS * SIDE * SIDE
"""Pixels up to which a picture is looked at as a whole."""

SPARSE = 400
"""Pixels along the longer side of the sparse grid."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crop:
    """Full-resolution pixels ``(h, w, 3) uint8`` whose first lies at ``x, y``; ``alpha`` is ``(h, w) uint8`` or ``None``.

    What is transparent has been laid on one plain colour.
    """

    x: int
    y: int
    pixels: Bytes
    alpha: Bytes | None

    @cached_property
    def luma(self) -> Floats:
        """Rec. 601, ``(h, w)`` in 0..255."""
        result: Floats = self.pixels @ LUMA
        return result

    @cached_property
    def across(self) -> Bytes:
        """Largest difference of any channel from the pixel to the left, ``(h, w - 1)``."""
        return _difference(self.pixels[:, 1:], self.pixels[:, :-1])

    @cached_property
    def down(self) -> Bytes:
        """Largest difference of any channel from the pixel above, ``(h - 1, w)``."""
        return _difference(self.pixels[1:], self.pixels[:-1])


def _difference(one: Bytes, other: Bytes) -> Bytes:
    apart = np.maximum(one, other) - np.minimum(one, other)
    # Reduction along an axis of three is slow.
    result: Bytes = np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])
    return result


@dataclass(frozen=True)
class Sample:
    """A picture of ``width`` x ``height`` as triage sees it. ``sparse`` is ``(n, m, 3) uint8``: every ``step``-th pixel both ways.

    ``sparse_alpha`` is ``None`` without an alpha band. ``grey`` says that the picture has one channel.
    """

    width: int
    height: int
    grey: bool
    crops: tuple[Crop, ...]
    sparse: Bytes
    sparse_alpha: Bytes | None
    step: int


def sample(picture: Image) -> Sample:
    """The part of ``picture`` that is looked at; at most 1 MP as bytes."""
    samples = picture.samples
    height, width = samples.shape[:2]
    step = max(1, max(height, width) // SPARSE)
    down, across = (min(step, n) // 2 for n in (height, width))
    colours, alpha = _split(samples[down::step, across::step], picture)
    under = _ground(colours, alpha)
    crops = [_crop(samples, picture, x, y, w, h, under) for x, y, w, h in _places(width, height, colours, alpha, step)]
    return Sample(width, height, picture.channels == 1, tuple(crops), _laid(colours, alpha, under), alpha, step)


def crop_of(picture: Image, box: Box) -> Crop:
    """``box`` of ``picture``, what is transparent laid on white."""
    return _crop(picture.samples, picture, box.x, box.y, box.width, box.height, 255)


def _split(samples: Samples, picture: Image) -> tuple[Bytes, Bytes | None]:
    """Colour as three bands and alpha, in eight bits."""
    narrow: Bytes = (samples >> 8).astype(np.uint8) if samples.dtype == np.uint16 else np.ascontiguousarray(samples, np.uint8)
    colour = narrow[..., : picture.channels]
    colour = np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))
    return colour, narrow[..., picture.channels] if picture.alpha else None


def _ground(colours: Bytes, alpha: Bytes | None) -> int:
    """The grey level that transparent parts are laid on: white, or black under what is bright itself."""
    if alpha is None or not (alpha > 127).any():
        return 255
    return 0 if float((colours[alpha > 127] @ LUMA).mean()) > 170 else 255


def _laid(colours: Bytes, alpha: Bytes | None, under: int) -> Bytes:
    if alpha is None:
        return colours
    share = alpha.astype(np.float32)[..., None] * np.float32(1 / 255)
    result: Bytes = np.rint(colours * share + np.float32(under) * (1 - share)).astype(np.uint8)
    return result


def _crop(samples: Samples, picture: Image, x: int, y: int, width: int, height: int, under: int) -> Crop:
    colours, alpha = _split(samples[y : y + height, x : x + width], picture)
    return Crop(x, y, _laid(colours, alpha, under), alpha)


def _places(width: int, height: int, colours: Bytes, alpha: Bytes | None, step: int) -> list[tuple[int, int, int, int]]:
    """Boxes of crops: the visible part of a small picture, else :data:`CROPS` squares that do not overlap."""
    left, top, right, bottom = _visible(width, height, alpha, step)
    if (right - left) * (bottom - top) <= WHOLE:
        return [(left, top, right - left, bottom - top)]
    wide, high = min(SIDE, right - left), min(SIDE, bottom - top)
    columns, rows = max(1, (right - left) // wide), max(1, (bottom - top) // high)
    boxes = [
        (left + (right - left - wide) * i // max(1, columns - 1), top + (bottom - top - high) * j // max(1, rows - 1), wide, high)
        for j in range(rows)
        for i in range(columns)
    ]
    if len(boxes) <= CROPS:
        return boxes
    even = [boxes[(2 * k + 1) * len(boxes) // (2 * EVEN)] for k in range(EVEN)]
    grey = colours.astype(np.int16).sum(2)
    lively = sorted((box for box in boxes if box not in even), key=lambda box: -_activity(grey, box, step))
    return even + lively[: CROPS - EVEN]


def _activity(grey: NDArray[Any], box: tuple[int, int, int, int], step: int) -> float:
    x, y, width, height = (n // step for n in box)
    part = grey[y : y + height, x : x + width].astype(np.float32)
    # Square roots: a place with many moderate edges tells more than one with a single black border.
    return float(np.sqrt(np.abs(np.diff(part, axis=0))).sum() + np.sqrt(np.abs(np.diff(part, axis=1))).sum())


def _visible(width: int, height: int, alpha: Bytes | None, step: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not fully transparent, to within ``step``."""
    if alpha is None or not alpha.any():
        return 0, 0, width, height
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    left, top = max(0, (int(columns[0]) - 1) * step), max(0, (int(rows[0]) - 1) * step)
    return left, top, min(width, (int(columns[-1]) + 2) * step), min(height, (int(rows[-1]) + 2) * step)
