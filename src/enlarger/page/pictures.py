"""Pictures for the page: reduced previews, crops at 100 % beside the source plainly enlarged, the invention map as a heat map.

All become data URIs of a bounded size. What is read of the result is what is shown: strips for the preview, boxes for the crops.
"""

from __future__ import annotations

import base64
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import pyvips, vips_of
from enlarger.image import Box, Image, Samples
from enlarger.pixels.scaling import Sizes, planes_of

Reader: TypeAlias = "Samples | Callable[[Box], Samples]"
"""A result: its samples ``(h, w, bands)``, or a function that gives those of any box of it."""

PREVIEW, PREVIEW_AREA = 1600, 2_000_000
"""Pixels along the longer side of a preview, and in all, at most."""
HEAT = 640
SEARCHED = 2_500_000
STRIP_BYTES = 4 * 2**20
LARGEST_PROFILE = 4 * 2**20

HOT = 24.0
"""Expected error in 1/255 from which the heat map has its last colour."""
COLOURS = (
    (0.0, (56, 88, 160, 0)),
    (0.12, (72, 92, 176, 70)),
    (0.35, (146, 74, 168, 165)),
    (0.65, (226, 92, 92, 215)),
    (1.0, (255, 208, 92, 240)),
)
"""Share of :data:`HOT` and red, green, blue, opacity. From cold to hot also from dark to light, for who sees no colours."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An encoded picture as a data URI, and how it was encoded."""

    uri: str
    width: int
    height: int
    how: str


