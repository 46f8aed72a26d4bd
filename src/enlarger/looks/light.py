"""Light and plain areas: how dark, how much is clipped, what the background is, what kind of transparency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.sample import LUMA, Bytes, Sample

DARK_MEDIAN, DARK_TOP = 48, 150
"""Luma (of 255) that half and 95 % of a picture in low light lie below."""

NEAR = 3
"""Steps of 255 within which colours count as one background."""

LEAST_SHARE = 0.08
"""Share of the picture from which one colour is a background."""

Alpha = Literal["none", "binary", "soft"]


@dataclass(frozen=True, slots=True)
class Light:
    """Luma of 0..1: its mean, its median and what 95 % lie below; ``low`` says that both of these are low."""

    mean: float
    median: float
    top: float
    low: bool


def light(sample: Sample) -> Light:
    seen = _seen(sample) @ LUMA
    median, top = (float(v) for v in np.percentile(seen, (50, 95)))
    return Light(float(seen.mean()) / 255, median / 255, top / 255, median < DARK_MEDIAN and top < DARK_TOP)


def clipped(sample: Sample) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shares of samples that are 0 and that are white, per channel (one or three)."""
    seen = _seen(sample)[:, : 1 if sample.grey else 3]
    return tuple(float(v) for v in (seen == 0).mean(0)), tuple(float(v) for v in (seen == 255).mean(0))


def background(sample: Sample) -> tuple[float, tuple[int, int, int] | None]:
    """Share of the picture that is one plain colour (within :data:`NEAR`), and that colour if the share is worth the name.

    What is fully transparent does not count; :func:`alpha` speaks of that.
    """
    seen = _seen(sample)
    codes = coded(seen, 6)
    colour = np.median(seen[codes == np.bincount(codes).argmax()], axis=0)
    near = np.ones(len(seen), bool)
    for band, middle in zip(seen.T, colour, strict=True):  # by channel: reduction along an axis of three is slow
        near &= np.abs(band.astype(np.float32) - np.float32(middle)) <= NEAR
    share = float(near.mean())
    if share < LEAST_SHARE:
        return share, None
    r, g, b = (int(v) for v in np.rint(colour))
    return share, (r, g, b)


def alpha(sample: Sample) -> tuple[Alpha, float]:
    """What transparency there is, and the share that is fully transparent. Edges count: soft is anything in between."""
    if sample.sparse_alpha is None:
        return "none", 0.0
    planes = [sample.sparse_alpha, *(crop.alpha for crop in sample.crops if crop.alpha is not None)]
    if all(int(plane.min()) == 255 for plane in planes):
        return "none", 0.0
    between = max(float(((plane > 0) & (plane < 255)).mean()) for plane in planes)
    return "soft" if between > 1e-4 else "binary", float((sample.sparse_alpha == 0).mean())


def coded(colours: Bytes, bits: int) -> NDArray[np.int32]:
    """``(n, 3)`` to one number each of the upper ``bits`` of every channel: few enough to count them without sorting."""
    red, green, blue = (colours[:, i].astype(np.int32) >> (8 - bits) for i in range(3))
    result: NDArray[np.int32] = (red << (2 * bits)) | (green << bits) | blue
    return result


def packed(colours: NDArray[Any]) -> NDArray[np.uint32]:
    """``(n, 3)`` of bytes as one number each."""
    wide: NDArray[np.uint32] = colours.astype(np.uint32)
    result: NDArray[np.uint32] = (wide[:, 0] << np.uint32(16)) | (wide[:, 1] << np.uint32(8)) | wide[:, 2]
    return result


def _seen(sample: Sample) -> Bytes:
    """``(n, 3)``: the sparse pixels that are not fully transparent; all if nothing else."""
    flat = sample.sparse.reshape(-1, 3)
    if sample.sparse_alpha is None or not sample.sparse_alpha.any():
        return flat
    visible: Bytes = flat[sample.sparse_alpha.reshape(-1) > 0]
    return visible
