"""Instability: does an engine make the same of a picture when it sees it mirrored, turned or shifted? What changes, it makes up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from enlarger.fidelity import Measure
from enlarger.image import Tile
from enlarger.measures.finding import LEVELS, Finding, graded, regions
from enlarger.measures.grid import Grid, smooth
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import luma

EDGE = 8
"""Source pixels by which a picture is continued before it is shifted."""

BLOCK_DOUBTFUL, BLOCK_FAIL = 15.0, 40.0
"""RMS disagreement of a block in 1/255. On Set14 animevideov3-x4 has at most 11, x4plus 3 to 12 and 24 on the fur of the baboon."""
ADVICE = "choose a gentler engine, or --faithful, which takes the mean over flips and turns"

Enlarge = Callable[[Tile], Tile]


def disagreements(enlarge: Enlarge, tile: Tile) -> NDArray[np.float32]:
    """``(h, w)`` per source pixel: standard deviation, in 1/255, of what ``enlarge`` makes of ``tile`` seen five ways.

    ``enlarge`` takes ``(h, w, c) float32`` in [0, 1] and gives ``(h * s, w * s, c)`` for a whole s. The five: as it is, mirrored,
    upside down, turned by a quarter, and shifted by one pixel across and two down.
    """
    height, width = tile.shape[:2]
    plain = enlarge(tile)
    scale = plain.shape[0] // height
    padded = np.ascontiguousarray(np.pad(tile, [(EDGE, EDGE), (EDGE, EDGE), (0, 0)], mode="edge")[EDGE - 2 :, EDGE - 1 :])
    views = [
        plain,
        enlarge(np.ascontiguousarray(tile[:, ::-1]))[:, ::-1],
        enlarge(np.ascontiguousarray(tile[::-1]))[::-1],
        np.rot90(enlarge(np.ascontiguousarray(np.rot90(tile))), -1),
        enlarge(padded)[2 * scale : (2 + height) * scale, scale : (1 + width) * scale],
    ]
    spread = np.std([luma(np.ascontiguousarray(view, np.float32)) for view in views], axis=0) * 255
    power = (spread**2).reshape(height, scale, width, scale).mean(axis=(1, 3))
    return np.asarray(np.sqrt(power), np.float32)


def judge(found: Floats, grid: Grid) -> Finding:
    """``found`` is what :func:`disagreements` gives for the whole source."""
    block = np.sqrt(grid.sums(smooth(found) ** 2, grid.whole) / grid.sizes(grid.whole))
    levels = graded(block, BLOCK_DOUBTFUL, BLOCK_FAIL)
    places = regions(
        "instability", grid, levels, block, lambda v: f"seen mirrored or turned, this place comes out {v:.0f}/255 different", ADVICE
    )
    value = float(np.sqrt((found**2).mean()))
    level = int(levels.max(initial=0))
    reason = (
        "mirrored, turned or shifted, the picture comes out the same"
        if not level
        else "some places come out differently each time: made up"
    )
    details = {"worst_block": float(block.max())}
    measure = Measure(
        verdict=LEVELS[level],
        value=value,
        unit="1/255",
        limit=BLOCK_DOUBTFUL,
        reason=reason,
        next_step=ADVICE if level else "",
        details=details,
    )
    return Finding(measure, places)
