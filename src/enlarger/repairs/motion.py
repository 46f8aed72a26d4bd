"""Motion: blur along a straight line, as of a camera that moved while the shutter was open, found in the spectrum of a picture.

A line of length L multiplies the spectrum by ``sinc(L u)``, u being the frequency along it (Cannon, "Blind deconvolution of spatially
invariant image blurs with phase", 1976): dark stripes across the spectrum, 1 / L apart. In the logarithm of the power they are added to
what the picture has, of which most depends on the frequency alone (that falls in every picture) or on the direction alone (walls,
horizons). Both are taken out, of the picture's spectrum and of what each line would leave in it, and what remains is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.sample import Sample

Floats = NDArray[np.floating[Any]]

WINDOW = 128
"""Side of the squares whose spectra are taken, in pixels; smaller pictures are not looked at."""

SHORTEST, LONGEST = 3.0, 16.0
"""Lengths that are believed, in pixels. Shorter lines are no more than any other softness in one direction."""

LENGTHS = (2.5, 3.0, 3.5, 4.0, *(float(n) for n in range(5, 20)))
ANGLES = tuple(7.5 * n for n in range(24))
"""What is tried first; the best is refined."""

BAND = (0.05, 0.47)
"""Cycles per pixel that are looked at: slower ones show the picture, faster ones what enlarging and JPEG did."""

RINGS, WEDGES = 16, 12
"""Steps in which a picture's spectrum may fall with frequency, and differ with direction, without that being motion."""

FLOOR = 0.02
"""Power at the darkest of a stripe, over that of a sharp picture: leakage, and the pixels' own squares."""

SPREAD = 0.2
"""Mean power that a line leaves: noise over what there is of a blurred picture, times this, is what fills the stripes."""

ALIKE, DEEP, ACROSS = 0.5, 0.5, 0.35
"""Least correlation of what remains with the line, and least depth of its stripes over what they should be; most correlation with
any line across it, which what was enlarged pixel by pixel has. Of sharp pictures few pass one of them."""

STRAIGHT, SURELY = 7.0, 0.65
"""Degrees from the horizontal or vertical within which a line must be this much alike: enlarging goes along the axes too."""

SEEN = 0.15
"""Share of the frequencies that must stand out from noise."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A line of ``length`` pixels, ``angle`` degrees (0 to 180) counter-clockwise from the horizontal."""

    length: float
    angle: float

    def transfer(self, grid: int) -> Floats:
        """``(grid, grid)``: what it multiplies the frequencies of :func:`numpy.fft.fftfreq` by, vertical first."""
        frequency = np.fft.fftfreq(grid)
        result: Floats = np.sinc(self.length * _along(frequency[None, :], frequency[:, None], self.angle))
        return result

    def __str__(self) -> str:
        return f"motion of {self.length:g} px at {self.angle:.0f} degrees"


def _along(across: Floats, down: Floats, angle: float) -> Floats:
    turned = np.deg2rad(angle)
    result: Floats = across * np.cos(turned) - down * np.sin(turned)
    return result


# --- what is compared -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Half:
    """Half of the frequencies in :data:`BAND` (the other half is the same): where they are, and what may differ without being motion."""

    inside: NDArray[np.bool_]
    across: Floats
    down: Floats
    ring: NDArray[np.int64]
    free: Floats
    taper: Floats


@cache
def _half() -> _Half:
    frequency = np.fft.fftfreq(WINDOW)
    down, across = np.meshgrid(frequency, frequency, indexing="ij")
    far = np.hypot(across, down)
    inside = (far > BAND[0]) & (far < BAND[1]) & ((down > 0) | ((down == 0) & (across > 0)))
    ring = np.minimum((far[inside] * 2 * RINGS).astype(np.int64), RINGS - 1)
    wedge = (np.rad2deg(np.arctan2(down, across))[inside] % 180 / 180 * WEDGES).astype(np.int64) % WEDGES
    free = np.concatenate([np.eye(RINGS)[ring], np.eye(WEDGES)[wedge]], axis=1)
    taper = np.hanning(WINDOW + 2)[1:-1]
    return _Half(inside, across[inside], down[inside], ring, free[:, free.any(0)], taper)


@cache
def _stripes(length: float) -> tuple[Floats, Floats]:
    """Power along a line of ``length`` as windows of :data:`WINDOW` see it: frequencies, and the power there."""
    half = _half()
    overlap = np.correlate(half.taper, half.taper, "full")
    frequency = np.linspace(0, 0.75, 1501)
    shift = np.linspace(0, length, 200)
    weight = (1 - shift / length) * np.interp(shift, np.arange(WINDOW), overlap[WINDOW - 1 :] / overlap.max())
    power = 2 / length * np.trapezoid(weight * np.cos(2 * np.pi * frequency[:, None] * shift), shift, axis=1)
    return frequency, np.maximum(power, 0)


