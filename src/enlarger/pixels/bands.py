"""Frequency bands of planes: the B3-spline wavelet "with holes" (Starck and Murtagh 1994), and means over small windows."""

from __future__ import annotations

import numpy as np

from enlarger.pixels.scaling import Planes

B3 = (1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16)

NOISE_GAIN = (0.8908, 0.2007, 0.0856, 0.0413)
"""Standard deviation of each band of white noise of deviation 1, finest band first."""


def smoothed(planes: Planes, step: int) -> Planes:
    """``planes`` convolved with the B3 spline whose taps lie ``step`` pixels apart, on both axes, the border repeated."""
    for axis in (1, 2):
        planes = _along(planes, axis, step)
    return planes


def _along(planes: Planes, axis: int, step: int) -> Planes:
    pad = [(0, 0)] * 3
    pad[axis] = (2 * step, 2 * step)
    padded = np.pad(planes, pad, mode="edge")
    length = planes.shape[axis]
    out = np.zeros_like(planes)
    term = np.empty_like(planes)
    for k, weight in enumerate(B3):
        part = padded[:, k * step : k * step + length] if axis == 1 else padded[:, :, k * step : k * step + length]
        np.multiply(part, np.float32(weight), out=term)
        out += term
    return out


def bands(planes: Planes, count: int) -> tuple[list[Planes], Planes]:
    """``count`` detail bands, finest first, and the rest: together they sum to ``planes``. Reaches ``2 * (2 ** count - 1)`` pixels."""
    details = []
    for level in range(count):
        coarser = smoothed(planes, 2**level)
        details.append(planes - coarser)
        planes = coarser
    return details, planes


def window_mean(planes: Planes, radius: int) -> Planes:
    """Mean over ``2 * radius + 1`` squared pixels, the border repeated."""
    size = 2 * radius + 1
    padded = np.pad(planes, ((0, 0), (radius + 1, radius), (radius + 1, radius)), mode="edge").astype(np.float64)
    total = padded.cumsum(1).cumsum(2)
    box = total[:, size:, size:] - total[:, :-size, size:] - total[:, size:, :-size] + total[:, :-size, :-size]
    mean: Planes = (box / size**2).astype(np.float32)
    return mean
