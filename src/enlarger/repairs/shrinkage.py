"""Shrinkage: noise of a known spectrum taken out of planes, by the DCT of every patch of 8 x 8 pixels.

Two passes, as in BM3D (Dabov et al. 2007) but without its matching: patches whose small coefficients were dropped are laid over each
other (Yu and Sapiro, "DCT image denoising", 2011), which gives a first picture; then coefficients of the noisy patches are
weighted by what that picture says of signal and noise (Wiener). Patches lie every second pixel on both axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.pixels.jpeg_cells import DCT
from enlarger.pixels.scaling import Planes

SIDE = 8
STEP = 2
"""Pixels between patches. One would cost four times as much for 0.1 to 0.2 dB."""

REACH = 16
"""Pixels around a part that decide on it: two patches less a pixel each, and a whole number of steps."""

THRESHOLD = 2.5
"""Deviations of the noise below which a coefficient is dropped in the first pass."""

FLOOR = 1e-3
"""Least deviation of noise, in the units of the samples: weights are one over it squared."""

AT_ONCE = 4096
"""Patches that are transformed together: what fits the cache."""

BASIS = np.kron(DCT, DCT).astype(np.float32)
"""``(64, 64)``: the DCT of a patch as one product. Rows are frequencies, the vertical one slower."""

Spectrum = NDArray[Any]
"""``(8, 8)``: standard deviation of the noise in each coefficient of the orthonormal DCT, vertical frequency first."""


def shrunk(planes: Planes, spectra: list[Spectrum]) -> Planes:
    """``planes`` ``(n, h, w)`` without the noise of ``spectra``, one for each plane, in the same units.

    The answer has :data:`REACH` pixels fewer at each side. ``h`` and ``w`` are even. A plane whose noise is zero comes back as it is.
    """
    inner = planes[:, REACH:-REACH, REACH:-REACH]
    out = np.array(inner, np.float32)
    for i, spectrum in enumerate(spectra):
        if np.max(spectrum) > 0:
            sigma = np.maximum(np.asarray(spectrum, np.float32).reshape(64, 1), np.float32(FLOOR))
            phases = _split(planes[i])
            first = _pass(phases, sigma, None)
            out[i] = _joined(_pass(phases, sigma, first))[REACH:-REACH, REACH:-REACH]
    return out


def _split(plane: NDArray[Any]) -> NDArray[np.float32]:
    """``(h, w)`` as ``(STEP, STEP, h / STEP, w / STEP)``, so that patches a step apart are neighbours."""
    height, width = plane.shape
    parts = plane.reshape(height // STEP, STEP, width // STEP, STEP).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(parts, np.float32)


def _joined(phases: NDArray[np.float32]) -> NDArray[np.float32]:
    _, _, rows, columns = phases.shape
    return phases.transpose(2, 0, 3, 1).reshape(rows * STEP, columns * STEP)


def _pass(phases: NDArray[np.float32], sigma: NDArray[np.float32], pilot: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """One pass over all patches. Every pixel is covered by at least one of them; those near the border by fewer."""
    rows, columns = (n - SIDE // STEP + 1 for n in phases.shape[2:])
    total = np.zeros_like(phases)
    weight = np.zeros(phases.shape[2:], np.float32)
    variance = sigma * sigma
    share = (variance / variance.mean()).T
    chunk = max(1, AT_ONCE // columns)
    for top in range(0, rows, chunk):
        count = min(chunk, rows - top)
        noisy = _coefficients(phases, top, count, columns)
        if pilot is None:
            kept = (np.abs(noisy) > np.float32(THRESHOLD) * sigma).astype(np.float32)
        else:
            kept = _coefficients(pilot, top, count, columns)
            kept *= kept
            kept /= kept + variance
        kept[0] = 1
        noisy *= kept
        # What noise is left of a patch says how much it is worth against the others that cover a pixel.
        kept *= kept
        worth = 1 / (share @ kept)
        noisy *= worth
        pixels = (BASIS.T @ noisy).reshape(SIDE, SIDE, count, columns)
        worth = worth.reshape(count, columns)
        for y in range(SIDE // STEP):
            for x in range(SIDE // STEP):
                at = slice(top + y, top + y + count), slice(x, x + columns)
                weight[at] += worth
                total[(slice(None), slice(None), *at)] += pixels[y * STEP : (y + 1) * STEP, x * STEP : (x + 1) * STEP]
    return total / weight


def _coefficients(phases: NDArray[np.float32], top: int, count: int, columns: int) -> NDArray[np.float32]:
    """``(64, count * columns)``: DCT of the patches of ``count`` rows of patches from ``top`` on."""
    patches = np.empty((SIDE, SIDE, count, columns), np.float32)
    for y in range(SIDE):
        for x in range(SIDE):
            patches[y, x] = phases[y % STEP, x % STEP, top + y // STEP : top + y // STEP + count, x // STEP : x // STEP + columns]
    coefficients: NDArray[np.float32] = BASIS @ patches.reshape(64, -1)
    return coefficients
