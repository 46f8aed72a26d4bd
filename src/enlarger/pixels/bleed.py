"""Colour under transparent pixels, made up from the visible neighbourhood, so that a net sees no fringe there.

What lies under alpha 0 is invisible but not absent: often black, white or garbage. An enlarger mixes it into the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.image import Box, Samples

TILE = 512
LEVELS = 6
HALO = 2 ** (LEVELS + 1)
"""Pixels around a tile that its result depends on: a level's neighbours on either side, on all levels."""

FAINT = 1 / 128
"""Alpha up to which colour counts as invisible."""

Floats = NDArray[np.float32]


def bleed(samples: Samples, alpha: Samples, mean: Floats | None = None, inner: Box | None = None) -> Samples:
    """``samples`` ``(h, w, c)`` with new colour where ``alpha`` ``(h, w)`` (same dtype) is faint; the rest is untouched.

    Local means of the visible colours, weighted by alpha, over blocks of 2, 4, 8 ... pixels: the finest that sees
    anything wins, interpolated between blocks. Where none does, ``mean``, by default the mean visible colour.
    Push-pull after Gortler et al., "The Lumigraph" (1996). With nothing visible at all ``samples`` come back as they are.
    Of the result only ``inner`` is made, if given (its corner at even coordinates); the rest is looked at.
    """
    height, width, bands = samples.shape
    own = samples if inner is None else samples[inner.slices()]
    inner = inner or Box(0, 0, width, height)
    top = np.float32(np.iinfo(samples.dtype).max)
    weight = alpha.astype(np.float32) / top
    hidden = weight <= FAINT
    weight[hidden] = 0
    if not hidden.any() or (mean is None and hidden.all()):
        return own
    if mean is not None and hidden.all():
        return np.broadcast_to(np.clip(mean + np.float32(0.5), 0, top).astype(samples.dtype), own.shape)
    weighted: Floats = np.empty((height, width, bands + 1), np.float32)
    np.multiply(samples, weight[..., None], out=weighted[..., :-1])
    weighted[..., -1] = weight
    if mean is None:
        total = weighted[..., :-1].sum((0, 1), dtype=np.float64) / weight.sum(dtype=np.float64)
        mean = total.astype(np.float32)
    filled = _double_inside(_pull(_halve(weighted), mean, LEVELS - 1), inner)
    filled += np.float32(0.5)
    np.clip(filled, 0, top, out=filled)
    return np.where(hidden[inner.slices()][..., None], filled.astype(samples.dtype), own)


def _double_inside(coarse: Floats, inner: Box) -> Floats:
    """:func:`_double`, of which only ``inner`` is made: its own blocks and one more around."""
    x, y = max(0, inner.x // 2 - 1), max(0, inner.y // 2 - 1)
    part = coarse[y : (inner.bottom + 1) // 2 + 1, x : (inner.right + 1) // 2 + 1]
    wide = _double(part, 2 * part.shape[0], 2 * part.shape[1])
    return wide[inner.y - 2 * y : inner.bottom - 2 * y, inner.x - 2 * x : inner.right - 2 * x]


def _pull(weighted: Floats, mean: Floats, level: int) -> Floats:
    """Colour where there is weight (the last band), else what the coarser levels say, else ``mean``."""
    height, width = weighted.shape[:2]
    weight = weighted[..., -1:]
    hidden = weight == 0
    own: Floats = np.divide(weighted[..., :-1], np.where(hidden, np.float32(1), weight), dtype=np.float32)
    if not hidden.any():
        return own
    coarse = mean
    if level > 0 and (height, width) != (1, 1):
        coarse = _double(_pull(_halve(weighted), mean, level - 1), height, width)
    np.copyto(own, coarse, where=hidden)
    return own


def _halve(values: Floats) -> Floats:
    """Means of blocks of 2 x 2; an odd edge counts its missing pixels as nothing."""
    height, width, bands = values.shape
    half: Floats = np.zeros(((height + 1) // 2, (width + 1) // 2, bands), np.float32)
    for y in (0, 1):
        for x in (0, 1):
            part = values[y::2, x::2]
            half[: part.shape[0], : part.shape[1]] += part
    half *= np.float32(0.25)
    return half


def _double(values: Floats, height: int, width: int) -> Floats:
    """Twice as wide and high, linear between the centres of pixels; cut to ``height`` x ``width``."""
    for axis in (0, 1):
        wide: Floats = np.empty([2 * side if i == axis else side for i, side in enumerate(values.shape)], np.float32)
        out, near, far = (np.moveaxis(v, axis, 0) for v in (wide, values * np.float32(0.75), values * np.float32(0.25)))
        out[::2], out[1::2] = near, near
        out[2::2] += far[:-1]
        out[1:-1:2] += far[1:]
        out[0] += far[0]
        out[-1] += far[-1]
        values = wide
    return values[:height, :width]


def bled(samples: Samples) -> Samples:
    """:func:`bleed` over a whole picture ``(h, w, c + 1)`` whose last band is alpha; gives new samples, or the same ones.

    Works on tiles with a halo as wide as the result can reach, so memory stays that of one row of tiles and there
    are no seams: levels are aligned because tiles and halo are multiples of the coarsest block.
    """
    h, w, bands = samples.shape
    top = np.float32(np.iinfo(samples.dtype).max)
    total, weight, hidden = np.zeros(bands - 1), 0.0, 0
    for y in range(0, h, TILE):
        band = samples[y : y + TILE]
        alpha = band[..., -1].astype(np.float32) / top
        faint = alpha <= FAINT
        hidden += int(faint.sum())
        if faint.all():
            continue
        alpha[faint] = 0
        weight += float(alpha.sum(dtype=np.float64))
        total += np.einsum("hwc,hw->c", band[..., :-1], alpha, dtype=np.float64, casting="unsafe")
    if not hidden or not weight:
        return samples
    mean = (total / weight).astype(np.float32)
    with Canvas(w, h, bands, samples.dtype.type, in_memory=SOURCE_IN_MEMORY) as canvas:
        for y in range(0, h, TILE):
            for x in range(0, w, TILE):
                box = Box(x, y, min(TILE, w - x), min(TILE, h - y))
                canvas.write(box, _bled_tile(samples, box, mean, top * np.float32(FAINT)))
        return canvas.samples()


def _bled_tile(samples: Samples, box: Box, mean: Floats, faint: np.float32) -> Samples:
    tile = samples[box.slices()]
    if (tile[..., -1] > faint).all():
        return tile
    x, y = max(0, box.x - HALO), max(0, box.y - HALO)
    around = samples[y : box.bottom + HALO, x : box.right + HALO]
    colour = bleed(around[..., :-1], around[..., -1], mean, Box(box.x - x, box.y - y, box.width, box.height))
    return np.concatenate((colour, tile[..., -1:]), axis=2)
