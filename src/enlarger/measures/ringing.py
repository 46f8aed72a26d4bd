"""Ringing: does the result overshoot beside strong edges, beyond all that the source has around that place?"""

from __future__ import annotations

import numpy as np

from enlarger.fidelity import Measure
from enlarger.measures.finding import LEVELS, Finding, graded, regions
from enlarger.measures.grid import Grid, extremes
from enlarger.measures.pairing import Band

STRONG = 40.0
"""Range of the source within 5 x 5 pixels, in 1/255, that makes an edge strong."""

WHOLE_DOUBTFUL, WHOLE_FAIL = 0.1, 0.25
"""Mean overshoot at strong edges. True high resolution has up to 0.07, locked results 0.04, raw nets 0.08."""
BLOCK_DOUBTFUL, BLOCK_FAIL = 0.3, 0.6
LEAST = 64
"""Pixels at strong edges that make a block count in full."""
ADVICE = "sharpen less, or lower detail"


class Tally:
    """Per block: pixels at strong edges, and the overshoot there as a share of the edge, summed; and its square."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.count, self.share, self.marked = grid.table(), grid.table(), grid.table()

    def add(self, band: Band) -> None:
        rows, own = self.grid.blocks(band.area), band.own
        low, high = extremes(band.luma_x, 2)
        low, high = low[own], high[own]
        middle = band.middle[band.own_twice]
        corners = middle[0::2, 0::2], middle[0::2, 1::2], middle[1::2, 0::2], middle[1::2, 1::2]
        brightest = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
        darkest = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
        span = high - low
        strong = span >= STRONG
        over = np.maximum(np.maximum(brightest - high, low - darkest), 0) / np.maximum(span, STRONG)
        over = np.where(strong, over, 0)
        for table, values in ((self.count, strong), (self.share, over), (self.marked, over > 0.2)):
            table[rows] = self.grid.sums(values.astype(np.float32), band.area)


def judge(tally: Tally) -> Finding | None:
    """``None`` where the source has hardly a strong edge."""
    edges = float(tally.count.sum())
    if edges < LEAST:
        return None
    share = float(tally.share.sum()) / edges
    block = tally.share / np.maximum(tally.count, LEAST)
    levels = graded(block, BLOCK_DOUBTFUL, BLOCK_FAIL)
    found = regions("ringing", tally.grid, levels, block, lambda v: f"edges here overshoot by {v:.0%} of their height", ADVICE)
    whole = int(share > WHOLE_DOUBTFUL) + int(share > WHOLE_FAIL)
    level = max(whole, int(levels.max(initial=0)))
    reason = (
        f"edges overshoot by {share:.0%} of their height: a halo, not detail"
        if whole
        else "edges do not overshoot"
        if not level
        else "some edges overshoot"
    )
    details = {"worst_block": float(block.max()), "marked": float(tally.marked.sum()) / edges}
    return Finding(
        Measure(
            verdict=LEVELS[level],
            value=share,
            unit="share of the edge",
            limit=WHOLE_DOUBTFUL,
            reason=reason,
            next_step=ADVICE if level else "",
            details=details,
        ),
        found,
    )
