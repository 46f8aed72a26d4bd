"""Colour: do tints and brightness stay? CIEDE2000 of 8 x 8 means of x and D(y), and exact white and black.

Samples are taken as sRGB, whatever profile they have: the same on both sides, so a difference stays one. The formula is
libvips' (dE00: Sharma, Wu and Dalal 2005).
"""

from __future__ import annotations

import numpy as np

from enlarger.codecs.vips import vips_of
from enlarger.fidelity import Measure
from enlarger.measures.finding import LEVELS, Finding, graded, median, regions
from enlarger.measures.grid import Grid, Table, binned, cells, extremes
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import Band, over_bands

CELL = 8
INNER = 3
"""Source pixels from the border of a white or black area from which on it counts: out of reach of D's kernel."""

WHOLE_DOUBTFUL, WHOLE_FAIL = 1.0, 4.0
"""Tint of the whole (length of the mean difference in Lab). Locked results: below 0.42; raw nets 0.2 to 2.6; +3/255: 1.05 to 1.3."""
BLOCK_DOUBTFUL, BLOCK_FAIL = 3.0, 8.0
BLOCK_LEAST, OUTLIER = 1.3, 8.0
"""A block is doubtful too when its tint is that large, and that many times the picture's median."""
FLAT_DOUBTFUL, FLAT_FAIL = 0.3, 3.0
"""Mean distance of exact white or black from where it was, in 1/255."""
FLAT_LEAST = 16
"""Pixels that make an area of a block."""
ADVICE = "look at this place at 100 %, and where a net drew keep the colour lock on (resemblance 50 or more)"


class Tally:
    """Per block: mean and greatest CIEDE2000 of its cells; how far white and black areas are off, in 1/255."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.mean, self.greatest = grid.table(), grid.table()
        self.shift = [grid.table() for _ in range(3)]
        self.white, self.black = Flat(grid), Flat(grid)

    def add(self, band: Band) -> None:
        own, rows = band.own, self.grid.blocks(band.area)
        x, d = band.x[own], band.d[own]
        gap, lab = delta_e(cells(x, CELL), cells(d, CELL))
        ys, xs = self.grid.starts(band.area, CELL)
        counts = binned(np.ones_like(gap), ys, xs)
        self.mean[rows] = binned(gap, ys, xs) / counts
        self.greatest[rows] = np.maximum.reduceat(np.maximum.reduceat(gap, ys, axis=0), xs, axis=1)
        for table, values in zip(self.shift, np.moveaxis(lab, -1, 0), strict=True):
            table[rows] = binned(values, ys, xs) / counts
        darkest, _ = extremes(over_bands(np.minimum, band.x), INNER)
        _, brightest = extremes(over_bands(np.maximum, band.x), INNER)
        mean = over_bands(np.add, d) * np.float32(1 / d.shape[2])
        self.white.add(darkest[own] >= 255, 255 - mean, band)
        self.black.add(brightest[own] <= 0, mean, band)


class Flat:
    """Per block: pixels inside exact white (or black) of the source, and how far the result is off there on average."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.count, self.off = grid.table(), grid.table()

    def add(self, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], off: Floats, band: Band) -> None:
        rows = self.grid.blocks(band.area)
        count = self.grid.sums(inside.astype(np.float32), band.area)
        self.count[rows] = count
        self.off[rows] = self.grid.sums(np.where(inside, off, 0), band.area) / np.maximum(1, count)


def delta_e(x: Floats, d: Floats) -> tuple[Table, Floats]:
    """CIEDE2000 of ``(h, w, 1 or 3)`` sRGB colours in 0..255, and ``d - x`` in Lab, ``(h, w, 3)``."""
    labs = []
    for colours in (x, d):
        wide = np.broadcast_to(colours, (*colours.shape[:2], 3)) * np.float32(257)
        picture = vips_of(np.clip(np.rint(wide), 0, 65535).astype(np.uint16)).copy(interpretation="rgb16")
        labs.append(picture.colourspace("lab"))
    shape = x.shape[:2]
    gap = np.frombuffer(labs[0].dE00(labs[1]).cast("float").write_to_memory(), np.float32).reshape(shape)
    lab_x, lab_d = (np.frombuffer(lab.write_to_memory(), np.float32).reshape(*shape, 3) for lab in labs)
    return gap.astype(np.float64), lab_d - lab_x


def judge(tally: Tally) -> Finding:
    """Tint of the whole and of blocks."""
    weights = tally.grid.sizes(tally.grid.whole)
    lab = [float(np.average(table, weights=weights)) for table in tally.shift]
    tint = float(np.linalg.norm(lab))
    block = np.sqrt(sum(table**2 for table in tally.shift))
    levels = graded(block, BLOCK_DOUBTFUL, BLOCK_FAIL)
    levels = np.maximum(levels, graded(block, max(BLOCK_LEAST, OUTLIER * median(block)), np.inf))
    found = regions("colour", tally.grid, levels, block, lambda v: f"the colour here is {v:.1f} off (1 is just visible)", ADVICE)
    whole = int(tint > WHOLE_DOUBTFUL) + int(tint > WHOLE_FAIL)
    level = max(whole, int(levels.max(initial=0)))
    reason = (
        f"the whole picture is tinted by {tint:.1f} ({_direction(lab)})"
        if whole
        else "colours stay"
        if not level
        else "colours stay as a whole, but not everywhere"
    )
    details = {
        "mean_difference": float(np.average(tally.mean, weights=weights)),
        "worst_block": float(block.max()),
        "worst_cell": float(tally.greatest.max()),
    }
    details |= dict(zip(("lightness", "green_red", "blue_yellow"), lab, strict=True))
    return Finding(
        Measure(
            verdict=LEVELS[level],
            value=tint,
            unit="CIELAB",
            limit=WHOLE_DOUBTFUL,
            reason=reason,
            next_step=ADVICE if level else "",
            details=details,
        ),
        found,
    )


def _direction(lab: list[float]) -> str:
    names = (("darker", "brighter"), ("greener", "redder"), ("bluer", "yellower"))
    return " and ".join(pair[value > 0] for value, pair in zip(lab, names, strict=True) if abs(value) >= 0.5 * max(map(abs, lab)))


def judge_flat(tally: Tally) -> Finding | None:
    """Exact white and black; ``None`` where the source has no areas of either."""
    worst = np.maximum(*(np.where(flat.count >= FLAT_LEAST, np.abs(flat.off), 0) for flat in (tally.white, tally.black)))
    if max(tally.white.count.max(), tally.black.count.max()) < FLAT_LEAST:
        return None
    levels = graded(worst, FLAT_DOUBTFUL, FLAT_FAIL)
    found = regions("white", tally.grid, levels, worst, lambda v: f"pure white or black became {v:.1f}/255 off", ADVICE)
    white, black = (float(np.sum(flat.off * flat.count) / max(1.0, flat.count.sum())) for flat in (tally.white, tally.black))
    level = int(levels.max(initial=0))
    reason = (
        "pure white and black stay what they are" if not level else f"pure {'white' if white > black else 'black'} is not pure any more"
    )
    measure = Measure(
        verdict=LEVELS[level],
        value=float(worst.max()),
        unit="1/255",
        limit=FLAT_DOUBTFUL,
        reason=reason,
        next_step=ADVICE if level else "",
        details={"white_off": white, "black_off": black},
    )
    return Finding(measure, found)
