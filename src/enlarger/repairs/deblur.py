"""Deblur: a small Gaussian blur, or that of a motion, undone as far as the noise allows.

What a regularised inverse adds to a picture is detail and noise; how strong the noise is in each coefficient of a patch is known, and
so :mod:`shrinkage` takes it out again (as Dabov et al. do in "Image restoration by sparse 3D transform-domain collaborative filtering",
2008). Where only noise was added, nothing is: the picture is never smoother than before. What then lies outside of the values around
a pixel was no detail but ringing, and is cut.

Motion goes first: a picture that was moved has sharp edges along the way, and no Gaussian made the others soft.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Quantisation, Samples
from enlarger.looks import resolution
from enlarger.looks.sample import Sample
from enlarger.pixels.extremes import extremes
from enlarger.pixels.jpeg_cells import DCT
from enlarger.pixels.scaling import Planes
from enlarger.repairs.deblock import spectrum
from enlarger.repairs.denoise import mixed, to_colours, to_opponents
from enlarger.repairs.motion import Motion, motion
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

TAPS, TAPS_OF_MOTION = 24, 40
"""Radius of the inverse filter. That of motion has an echo at every multiple of its length."""

GRID = 128
"""Frequencies on an axis that the filter is made of, and that its noise is reckoned on."""

Blur = float | Motion
"""What :func:`measured` finds."""


def auto(blur: Blur | None) -> int:
    """The strength for a measured ``blur`` (pixels): 0 for what is sharp or not known. A motion is only found where it is sure."""
    if isinstance(blur, Motion):
        return 100
    return 0 if blur is None else round(100 * min(1.0, max(0.0, (blur - AUTO[0]) / (AUTO[1] - AUTO[0]))))


def width(blur: Blur | None) -> Blur:
    """Deviation of the Gaussian that made a sharp picture measure ``blur``, in pixels; 0 where that is not known. A motion is itself."""
    if isinstance(blur, Motion):
        return blur
    return 0.0 if blur is None else min(WIDEST, math.sqrt(max(0.0, blur**2 - SHARP**2)))


def measured(samples: Samples, channels: int, noise: float = 0.0) -> Blur | None:
    """The motion of ``samples``, else the blur at their sharpest edges, in pixels; ``None`` where there are too few.

    ``noise`` is its deviation, white being 1.
    """
    return _measured(looked(samples, channels), noise)


def _measured(seen: Sample, noise: float) -> Blur | None:
    return motion(seen, noise) or resolution.blur(seen.crops, noise)


def deblurred(
    samples: Samples,
    channels: int,
    strength: int,
    blur: Blur | None = None,
    noise: tuple[float, ...] | None = None,
    quantisation: Quantisation | None = None,
) -> Samples:
    """``samples`` ``(h, w, bands) uint8`` or ``uint16``, the first ``channels`` colour, sharpened by ``strength`` 0 to 100; same type.

    ``blur`` is the deviation of a Gaussian in pixels, at most :data:`WIDEST`, or a motion; without it :func:`measured` is asked.
    ``noise`` is its deviation per channel, white being 1, as far as it is known, and ``quantisation`` that of a picture that is or was a
    JPEG: what quiet places show is reckoned with anyway, but rounding is worst at edges. Other bands stay what they are. Strength 0, and
    a picture that is not blurred, give ``samples``.
    """
    if strength <= 0:
        return samples
    seen = looked(samples, channels)
    told = np.maximum(ROUNDING, 255 * np.resize(np.asarray(noise or (0.0,), np.float64), channels))
    blur = width(_measured(seen, float(told.mean()) / 255)) if blur is None else blur
    if not isinstance(blur, Motion) and blur < SMALLEST:
        return samples
    loud = [np.maximum(level, shown) for level, shown in zip(mixed(told), spectra(seen), strict=True)]
    taps = inverse(blur, float(np.sqrt(np.mean(loud[0] ** 2))))
    if quantisation is not None:
        loud = [np.hypot(level, rounded) for level, rounded in zip(loud, _rounding(quantisation), strict=False)]
    reach = taps.shape[0] // 2
    taps[reach, reach] -= 1  # What is added, rather than all.
    strengths = [SAFETY * level * gain(taps) for level in loud]
    full = np.float32(strength / 100)
    size = samples.shape[1], samples.shape[0]
    radius = math.ceil(blur.length / 2) + 1 if isinstance(blur, Motion) else math.ceil(1.5 * min(WIDEST, blur))

    def repair(planes: Planes, box: Box) -> Planes:
        was = planes[:, REACH + reach : -REACH - reach, REACH + reach : -REACH - reach]
        near = planes[:, REACH + reach - radius :, REACH + reach - radius :][:, : was.shape[1] + 2 * radius, : was.shape[2] + 2 * radius]
        low, high = (found[:, radius:-radius, radius:-radius] for found in extremes(near, radius))
        sharp = was + to_colours(shrunk(_filtered(to_opponents(planes), taps), strengths))
        over = np.float32(OVER) * (high - low)
        share = full if not isinstance(blur, Motion) else full * _within(blur, box, size)
        mended: Planes = was + share * (np.clip(sharp, low - over, high + over) - was)
        return mended

    return by_parts(samples, channels, repair, REACH + reach)


def inverse(blur: Blur, noise: float) -> NDArray[np.float32]:
    """Filter that undoes a Gaussian of so many pixels, or a motion, under ``noise`` (of 255); its taps sum to 1.

    ``(2 * r + 1, 2 * r + 1)``, r being :data:`TAPS` or :data:`TAPS_OF_MOTION`.
    """
    reach = TAPS
    if isinstance(blur, Motion):
        reach = TAPS_OF_MOTION
        transfer = blur.transfer(GRID)
    else:
        frequency = np.fft.fftfreq(GRID)
        transfer = np.exp(-2 * np.pi**2 * min(WIDEST, blur) ** 2 * (frequency[:, None] ** 2 + frequency**2))
    response = transfer / (transfer**2 + FLOOR + PER_NOISE * noise**2)
    middle = slice(GRID // 2 - reach, GRID // 2 + reach + 1)
    taps = np.fft.fftshift(np.fft.ifft2(response).real)[middle, middle]
    # Hann's window would weaken the echoes, without which a motion comes back as often as the filter is long.
    fade = np.hanning(2 * reach + 3)[1:-1] if reach == TAPS else np.clip(3 * (1 - np.abs(np.linspace(-1, 1, 2 * reach + 1))) + 0.05, 0, 1)
    taps = taps * fade[:, None] * fade
    result: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return result


def _within(line: Motion, box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """How much of the answer is taken in ``box`` of a picture of ``size``: what came in over its border is not known, and would come back
    as stripes. 0 up to half a length from it, along the line, 1 from one and a half."""
    angle = np.deg2rad(line.angle)
    ways = (abs(np.cos(angle)), abs(np.sin(angle)))
    spans = ((box.x, box.width, size[0]), (box.y, box.height, size[1]))
    far = []
    for (start, length, side), way in zip(spans, ways, strict=True):
        place = np.arange(start, start + length)
        far.append(np.minimum(place, side - 1 - place) / max(way * line.length, 1e-6))
    taken: NDArray[np.float32] = np.clip(np.minimum(far[0], far[1][:, None]) - 0.5, 0, 1).astype(np.float32)
    return taken


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
    """``(n, h, w)`` through ``taps``, their radius of pixels fewer at each side."""
    shape, lost = planes.shape[1:], taps.shape[0] - 1
    product = np.fft.rfft2(planes) * np.fft.rfft2(taps, shape)
    full: Planes = np.fft.irfft2(product, shape)[:, lost:, lost:].astype(np.float32)
    return full
