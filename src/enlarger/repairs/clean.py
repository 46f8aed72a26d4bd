"""Clean: the repairs of a picture that is about to be enlarged, in the order in which harm was done to it, from the last back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from enlarger.image import Quantisation, Samples
from enlarger.repairs.deblock import auto as deblock_auto
from enlarger.repairs.deblock import deblocked, tables
from enlarger.repairs.deblur import Blur, deblurred, measured, width
from enlarger.repairs.deblur import auto as deblur_auto
from enlarger.repairs.denoise import SIGMA, denoised, shares
from enlarger.repairs.motion import Motion
from enlarger.repairs.quiet import looked, trust

LEFT = 0.6
"""Share of the noise that denoising leaves for what comes after."""

ROWS = 256


@dataclass(frozen=True, slots=True)
class Done:
    """A repair that was made: its ``name`` and ``strength`` (1 to 100), ``seconds`` it took, and the root mean square of what it changed
    in the colours, white being 1 (0: nothing needed changing); ``said`` is what was found."""

    name: str
    strength: int
    seconds: float
    changed_rms: float
    said: str = ""


def found(
    samples: Samples,
    channels: int,
    *,
    noise: tuple[float, ...],
    quantisation: Quantisation | None = None,
    blur: Blur | None = None,
) -> dict[str, int]:
    """The strengths, 0 to 100, of ``deblock``, ``denoise`` and ``deblur`` when they are left to be found; arguments as for :func:`cleaned`.

    ``noise`` is doubted where texture hides it, and ``blur`` of ``None`` is none.
    """
    level = 255 * float(np.mean(noise))
    denoise = 100 * level / SIGMA * (trust(looked(samples, channels), level) if level > 0 else 0)
    return {"deblock": deblock_auto(quantisation), "denoise": min(100, round(denoise)), "deblur": deblur_auto(blur)}


def cleaned(
    samples: Samples,
    channels: int,
    *,
    denoise: int = 0,
    deblock: int = 0,
    deblur: int = 0,
    noise: tuple[float, ...] | None = None,
    quantisation: Quantisation | None = None,
    blur: Blur | None = None,
) -> tuple[Samples, list[Done]]:
    """``samples`` ``(h, w, bands) uint8`` or ``uint16``, the first ``channels`` colour, deblocked, denoised and deblurred; same type.

    Strengths go from 0 (not at all, and not among what was done) to 100. ``noise`` is its deviation per channel, white being 1;
    ``quantisation`` is that of a JPEG source; ``blur`` is what triage measured, in pixels (a sharp picture has 0.4 to 0.6), or a motion,
    looked for where it is ``None``.
    """
    known = np.resize(np.asarray(noise or (0.0,), np.float64), channels)
    done: list[Done] = []

    def repaired(name: str, strength: int, before: Samples, repair: Callable[[Samples], Samples], said: str = "") -> Samples:
        if strength <= 0:
            return before
        start = time.perf_counter()
        after = repair(before)
        done.append(Done(name, strength, round(time.perf_counter() - start, 3), _changed(before, after, channels), said))
        return after

    if deblur > 0 and blur is None:
        # Of the source: repairs leave edges as they were, but not always the smallest ones.
        blur = measured(samples, channels, float(known.mean()))
    samples = repaired("deblock", deblock, samples, lambda now: deblocked(now, channels, deblock, quantisation))
    samples = repaired("denoise", denoise, samples, lambda now: denoised(now, channels, denoise, noise))
    taken = SIGMA / 255 * denoise / 100 * shares(channels, noise)
    left = tuple(np.maximum(known - taken, LEFT * known))
    was = quantisation or (tables(max(1.0, 100 - 0.75 * deblock)) if deblock > 0 else None)
    said = str(blur) if isinstance(blur, Motion) else ""
    samples = repaired("deblur", deblur, samples, lambda now: deblurred(now, channels, deblur, width(blur), left, was), said)
    return samples, done


def _changed(before: Samples, after: Samples, channels: int) -> float:
    """Root mean square of the difference, white being 1."""
    if before is after:
        return 0.0
    total = 0.0
    for y in range(0, before.shape[0], ROWS):
        rows = slice(y, y + ROWS)
        difference = before[rows, :, :channels].astype(np.float32) - after[rows, :, :channels]
        total += float(np.sum(difference * difference, dtype=np.float64))
    size = before.shape[0] * before.shape[1] * channels
    return round(float(np.sqrt(total / size)) / float(np.iinfo(before.dtype).max), 6)
