"""Denoise: white noise of a known strength, taken out of brightness and of two differences of colours, each by :mod:`shrinkage`."""

from __future__ import annotations

import numpy as np

from enlarger.image import Box, Samples
from enlarger.pixels.scaling import Planes
from enlarger.repairs.parts import by_parts
from enlarger.repairs.shrinkage import REACH, shrunk

SIGMA = 25.0
"""Standard deviation of the noise, of 255, that a strength of 100 stands for."""

OPPONENT = np.linalg.qr(np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64).T)[0].T.astype(np.float32)
"""RGB to brightness and two differences, orthonormal: noise stays white, and what all colours share is found from all of them."""


def denoised(samples: Samples, channels: int, strength: int, noise: tuple[float, ...] | None = None) -> Samples:
    """``samples`` ``(h, w, bands) uint8`` or ``uint16``, of which the first ``channels`` are colour, without noise; same type.

    ``strength`` 0 to 100 is four times the standard deviation that is taken for noise, in 255ths. ``noise`` is how it is shared between
    the channels (only the ratios count; equally without it). Other bands stay what they are. Strength 0 gives ``samples``.
    """
    if strength <= 0:
        return samples
    deviations = shares(channels, noise) * SIGMA * strength / 100
    spectra = [np.full((8, 8), deviation) for deviation in mixed(deviations)]

    def repair(planes: Planes, box: Box) -> Planes:
        return to_colours(shrunk(to_opponents(planes), spectra))

    return by_parts(samples, channels, repair, REACH)


def shares(channels: int, noise: tuple[float, ...] | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The noise of each channel over their mean; 1 where nothing is known."""
    known = np.zeros(channels) if noise is None else np.resize(np.asarray(noise, np.float64), channels)
    return known / known.mean() if known.mean() > 0 else np.ones(channels)


def mixed(deviations: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Deviations of the noise in the planes of :func:`to_opponents`, from those in the channels."""
    if deviations.size == 1:
        return deviations
    result: np.ndarray[tuple[int], np.dtype[np.float64]] = np.sqrt(OPPONENT.astype(np.float64) ** 2 @ deviations**2)
    return result


def to_opponents(planes: Planes) -> Planes:
    """Three colours as brightness and two differences; one stays as it is."""
    return planes if planes.shape[0] == 1 else np.tensordot(OPPONENT, planes, 1)


def to_colours(planes: Planes) -> Planes:
    return planes if planes.shape[0] == 1 else np.tensordot(OPPONENT.T, planes, 1)
