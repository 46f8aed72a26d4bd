"""What was added above the source's own resolution: texture, noise on flat areas, and the invention map's features.

The octave just above the source's is seen at twice the source's size: the result's luma there, less the source's plainly
enlarged. The source's own two finest octaves are differences of binomial smoothings (the a trous wavelet of Starck and Murtagh).
"""

from __future__ import annotations

import numpy as np

from enlarger.fidelity import Measure
from enlarger.measures.finding import LEVELS, Finding, graded, median, regions
from enlarger.measures.grid import Grid, extremes, smooth
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import Band

FLAT = 4.0
"""Range of the source within 5 x 5 pixels, in 1/255, up to which a pixel lies on a flat area."""

TEXTURED = 4.0
"""Energy of the source's finest octave, less its noise, in (1/255)^2, from which on a block is textured."""
FORETOLD = (1.317, -0.546, 0.293)
"""log added = a log fine + b log (coarse + 1) + c: least squares over blocks of pictures whose high resolution is known."""
MUCH, TOO_MUCH = 4.0, 16.0
"""Times what is foretold, over the whole. True high resolution has 0.5 to 1.7, locked results 0.15 to 1.7."""
BLOCK_MUCH, OUTLIER = 6.0, 5.0
POOR = 0.3
BARE = 8.0
"""Below 1/BARE of the picture's median and of POOR, a textured block has been smeared."""
GRAIN_DOUBTFUL, GRAIN_FAIL = 1.5, 5.0
"""RMS in 1/255 added on flat areas. True high resolution has up to 1.3, results of all engines 0.7."""
FLAT_LEAST = 100


def octaves(luma: Floats) -> tuple[Floats, Floats]:
    """The two finest octaves of ``(h, w)``."""
    once = smooth(luma)
    return luma - once, once - smooth(once, 2)


def folded(values: Floats) -> Floats:
    """Means over 2 x 2 of ``(2h, 2w)``."""
    pairs = values[0::2] + values[1::2]
    return (pairs[:, 0::2] + pairs[:, 1::2]) * np.float32(0.25)


class Tally:
    """Per block: energy (mean square, in (1/255)^2) of the added octave and of the source's two finest."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.added, self.fine, self.coarse = grid.table(), grid.table(), grid.table()
        self.flat, self.grain = grid.table(), grid.table()

    def add(self, band: Band) -> tuple[Floats, Floats, Floats, Floats]:
        """Also gives, for the rows of the band with context: added energy per source pixel, mean of the added part, octaves."""
        own, rows = band.own, self.grid.blocks(band.area)
        part = band.middle - band.base
        energy = folded(part * part)
        fine, coarse = octaves(band.luma_x)
        sizes = self.grid.sizes(band.area)
        low, high = extremes(band.luma_x, 2)
        calm = (high[own] - low[own] <= FLAT).astype(np.float32)
        high_pass = part - smooth(part)
        grain = folded(high_pass * high_pass)[own] * calm
        for table, values in ((self.flat, calm), (self.grain, grain)):
            table[rows] = self.grid.sums(values, band.area)
        for table, values in ((self.added, energy), (self.fine, fine * fine), (self.coarse, coarse * coarse)):
            table[rows] = self.grid.sums(values[own], band.area) / sizes
        return energy, part, fine, coarse


def judge_texture(tally: Tally, noise: float, scale: float) -> Finding | None:
    """Energy added to textured blocks against what the source foretells; ``None`` below twice the size or without texture."""
    # Noise of the source is no texture; but where there is some of both, a little of it may have become detail.
    fine = tally.fine
    textured = fine > TEXTURED + GAIN * noise**2
    if scale < 2 or not textured.any():
        return None
    a, b, c = FORETOLD
    foretold = np.exp(a * np.log(np.where(textured, fine, 1)) + b * np.log(tally.coarse + 1) + c)
    ratio = np.where(textured, tally.added / foretold, 0)
    middle = median(ratio[textured])
    levels = graded(ratio, max(BLOCK_MUCH, OUTLIER * middle), max(4 * BLOCK_MUCH, 4 * OUTLIER * middle))
    found = regions(
        "texture",
        tally.grid,
        levels,
        ratio,
        lambda v: f"{v:.0f} times the fine detail that the source foretells",
        "lower detail, texture or creativity",
    )
    whole = int(middle > MUCH) + int(middle > TOO_MUCH)
    level = max(whole, int(levels.max(initial=0)))
    if whole:
        reason, advice = f"{middle:.1f} times the fine detail that the source foretells: overdrawn", "lower detail, texture or creativity"
    elif middle < POOR:
        reason, advice = (
            f"{middle:.0%} of the fine detail that the source foretells: smoother than the real thing",
            "raise texture if skin or cloth looks like plastic",
        )
    else:
        reason, advice = (
            f"{middle:.0%} of the fine detail that the source foretells",
            "lower detail, texture or creativity" if level else "",
        )
    details = {"textured": float(textured.mean()), "least": float(ratio[textured].min()), "most": float(ratio[textured].max())}
    return Finding(
        Measure(
            verdict=LEVELS[level], value=middle, unit="of what is foretold", limit=MUCH, reason=reason, next_step=advice, details=details
        ),
        found,
    )


GAIN = 0.77
"""Share of white noise's variance that lies in the finest octave: 1 - 2 k0 + sum k^2 with the kernel of :func:`smooth`, k0 = 9/64."""


def judge_grain(tally: Tally) -> Finding | None:
    """Noise on areas that are flat in the source; ``None`` where there are none."""
    total = float(tally.flat.sum())
    if total < FLAT_LEAST:
        return None
    block = np.sqrt(tally.grain / np.maximum(tally.flat, FLAT_LEAST))
    value = float(np.sqrt(tally.grain.sum() / total))
    levels = graded(block, 1.5 * GRAIN_DOUBTFUL, 1.5 * GRAIN_FAIL)
    found = regions(
        "noise",
        tally.grid,
        levels,
        block,
        lambda v: f"grain of {v:.1f}/255 on what is flat in the source",
        "lower texture, or denoise first",
    )
    whole = int(value > GRAIN_DOUBTFUL) + int(value > GRAIN_FAIL)
    level = max(whole, int(levels.max(initial=0)))
    reason = (
        f"flat areas have grain of {value:.1f}/255 that the source has not"
        if whole
        else "flat areas stay flat"
        if not level
        else "some flat areas are not flat any more"
    )
    details = {"worst_block": float(block.max()), "flat": total}
    return Finding(
        Measure(
            verdict=LEVELS[level],
            value=value,
            unit="1/255",
            limit=GRAIN_DOUBTFUL,
            reason=reason,
            next_step="lower texture, or denoise first" if level else "",
            details=details,
        ),
        found,
    )
