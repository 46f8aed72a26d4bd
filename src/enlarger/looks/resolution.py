"""How much resolution there really is: blur at the sharpest edges, and the frequency above which nothing is left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.sample import Crop, Floats

AGAIN = (1.0, 2.5)
"""Standard deviations of the Gaussian that a crop is blurred with once more, in pixels: the second for what is very soft."""

BOX = 1 / 12
"""Variance of the pixel's own square, which a difference of neighbours adds to any blur."""

EDGES = 60
"""Edge pixels below which nothing is said about blur."""

SHARPEST = 40
"""Percentile of the blur at edges that stands for the picture: what lies in front of or behind the focus is not its fault."""

LENGTH = 128
"""Samples per spectrum."""

PLATEAU = (0.02, 0.12)
"""Cycles per pixel between which any picture with edges has as much as it has anywhere."""

FALLEN = 0.2
"""Power (-7 dB) of that on the plateau. Pictures that were enlarged by k fall through it at 0.5 / k, whichever kernel did it."""

HIDDEN = 0.35
"""What the estimate of the noise's power may be wrong by."""


STEEP = 1.12
"""How much too early kernels that enlarge fall, in the median: cubic ones 1.18, Lanczos 1.13, of pictures that began a little soft."""

QUIET = ((1.5, 0.0), (6.0, 1.0), (1e9, 1.6))
"""Noise (of 255) up to which crops are smoothed by how much before their edges are looked at; that is taken off again."""


def blur(crops: tuple[Crop, ...], noise: float) -> float | None:
    """Standard deviation in pixels of the Gaussian that blurs the sharpest edges as much as they are; ``None`` without edges.

    At an edge the gradient falls by ``R = sqrt((s^2 + a^2) / s^2)`` when it is blurred again by ``a`` (Zhuo and Sim 2011).
    ``noise`` is its standard deviation, white being 1. A sharp photograph has 0.4 to 0.6, of which the pixel itself is a part.
    """
    answer = None
    smooth = next(width for most, width in QUIET if noise * 255 < most)
    planes = [_gaussian(_gaussian(crop.luma, smooth).T, smooth).T if smooth else crop.luma for crop in crops]
    left = noise * 255 / (1 + 2 * np.sqrt(np.pi) * smooth)
    for again in AGAIN:
        found = [part for plane in planes for turned in (plane, plane.T) for part in _edge_ratios(turned, left, again)]
        ratios = np.concatenate(found) if found else np.empty(0, np.float32)
        if ratios.size < EDGES:
            return answer
        variance = again**2 / np.maximum(ratios**2 - 1, 1e-3) - BOX - smooth**2
        answer = float(np.sqrt(np.maximum(np.percentile(variance, SHARPEST), 0)))
        if answer < 1.2 * again:
            break
    return answer


def _edge_ratios(plane: Floats, noise: float, again: float) -> list[Floats]:
    """Gradient before and after the second blur at upright edges of ``(h, w)``, where it is largest."""
    if min(plane.shape) < 16:
        return []
    softer = _gaussian(_gaussian(plane, again).T, again).T
    before, after = np.abs(np.diff(plane, axis=1)), np.abs(np.diff(softer, axis=1))
    other = np.abs(np.diff(softer, axis=0))
    inner = after[1:-1, 3:-3]
    edge = (inner > max(8.0, 4 * noise) / again) & (inner >= after[1:-1, 2:-4]) & (inner > after[1:-1, 4:-2])
    edge &= inner > 2 * np.maximum(other[1:, 3:-4], other[:-1, 3:-4])
    peak = np.maximum(np.maximum(before[1:-1, 2:-4], before[1:-1, 3:-3]), before[1:-1, 4:-2])
    ratios: Floats = (peak[edge] / inner[edge]).astype(np.float32)
    return [ratios] if edge.any() else []


def _gaussian(plane: NDArray[Any], sigma: float) -> Floats:
    """``(h, w)`` blurred along rows, the border repeated."""
    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    padded = np.pad(plane, ((0, 0), (reach, reach)), mode="edge")
    out = np.zeros(plane.shape, np.float32)
    for i, tap in enumerate(taps):
        out += tap * padded[:, i : i + plane.shape[1]]
    return out


def spectrum(crops: tuple[Crop, ...], axis: int) -> tuple[NDArray[np.float64], int] | None:
    """Mean power of neighbours' differences along ``axis`` (1 is across) at ``LENGTH / 2 + 1`` frequencies; how many rows it is of.

    Differences whiten: edges, whose spectrum falls with the square of frequency, become flat. ``None`` if nothing is large enough.
    """
    window = np.hanning(LENGTH).astype(np.float32)
    total, count = np.zeros(LENGTH // 2 + 1), 0
    for crop in crops:
        plane = np.diff(crop.luma if axis else crop.luma.T, axis=1)
        for left in range(0, plane.shape[1] - LENGTH + 1, LENGTH // 2):
            part = plane[:, left : left + LENGTH]
            part = part[(part**2).mean(1) > 4]
            if len(part):
                total += (np.abs(np.fft.rfft(part * window, axis=1)) ** 2).sum(0, dtype=np.float64)
                count += len(part)
    return (total / (count * float((window**2).sum())), count) if count >= 32 else None


def oversize(crops: tuple[Crop, ...], noise: float) -> float | None:
    """By how much the picture can be shrunk until it is as sharp as pixels can be, 1 if by nothing; ``None`` where that cannot be told.

    That is half a cycle per pixel over the frequency at which the whitened spectrum has fallen by :data:`FALLEN`, on the axis that
    has more. Enlarged before or out of focus: for what can be gained by enlarging that is the same.
    """
    found = [_cut(power[0], noise * 255) for axis in (0, 1) if (power := spectrum(crops, axis)) is not None]
    known = [cut for cut in found if cut is not None]
    return max(1.0, 0.5 / max(known) / STEEP) if known else None


def _cut(power: NDArray[np.float64], noise: float) -> float | None:
    """Cycles per pixel at which ``power`` falls for good; ``None`` if noise hides that."""
    bins = power.size - 1
    frequency = np.arange(power.size) / (2 * bins)
    white = (2 - 2 * np.cos(2 * np.pi * frequency)) * (noise**2 + 1 / 12)
    signal = np.convolve(np.pad(power - white, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    plateau = float(signal[(frequency >= PLATEAU[0]) & (frequency <= PLATEAU[1])].max())
    if plateau < 2:
        return None
    above = np.flatnonzero(signal > FALLEN * plateau)
    last = int(above[-1])
    if last >= bins - 1:
        return 0.5
    if white[min(bins, last + 3)] * HIDDEN > FALLEN * plateau:
        return None
    here, there = signal[last], signal[last + 1]
    return float((last + (here - FALLEN * plateau) / max(1e-9, here - there)) / (2 * bins))
