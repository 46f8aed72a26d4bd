"""Pixel art that was enlarged by whole blocks: how large the blocks are, and where they begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.sample import Crop

LARGEST = 64
"""Side of a block that is looked for at most."""

TOLERANCES = (0, 24, 48, 72)
"""Differences (of 255) that do not count as a change: none, or what JPEG makes of plain blocks."""

KEPT = 0.985
"""Share of all changes that must lie on the lattice."""

FEWEST = 200
"""Changes that it takes to say anything."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Blocks of ``width`` x ``height`` pixels, one of which begins at ``x, y``. Both sides are 1 where there is no lattice."""

    width: int
    height: int
    x: int
    y: int


def lattice(crops: tuple[Crop, ...]) -> Lattice | None:
    """The blocks, found by where neighbours differ; ``None`` where too little changes to tell."""
    answer = None
    for tolerance in TOLERANCES:
        changes = [_changes(crops, axis, tolerance) for axis in (1, 0)]
        if any(where.sum() < FEWEST for where in changes):
            continue
        (width, x), (height, y) = (_blocks(where) for where in changes)
        if width > 1 and height > 1:
            return Lattice(width, height, x, y)
        answer = Lattice(1, 1, 0, 0)
    return answer


def _changes(crops: tuple[Crop, ...], axis: int, tolerance: int) -> NDArray[np.int64]:
    """How many pixels differ from the one before, per column (``axis`` 1) or row of the picture."""
    length = max((crop.x + crop.pixels.shape[1]) if axis else (crop.y + crop.pixels.shape[0]) for crop in crops)
    found = np.zeros(length, np.int64)
    for crop in crops:
        step, start = (crop.across, crop.x) if axis else (crop.down.T, crop.y)
        if step.shape[1]:
            found[start + 1 : start + 1 + step.shape[1]] += (step > tolerance).sum(0)
    return found


def _blocks(where: NDArray[np.int64]) -> tuple[int, int]:
    """The largest block on whose lines the changes lie, and its phase; ``(1, 0)`` if there is none.

    Most lines of the lattice must have changes, or any lone object would have one of its own width.
    """
    total, at = where.sum(), np.flatnonzero(where)
    inside = np.arange(int(at[0]), int(at[-1]) + 1)
    for side in range(min(LARGEST, max(1, where.size // 4)), 1, -1):
        phases = np.bincount(np.arange(where.size) % side, where, side)
        phase = int(phases.argmax())
        lines = where[inside[inside % side == phase]]
        if phases[phase] >= KEPT * total and lines.size >= 4 and (lines > 0).mean() > 0.6:
            return side, phase
    return 1, 0
