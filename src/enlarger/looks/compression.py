"""JPEG: the quality that a file says, or that its coefficients still show after it was saved as something else; and its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Quantisation
from enlarger.looks.sample import Crop, Floats
from enlarger.pixels.jpeg_cells import DCT

# ITU-T T.81, table K.1: the luma steps that libjpeg calls quality 50. In rows.
STANDARD = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(
        18,
        22,
        37,
        56,
        68,
        109,
        103,
        77,
        24,
        35,
        55,
        64,
        81,
        104,
        113,
        92,
        49,
        64,
        78,
        87,
        103,
        121,
        120,
        101,
        72,
        92,
        95,
        98,
        112,
        100,
        103,
        99,
    ),
)

BLOCK = 8
LOW = 4
"""Frequencies (0 to 3 both ways, without the mean) whose coefficients are looked at: higher ones are mostly zero."""
STEPS = np.arange(2, 91)
"""Quantisation steps that are tried; a step of 1 is no damage."""
FEWEST = 60
"""Coefficients other than zero that a frequency must have to be heard."""
COMB = 0.55
"""Mean of cos(2 pi c / q) from which coefficients lie on multiples of q: 1 if exactly, 0 +- 0.09 by chance."""
AGREE = 4
"""Frequencies that must show a step."""
JUMP = 16.0
"""Differences above this many steps of 255 are edges, and say nothing about blocks."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What stands out along the lines of 8 x 8 blocks: ``damage`` is by how much neighbours differ there more than elsewhere, in
    steps of 255; ``x, y`` is the first corner. ``sure`` is the deviation from the other seven phases, over theirs."""

    damage: float
    x: int
    y: int
    sure: float


def quality_of(table: tuple[int, ...] | NDArray[Any], known: NDArray[np.bool_] | None = None) -> int:
    """The libjpeg quality, 1 to 100, whose luma table comes nearest to ``table`` (64 steps in rows), in relative terms."""
    steps = np.array(table, np.float64).reshape(64)
    seen = np.ones(64, np.bool_) if known is None else known.reshape(64)
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 / qualities, 200 - 2 * qualities)
    tables = np.clip((np.array(STANDARD)[None] * scale[:, None] + 50) // 100, 1, 255)
    distance = np.abs(np.log(tables[:, seen]) - np.log(steps[seen])[None]).mean(1)
    return int(qualities[distance.argmin()])


def quality_of_file(jpeg: Quantisation) -> int:
    return quality_of(jpeg.luma)


def quality_by_content(crops: tuple[Crop, ...], x: int, y: int) -> int | None:
    """The quality of the JPEG that these pixels once were, with a block's corner at ``x, y``; ``None`` if they show none.

    Quantised coefficients lie on multiples of their step (Fan and de Queiroz 2003); rounding to pixels blurs that a little.
    """
    stored = np.concatenate([_coefficients(crop, x, y) for crop in crops])
    table, known = np.ones((8, 8)), np.zeros((8, 8), np.bool_)
    for row in range(LOW):
        for column in range(LOW):
            if row + column and (step := _step(stored[:, row, column])):
                table[row, column], known[row, column] = step, True
    return quality_of(table, known) if known.sum() >= AGREE else None


def _coefficients(crop: Crop, x: int, y: int) -> Floats:
    """``(n, 8, 8)`` of the whole blocks in a crop that are neither flat nor clipped."""
    left, top = (x - crop.x) % BLOCK, (y - crop.y) % BLOCK
    height, width = ((n - o) // BLOCK * BLOCK for n, o in zip(crop.luma.shape, (top, left), strict=True))
    if height <= 0 or width <= 0:
        return np.empty((0, 8, 8), np.float32)
    plane = crop.luma[top : top + height, left : left + width]
    blocks = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(0, 2, 1, 3).reshape(-1, BLOCK, BLOCK)
    inside = (blocks.min((1, 2)) > 2) & (blocks.max((1, 2)) < 253) & (np.ptp(blocks, (1, 2)) > 2)
    result: Floats = DCT @ (blocks[inside] - 128) @ DCT.T
    return result


def _step(values: Floats) -> int:
    """The largest step that all ``values`` are multiples of; 0 if there is none."""
    values = values[np.abs(values) > 1.5]
    if values.size < FEWEST:
        return 0
    values = values[:4000]
    combs = np.cos(2 * np.pi * values[None] / STEPS[:, None].astype(np.float32))
    # Values below half a step are zeros of it, and would say yes to any large step.
    counted = np.abs(values)[None] > STEPS[:, None] / 2
    heard = counted.sum(1)
    score = np.where(heard >= FEWEST // 2, (combs * counted).sum(1) / np.maximum(heard, 1), 0)
    # A step must explain nearly all there is: what it calls zero must be near zero.
    small = np.where(counted, 0, np.abs(values)[None]).sum(1) / np.maximum((~counted).sum(1), 1)
    fitting = STEPS[(score > COMB) & (small < np.maximum(2.5, 0.15 * STEPS))]
    return int(fitting[-1]) if fitting.size else 0


def blocks(crops: tuple[Crop, ...]) -> Blocks | None:
    """Where block lines lie and how far they stand out; ``None`` where there is too little that is smooth."""
    across, down = _phases(crops, 1), _phases(crops, 0)
    if across is None or down is None:
        return None
    (damage_x, x, sure_x), (damage_y, y, sure_y) = across, down
    return Blocks(max(0.0, (damage_x + damage_y) / 2), x, y, min(sure_x, sure_y))


def _phases(crops: tuple[Crop, ...], axis: int) -> tuple[float, int, float] | None:
    """Excess of jumps at the strongest of eight phases, that phase, and how far it stands off from the others."""
    sums, counts = np.zeros(BLOCK), np.zeros(BLOCK)
    for crop in crops:
        plane, start = (crop.luma, crop.x) if axis else (crop.luma.T, crop.y)
        if plane.shape[1] < 3 * BLOCK:
            continue
        step = np.abs(np.diff(plane, axis=1))
        middle, sides = step[:, 1:-1], (step[:, :-2] + step[:, 2:]) / 2
        smooth = (middle < JUMP) & (sides < JUMP / 2) & (middle + sides > 0)
        excess = np.where(smooth, middle - sides, 0).sum(0)
        number = smooth.sum(0)
        # A difference with index i (of `middle`) is the one between pixels i + 1 and i + 2.
        phase = (np.arange(excess.size) + 2 + start) % BLOCK
        sums += np.bincount(phase, excess, BLOCK)
        counts += np.bincount(phase, number, BLOCK)
    if counts.min() < 200:
        return None
    means = sums / counts
    best = int(means.argmax())
    others = np.delete(means, best)
    return float(means[best] - others.mean()), best, float((means[best] - others.mean()) / max(0.02, others.std()))
