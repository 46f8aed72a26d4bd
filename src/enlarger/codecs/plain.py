"""BMP and PPM whose samples lie in the file as they are: read in strips, of any size, 16 bits kept. Pillow reads the others.

Sources: the Netpbm manual (ppm(5), pgm(5)); Microsoft's BITMAPINFOHEADER.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.codecs.limits import TRUNCATED_HINT, missing
from enlarger.errors import DamagedImageError
from enlarger.files import metadata as md
from enlarger.files.containers import Carried
from enlarger.files.plain import PPM_HEADER
from enlarger.files.reader import Reader
from enlarger.image import Box, Header, Image, Metadata, Notice, Samples

STRIP_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples lie: ``stride`` bytes from row to row, of ``bands`` samples per pixel, of which ``table`` gives the values.

    ``table`` ``(n, c)`` has a row for each value that a sample may have; without one they are what they seem, in ``order``.
    """

    width: int
    height: int
    start: int
    stride: int
    bands: int
    dtype: np.dtype[Any]
    order: tuple[int, ...]
    table: NDArray[Any] | None = None
    bottom_up: bool = False
    palette: bool = False
    dpi: tuple[float, float] | None = None

    @property
    def row(self) -> int:
        """Bytes of a row without what pads it."""
        return self.width * self.bands * self.dtype.itemsize

    @property
    def channels(self) -> int:
        return self.table.shape[1] if self.table is not None and self.bands == 1 else len(self.order)


def layout_of(reader: Reader, format: str) -> Layout | None:
    """The layout of a BMP or PPM; ``None`` when it is one that has to be unpacked."""
    return _ppm(reader) if format == "ppm" else _bmp(reader)


def _ppm(reader: Reader) -> Layout | None:
    match = PPM_HEADER.match(reader.read(0, 4096))
    if match is None or match[1] not in b"56" or not 0 < int(match[4] or 0) < 65536:
        return None
    width, height, top, bands = int(match[2]), int(match[3]), int(match[4]), 3 if match[1] == b"6" else 1
    dtype = np.dtype(">u2" if top > 255 else "u1")
    full = 65535 if top > 255 else 255
    table = None if top == full else np.minimum(np.arange(full + 1) * full / top + 0.5, full).astype(np.uint16 if top > 255 else np.uint8)
    stride = width * bands * dtype.itemsize
    own = None if table is None else table[:, None]
    return Layout(width, height, match.end() + 1, stride, bands, dtype, tuple(range(bands)), own)


def _bmp(reader: Reader) -> Layout | None:
    head = reader.read(0, 54)
    if len(head) < 54:
        return None
    at = {name: int.from_bytes(head[i : i + n], "little") for name, i, n in (("start", 10, 4), ("head", 14, 4), ("bits", 28, 2))}
    width, rows = (int.from_bytes(head[i : i + 4], "little", signed=True) for i in (18, 22))
    packing, pels_x, pels_y, used = (int.from_bytes(head[i : i + 4], "little") for i in (30, 38, 42, 46))
    if at["head"] < 40 or packing != 0 or at["bits"] not in (8, 24, 32) or width <= 0:
        return None
    start, table = at["start"], None
    if at["bits"] == 8:
        length = 4 * min(used or 256, 256)
        table = _palette(reader.read(14 + at["head"], length))
        # Some writers forget that the palette comes in between.
        start += length if start == 14 + at["head"] else 0
    bands = at["bits"] // 8
    order = (2, 1, 0) if bands > 1 else (0,)
    stride = (width * bands + 3) // 4 * 4
    dpi = md.sane_dpi(pels_x * 0.0254, pels_y * 0.0254)
    coloured = table is not None and table.shape[1] == 3
    return Layout(width, abs(rows), start, stride, bands, np.dtype("u1"), order, table, rows > 0, coloured, dpi)


def _palette(raw: bytes) -> NDArray[Any] | None:
    """256 rows of RGB, or of grey if it is all grey; ``None`` when each value stands for itself."""
    colours = np.zeros((256, 3), np.uint8)
    known = np.frombuffer(raw[: len(raw) // 4 * 4], np.uint8).reshape(-1, 4)[:, 2::-1]
    colours[: len(known)] = known
    if np.array_equal(colours, np.repeat(np.arange(256)[:, None], 3, 1)):
        return None
    grey = (known == known[:, :1]).all()
    return colours[:, :1] if grey else colours


def header_of(reader: Reader, format: str, layout: Layout) -> Header:
    """What :func:`read` will give."""
    channels = layout.channels
    return Header(reader.name, format, layout.width, layout.height, channels, False, layout.dtype.itemsize * 8, size=reader.size)


def read(reader: Reader, format: str, layout: Layout, carried: Carried, *, allow_truncated: bool) -> Image:
    """The picture. What a truncated file lacks is black, and counted; raises :class:`DamagedImageError` unless that is allowed."""
    lacking = layout.start + layout.stride * (layout.height - 1) + layout.row - reader.size
    if lacking > 0 and not allow_truncated:
        message = f"the {format.upper()} is cut off or damaged ({lacking} bytes are missing)"
        raise DamagedImageError(message, hint=TRUNCATED_HINT, subject=reader.name)
    if layout.palette:
        carried.note("palette-expanded", "the palette became RGB")
    header = header_of(reader, format, layout)
    dtype = np.uint16 if header.bits == 16 else np.uint8
    strip = max(1, STRIP_BYTES // max(1, layout.stride))
    there = max(0, min(layout.height, (reader.size - layout.start + layout.stride - layout.row) // layout.stride))
    with Canvas(layout.width, layout.height, header.bands, dtype, in_memory=SOURCE_IN_MEMORY) as canvas:
        for first in range(0, there, strip):
            count = min(strip, there - first)
            rows = _rows(reader, layout, first, count)
            y = layout.height - first - count if layout.bottom_up else first
            canvas.write(Box(0, y, layout.width, count), rows[::-1] if layout.bottom_up else rows)
        samples = canvas.samples()
    notices = tuple(carried.notices)
    if lacking > 0:
        notices += (Notice("truncated", missing(there, layout.height, "first" if layout.bottom_up else "last")),)
    return Image(samples, header, Metadata(dpi=layout.dpi), notices=notices)


def _rows(reader: Reader, layout: Layout, first: int, count: int) -> Samples:
    raw = reader.read(layout.start + first * layout.stride, count * layout.stride).ljust(count * layout.stride, b"\0")
    rows = np.frombuffer(raw, np.uint8).reshape(count, layout.stride)[:, : layout.row]
    samples = np.ascontiguousarray(rows).view(layout.dtype).reshape(count, layout.width, layout.bands)
    if layout.table is None:
        return np.ascontiguousarray(samples[..., list(layout.order)]).astype(layout.dtype.newbyteorder("="), copy=False)
    values: Samples = layout.table[samples[..., 0]] if layout.bands == 1 else layout.table[:, 0][samples]
    return values
