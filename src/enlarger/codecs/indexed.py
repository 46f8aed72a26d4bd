"""PNG with a palette: what libvips has no way to write exactly, as it would choose the colours anew.

Chunks of the PNG specification (third edition): PLTE, tRNS, and rows of indexes of 1, 2, 4 or 8 bits without a filter, which is what
the specification recommends for them (12.7).
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import write_at
from enlarger.codecs.vips import each_rows

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 256
"""Colours that a palette holds."""

LEVEL = 6


class ForeignColourError(Exception):
    """The picture has a colour that is not in the palette. Never leaves the encoder."""


def palette_of(blob: bytes, *, alpha: bool) -> NDArray[np.uint8] | None:
    """``(n, 4)`` colours, red, green, blue and alpha, of :attr:`Metadata.palette`; with one that is clear if the picture has ``alpha``.

    ``None`` for no palette at all, or one that has no place left for what is clear (a GIF names an index for that, not a colour).
    """
    colours = np.frombuffer(blob[: len(blob) // 4 * 4], np.uint8).reshape(-1, 4)
    if alpha and len(colours) and (colours[:, 3] > 0).all():
        colours = np.concatenate([colours, np.zeros((1, 4), np.uint8)])
    return colours if 0 < len(colours) <= MOST else None


def palette_bytes(keys: NDArray[np.uint32]) -> bytes:
    """The palette, as :attr:`Metadata.palette`, of colours that :func:`keys_of` gave; those not opaque first, to store less alpha."""
    shifts = np.array([24, 16, 8, 0], np.uint32)
    colours = (keys[:, None] >> shifts & 255).astype(np.uint8)
    return colours[np.argsort(colours[:, 3] == 255, kind="stable")].tobytes()


def write(picture: Any, fd: int, start: int, colours: NDArray[np.uint8], icc: bytes | None) -> None:
    """``picture`` (8-bit RGB or RGBA of libvips) into the file ``fd`` from ``start``, as indexes into ``colours`` ``(n, 4)``.

    What is fully clear takes the first clear colour. Raises :class:`ForeignColourError` for a colour that is not there: then the file
    holds nothing of use.
    """
    bits = next(n for n in (1, 2, 4, 8) if len(colours) <= 2**n)
    index = _Index(colours, alpha=picture.bands == 4)
    at = start

    def chunk(kind: bytes, data: bytes) -> None:
        nonlocal at
        whole = len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        write_at(fd, memoryview(whole), at)
        at += len(whole)

    write_at(fd, memoryview(SIGNATURE), at)
    at += len(SIGNATURE)
    chunk(b"IHDR", picture.width.to_bytes(4, "big") + picture.height.to_bytes(4, "big") + bytes((bits, 3, 0, 0, 0)))
    if icc:
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc))
    x, y = (round(density * 1000) for density in (picture.xres, picture.yres))
    chunk(b"pHYs", x.to_bytes(4, "big") + y.to_bytes(4, "big") + b"\1")
    chunk(b"PLTE", colours[:, :3].tobytes())
    if picture.bands == 4:
        # A decoder gives alpha back only where there is this chunk; opaque colours at its end may be left out.
        last = int(np.flatnonzero(colours[:, 3] < 255)[-1]) if (colours[:, 3] < 255).any() else 0
        chunk(b"tRNS", colours[: last + 1, 3].tobytes())
    packer = zlib.compressobj(LEVEL)

    def take(_: int, rows: NDArray[np.uint8]) -> None:
        if data := packer.compress(_packed(index.of(rows), bits)):
            chunk(b"IDAT", data)

    each_rows(picture, take)
    chunk(b"IDAT", packer.flush())
    chunk(b"IEND", b"")
    os.lseek(fd, at, os.SEEK_SET)


class _Index:
    """Colours to their numbers; of equal colours, the first."""

    def __init__(self, colours: NDArray[np.uint8], *, alpha: bool) -> None:
        keys = keys_of(colours, alpha=True) if alpha else keys_of(colours[:, :3], alpha=False)
        numbers = np.arange(len(colours))
        if not alpha:
            numbers, keys = numbers[colours[:, 3] == 255], keys[colours[:, 3] == 255]
        self._keys, first = np.unique(keys, return_index=True)
        self._numbers = numbers[first].astype(np.uint8)
        self._alpha = alpha

    def of(self, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``(n, w)`` numbers of ``(n, w, bands)``."""
        keys = keys_of(rows, alpha=self._alpha)
        at = np.searchsorted(self._keys, keys)
        if not len(self._keys) or (self._keys[np.minimum(at, len(self._keys) - 1)] != keys).any():
            raise ForeignColourError
        return self._numbers[at]


def keys_of(colours: NDArray[np.uint8], *, alpha: bool) -> NDArray[np.uint32]:
    """One number per colour, 0 for all that is fully clear; without ``alpha`` all are opaque."""
    red, green, blue = (colours[..., band].astype(np.uint32) for band in range(3))
    opaque = colours[..., 3].astype(np.uint32) if alpha else np.uint32(255)
    return np.where(opaque > 0, red << 24 | green << 16 | blue << 8 | opaque, np.uint32(0))


def _packed(numbers: NDArray[np.uint8], bits: int) -> bytes:
    """Rows of numbers as a PNG has them: a byte for the filter (none), then ``bits`` each, padded to whole bytes."""
    height, width = numbers.shape
    each = 8 // bits
    padded = np.zeros((height, -(-width // each), each), np.uint8)
    padded.reshape(height, -1)[:, :width] = numbers
    packed = np.zeros(padded.shape[:2], np.uint8)
    for place in range(each):
        packed |= padded[..., place] << np.uint8(8 - bits * (place + 1))
    return np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1).tobytes()