class View:
    """A source and its result, ``width`` x ``height``, ready to be looked at anywhere."""

    def __init__(self, source: Image, result: Reader, width: int, height: int) -> None:
        self.source, self.width, self.height = source, width, height
        self.read: Callable[[Box], Samples] = result if callable(result) else lambda box: result[box.slices()]
        self.scale = width / source.width, height / source.height
        self._sizes = Sizes(source.width, source.height, width, height)

    def preview_size(self) -> tuple[int, int]:
        """Never larger than the result."""
        factor = min(1.0, PREVIEW / max(self.width, self.height), (PREVIEW_AREA / (self.width * self.height)) ** 0.5)
        return max(1, round(self.width * factor)), max(1, round(self.height * factor))

    def after(self, width: int, height: int) -> Any:
        """The whole result as a libvips picture of ``width`` x ``height``, read once from top to bottom."""
        down = max(1, int(self.height / height / 1.25))
        row = self.read(Box(0, 0, self.width, 1))
        rows = max(1, STRIP_BYTES // row.nbytes // down) * down
        strips = []
        for y in range(0, self.height, rows):
            part = _opened(self.read(Box(0, y, self.width, min(rows, self.height - y))), self.source.alpha)
            part = part.shrink(1, down, ceil=True)
            part = _sized(part, width, part.height)
            strips.append(part.numpy().reshape(part.height, part.width, part.bands))
        return self._ready(_sized(vips_of(np.concatenate(strips)), width, height), mixed=True)

    def before(self, width: int, height: int) -> Any:
        """The whole source, plainly enlarged or reduced to ``width`` x ``height``."""
        return self._ready(_sized(_opened(self.source.samples, self.source.alpha), width, height), mixed=True)

    def crop(self, box: Box) -> tuple[Any, Any]:
        """``box`` of the source plainly enlarged (bicubic), and of the result, pixel for pixel."""
        below = self._sizes.below(box)
        planes = planes_of(self.source.samples[below.slices()], self.source.header.bands)
        if self.source.alpha:
            planes[:-1] *= planes[-1]
        plain = np.clip(self._sizes.enlarged(planes, (below.x, below.y), box), 0, 1)
        if self.source.alpha:
            plain[:-1] = np.minimum(plain[:-1] / np.maximum(plain[-1], np.float32(1 / 512)), 1)
        shown = (plain * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
        return self._ready(vips_of(shown)), self._ready(vips_of(self.read(box)))

    def shown(self, samples: Samples) -> Any:
        """A part of the source, before or after a repair, as browsers show it; transparency on white."""
        picture = vips_of(np.ascontiguousarray(samples))
        top = 65535 if picture.format == "ushort" else 255
        if picture.bands in (2, 4):
            picture = picture.flatten(background=[top] * (picture.bands - 1), max_alpha=top)
        eight = _eight_bits(picture, top)
        return _srgb(eight.copy(interpretation="b-w" if eight.bands == 1 else "srgb"), self.source.metadata.icc).copy_memory()

    def luma(self) -> NDArray[np.float32]:
        """Brightness of the source, ``(h, w)`` in 0 to 255, reduced to about :data:`SEARCHED` pixels if it has more."""
        factor = min(1.0, (SEARCHED / (self.source.width * self.source.height)) ** 0.5)
        size = max(1, round(self.source.width * factor)), max(1, round(self.source.height * factor))
        values = self.before(*size).numpy().reshape(size[1], size[0], -1)
        colours = values.shape[2] - self.source.alpha
        grey = np.zeros(values.shape[:2], np.float32)
        for band, weight in enumerate((0.299, 0.587, 0.114) if colours == 3 else (1.0,)):
            grey += values[..., band] * np.float32(weight)
        if self.source.alpha:
            grey *= values[..., -1] / np.float32(255)
        return grey

    def _ready(self, picture: Any, *, mixed: bool = False) -> Any:
        """8-bit grey or sRGB with straight alpha, in memory: what every browser shows alike. ``mixed``: alpha is multiplied in."""
        top = 65535 if picture.format == "ushort" else 255
        alpha = None
        if self.source.alpha:
            picture = picture.unpremultiply(max_alpha=top) if mixed else picture
            picture, alpha = picture[: picture.bands - 1], _eight_bits(picture[picture.bands - 1], top)
        colour = _srgb(_eight_bits(picture, top).copy(interpretation="b-w" if picture.bands == 1 else "srgb"), self.source.metadata.icc)
        return (colour if alpha is None else colour.bandjoin(alpha)).copy_memory()


def _opened(samples: Samples, alpha: bool) -> Any:
    """Samples as a libvips picture that may be averaged: with alpha multiplied in, as 16-bit."""
    picture = vips_of(samples)
    if not alpha:
        return picture
    top = 65535 if picture.format == "ushort" else 255
    return (picture.premultiply(max_alpha=top) * (65535 / top)).rint().cast("ushort")


def _sized(picture: Any, width: int, height: int) -> Any:
    if (picture.width, picture.height) == (width, height):
        return picture
    return picture.resize(width / picture.width, vscale=height / picture.height)


def _eight_bits(picture: Any, top: int) -> Any:
    return picture if picture.format == "uchar" else (picture * (255 / top)).rint().cast("uchar")


def _srgb(picture: Any, profile: bytes | None) -> Any:
    """``picture`` through its own colour profile; as it is where that does not fit."""
    if profile and len(profile) <= LARGEST_PROFILE:
        tagged = picture.copy()
        tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        with contextlib.suppress(pyvips.Error):
            return tagged.icc_transform("srgb", embedded=True, intent="relative", depth=8).copy_memory()
    return picture


QUALITIES = (96, 92, 88, 80, 70, 55, 40, 25)


def encoded(picture: Any, most: int) -> Shown:
    """Without loss if that takes at most ``most`` bytes, else as :func:`preview`."""
    data = _webp(picture, lossless=True)
    return Shown(_uri(data), picture.width, picture.height, "without loss") if len(data) <= most else preview(picture, most, 0)


def preview(picture: Any, most: int, first: int = 2) -> Shown:
    """As good as ``most`` bytes allow, from the ``first`` of :data:`QUALITIES` on; at last with fewer pixels, to be shown as large."""
    small = picture
    while True:
        at = first
        while at < len(QUALITIES):
            data = _webp(small, Q=QUALITIES[at], smart_subsample=True)
            if len(data) <= most:
                how = f"WebP, quality {QUALITIES[at]}" + ("" if small is picture else ", reduced")
                return Shown(_uri(data), picture.width, picture.height, how)
            # Each quality takes about three quarters of the one before.
            at = max(at + 1, min(at + int(math.log(len(data) / most) / math.log(4 / 3)), len(QUALITIES) - 1))
        small = small.resize(0.7).copy_memory()


def heat(invention: NDArray[np.float32], most: int) -> Shown:
    """The invention map, ``(h, w)`` in 1/255, coloured and more opaque the less the source vouches for a place."""
    share = np.clip(np.nan_to_num(invention, nan=HOT, posinf=HOT, neginf=0) / HOT, 0, 1).astype(np.float32)
    share = share[..., None] if share.ndim == 2 else share
    factor = min(1.0, HEAT / max(share.shape[:2]))
    small = _sized(vips_of(share), max(1, round(share.shape[1] * factor)), max(1, round(share.shape[0] * factor)))
    values = np.clip(small.numpy(), 0, 1).reshape(small.height, small.width)
    stops = [stop for stop, _ in COLOURS]
    bands = [np.interp(values, stops, [colour[band] for _, colour in COLOURS]) for band in range(4)]
    painted = np.ascontiguousarray((np.stack(bands, -1) + 0.5).astype(np.uint8))
    return preview(vips_of(painted).copy(interpretation="srgb"), most)


def _webp(picture: Any, **options: Any) -> bytes:
    data: bytes = picture.webpsave_buffer(keep="none", effort=2, **options)
    return data


def _uri(data: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
