"""Quiet: the noise of a picture frequency by frequency, as its quietest places show it, whether it is white or went through JPEG."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from enlarger.image import Header, Image, Samples
from enlarger.looks.sample import Sample, sample
from enlarger.repairs.denoise import to_opponents
from enlarger.repairs.shrinkage import BASIS, SIDE, Spectrum

EVERY = 5
"""Pixels between blocks: neither JPEG's blocks nor a multiple of theirs."""

SHARE, FEWEST = 0.05, 50
"""Share of all blocks that count as quiet, and how many there must be at least."""

HIDDEN = (1.5, 2.5)
"""What is white in quiet places over a measured noise: from the first on there is more texture than noise everywhere, from the second
on that noise says nothing."""

FEW = 256
"""Colours of a coloured picture, of all that is looked at, up to which its roughness is dither."""

RISING = (1.2, 1.4)
"""What is at the finest frequencies over what is at middle ones: white noise has as much, optics and film less. From the second on
it is the mesh of a print or of a scanner."""

FLOOR = (0.95, 1.1)
"""What is white in quiet places over a measured noise: a mesh leaves less than was measured, which is mostly its own; noise in places that
have fine lines leaves all of it."""

_FREQUENCY = np.add.outer(np.arange(SIDE), np.arange(SIDE)).ravel()
SLOW = (_FREQUENCY == 1) | (_FREQUENCY == 2)
"""Coefficients that say whether a block is quiet. The others are not looked at for that, or those would be chosen where noise is weak."""


def looked(samples: Samples, channels: int) -> Sample:
    """What triage would look at of ``samples`` ``(h, w, bands)``."""
    height, width, bands = samples.shape
    return sample(Image(samples, Header("", "array", width, height, channels, bands > channels, 8 * samples.dtype.itemsize)))


def spectra(seen: Sample) -> list[Spectrum]:
    """Deviation of the noise in each DCT coefficient of the opponent planes (one plane for a grey picture), of 255.

    In pictures that are texture all over, that is taken for noise. Zero where there are too few blocks that are not clipped.
    """
    found = [_blocks(crop.pixels[..., :1] if seen.grey else crop.pixels) for crop in seen.crops]
    blocks = np.concatenate(found, axis=1)
    count = max(FEWEST, int(SHARE * blocks.shape[1]))
    if count >= blocks.shape[1]:
        return [np.zeros((SIDE, SIDE)) for _ in blocks]
    slow = (blocks[0][:, SLOW] ** 2).sum(1)
    quiet = blocks[:, np.argpartition(slow, count)[:count]]
    deviations = np.sqrt((quiet**2).mean(1, dtype=np.float64))
    # The slowest are small where the block was chosen for that.
    lowest = deviations[:, _FREQUENCY == 3].mean(1)
    deviations[:, _FREQUENCY < 3] = np.maximum(deviations[:, _FREQUENCY < 3], lowest[:, None])
    deviations[:, 0] = lowest
    return [plane.reshape(SIDE, SIDE) for plane in deviations]


def trust(seen: Sample, noise: float) -> float:
    """0 to 1: whether ``noise`` (of 255) in the brightest plane is noise, and not dither, a mesh, or the finest of a texture that is
    everywhere.
    """
    if dithered(seen):
        return 0.0
    shown = [plane.ravel() for plane in spectra(seen)]
    white = min(float(np.sqrt(np.mean(shown[0][number == _FREQUENCY] ** 2))) for number in range(3, 2 * SIDE - 2))
    if white <= 0:
        return 1.0
    known = np.clip((HIDDEN[1] - white / max(noise, 1e-6)) / (HIDDEN[1] - HIDDEN[0]), 0, 1)
    finest, middle = (
        np.sqrt(np.mean([plane[(low <= _FREQUENCY) & (high >= _FREQUENCY)] ** 2 for plane in shown])) for low, high in ((12, 14), (7, 9))
    )
    if middle <= 0:
        return float(known)
    rising = np.clip((finest / middle - RISING[0]) / (RISING[1] - RISING[0]), 0, 1)
    missing = np.clip((FLOOR[1] - white / max(noise, 1e-6)) / (FLOOR[1] - FLOOR[0]), 0, 1)
    return float(known * (1 - rising * missing))


def dithered(seen: Sample) -> bool:
    """Whether a coloured picture has no more colours than a palette holds."""
    if seen.grey:
        return False
    found = np.zeros(0, np.uint32)
    for crop in seen.crops:
        red, green, blue = (crop.pixels[..., band].ravel().astype(np.uint32) for band in range(3))
        colours = red << 16 | green << 8 | blue
        # A few pixels tell in most pictures.
        for part in (colours[:: max(1, colours.size // 4096)], colours):
            found = np.union1d(found, part)
            if found.size > FEW:
                return False
    # What is grey in three bands has no more levels than that anyway.
    return bool(((found >> 16 != found & 255) | (found >> 8 & 255 != found & 255)).any())


def _blocks(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(planes, n, 64)``: coefficients of the blocks that are not clipped."""
    planes = pixels.shape[2]
    if min(pixels.shape[:2]) < SIDE:
        return np.empty((planes, 0, 64), np.float32)
    windows = sliding_window_view(pixels, (SIDE, SIDE), axis=(0, 1))[::EVERY, ::EVERY].reshape(-1, planes, 64)
    inside = (windows.min((1, 2)) > 1) & (windows.max((1, 2)) < 254)
    blocks = to_opponents(np.ascontiguousarray(windows[inside].transpose(1, 0, 2), np.float32))
    coefficients: NDArray[np.float32] = blocks @ BASIS.T
    return coefficients
