"""Registration: does every detail lie where the source has it? Offset and scale error to hundredths of a source pixel.

By differences (Lucas and Kanade 1981): D(y)(p) = x(p - t) makes D(y) - x about -t . grad x, least squares per block. Sharper
or softer results differ from x by its even derivatives, which are orthogonal to the gradient and do not bias t. Both are smoothed
first: differences of neighbours fall short of the slope of fine detail.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.fidelity import Measure
from enlarger.measures.finding import LEVELS, Finding, median
from enlarger.measures.grid import Grid, smooth
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import Band

FIRM = 2.0
"""Least mean squared gradient, in (1/255 per pixel)^2, along the weaker direction of a block that can be located."""

OFFSET_DOUBTFUL, OFFSET_FAIL = 0.1, 0.3
"""Source pixels. Locked and resampled results lie within 0.01, raw nets within 0.11."""
SCALE_DOUBTFUL, SCALE_FAIL = 0.001, 0.004
SURE = 3.0
"""Standard errors that a finding must exceed."""
ADVICE = "ask whoever made the result for pixel-exact geometry, or crop it to what it shows"


class Tally:
    """Sums per block of products of the source's gradient, and of gradient and difference."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.xx, self.xy, self.yy, self.xr, self.yr = (grid.table() for _ in range(5))

    def add(self, band: Band) -> None:
        own, rows = band.own, self.grid.blocks(band.area)
        sizes = self.grid.sizes(band.area)
        # The mean of both, so that the gradient is that of the place half way, which leaves no second-order term.
        x, d = smooth(band.luma_x), smooth(band.luma_d)
        both = (x + d) * np.float32(0.5)
        gy, gx = slope(both, 0)[own], slope(both, 1)[own]
        gap = d[own] - x[own]
        for table, values in ((self.xx, gx * gx), (self.xy, gx * gy), (self.yy, gy * gy), (self.xr, gx * gap), (self.yr, gy * gap)):
            table[rows] = self.grid.sums(values, band.area) / sizes

    def offsets(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of blocks that can be located: centres ``(n, 2)`` and offsets ``(n, 2)`` in source pixels (x, y), and weights ``(n,)``."""
        trace, determinant = self.xx + self.yy, self.xx * self.yy - self.xy**2
        weaker = trace / 2 - np.sqrt(np.maximum(0.0, trace**2 / 4 - determinant))
        firm = weaker >= FIRM
        safe = np.where(firm, determinant, 1.0)
        tx = -(self.yy * self.xr - self.xy * self.yr) / safe
        ty = -(self.xx * self.yr - self.xy * self.xr) / safe
        cx, cy = (np.convolve(e, [0.5, 0.5], "valid") for e in (self.grid.xs, self.grid.ys))
        x, y = np.meshgrid(cx, cy)
        return np.stack([x[firm], y[firm]], -1), np.stack([tx[firm], ty[firm]], -1), np.minimum(weaker[firm], 25 * FIRM)


def slope(values: Floats, axis: int) -> Floats:
    """Derivative of ``(h, w)`` per pixel, exact for cubics; borders are repeated."""
    n = values.shape[axis]
    padded = np.pad(values, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
    a, b, c, d = (padded[i : i + n] if axis == 0 else padded[:, i : i + n] for i in (0, 1, 3, 4))
    return np.asarray(((c - b) * np.float32(8) - (d - a)) / np.float32(12), np.float32)


def fit(centres: NDArray[np.float64], offsets: NDArray[np.float64], weights: NDArray[np.float64]) -> dict[str, float]:
    """Offset at the middle of the blocks and scale error, each with its standard error; robust against blocks gone wrong.

    Iteratively reweighted least squares with Huber's weights, per axis. Scale needs at least 8 blocks and 128 pixels.
    """
    found: dict[str, float] = {}
    for axis, name in enumerate("xy"):
        place = centres[:, axis] - centres[:, axis].mean()
        spread = np.ptp(place) >= 128 and len(place) >= 8
        design = np.stack([np.ones_like(place), place], -1) if spread else np.ones((len(place), 1))
        value, w = offsets[:, axis], weights.copy()
        for _ in range(8):
            normal = design.T @ (design * w[:, None])
            solution = np.linalg.solve(normal, design.T @ (w * value))
            left = value - design @ solution
            sigma = 1.4826 * median(np.abs(left)) + 1e-6
            w = weights * np.minimum(1.0, 1.5 * sigma / np.maximum(np.abs(left), 1e-9))
        error = np.sqrt(np.diag(np.linalg.inv(normal)) * np.average(left**2, weights=w) * weights.mean())
        found[f"offset_{name}"], found[f"offset_{name}_error"] = float(solution[0]), float(error[0])
        found[f"scale_{name}"] = float(solution[1]) if spread else 0.0
        found[f"scale_{name}_error"] = float(error[1]) if spread else 0.0
    return found


def judge(tally: Tally) -> Finding | None:
    """``None`` where nothing in the picture can be located: too flat, or edges in one direction only."""
    centres, offsets, weights = tally.offsets()
    if len(weights) < 2:
        return None
    found = fit(centres, offsets, weights)
    far = [abs(found[f"offset_{a}"]) for a in "xy" if abs(found[f"offset_{a}"]) > SURE * found[f"offset_{a}_error"]]
    off = float(np.hypot(found["offset_x"], found["offset_y"])) if far else 0.0
    scales = [abs(found[f"scale_{a}"]) for a in "xy" if abs(found[f"scale_{a}"]) > SURE * found[f"scale_{a}_error"]]
    stretch = max(scales, default=0.0)
    level = max(int(off > OFFSET_DOUBTFUL) + int(off > OFFSET_FAIL), int(stretch > SCALE_DOUBTFUL) + int(stretch > SCALE_FAIL))
    value = float(np.hypot(found["offset_x"], found["offset_y"]))
    if off > OFFSET_DOUBTFUL:
        reason = f"everything lies {off:.2f} source pixels off ({found['offset_x']:+.2f} across, {found['offset_y']:+.2f} down)"
    elif stretch > SCALE_DOUBTFUL:
        reason = f"the result is stretched by {stretch:.2%} against its source"
    else:
        reason = f"everything lies where the source has it, to {max(value, 0.01):.2f} source pixels"
    measure = Measure(
        verdict=LEVELS[level],
        value=value,
        unit="source px",
        limit=OFFSET_DOUBTFUL,
        reason=reason,
        next_step=ADVICE if level else "",
        details=found,
    )
    return Finding(measure)
