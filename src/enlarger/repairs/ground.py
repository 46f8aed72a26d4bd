"""The ground that a product stands on: found on the border of a picture, as smooth light over one colour, and followed inwards.

All at working size: ``(h, w, 3)`` float32, 0..255, as encoded. Distances are CIE 1976 colour differences of the two, taken as sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import pyvips, vips_of
from enlarger.pixels.bands import window_mean

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

TUKEY = 4.7
LEAST_NOISE = 0.6
"""Deviation (of 255) that every picture is taken to have: rounding, and JPEG at its best."""
FITTED = 6000
"""Pixels that a polynomial is fitted to."""


@dataclass(frozen=True, slots=True)
class Ground:
    """``colour`` of the ground for every pixel ``(h, w, 3)``; ``noise``, its deviation; ``share`` of the border that it explains."""

    colour: Floats
    noise: float
    share: float


def lab(rgb: Floats) -> Floats:
    """``(h, w, 3)`` in CIELAB (D65), by libvips."""
    picture = vips_of(np.clip(np.rint(rgb * 257), 0, 65535).astype(np.uint16)).copy(interpretation="rgb16").colourspace("lab")
    return np.frombuffer(picture.write_to_memory(), np.float32).reshape(rgb.shape)


def difference(one: Floats, two: Floats) -> Floats:
    """CIE 1976 colour difference, ``(h, w)``."""
    gap = lab(one) - lab(two)
    return np.asarray(np.sqrt(np.einsum("hwc,hwc->hw", gap, gap)), np.float32)


def border(shape: tuple[int, ...]) -> Mask:
    """The outermost fiftieth of a picture, 2 pixels at least."""
    ring = np.ones(shape[:2], bool)
    wide = max(2, min(shape[:2]) // 50)
    ring[wide:-wide, wide:-wide] = False
    return ring


def terms(height: int, width: int, degree: int) -> Floats:
    """Products of powers of y and x in [-1, 1] up to ``degree`` together: ``(h, w, n)``."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in (height, width))
    return np.stack([np.multiply.outer(y**i, x**j) for i in range(degree + 1) for j in range(degree + 1 - i)], -1)


