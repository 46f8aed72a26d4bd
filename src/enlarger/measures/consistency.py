"""Consistency: made small again, is the result the source? PSNR and SSIM of x and D(y), whole and per block.

What the source has of noise or JPEG damage need not come back: noise of variance sigma^2 is taken off the squared
difference, and of a JPEG's blocks only what leaves the cell that its coefficients were rounded in counts.
SSIM is that of Wang et al. 2004 (equation 13) on luma, in windows of 8 x 8 at a stride of 4, as there in section III.C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.fidelity import Measure, Verdict
from enlarger.image import Quantisation
from enlarger.measures.finding import LEVELS, Finding, graded, median, quantile, regions
from enlarger.measures.grid import Grid, cells
from enlarger.measures.kernels import Floats
from enlarger.measures.pairing import Band, over_bands

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
PEAK = 255.0

# Limits. docs/verify.md tells how they were found and on which pictures.
WHOLE_DOUBTFUL, WHOLE_FAIL = 26.0, 18.0
"""dB of the whole; raw nets lie at 27 to 34, plain enlargements at 36 to 50, locked results at 50 and more."""
SSIM_DOUBTFUL, SSIM_FAIL = 0.75, 0.45
"""Of a block, together with :data:`VISIBLE`: a wrong tile has less than 0.4, the worst block of a raw net about 0.8."""
UNLIKE = 0.004
"""Squared difference against the block's own variance: three times the worst block of clean locked results."""
OUTLIER, UPPER = 60.0, 20.0
"""That many times the picture's median, and its upper fifth, is not the engine's way any more."""
VISIBLE = 1.5
"""RMS in 1/255 below which a block is never called; half of the source's noise if that is more."""
SPREAD = 1.3
"""Times the source's variance of noise that is taken off: it is an estimate, and differs with brightness."""
CALM = 50.0
"""Variance that every block is credited with, so that flat ones are not held to fractions of a step."""
ADVICE = "look at this place at 100 %, and where a net drew keep the colour lock on (resemblance 50 or more)"


class Tally:
    """Sums per block of what consistency needs; ``noise`` is the source's sigma in 1/255.

    ``quantisation`` is how a JPEG source was rounded.
    """

    def __init__(self, grid: Grid, noise: float, quantisation: Quantisation | None) -> None:
        self.grid = grid
        self.noise = noise
        self.quantisation = quantisation
        self.squares, self.excess, self.coarse = grid.table(), grid.table(), grid.table()
        self.ssim, self.contrast, self.alpha = grid.table(), grid.table(), grid.table()

    def add(self, band: Band) -> None:
        own, rows = band.own, self.grid.blocks(band.area)
        sizes = self.grid.sizes(band.area)

        def mean(values: Floats, side: int = 1, area: float = 1.0) -> NDArray[np.float64]:
            return self.grid.sums(values, band.area, side) * area / sizes

        gap = band.d[own] - band.x[own]
        self.squares[rows] = mean(over_bands(np.add, gap * gap)) / gap.shape[2]
        luma_x, luma_d = band.luma_x[own], band.luma_d[own]
        if self.quantisation is not None:
            left = outside(luma_d - luma_x, self.quantisation, band.area.top, band.area.left)
            self.excess[rows] = mean(left * left)
        else:
            self.excess[rows] = np.maximum(0.0, self.squares[rows] - SPREAD * self.noise**2)
        coarse = cells(gap, 4)
        counts = cells_area(gap.shape[:2], 4)
        self.coarse[rows] = mean(over_bands(np.add, coarse * coarse) * counts, 4) / gap.shape[2]
        self.contrast[rows] = np.maximum(0.0, mean(luma_x * luma_x) - mean(luma_x) ** 2)
        self.ssim[rows] = mean(similarity(luma_x, luma_d, self.noise) * counts, 4)
        if band.alpha_x is not None and band.alpha_d is not None:
            see = band.alpha_d[own] - band.alpha_x[own]
            self.alpha[rows] = mean(see * see)


def cells_area(shape: Sequence[int], side: int) -> Floats:
    """How many samples each of the cells of an ``(h, w)`` picture has."""
    ys, xs = (np.diff([*range(0, n, side), n]) for n in shape)
    return np.asarray(np.outer(ys, xs), np.float32)


def similarity(x: Floats, d: Floats, noise: float) -> Floats:
    """SSIM of ``(h, w)`` pictures, one value per 4 x 4 cell: of the 8 x 8 window that begins there."""
    mx, md, xx, dd, xd = (_windows(moment) for moment in (x, d, x * x, d * d, x * d))
    covariance, variances = xd - mx * md, xx - mx * mx + dd - md * md
    calm = C2 + 2 * noise**2
    value = (2 * mx * md + C1) * (2 * covariance + calm) / ((mx * mx + md * md + C1) * (variances + calm))
    return np.asarray(value, np.float32)


