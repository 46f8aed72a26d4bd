"""Which part of a source does a result show, and how large? Found by content; sizes only suggest what to try.

Phase correlation (Kuglin and Hines 1975) of both at one size, for each scale that is likely; the peak whose overlap correlates
best wins. What is left below a source pixel is for :mod:`enlarger.measures.registration` to measure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import vips_of
from enlarger.image import Box, Image
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import luma

SIDE = 384
"""Longer side in pixels at which places are looked for."""
USUAL = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
SURE = 0.95
"""Likeness from which on the scale that the sizes say needs no second opinion."""
UNRELATED = 0.7
"""Likeness below which two pictures do not show the same. Results of engines have 0.98 and more."""
SAME = 0.01
"""By so much must another place correlate better than the plain one."""
LEAST_OVERLAP = 0.15
"""Share of either picture."""


@dataclass(frozen=True)
class Place:
    """``source`` and ``result`` are the boxes, in own pixels, that show the same; ``likeness`` is their correlation, -1 to 1."""

    source: Box
    result: Box
    likeness: float


def locate(source: Image, result: Image) -> Place:
    """Where ``result`` lies on ``source``. Unrelated pictures have some place too, of low likeness."""
    across, down = result.width / source.width, result.height / source.height
    plain = _best(source, result, across, down)
    if plain.likeness >= SURE:
        return plain
    others = [_best(source, result, scale, scale) for scale in _scales(across, down)]
    best = max(others, key=lambda place: place.likeness)
    if best.likeness < max(UNRELATED, plain.likeness + SAME):
        return plain if plain.likeness >= UNRELATED else replace(_whole(source, result), likeness=plain.likeness)
    return best


def _scales(across: float, down: float) -> list[float]:
    """What the scale may be where the sizes do not say it: that of a crop, of padding, and the usual ones."""
    low, high = min(across, down), max(across, down)
    return sorted({low, high, *(scale for scale in USUAL if low <= scale <= 2.5 * high)})


def _whole(source: Image, result: Image) -> Place:
    return Place(Box(0, 0, source.width, source.height), Box(0, 0, result.width, result.height), -1.0)


def _best(source: Image, result: Image, across: float, down: float) -> Place:
    fine = min(1.0, SIDE / max(source.width, source.height))
    x = _small(source, round(source.width * fine), round(source.height * fine))
    y = _small(result, round(result.width / across * fine), round(result.height / down * fine))
    best = (-1.0, 0, 0)
    for left, top in [(0, 0), *_peaks(x, y)]:
        likeness = _likeness(x, y, left, top)
        if likeness > best[0] + (SAME if best[1:] == (0, 0) else 0):
            best = (likeness, left, top)
    likeness, left, top = best
    if (left, top) == (0, 0) and x.shape == y.shape:
        return replace(_whole(source, result), likeness=likeness)
    x0, y0 = round(left / fine), round(top / fine)
    shown = Box(max(0, x0), max(0, y0), 0, 0)
    right, bottom = min(source.width, round(x0 + result.width / across)), min(source.height, round(y0 + result.height / down))
    shown = Box(shown.x, shown.y, max(1, right - shown.x), max(1, bottom - shown.y))
    from_x, from_y = round((shown.x - x0) * across), round((shown.y - y0) * down)
    width, height = round(shown.width * across), round(shown.height * down)
    return Place(shown, Box(from_x, from_y, min(width, result.width - from_x), min(height, result.height - from_y)), likeness)


def _small(picture: Image, width: int, height: int) -> Floats:
    width, height = max(1, width), max(1, height)
    plane = vips_of(picture.samples[..., : picture.channels]).cast("float")
    plane = plane.resize(width / picture.width, vscale=height / picture.height, kernel="linear")
    samples = np.frombuffer(plane.write_to_memory(), np.float32).reshape(plane.height, plane.width, plane.bands)
    return luma(samples)


def _peaks(x: Floats, y: Floats) -> list[tuple[int, int]]:
    """Likely offsets of ``y`` on ``x`` in pixels: columns and rows, negative where y begins outside."""
    shape = tuple(int(2 ** np.ceil(np.log2(a + b))) for a, b in zip(x.shape, y.shape, strict=True))
    spectra = [np.fft.rfft2(_tapered(picture), s=shape) for picture in (x, y)]
    cross = spectra[0] * np.conj(spectra[1])
    surface = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=shape)
    found = []
    for at in np.argsort(surface, axis=None)[:-9:-1]:
        row, column = (int(v) for v in np.unravel_index(int(at), surface.shape))
        found.append((column - shape[1] if column > x.shape[1] else column, row - shape[0] if row > x.shape[0] else row))
    return found


def _tapered(picture: Floats) -> NDArray[np.float64]:
    window = np.outer(*(np.hanning(n + 2)[1:-1] ** 0.5 for n in picture.shape))
    return np.asarray((picture - picture.mean()) * window)


def _likeness(x: Floats, y: Floats, left: int, top: int) -> float:
    """Correlation of what overlaps when ``y`` lies at ``left, top`` on ``x``; -1 where too little does."""
    (h, w), (p, q) = x.shape, y.shape
    y0, y1, x0, x1 = max(0, top), min(h, top + p), max(0, left), min(w, left + q)
    if y1 <= y0 or x1 <= x0 or (y1 - y0) * (x1 - x0) < LEAST_OVERLAP * max(1, min(h * w, p * q)):
        return -1.0
    a, b = x[y0:y1, x0:x1], y[y0 - top : y1 - top, x0 - left : x1 - left]
    a, b = a - a.mean(), b - b.mean()
    power = float((a * a).sum() * (b * b).sum())
    return float((a * b).sum()) / power**0.5 if power > 0 else 1.0