def fitted(picture: Floats, where: Mask, degree: int, start: Floats | None = None) -> tuple[Floats, float, float]:
    """A polynomial through the pixels ``where``, robustly (Tukey's biweight): its values everywhere, noise, share of inliers.

    ``start`` is a guess of the colour everywhere; without, the median. What deviates by far from most is not followed.
    """
    basis = terms(picture.shape[0], picture.shape[1], degree)
    at = np.flatnonzero(where)
    at = at[:: max(1, len(at) // FITTED)]
    colours = picture.reshape(-1, 3)[at]
    design = basis.reshape(-1, basis.shape[-1])[at]
    now: NDArray[Any] = np.median(colours, 0) if start is None else start.reshape(-1, 3)[at]
    solution = np.zeros((basis.shape[-1], 3))
    noise, share = 0.0, 0.0
    for _ in range(8):
        far = np.abs(colours - now).max(1)
        noise = max(LEAST_NOISE, float(1.4826 * np.median(far)))
        weight = np.clip(1 - (far / (TUKEY * noise)) ** 2, 0, None) ** 2
        share = np.count_nonzero(weight) / len(at)
        if share * len(at) < 2 * design.shape[1]:
            break
        held = design.T * weight
        solution = np.linalg.solve(held @ design + 1e-6 * np.eye(design.shape[1]), held @ colours)
        now = design @ solution
    return (basis @ solution).astype(np.float32), noise, share


def of_border(picture: Floats) -> Ground:
    """The ground as the border shows it."""
    ring = border(picture.shape)
    colour, noise, share = fitted(picture, ring, 0)
    for degree in (1, 2):
        colour, noise, share = fitted(picture, ring, degree, colour)
    # Noise by the middle half of residuals: the greatest of three channels is 1.4 times one's deviation.
    return Ground(np.clip(colour, 0, 255), max(LEAST_NOISE, noise / 1.6), share)


def followed(picture: Floats, known: Mask, ground: Ground) -> Ground:
    """``ground`` brought up to what is ``known`` to be ground: a cubic through it, then what is left, smoothed and carried on."""
    colour, _, _ = fitted(picture, known, 3, ground.colour)
    left = np.where(known[..., None], picture - colour, 0)
    colour = colour + spread(left, known.astype(np.float32), max(2, max(known.shape) // 60))
    off = np.abs(picture - colour).max(2)[known]
    return Ground(np.clip(colour, 0, 255), max(LEAST_NOISE, float(1.4826 * np.median(off)) / 1.6), ground.share)


def spread(values: Floats, weight: Floats, radius: int, far: int | None = None) -> Floats:
    """Means of ``values`` ``(h, w, c)`` weighted by ``weight`` ``(h, w)`` over ever larger windows, the smallest that has any weight.

    Where none up to ``far`` pixels (by default half the picture) has any, the mean of all. Windows are doubled by halving the picture.
    """
    planes = np.concatenate((np.moveaxis(values * weight[..., None], 2, 0), weight[None]))
    return _spread(planes, radius, (far or max(weight.shape) // 2) / radius)


def _spread(planes: Floats, radius: int, times: float) -> Floats:
    mean = window_mean(window_mean(planes, radius), radius)
    has = np.clip(mean[-1] * 50, 0, 1)
    out = np.moveaxis(mean[:-1] / np.maximum(mean[-1], np.float32(1e-6)), 0, 2)
    if float(has.min()) > 0.999:
        return np.ascontiguousarray(out)
    if times < 2 or min(has.shape) < 2:
        total = planes.sum((1, 2), dtype=np.float64)
        wider: Floats = np.broadcast_to((total[:-1] / max(1e-6, total[-1])).astype(np.float32), out.shape)
    else:
        height, width = has.shape
        even = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)))
        half = (even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) * np.float32(0.25)
        wider = rows_enlarged(_spread(half, radius, times / 2), 0, height, height, width)
    return np.asarray(out * has[..., None] + wider * (1 - has)[..., None], np.float32)


def rows_enlarged(planes: Floats, start: int, stop: int, height: int, width: int) -> Floats:
    """Rows ``start`` to ``stop`` of ``planes`` ``(h, w, c)`` at ``height`` x ``width``, linear between the centres of pixels."""
    parts = []
    for first, last, length, size in ((start, stop, height, planes.shape[0]), (0, width, width, planes.shape[1])):
        at = np.clip((np.arange(first, last, dtype=np.float32) + np.float32(0.5)) * (size / length) - 0.5, 0, size - 1)
        low = np.minimum(at.astype(np.int64), max(0, size - 2))
        parts.append((low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)))
    (top, bottom, down), (left, right, across) = parts
    if planes.shape[:2] == (height, width):
        return planes[start:stop]
    rows = planes[top] * (1 - down)[:, None, None] + planes[bottom] * down[:, None, None]
    return np.asarray(rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None], np.float32)


def connected(mask: Mask, seeds: Mask) -> Mask:
    """What of ``mask`` hangs together (in four directions) with any of ``seeds`` in it."""
    labels = labelled(mask)
    wanted = np.zeros(int(labels.max()) + 1, bool)
    wanted[labels[seeds & mask]] = True
    return wanted[labels] & mask


def labelled(mask: Mask) -> NDArray[np.int32]:
    """Number of the region of equal value that each pixel lies in, from 0, by libvips."""
    picture = vips_of(np.where(mask, np.uint8(255), np.uint8(0))[..., None])
    try:
        return np.frombuffer(picture.labelregions().write_to_memory(), np.int32).reshape(mask.shape)
    except pyvips.Error as error:  # pragma: no cover (there is nothing in a mask that it could stumble over)
        raise MemoryError("no room for the regions of a mask") from error
