"""Damage: what in a source is no signal, its noise and the steps of its JPEG. The colour lock, the dials and repairs work with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image, Quantisation

NO_NOISE = 0.5 / 255
"""Deviation below which a source counts as clean: quantisation to 8 bits alone makes 0.29 / 255."""

BLOCK = 8
QUIET = 0.05
"""Share of all blocks that the noise is looked for in: those that change least."""

SMOOTH_RATIO = 1.5
"""Energy of mixed fourth differences over that of second differences in quiet parts of clean pictures (measured: 0.9 to 1.6).
White noise has 3."""

QUIET_BIAS = 1.2
"""The quietest blocks are those where the noise happens to be weak: what that costs, found on pure noise."""

ENOUGH = 2 * 10**6
"""Pixels that are looked at; of larger pictures evenly spaced bands."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What in the source is no signal: ``noise`` per colour channel (standard deviation, white is 1), and JPEG's steps."""

    noise: tuple[float, ...]
    jpeg: Quantisation | None = None


def damage(picture: Image) -> Damage:
    """The noise and quantisation of ``picture``."""
    return Damage(tuple(noise(picture.samples[..., c]) for c in range(picture.channels)), picture.jpeg)


def noise(plane: NDArray[Any]) -> float:
    """Standard deviation of the white noise in stored samples ``(h, w)``, white being 1; 0 when below :data:`NO_NOISE`.

    Second differences ``g`` along both axes and mixed fourth differences ``l`` (Immerkaer 1996) of the quietest blocks:
    noise gives ``l = 36 s^2`` and ``g = 12 s^2``, smooth texture about ``l = 1.5 g``; hence ``s^2 = (l - 1.5 g) / 18``, which
    fine texture does not pass for noise. Clipped blocks say nothing and are left out.
    """
    top = float(np.iinfo(plane.dtype).max)
    energies = [_block_energies(band, top) for band in _bands(plane)]
    mixed, second = (np.concatenate([pair[i] for pair in energies]) for i in (0, 1)) if energies else (np.empty(0), np.empty(0))
    if mixed.size < 4:
        return 0.0
    count = max(4, int(QUIET * second.size))
    quiet = np.argpartition(second, count - 1)[:count]
    variance = (mixed[quiet].mean() - SMOOTH_RATIO * second[quiet].mean()) / (36 - 12 * SMOOTH_RATIO)
    sigma = QUIET_BIAS * float(np.sqrt(max(variance, 0.0))) / top
    return sigma if sigma >= NO_NOISE else 0.0


def _bands(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """The plane, or evenly spaced bands of rows of a large one."""
    height, width = plane.shape
    if height * width <= ENOUGH:
        return [plane]
    rows = max(4 * BLOCK + 2, ENOUGH // width // 16)
    starts = np.linspace(0, max(0, height - rows), 16).astype(int)
    return [plane[y : y + rows] for y in starts]


def _block_energies(plane: NDArray[Any], top: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squares of mixed fourth and of second differences per block that is not clipped."""
    height, width = ((n - 2) // BLOCK * BLOCK for n in plane.shape)
    if height <= 0 or width <= 0:
        return np.empty(0), np.empty(0)
    p = plane[: height + 2, : width + 2].astype(np.float32)
    across = p[:, :-2] - 2 * p[:, 1:-1] + p[:, 2:]
    down = p[:-2] - 2 * p[1:-1] + p[2:]
    mixed = across[:-2] - 2 * across[1:-1] + across[2:]
    inner = p[1:-1, 1:-1]
    kept = _block_mean((inner <= 0) | (inner >= top)) < 0.05
    second = _block_mean(across[1:-1] ** 2 + down[:, 1:-1] ** 2)
    return _block_mean(mixed**2)[kept], second[kept]


def _block_mean(plane: NDArray[Any]) -> NDArray[np.float64]:
    height, width = plane.shape
    result: NDArray[np.float64] = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((1, 3), dtype=np.float64)
    return result
