"""How much detail lies above the source's own resolution, and how much its spectrum says there should be.

Everything is a mean square of luma around a source pixel. "Added" is what an enlargement has beside its base, which is all that
reducing it would not see.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.pixels.bands import NOISE_GAIN, bands, window_mean
from enlarger.pixels.scaling import Planes

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

SPECTRUM = (-2.2, 1.5, -0.7)
"""``ln e0 = c0 + c1 ln e1 + c2 ln e2``: energy added by the truth, from the source's finest band and the next. Least squares over
2.4 million places in 41 photographs reduced 2, 3, 4 and 8 times, where ``e1`` is over (1.5/255)^2; the coefficients hardly depend
on the factor. Half of all places lie within a factor of 2 of it."""

WINDOW = 3
"""Radius in source pixels of the window that energies are means of."""

LEAST = np.float32((0.3 / 255) ** 2)
"""Energies below that of rounding to 8 bits are no texture."""


def luma(planes: Planes) -> Planes:
    """``(1, h, w)``, by Rec. 601 weights."""
    return planes[:1] if planes.shape[0] == 1 else np.tensordot(LUMA, planes, 1)[None]


def octaves(source: Planes, noise: tuple[float, ...]) -> tuple[Planes, Planes]:
    """``(e1, e2)``: energies of the finest band of a source's luma and of the next, less those of its noise."""
    grey = luma(source)
    details, _ = bands(grey, 2)
    weights: NDArray[Any] = LUMA if source.shape[0] == 3 else np.ones(1, np.float32)
    variance = float(((weights * np.array(noise, np.float32)) ** 2).sum())
    first, second = (
        np.maximum(window_mean(detail**2, WINDOW) - np.float32(variance * gain**2), LEAST)
        for detail, gain in zip(details, NOISE_GAIN, strict=False)
    )
    return first, second


def foretold(first: Planes, second: Planes) -> Planes:
    """Energy that the added part of a true enlargement has, in the median, where the source has ``(e1, e2)``."""
    c0, c1, c2 = SPECTRUM
    return np.exp(np.float32(c0) + np.float32(c1) * np.log(first) + np.float32(c2) * np.log(second))


def textured(source: Planes, first: Planes) -> Planes:
    """0 to 1: how much a place is texture rather than flat, an edge, or text.

    Texture changes in all directions (low coherence of the structure tensor, Bigun and Granlund 1987), and everywhere a little
    rather than much in few places (kurtosis of the finest band near 3; edges and letters have 6 and more).
    """
    grey = luma(source)
    detail = bands(grey, 1)[0][0]
    down, across = np.gradient(grey[0])[0][None], np.gradient(grey[0])[1][None]
    xx, yy, xy = (window_mean(product, WINDOW) for product in (across**2, down**2, across * down))
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + np.float32(1e-9))
    kurtosis = window_mean(detail**4, WINDOW) / np.maximum(window_mean(detail**2, WINDOW) ** 2, np.float32(1e-14))
    spread: NDArray[Any] = _ramp(coherence, 0.8, 0.5) * _ramp(kurtosis, 7.0, 4.5)
    share: Planes = spread * _ramp(first, 8 * float(LEAST), 40 * float(LEAST)) * _ramp(first, (32 / 255) ** 2, (20 / 255) ** 2)
    return share


def _ramp(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """0 at ``low``, 1 at ``high``, straight in between; ``low`` may be the larger."""
    share: NDArray[Any] = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return share


def cell_edges(cells: int, length: int, start: int, stop: int) -> NDArray[np.int64]:
    """First of ``length`` pixels that belongs to each of the cells ``[start, stop]``: pixel ``X`` lies in cell ``X * cells // length``."""
    return -(-np.arange(start, stop + 1, dtype=np.int64) * length // cells)


def cell_means(plane: Planes, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Planes:
    """Means of ``(1, h, w)`` over cells that begin at these rows and columns (each with its end behind it), ``(1, n, m)``."""
    sums = np.add.reduceat(np.add.reduceat(plane[0], rows[:-1] - rows[0], axis=0), columns[:-1] - columns[0], axis=1)
    means: Planes = (sums / np.outer(np.diff(rows), np.diff(columns))).astype(np.float32)[None]
    return means
