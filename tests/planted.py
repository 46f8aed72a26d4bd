"""Faults to plant in good results, and where they are. A fault is what verify must find; it is made here by other means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFilter
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Place = tuple[int, int, int, int]


@dataclass(frozen=True)
class Fault:
    """``measures``: any of them names the fault rightly. ``on`` is the kind of picture that it is planted in."""

    name: str
    on: str
    measures: frozenset[str]
    plant: Callable[[Picture, int], tuple[Picture, Place | None]]


def lock(source: Picture, result: Picture, rounds: int = 5) -> Picture:
    """Plain back-projection, y <- y + U(x - D(y)), by Pillow: a result whose colours are those of its source."""
    y = result.astype(np.float32)
    size, small = (y.shape[1], y.shape[0]), (source.shape[1], source.shape[0])
    for _ in range(rounds):
        for band in range(y.shape[2]):
            gap = source[..., band] - _resized(y[..., band], small)
            y[..., band] += _resized(gap, size)
        y = y.clip(0, 255)
    return np.rint(y).astype(np.uint8)


def _resized(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(PIL.Image.fromarray(plane.astype(np.float32)).resize(size, PIL.Image.Resampling.BICUBIC))


def _tint(y: Picture, s: int) -> tuple[Picture, None]:
    return (y.astype(int) + 3).clip(0, 255).astype(np.uint8), None


def _grey_white(y: Picture, s: int) -> tuple[Picture, None]:
    return np.minimum(y, 254), None


def _shift(pixels: float) -> Callable[[Picture, int], tuple[Picture, None]]:
    def shift(y: Picture, s: int) -> tuple[Picture, None]:
        moved = np.concatenate([y[:, :1], y[:, :-1]], axis=1)
        mixed = y * (1 - pixels) + moved * pixels
        return np.rint(mixed).astype(np.uint8), None

    return shift


def _swapped(y: Picture, s: int) -> tuple[Picture, Place]:
    side, out = 32 * s, y.copy()
    a, b = (slice(side, 2 * side), slice(side, 2 * side)), (slice(3 * side, 4 * side), slice(4 * side, 5 * side))
    out[a], out[b] = y[b], y[a]
    return out, (side, side, side, side)


def _duplicated(y: Picture, s: int) -> tuple[Picture, Place]:
    side, out = 32 * s, y.copy()
    out[2 * side : 3 * side, 3 * side : 4 * side] = y[2 * side : 3 * side, 2 * side : 3 * side]
    return out, (3 * side, 2 * side, side, side)


def _seam(y: Picture, s: int) -> tuple[Picture, Place]:
    at, fade = 64 * s, 16 * s
    out = y.astype(np.float64)
    out[:, at : at + fade] += 3 * np.linspace(1, 0, fade)[None, :, None]
    return np.rint(out).clip(0, 255).astype(np.uint8), (at - 4, 0, 8, len(y))


def _blurred(place: Place) -> Callable[[Picture, int], tuple[Picture, Place]]:
    def blurred(y: Picture, s: int) -> tuple[Picture, Place]:
        out, (x0, y0, w, h) = y.copy(), tuple(v * s for v in place)
        soft = np.asarray(PIL.Image.fromarray(y).filter(PIL.ImageFilter.GaussianBlur(1.2 * s)))
        out[y0 : y0 + h, x0 : x0 + w] = soft[y0 : y0 + h, x0 : x0 + w]
        return out, (x0, y0, w, h)

    return blurred


def _foreign(y: Picture, s: int) -> tuple[Picture, Place]:
    side, out = 24 * s, y.copy()
    patch = np.rot90(y[-side:, -side:]).astype(float)
    x0, y0 = 40 * s, 120 * s
    under = y[y0 : y0 + side, x0 : x0 + side].astype(float)
    out[y0 : y0 + side, x0 : x0 + side] = (patch - patch.mean((0, 1)) + under.mean((0, 1))).clip(0, 255).astype(np.uint8)
    return out, (x0, y0, side, side)


def _exchanged(first: Place, second: Place) -> Callable[[Picture, int], tuple[Picture, Place]]:
    """One word where another stood."""

    def exchanged(y: Picture, s: int) -> tuple[Picture, Place]:
        (ax, ay, w, h), (bx, by, _, _) = (tuple(v * s for v in place) for place in (first, second))
        out = y.copy()
        out[ay : ay + h, ax : ax + w] = y[by : by + h, bx : bx + w]
        return out, (ax, ay, w, h)

    return exchanged


def _mirrored(place: Place) -> Callable[[Picture, int], tuple[Picture, Place]]:
    def mirrored(y: Picture, s: int) -> tuple[Picture, Place]:
        out, (x0, y0, w, h) = y.copy(), tuple(v * s for v in place)
        out[y0 : y0 + h, x0 : x0 + w] = y[y0 : y0 + h, x0 : x0 + w][:, ::-1]
        return out, (x0, y0, w, h)

    return mirrored


def _overshot(y: Picture, s: int) -> tuple[Picture, None]:
    soft = np.asarray(PIL.Image.fromarray(y).filter(PIL.ImageFilter.GaussianBlur(s))).astype(float)
    return (y + 1.5 * (y - soft)).clip(0, 255).astype(np.uint8), None


def _noisy(y: Picture, s: int) -> tuple[Picture, None]:
    grain = np.random.default_rng(0).normal(0, 8, y.shape[:2])[..., None]
    return np.rint(y + grain).clip(0, 255).astype(np.uint8), None


def of(*names: str) -> frozenset[str]:
    return frozenset(names)


# Places on the pictures are in source pixels.
FACE: Place = (84, 74, 60, 64)
EYE: Place = (97, 94, 20, 14)
WORD: Place = (66, 48, 36, 16)
OTHER: Place = (214, 66, 36, 16)

FAULTS = (
    Fault("a tint of 3/255", "portrait", of("colour"), _tint),
    Fault("white becomes 254", "product", of("white"), _grey_white),
    Fault("a shift of 1 pixel", "portrait", of("registration"), _shift(1)),
    Fault("a shift of half a pixel", "portrait", of("registration"), _shift(0.5)),
    Fault("two tiles swapped", "portrait", of("consistency"), _swapped),
    Fault("a tile twice", "portrait", of("consistency"), _duplicated),
    Fault("a seam", "portrait", of("seams"), _seam),
    Fault("a face blurred", "portrait", of("consistency", "texture", "faces"), _blurred(FACE)),
    Fault("a foreign patch", "portrait", of("consistency"), _foreign),
    Fault("a word redrawn", "text", of("consistency", "text"), _exchanged(WORD, OTHER)),
    Fault("an eye mirrored", "portrait", of("consistency", "faces"), _mirrored(EYE)),
    Fault("overshoot", "portrait", of("ringing"), _overshot),
    Fault("noise", "portrait", of("noise"), _noisy),
)


def pictures() -> dict[str, Picture]:
    """Sources by kind, 8-bit RGB: what ships with scikit-image, cut so that the net is quick."""
    import skimage.data

    portrait = skimage.data.astronaut()[:224, 96:320]
    cup = skimage.data.coffee()[60:220:2, 200:400:2]
    product = np.full((160, 192, 3), 255, np.uint8)
    product[40:120, 46:146] = cup
    page = skimage.data.page()[:160, :256]
    return {"portrait": portrait.copy(), "product": product, "text": np.stack([page] * 3, -1)}


def overlaps(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
