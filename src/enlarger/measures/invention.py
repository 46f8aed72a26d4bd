"""The invention map: per source pixel, by how much the part that was added is likely to differ from the truth.

A log-linear estimate of |y - truth| from what was added and what the source shows around it, fitted where the truth is
known (benchmarks/verify.py fits it, docs/verify.md shows how well it ranks errors on pictures it was not fitted on).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.measures.detail import folded, octaves
from enlarger.measures.grid import cells, put, smooth
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import Band

LARGEST = 1_000_000
"""Pixels of a map at most; larger sources are averaged over squares."""

WEIGHTS = (0.548, 0.195, 0.045, -0.161, 0.783)
"""Of the logarithms of :func:`features`, in their order, and the constant."""
FLOOR = 0.3
"""Added to each feature, in 1/255, before its logarithm is taken."""


def features(band: Band) -> tuple[Floats, ...]:
    """RMS in 1/255 for each source pixel of the band and its context, ``(n, w)`` each.

    The part added in this pixel; the source's finest contrast near by; its finest octave around; its next octave near by.
    """
    part = band.middle - band.base
    sharp = band.luma_x - near(band.luma_x)
    fine, coarse = octaves(band.luma_x)
    energies = folded(part * part), near(sharp * sharp), smooth(smooth(fine * fine), 2), smooth(coarse * coarse)
    return tuple(np.sqrt(np.maximum(values, 0)) for values in energies)


def near(values: Floats) -> Floats:
    """Means over 3 x 3 of ``(h, w)``, borders repeated."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9), np.float32)


def estimate(band: Band) -> Floats:
    """Expected absolute error in 1/255 per source pixel of the area that ``band`` owns."""
    total = np.full(band.luma_x[band.own].shape, WEIGHTS[-1], np.float32)
    for weight, feature in zip(WEIGHTS, features(band), strict=False):
        total += np.float32(weight) * np.log(feature[band.own] + np.float32(FLOOR))
    result: Floats = np.exp(total)
    return result


class Tally:
    """The map, ``(h, w) float32``: source size, or averaged over ``side`` x ``side`` source pixels."""

    def __init__(self, width: int, height: int) -> None:
        side = 1
        while (width // side) * (height // side) > LARGEST:
            side *= 2
        self.side = min(side, 32)
        self._map = np.empty((-(-height // self.side), -(-width // self.side)), np.float32)

    def add(self, band: Band) -> None:
        values = estimate(band)
        put(self._map, cells(values, self.side) if self.side > 1 else values, band.area.top // self.side, band.area.left // self.side)

    def map(self) -> NDArray[np.float32]:
        return self._map
