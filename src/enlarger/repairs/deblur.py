"""Deblur: a small Gaussian blur undone as far as the noise allows.

What a regularised inverse adds to a picture is detail and noise; how strong the noise is in each coefficient of a patch is known, and
so :mod:`shrinkage` takes it out again (as Dabov et al. do in "Image restoration by sparse 3D transform-domain collaborative filtering",
2008). Where only noise was added, nothing is: the picture is never smoother than before. What then lies outside of the values around
a pixel was no detail but ringing, and is cut.

Blur of motion is left alone: its direction and length cannot be told from edges cheaply and surely.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Quantisation, Samples
from enlarger.looks import resolution
from enlarger.pixels.extremes import extremes
from enlarger.pixels.jpeg_cells import DCT
from enlarger.pixels.scaling import Planes
from enlarger.repairs.deblock import spectrum
from enlarger.repairs.denoise import mixed, to_colours, to_opponents
from enlarger.repairs.parts import by_parts
from enlarger.repairs.quiet import looked, spectra
from enlarger.repairs.shrinkage import REACH, Spectrum, shrunk

SHARP = 0.6
"""What is measured as blur at the edges of sharp photographs, in pixels (0.3 to 0.6; the upper end, as too much harms more)."""

AUTO = (0.75, 1.0)
"""Measured blur from which something is done when left to be found, and from which all is."""

WIDEST = 2.5
"""Deviation of the widest Gaussian that is undone; a wider blur is undone as if it were this wide."""

SMALLEST = 0.2
"""Deviation below which there is nothing to undo."""

ROUNDING = 0.35
"""Noise of stored samples, of 255, that is always reckoned with: that of rounding is 0.29."""

SAFETY = 1.2
"""Times the noise that is taken out of what the inverse adds."""

FLOOR, PER_NOISE = 4e-3, 6e-4
"""Regularisation of the inverse: at least (no frequency is made more than 8 times as strong), and more for the square of the noise
(of 255)."""

OVER = 0.1
"""Share of the local range by which a pixel may leave it. Lines thinner than the blur lose a little by that, edges get no halo."""

CHROMA_IN_COLOURS = 1.6
"""Deviation of a difference of colours over that of Cb and Cr, both being the same."""

TAPS = 24
"""Radius of the inverse filter."""

GRID = 64
"""Frequencies on an axis that the filter is made of, and that its noise is reckoned on."""


def auto(blur: float | None) -> int:
    """The strength for a measured ``blur`` (of :func:`enlarger.looks.resolution.blur`, pixels): 0 for what is sharp or not known."""
    return 0 if blur is None else round(100 * min(1.0, max(0.0, (blur - AUTO[0]) / (AUTO[1] - AUTO[0]))))


def width(blur: float | None) -> float:
    """Deviation of the Gaussian that made a sharp picture measure ``blur``, in pixels; 0 where that is not known."""
    return 0.0 if blur is None else min(WIDEST, math.sqrt(max(0.0, blur**2 - SHARP**2)))


def measured(samples: Samples, channels: int, noise: float = 0.0) -> float | None:
    """Blur at the sharpest edges of ``samples``, in pixels; ``None`` where there are too few. ``noise``: its deviation, white being 1."""
    return resolution.blur(looked(samples, channels).crops, noise)


def deblurred(
    samples: Samples,
    channels: int,
    strength: int,
    sigma: float | None = None,
    noise: tuple[float, ...] | None = None,
    quantisation: Quantisation | None = None,
) -> Samples:
    """``samples`` ``(h, w, bands) uint8`` or ``uint16``, the first ``channels`` colour, sharpened by ``strength`` 0 to 100; same type.

    ``sigma`` is the deviation of the blur in pixels, at most :data:`WIDEST`; without it :func:`measured` is asked. ``noise`` is its
    deviation per channel, white being 1, as far as it is known, and ``quantisation`` that of a picture that is or was a JPEG: what
    quiet places show is reckoned with anyway, but rounding is worst at edges. Other bands stay what they are. Strength 0, and a
    picture that is not blurred, give ``samples``.
    """
    if strength <= 0:
        return samples
    seen = looked(samples, channels)
    told = np.maximum(ROUNDING, 255 * np.resize(np.asarray(noise or (0.0,), np.float64), channels))
    sigma = min(WIDEST, sigma) if sigma is not None else width(resolution.blur(seen.crops, float(told.mean()) / 255))
    if sigma < SMALLEST:
        return samples
    loud = [np.maximum(level, shown) for level, shown in zip(mixed(told), spectra(seen), strict=True)]
    taps = inverse(sigma, float(np.sqrt(np.mean(loud[0] ** 2))))
    if quantisation is not None:
        loud = [np.hypot(level, rounded) for level, rounded in zip(loud, _rounding(quantisation), strict=False)]
    taps[TAPS, TAPS] -= 1  # What is added, rather than all.
    strengths = [SAFETY * level * gain(taps) for level in loud]
    share = np.float32(strength / 100)
    radius = math.ceil(1.5 * sigma)

    def repair(planes: Planes, box: Box) -> Planes:
        was = planes[:, REACH + TAPS : -REACH - TAPS, REACH + TAPS : -REACH - TAPS]
        near = planes[:, REACH + TAPS - radius :, REACH + TAPS - radius :][:, : was.shape[1] + 2 * radius, : was.shape[2] + 2 * radius]
        low, high = (found[:, radius:-radius, radius:-radius] for found in extremes(near, radius))
        sharp = was + to_colours(shrunk(_filtered(to_opponents(planes), taps), strengths))
        over = np.float32(OVER) * (high - low)
        mended: Planes = was + share * (np.clip(sharp, low - over, high + over) - was)
        return mended

    return by_parts(samples, channels, repair, REACH + TAPS)


def inverse(sigma: float, noise: float) -> NDArray[np.float32]:
    """Filter of ``2 * TAPS + 1`` squared taps, which sum to 1, that undoes a Gaussian of ``sigma`` pixels under ``noise`` (of 255)."""
    frequency = np.fft.fftfreq(GRID)
    blur = np.exp(-2 * np.pi**2 * sigma**2 * (frequency[:, None] ** 2 + frequency**2))
    response = blur / (blur**2 + FLOOR + PER_NOISE * noise**2)
    taps = np.fft.fftshift(np.fft.ifft2(response).real)[GRID // 2 - TAPS :, GRID // 2 - TAPS :][: 2 * TAPS + 1, : 2 * TAPS + 1]
    fade = np.hanning(2 * TAPS + 3)[1:-1]
    taps = taps * fade[:, None] * fade
    result: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return result


def gain(taps: NDArray[np.float32]) -> Spectrum:
    """By how much ``taps`` make white noise stronger in each DCT coefficient of a patch, ``(8, 8)``."""
    power = np.abs(np.fft.fft2(taps, (GRID, GRID))) ** 2
    basis = np.abs(np.fft.fft(DCT.astype(np.float64), GRID, axis=1)) ** 2 / GRID
    result: Spectrum = np.sqrt(basis @ power @ basis.T)
    return result


def _rounding(quantisation: Quantisation) -> list[Spectrum]:
    """What JPEG's rounding is in the opponent planes, of 255; of a grey picture a little too much."""
    return [math.sqrt(3) * spectrum(quantisation.luma), *(CHROMA_IN_COLOURS * spectrum(quantisation.chroma) for _ in range(2))]


def _filtered(planes: Planes, taps: NDArray[np.float32]) -> Planes:
    """``(n, h, w)`` through ``taps``, :data:`TAPS` pixels fewer at each side."""
    shape = planes.shape[1:]
    product = np.fft.rfft2(planes) * np.fft.rfft2(taps, shape)
    full: Planes = np.fft.irfft2(product, shape)[:, 2 * TAPS :, 2 * TAPS :].astype(np.float32)
    return full
