"""Image: a decoded picture and what must survive of its file. This is where the pixel contract is stated.

The pixel contract
------------------
- A *tile* is ``(height, width, channels) float32``, RGB (never BGR), in the picture's own transfer encoding, nominally
  [0, 1], finite, and read-only to whoever receives it.
- Grey stays grey: an :class:`Image` has 1 or 3 colour channels, plus one of alpha. Nets that want three channels are fed
  and read by ``steps/enlarge.py``, not by the decoder.
- Stored samples are ``uint8`` or ``uint16``, never premultiplied by alpha. 16-bit stays 16-bit. Float sources are stored
  as ``uint16`` behind an sRGB-like curve (:class:`Transfer`) and go back to float where the output format can hold it.
- Geometry is exact: with ``W' = round_half_up(W * s)`` output pixel ``X`` covers source ``[X * W / W', (X + 1) * W / W')``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.float32]
"""``(h, w, c) float32``; see the pixel contract."""

Samples = NDArray[Any]
"""``(h, w, c) uint8`` or ``uint16``, in memory or mapped read-only from a file."""


class Box(NamedTuple):
    """A rectangle of whole pixels: ``x, y`` of its first pixel, then width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def area(self) -> int:
        return self.width * self.height

    def scaled(self, factor: int) -> Box:
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def grown(self, by: int, width: int, height: int) -> Box:
        """With ``by`` pixels more on every side, cut off at the border of a picture of ``width`` x ``height``."""
        x, y = max(0, self.x - by), max(0, self.y - by)
        return Box(x, y, min(width, self.right + by) - x, min(height, self.bottom + by) - y)

    def slices(self) -> tuple[slice, slice]:
        """To index an ``(h, w, ...)`` array."""
        return slice(self.y, self.bottom), slice(self.x, self.right)


@dataclass(frozen=True, slots=True)
class Notice:
    """A named warning: ``code`` for programs (kebab-case, stable), ``message`` for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What must survive of a file besides pixels. Blobs are as libvips hands them out.

    ``dpi`` is horizontal and vertical pixels per inch, ``None`` when the file names none (libvips would make that 72).
    EXIF ``Orientation`` is 1 in ``exif`` and ``xmp`` once the pixels stand upright. ``palette`` is red, green, blue and alpha of every
    colour that a source with a palette has, in its order.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    palette: bytes | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """How stored samples relate to the source's numbers.

    ``curve`` is ``"as-is"`` or ``"linear"`` (the source holds linear light; stored is the sRGB curve of ``value / peak``).
    """

    curve: str = "as-is"
    peak: float = 1.0


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a source promises, with orientation applied: read before any pixel is decoded.

    ``bits`` is the depth per sample that the source is worth: 8, 16 or 32 (float). ``frames`` counts pages or frames, of
    which the first is taken. ``size`` is the source's length in bytes (0 for arrays). ``format`` is the file format, or
    ``"array"`` (``flat``: without an axis of channels) or ``"pil"`` for pictures that came as objects. ``at_once`` is how many
    bytes of memory decoding takes for the whole picture at once, 0 where it streams.
    """

    name: str
    format: str
    width: int
    height: int
    channels: int
    alpha: bool
    bits: int
    frames: int = 1
    size: int = 0
    flat: bool = False
    at_once: int = 0

    @property
    def bands(self) -> int:
        return self.channels + self.alpha


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How JPEG rounded a source, axes as they are upright.

    ``luma`` and ``chroma`` are the 64 steps in rows (vertical frequency, then horizontal), for samples of 0 to 255 and the orthonormal
    DCT; ``subsampling`` is how many pixels a chroma sample covers across and down; ``offset`` is any pixel at which the corner of
    a chroma block lies.
    """

    luma: tuple[int, ...]
    chroma: tuple[int, ...]
    subsampling: tuple[int, int] = (1, 1)
    offset: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if len(self.luma) != 64 or len(self.chroma) != 64 or min(*self.luma, *self.chroma, *self.subsampling) < 1:
            raise ValueError("a table has 64 steps, none below 1")

    def upright(self, orientation: int, width: int, height: int) -> Quantisation:
        """That of the picture turned by EXIF ``orientation``, which then is ``width`` x ``height``."""
        across, down = self.subsampling
        luma, chroma = self.luma, self.chroma
        if orientation > 4:
            across, down = down, across
            luma, chroma = (tuple(table[i % 8 * 8 + i // 8] for i in range(64)) for table in (luma, chroma))
        mirrored, flipped = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
        offset = (width % (8 * across) if mirrored else 0, height % (8 * down) if flipped else 0)
        return Quantisation(luma, chroma, (across, down), offset)


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded picture: upright samples, and what its file carried.

    ``samples`` is ``(height, width, channels + alpha)``; ``sha256`` is the digest of the source's bytes (for arrays: of
    the samples). ``jpeg`` says how a JPEG source was quantised.
    """

    samples: Samples
    header: Header
    metadata: Metadata = field(default_factory=Metadata)
    transfer: Transfer = field(default_factory=Transfer)
    notices: tuple[Notice, ...] = ()
    sha256: str = ""
    jpeg: Quantisation | None = None

    @property
    def width(self) -> int:
        return int(self.samples.shape[1])

    @property
    def height(self) -> int:
        return int(self.samples.shape[0])

    @property
    def channels(self) -> int:
        """Colour channels: 1 (grey) or 3 (RGB)."""
        return self.header.channels

    @property
    def alpha(self) -> bool:
        return self.header.alpha

    def tile(self, box: Box) -> Tile:
        """The samples of ``box`` as a tile, ``(h, w, channels + alpha) float32`` in [0, 1]."""
        return to_float(self.samples[box.slices()])


def to_float(samples: Samples) -> Tile:
    """Stored samples to float32 in [0, 1]."""
    return np.multiply(samples, np.float32(1.0 / np.iinfo(samples.dtype).max), dtype=np.float32)


def round_half_up(value: float) -> int:
    """``floor(value + 0.5)``: the rounding of the pixel contract (Python's own ``round`` goes half to even)."""
    return math.floor(value + 0.5)


def enlarged_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Output width and height for a source of ``width`` x ``height`` at ``scale``; at least 1 x 1."""
    return max(1, round_half_up(width * scale)), max(1, round_half_up(height * scale))


@dataclass(frozen=True, slots=True)
class Sight:
    """What repairs did to a source where they did most: ``names`` of them, ``box``, and its samples ``before`` and ``after``."""

    names: tuple[str, ...]
    box: Box
    before: Samples
    after: Samples
