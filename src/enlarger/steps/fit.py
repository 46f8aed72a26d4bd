"""Samples of another size than wanted, brought to it: what a stage that is not exactly its net's scale does after the net."""

from __future__ import annotations

from typing import Any

import numpy as np

from enlarger.canvas import Canvas
from enlarger.codecs.vips import rows_of, vips_of
from enlarger.image import Box, Samples

MOST = 1.02
"""By how much samples are stretched at most where they are delivered: more is a mistake of whoever planned it."""


def reduced(picture: Any, width: int, height: int, top: int, *, transparent: bool) -> Any:
    """A libvips picture by Lanczos-3 and the exact factors of both axes, in float; ``top`` is white. What is a little small is stretched.

    Colour is weighted by alpha, if the picture is ``transparent``, so that no hidden colour leaks in.
    """
    picture = picture.cast("float")
    if transparent:
        picture = picture.premultiply(max_alpha=top)
    if picture.height > height:
        picture = picture.reducev(picture.height / height, kernel="lanczos3")
    if picture.width > width:
        picture = picture.reduceh(picture.width / width, kernel="lanczos3")
    if picture.width < width or picture.height < height:
        picture = picture.resize(width / picture.width, vscale=height / picture.height, kernel="lanczos3")
    return picture.unpremultiply(max_alpha=top) if transparent else picture


def fitted(samples: Samples, width: int, height: int) -> Samples:
    """``samples`` ``(h, w, bands)``, the last of 2 or 4 alpha, as ``width`` x ``height``; ``uint16`` when anything was done."""
    if samples.shape[:2] == (height, width):
        return samples
    top = int(np.iinfo(samples.dtype).max)
    picture = reduced(vips_of(samples), width, height, top, transparent=samples.shape[2] in (2, 4))
    picture = picture.linear(65535 / top, 0).rint().cast("ushort")
    with Canvas(width, height, samples.shape[2], np.uint16) as canvas:
        for y, rows in rows_of(picture):
            canvas.write(Box(0, y, width, len(rows)), rows)
        return canvas.samples()
