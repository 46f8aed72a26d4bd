"""Parts: a picture repaired square by square, each with what lies around it, so that memory does not depend on its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Samples
from enlarger.pixels.scaling import Planes
from enlarger.threads import in_order, one_blas_thread

SIDE = 384
"""Pixels of a part, without its surroundings. A multiple of every block that JPEG knows."""

Repair = Callable[[Planes, Box], Planes]
"""From ``(n, h + 2 * reach, w + 2 * reach)`` in 0..255 to ``(n, h, w)``, for that box of the picture; ``h`` and ``w`` are even."""


def by_parts(samples: Samples, channels: int, repair: Repair, reach: int, origin: tuple[int, int] = (0, 0)) -> Samples:
    """``samples`` ``(h, w, bands)``, whose first ``channels`` go through ``repair``; same type, other bands as they were.

    Parts begin at ``origin`` (x, y; neither above 0) and every :data:`SIDE` pixels. Around the picture lies its mirror image.
    """
    height, width, bands = samples.shape
    dtype = np.uint8 if samples.dtype == np.uint8 else np.uint16
    top = np.iinfo(dtype).max

    def repaired(part: Box) -> tuple[Box, Samples]:
        planes = np.multiply(_around(samples[..., :channels], part, reach), np.float32(255 / top), dtype=np.float32)
        done = repair(planes.transpose(2, 0, 1), part)
        left, first = max(0, part.x), max(0, part.y)
        box = Box(left, first, min(width, part.right) - left, min(height, part.bottom) - first)
        tile = np.array(samples[box.slices()])
        inside = done[:, first - part.y : box.bottom - part.y, left - part.x : box.right - part.x].transpose(1, 2, 0)
        tile[..., :channels] = np.rint(np.clip(inside * np.float32(top / 255), 0, top)).astype(dtype)
        return box, tile

    canvas = Canvas(width, height, bands, dtype)
    parts = (Box(x, y, across, down) for y, down in _spans(origin[1], height) for x, across in _spans(origin[0], width))
    with one_blas_thread():
        for box, tile in in_order(repaired, parts):
            canvas.write(box, tile)
    return canvas.samples()


def _spans(start: int, length: int) -> list[tuple[int, int]]:
    """Start and size of each part; sizes are even, so the last may go past the end."""
    return [(at, min(SIDE, length - at + (length - at) % 2)) for at in range(start, length, SIDE)]


def _around(samples: Samples, box: Box, reach: int) -> Samples:
    """``box`` and ``reach`` pixels more at each side, which may lie outside of the picture."""
    rows = _mirrored(box.y - reach, box.bottom + reach, samples.shape[0])
    columns = _mirrored(box.x - reach, box.right + reach, samples.shape[1])
    part = samples[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    around: Samples = part[(rows - rows.min())[:, None], columns - columns.min()]
    return around


def _mirrored(start: int, stop: int, length: int) -> NDArray[Any]:
    """Indices ``[start, stop)`` of an endless row of mirror images of ``length`` samples."""
    at = np.arange(start, stop) % (2 * length)
    return np.minimum(at, 2 * length - 1 - at)