def _windows(values: Floats) -> NDArray[np.float64]:
    padded = np.pad(cells(values, 4), [(0, 1), (0, 1)], mode="edge").astype(np.float64)
    return (padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]) / 4


def _basis() -> Floats:
    k, i = np.mgrid[:8, :8]
    basis = np.sqrt(2 / 8) * np.cos((2 * i + 1) * k * np.pi / 16)
    basis[0] = np.sqrt(1 / 8)
    return np.asarray(basis, np.float32)


DCT = _basis()


def outside(gap: Floats, quantisation: Quantisation, top: int = 0, left: int = 0) -> Floats:
    """Of ``gap = D(y) - x`` in luma what leaves the cells of the JPEG that x was: each coefficient less half its step (T.81 A.3.4).

    ``gap`` is ``(h, w)``, its corner lies at row ``top`` and column ``left`` of the source; where no whole JPEG block fits it is left
    as it is.
    """
    x, y = (quantisation.offset[0] - left) % 8, (quantisation.offset[1] - top) % 8
    h, w = (max(0, n - start) // 8 * 8 for n, start in zip(gap.shape, (y, x), strict=True))
    result = gap.copy()
    if not h or not w:
        return result
    blocks = gap[y : y + h, x : x + w].reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3)
    coefficients = DCT @ blocks @ DCT.T
    half = np.asarray(quantisation.luma, np.float32).reshape(8, 8) / 2
    kept = np.sign(coefficients) * np.maximum(0, np.abs(coefficients) - half)
    result[y : y + h, x : x + w] = (DCT.T @ kept @ DCT).transpose(0, 2, 1, 3).reshape(h, w)
    return result


def decibels(mse: Any) -> Any:
    """PSNR of mean squares in (1/255)^2; at most 100."""
    return 10 * np.log10(PEAK**2 / np.maximum(mse, PEAK**2 * 1e-10))


def judge(tally: Tally) -> Finding:
    """Whole: dB and SSIM. Blocks: what is unlike the source by itself, or against the rest of the picture."""
    weights = tally.grid.sizes(tally.grid.whole)
    mse, ssim = float(np.average(tally.squares, weights=weights)), float(np.average(tally.ssim, weights=weights))
    left = float(np.average(tally.excess, weights=weights))
    rms = np.sqrt(tally.excess)
    unlike = tally.excess / (tally.contrast + CALM)
    limit = max(UNLIKE, OUTLIER * median(unlike), UPPER * quantile(unlike, 0.8))
    levels = graded(unlike, limit, np.inf)
    levels = np.maximum(levels, graded(1 - tally.ssim, 1 - SSIM_DOUBTFUL, 1 - SSIM_FAIL) * (rms > 4 * VISIBLE))
    levels = np.where(rms > max(VISIBLE, tally.noise / 2), levels, 0).astype(np.int8)
    found = regions("consistency", tally.grid, levels, rms, lambda v: f"made small again, this place is {v:.1f}/255 off the source", ADVICE)
    whole = int(decibels(left) < WHOLE_DOUBTFUL) + int(decibels(left) < WHOLE_FAIL or ssim < SSIM_FAIL)
    verdict: Verdict = LEVELS[max(whole, int(levels.max(initial=0)))]
    details = {
        "ssim": ssim,
        "worst_block_rms": float(rms.max()),
        "worst_block_ssim": float(tally.ssim.min()),
        "after_damage": float(decibels(left)),
    }
    if tally.alpha.any():
        details["alpha"] = float(decibels(np.average(tally.alpha, weights=weights)))
    return Finding(
        Measure(
            verdict=verdict,
            value=float(decibels(mse)),
            unit="dB",
            limit=WHOLE_DOUBTFUL,
            reason=_words(whole, len(found), mse),
            next_step="" if verdict == "pass" else ADVICE,
            details=details,
        ),
        found,
    )


def _words(whole: int, places: int, mse: float) -> str:
    off = f"{np.sqrt(mse):.2g}/255"
    if whole == 2:
        return f"made small again, the result is not the source ({off} off on average)"
    if whole == 1:
        return f"made small again, the result drifts from the source by {off} on average"
    if places:
        return f"as a whole the result matches its source ({off} off), but {places} {'place does' if places == 1 else 'places do'} not"
    return f"made small again, the result is the source to within {off}"