def _expected(length: float, angle: float) -> Floats:
    """What a line leaves of the power at each frequency of :func:`_half`."""
    half = _half()
    frequency, power = _stripes(length)
    result: Floats = np.interp(np.abs(_along(half.across, half.down, angle)), frequency, power)
    return result


@cache
def _first() -> tuple[tuple[tuple[float, float], ...], Floats]:
    """All lines that are tried first, and :func:`_expected` of each."""
    lines = tuple((length, angle) for length in LENGTHS for angle in ANGLES)
    return lines, np.array([_expected(*line) for line in lines], np.float32)


# --- the search -------------------------------------------------------------------------------------------------------


def motion(seen: Sample, noise: float) -> Motion | None:
    """The line that everything in the picture was moved along, ``None`` where it was not, or cannot be told.

    ``noise`` is its standard deviation, white being 1.
    """
    power = _power(seen)
    if power is None:
        return None
    half = _half()
    loud = (255 * noise) ** 2 + 1 / 12
    level = np.array([np.median(power[half.ring == ring]) if (half.ring == ring).any() else 0.0 for ring in range(RINGS)])
    # What is left where a picture has least is noise, of whatever kind.
    loud = max(loud, float(level[level > 0].min()))
    weight = np.sqrt(np.clip(1 - 2 * loud / np.maximum(level, 1e-9), 0, 1))[half.ring]
    if np.mean(weight > 0) < SEEN:
        return None
    free, _ = np.linalg.qr(half.free * weight[:, None] + 1e-9 * half.free)

    filled = (FLOOR + SPREAD * loud / np.maximum(level - loud, 0.1 * loud))[half.ring]

    def stripes(power: Floats) -> Floats:
        return left(np.log(power + filled))

    def left(values: Floats) -> Floats:
        weighed = values * weight
        result: Floats = weighed - (weighed @ free) @ free.T
        return result

    lines, expected = _first()
    own = left(np.log(power + loud))
    own_size = float(np.linalg.norm(own))
    if own_size == 0:
        return None
    tried = stripes(expected)
    alike = tried @ own / np.maximum(np.linalg.norm(tried, axis=1), 1e-9) / own_size
    best = int(alike.argmax())
    length, angle = lines[best]
    turned = np.array([60 <= (other - angle) % 180 <= 120 for _, other in lines])
    if alike[best] < ALIKE - 0.1 or alike[turned].max() > ACROSS:
        return None
    near = [(length + more, (angle + turn) % 180) for more in (-0.5, -0.25, 0.0, 0.25, 0.5) for turn in (-6, -4, -2, 0, 2, 4, 6)]
    tried = stripes(np.array([_expected(*line) for line in near]))
    sizes = np.maximum(np.linalg.norm(tried, axis=1), 1e-9)
    alike = tried @ own / sizes / own_size
    best = int(alike.argmax())
    depth = float(tried[best] @ own / sizes[best] ** 2)
    length, angle = near[best]
    least = SURELY if min(angle % 90, -angle % 90) <= STRAIGHT else ALIKE
    return Motion(length, angle) if alike[best] >= least and depth >= DEEP and SHORTEST <= length <= LONGEST else None


def _power(seen: Sample) -> Floats | None:
    """Geometric mean of the power of luma at each frequency of :func:`_half`, over the livelier half of all squares."""
    half = _half()
    taper = np.outer(half.taper, half.taper)
    found: list[NDArray[np.float32]] = []
    for crop in seen.crops:
        luma = crop.luma
        for y in _starts(luma.shape[0]):
            for x in _starts(luma.shape[1]):
                square = luma[y : y + WINDOW, x : x + WINDOW]
                spectrum = np.fft.fft2((square - square.mean()) * taper)[half.inside]
                found.append((np.abs(spectrum) ** 2 / (taper**2).sum()).astype(np.float32))
    if not found:
        return None
    squares = np.array(found)
    lively = squares.mean(1)
    squares = squares[lively >= np.median(lively)]
    result: Floats = np.exp(np.log(squares + 1e-3).mean(0, dtype=np.float64))
    return result


def _starts(length: int) -> list[int]:
    """Where squares begin along a side, half a square apart at most; none if it is too short."""
    if length < WINDOW:
        return []
    count = -(-(length - WINDOW) * 2 // WINDOW) + 1
    return sorted({(length - WINDOW) * i // max(1, count - 1) for i in range(count)})
