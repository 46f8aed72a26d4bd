"""Colour under transparent pixels, made up from the visible neighbourhood, so that a net sees no fringe there.

What lies under alpha 0 is invisible but not absent: often black, white or garbage. An enlarger mixes it into the edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Samples

TILE = 512
LEVELS = 6
HALO = 2 ** (LEVELS + 1)
"""Pixels around a tile that its result depends on: a level's neighbours on either side, on all levels."""

FAINT = 1 / 128
"""Alpha up to which colour counts as invisible."""

Floats = NDArray[np.float32]


def bleed(samples: Samples, alpha: Samples, mean: Floats | None = None) -> Samples:
    """``samples`` ``(h, w, c)`` with new colour where ``alpha`` ``(h, w)`` (same dtype) is faint; the rest is untouched.

    Local means of the visible colours, weighted by alpha, over blocks of 2, 4, 8 ... pixels: the finest that sees
    anything wins, interpolated between blocks. Where none does, ``mean``, by default the mean visible colour.
    Push-pull after Gortler et al., "The Lumigraph" (1996). With nothing visible at all ``samples`` come back as they are.
    """
    top = np.float32(np.iinfo(samples.dtype).max)
    weight = alpha.astype(np.float32) / top
    hidden = weight <= FAINT
    weight[hidden] = 0
    if not hidden.any() or (mean is None and hidden.all()):
        return samples
    if mean is not None and hidden.all():
        return np.broadcast_to(np.clip(mean + np.float32(0.5), 0, top).astype(samples.dtype), samples.shape)
    colour: Floats = samples.astype(np.float32)
    colour *= weight[..., None]
    if mean is None:
        mean = (colour.sum((0, 1), dtype=np.float64) / weight.sum(dtype=np.float64)).astype(np.float32)
    filled = _pull(colour, weight, mean, LEVELS)
    out = samples.copy()
    out[hidden] = np.clip(filled[hidden] + np.float32(0.5), 0, top).astype(samples.dtype)
    return out


def _pull(colour: Floats, weight: Floats, mean: Floats, level: int) -> Floats:
    """Colour where there is weight, else what the coarser levels say, else ``mean``."""
    h, w = weight.shape
    seen = weight > 0
    own: Floats = np.divide(colour, np.where(seen, weight, 1)[..., None], dtype=np.float32)
    if seen.all():
        return own
    if level == 0 or (h == 1 and w == 1):
        return np.where(seen[..., None], own, mean)
    coarse = _pull(_halve(colour), _halve(weight[..., None])[..., 0], mean, level - 1)
    return np.where(seen[..., None], own, _double(coarse)[:h, :w])


def _halve(values: Floats) -> Floats:
    """Means of blocks of 2 x 2; an odd edge counts its missing pixels as nothing."""
    h, w, c = values.shape
    padded = np.pad(values, ((0, h % 2), (0, w % 2), (0, 0)))
    blocks: Floats = padded.reshape((h + 1) // 2, 2, (w + 1) // 2, 2, c).mean((1, 3), dtype=np.float32)
    return blocks


def _double(values: Floats) -> Floats:
    """Twice as wide and high, linear between the centres of pixels."""
    for axis in (0, 1):
        edge = [(0, 0)] * 3
        edge[axis] = (1, 1)
        wide = np.moveaxis(np.pad(values, edge, "edge"), axis, 0)
        pair = np.stack((0.75 * wide[1:-1] + 0.25 * wide[:-2], 0.75 * wide[1:-1] + 0.25 * wide[2:]), 1)
        values = np.moveaxis(pair.reshape(-1, *pair.shape[2:]), 0, axis).astype(np.float32)
    return values


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
        alpha[faint] = 0
        weight += float(alpha.sum(dtype=np.float64))
        total += np.einsum("hwc,hw->c", band[..., :-1], alpha, dtype=np.float64, casting="unsafe")
    if not hidden or not weight:
        return samples
    mean = (total / weight).astype(np.float32)
    with Canvas(w, h, bands, samples.dtype.type) as canvas:
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
    colour = bleed(around[..., :-1], around[..., -1], mean)
    inner = colour[box.y - y : box.bottom - y, box.x - x : box.right - x]
    return np.concatenate((inner, tile[..., -1:]), axis=2)
