"""Polish: sharpening and film grain on the finished picture, strip by strip, before it is encoded and so inside what verify measures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Samples
from enlarger.pixels.extremes import extremes
from enlarger.pixels.grain import grain as drawn
from enlarger.pixels.scaling import Planes
from enlarger.pixels.spectrum import luma
from enlarger.steps.enlarge import quantise

STRIP = 2**20
"""Samples that are made at once, about."""

GAIN = 1.5
"""Times the detail of luma that is added to it at 100."""

CORE = 1.5 / 255
"""Detail of this amplitude is sharpened half as much: below it is mostly noise."""

OVER = 0.03
"""Share of the local range by which an edge may go past what was there before. Verify has doubts from 0.1."""

WIDTH = 0.4
"""Deviation of the blur whose difference is the detail, in source pixels; never below 0.7 pixels of the result."""

DEEPEST = 8 / 255
"""Deviation of the grain at 100 in middle grey; it falls to nothing toward white and black, which stay what they are."""


def polished(samples: Samples, channels: int, scale: float, *, sharpen: int = 0, grain: int = 0, seed: int = 0) -> Samples:
    """``samples`` ``(h, w, bands)``, of which the first ``channels`` are colour, sharpened and grained by 0 to 100 each; same type.

    ``scale`` is pixels of the result to one of the source: detail is looked for at the source's finest, not at single pixels.
    """
    if not sharpen and not grain:
        return samples
    height, width, bands = samples.shape
    edge = reach(scale) if sharpen else 0
    step = max(16, STRIP // (width * bands))
    top = np.float32(np.iinfo(samples.dtype).max)
    dtype = np.uint8 if samples.dtype == np.uint8 else np.uint16
    canvas = Canvas(width, height, bands, dtype)
    for y in range(0, height, step):
        end = min(height, y + step)
        first, last = max(0, y - edge), min(height, end + edge)
        planes = samples[first:last, :, :channels].transpose(2, 0, 1).astype(np.float32) / top
        change = sharper(planes, scale, sharpen / 100)[:, y - first : end - first] if sharpen else np.float32(0)
        planes = planes[:, y - first : end - first]
        if grain:
            change = change + film(planes, y, scale, grain / 100, seed)
        tile = samples[y:end].copy()
        tile[..., :channels] = quantise(np.clip(planes + change, 0, 1).transpose(1, 2, 0), np.dtype(dtype))
        canvas.write(Box(0, y, width, end - y), tile)
    return canvas.samples()


def reach(scale: float) -> int:
    """Rows around a strip that decide on it."""
    return max(3 * math.ceil(_deviation(scale)), _radius(scale))


def _deviation(scale: float) -> float:
    return max(0.7, WIDTH * scale)


def _radius(scale: float) -> int:
    return max(2, math.ceil(scale))


def sharper(planes: Planes, scale: float, amount: float) -> Planes:
    """What sharpening adds to all colours alike, ``(1, h, w)``: detail of luma, less where it is weak, within the local range."""
    bright = luma(planes)
    detail = bright - blurred(bright, _deviation(scale))
    power = detail * detail
    wanted = bright + np.float32(GAIN * amount) * detail * (power / (power + np.float32(CORE**2)))
    low, high = extremes(bright, _radius(scale))
    over = np.float32(OVER) * (high - low)
    return np.asarray(np.clip(wanted, low - over, high + over) - bright, np.float32)


def film(planes: Planes, first: int, scale: float, amount: float, seed: int) -> Planes:
    """Seeded grain for rows from ``first`` on, ``(1, h, w)``: strongest in middle grey, none in white and black."""
    bright = luma(planes)
    noise = drawn(seed, bright.shape[2], first, first + bright.shape[1], max(scale, 1.0))
    strength = np.float32(4 * DEEPEST * amount) * bright * (1 - bright)
    # Where there is no room above or below, a clipped grain would shift the tone.
    grained: Planes = noise * np.minimum(strength, np.minimum(bright, 1 - bright) / 3)
    return grained


def blurred(planes: Planes, deviation: float) -> Planes:
    """``(n, h, w)`` through a Gaussian of ``deviation`` pixels, cut off at three; borders repeat."""
    radius = 3 * math.ceil(deviation)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    taps: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 2):
        length = planes.shape[axis]
        padded = _padded(planes, axis, radius)
        total = taps[radius] * planes
        for k in range(radius):
            total += taps[k] * (_part(padded, axis, k, length) + _part(padded, axis, 2 * radius - k, length))
        planes = total
    return planes


def _padded(planes: Planes, axis: int, by: int) -> Planes:
    return np.pad(planes, [(by, by) if a == axis else (0, 0) for a in range(3)], mode="edge")


def _part(planes: Planes, axis: int, start: int, count: int) -> Planes:
    return planes[:, start : start + count] if axis == 1 else planes[:, :, start : start + count]
