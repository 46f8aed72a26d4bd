"""Deblock: blocks and ringing of JPEG smoothed away, as far as the file leaves that open.

What quantisation did is taken for noise whose spectrum follows from the tables, and goes by :mod:`shrinkage`, whose patches lie
across the lines of blocks (as in Nosratinia 2001 and Foi et al. 2007); chroma where it was sampled. Then each coefficient is brought back
into the cell that it was rounded in (Zakhor 1992), so that the answer is one of those that the file could have been made from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Quantisation, Samples
from enlarger.looks.compression import STANDARD, quality_of
from enlarger.pixels.jpeg_cells import BACKWARD, FORWARD, outside_cells
from enlarger.pixels.scaling import Planes
from enlarger.repairs.parts import by_parts
from enlarger.repairs.shrinkage import REACH, Spectrum, shrunk

AMOUNT, TILT = 0.6, 0.9
"""Noise in a coefficient, as a share of that of rounding, ``step / sqrt(12)``: steps weigh with the power ``TILT``, and their mean
over low frequencies with the rest. Found on pictures at qualities 20, 40 and 70; a flat spectrum gains half as much at 70."""

LEAST = 0.85
"""The same share of that mean in any coefficient: steps between blocks are noise of low frequencies."""

CHROMA = 0.5
"""The same amount for chroma, over that for luma."""

FINE, FINE_CHROMA = 5.0, 30.0
"""Mean step over low frequencies (quality 80, 40) below which less is taken for noise, in proportion: detail is seen more there."""

MOST = 2.0
"""Times the noise that the tables speak of, at most."""

STANDARD_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99 for _ in range(32)),
)
"""ITU-T T.81, table K.2, in rows."""


def auto(quantisation: Quantisation | None) -> int:
    """The strength that the tables speak of: 0 at quality 100 or without tables, 100 at 25 and below."""
    return 0 if quantisation is None else max(0, min(100, round((100 - quality_of(quantisation.luma)) / 0.75)))


def tables(quality: float) -> Quantisation:
    """libjpeg's own at ``quality`` 1 to 100, chroma at half the size; where blocks begin is not known."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (tuple(int(np.clip((step * scale + 50) // 100, 1, 255)) for step in table) for table in (STANDARD, STANDARD_CHROMA))
    return Quantisation(luma, chroma, (2, 2))


def spectrum(steps: tuple[int, ...], amount: float = 1.0, fine: float = FINE) -> Spectrum:
    """Deviation of what rounding to ``steps`` left in each coefficient of patches at any place."""
    table = np.asarray(steps, np.float64).reshape(8, 8)
    coarse = table[:3, :3].mean()
    amount *= min(1.0, coarse / fine) / math.sqrt(12)
    deviations: Spectrum = amount * np.maximum(AMOUNT * table**TILT * coarse ** (1 - TILT), LEAST * coarse)
    return deviations


def deblocked(samples: Samples, channels: int, strength: int, quantisation: Quantisation | None = None) -> Samples:
    """``samples`` ``(h, w, bands) uint8`` or ``uint16``, the first ``channels`` colour, without JPEG's blocks and ringing; same type.

    With ``quantisation`` the picture is a decoded JPEG: :func:`auto` is the strength that its tables ask for, others weigh against that,
    and nothing leaves the cells of its coefficients (but for the rounding to whole samples). Without, it was one once, of quality
    ``100 - 0.75 * strength``. Other bands stay what they are. Strength 0 gives ``samples``.
    """
    if strength <= 0:
        return samples
    if quantisation is None:
        known, amount = tables(max(1.0, 100 - 0.75 * strength)), 1.0
    else:
        known, amount = quantisation, min(MOST, strength / max(1, auto(quantisation)))
    luma, chroma = spectrum(known.luma, amount), spectrum(known.chroma, amount * CHROMA, FINE_CHROMA)
    across, down = known.subsampling if channels == 3 else (1, 1)
    reach = (REACH + 4) * max(across, down)

    def repair(planes: Planes, box: Box) -> Planes:
        done = _shrunk(planes, box, reach, known, luma, chroma)
        if quantisation is None:
            return done
        inner = planes[:, reach:-reach, reach:-reach] / np.float32(255)
        return done + 255 * outside_cells(inner, done / np.float32(255), known, box.x, box.y)

    # Parts of whole blocks, so that those need nothing of their neighbours.
    origin = known.offset[0] % (8 * across) - 8 * across, known.offset[1] % (8 * down) - 8 * down
    return by_parts(samples, channels, repair, reach, origin)


def _shrunk(planes: Planes, box: Box, reach: int, known: Quantisation, luma: Spectrum, chroma: Spectrum) -> Planes:
    """``box`` of the picture with less noise, from planes of it that begin ``reach`` pixels before."""
    colours = planes if planes.shape[0] == 1 else np.tensordot(FORWARD, planes, 1)
    near = slice(reach - REACH, REACH - reach or None)
    done = np.array(colours[:, reach:-reach, reach:-reach])
    done[:1] = shrunk(colours[:1, near, near], [luma])
    if planes.shape[0] == 1:
        return done
    fx, fy = known.subsampling
    # Whole pairs of chroma samples, the same ones whichever part is asked for.
    left, top = (known.offset[0] - box.x + reach) % (2 * fx), (known.offset[1] - box.y + reach) % (2 * fy)
    high, wide = ((n - o) // (2 * f) * 2 for n, o, f in zip(colours.shape[1:], (top, left), (fy, fx), strict=True))
    small = colours[1:, top : top + high * fy, left : left + wide * fx].reshape(2, high, fy, wide, fx).mean((2, 4))
    change = shrunk(small, [chroma, chroma]) - small[:, REACH:-REACH, REACH:-REACH]
    done[1:] += _between(_between(change, 1, reach - top, box.height, fy), 2, reach - left, box.width, fx)
    return np.tensordot(BACKWARD, done, 1)


def _between(planes: Planes, axis: int, start: int, count: int, factor: int) -> Planes:
    """``count`` pixels from ``start`` on along ``axis``, between samples of ``factor`` pixels without the first :data:`REACH`."""
    at = (np.arange(start, start + count) + 0.5) / factor - 0.5 - REACH
    low = np.floor(at).astype(np.int64)
    share: NDArray[Any] = (at - low).astype(np.float32).reshape((-1, 1) if axis == 1 else (1, -1))
    result: Planes = planes.take(low, axis) * (1 - share) + planes.take(low + 1, axis) * share
    return result
