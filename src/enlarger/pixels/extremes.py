"""Least and greatest values around each pixel."""

from __future__ import annotations

import numpy as np

from enlarger.pixels.scaling import Planes


def extremes(planes: Planes, radius: int) -> tuple[Planes, Planes]:
    """Least and greatest of ``(n, h, w)`` within ``radius`` pixels (a square), borders repeated."""
    found = []
    for choose in (np.minimum, np.maximum):
        values = planes
        for axis in (1, 2):
            padded = np.pad(values, [(radius, radius) if a == axis else (0, 0) for a in range(3)], mode="edge")
            padded = np.moveaxis(padded, axis, 0)
            # Windows that double, and one more step for the rest.
            covered = 1
            while covered < 2 * radius + 1:
                shift = min(covered, 2 * radius + 1 - covered)
                padded = choose(padded[: padded.shape[0] - shift], padded[shift:])
                covered += shift
            values = np.moveaxis(padded, 0, axis)
        found.append(values)
    return found[0], found[1]
