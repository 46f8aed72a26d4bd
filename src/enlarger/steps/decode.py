"""Bytes to Image: format by content, limits before allocation, orientation, colour and transparency made explicit.

Defaults that have to be picked somewhere:

- CMYK without a usable profile is read through libvips' own CMYK profile and becomes sRGB. RGB stays in its own profile.
- Float TIFFs hold linear light (sRGB primaries unless a profile says otherwise); see :class:`enlarger.image.Transfer`.
- Only the first page or frame is taken.
"""

from __future__ import annotations

import dataclasses
import os
import re
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.codecs import plain
from enlarger.codecs.limits import MAX_PIXELS, TRUNCATED_HINT, check_plausible, check_size, missing, no_memory
from enlarger.codecs.pillow import PILLOW, from_pil, is_pil, open_pillow
from enlarger.codecs.vips import (
    FINE_ROWS,
    damaged,
    layout,
    opened,
    pyvips,
    reason,
    rows_before_zeros,
    rows_of,
    stretched,
    top_of,
    whole_rows,
    with_colour,
    write_rows,
)
from enlarger.errors import DamagedImageError, InputError
from enlarger.files import metadata as md
from enlarger.files.containers import Carried, scan
from enlarger.files.png import rows_there
from enlarger.files.reader import Reader
from enlarger.files.sniff import HEAD, belies, camera_raw, sniff
from enlarger.image import Box, Header, Image, Metadata, Notice, Transfer
from enlarger.pixels.arrays import header_of, image_of
from enlarger.pixels.bleed import bled
from enlarger.pixels.transfer import at_depth, stored
from enlarger.pixels.turn import upright

if TYPE_CHECKING:
    import PIL.Image

    Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | PIL.Image.Image | Image

__all__ = ["MAX_PIXELS", "decode", "decode_file", "probe", "probe_file", "reader_of"]

ENDED = re.compile("premature end", re.IGNORECASE)
READ_AHEAD = 32
"""Rows that libvips may have read past the last whole one of a PNG when it meets a fault."""

AT_ONCE = {"webp": 8, "avif": 15, "gif": 5}
"""Bytes of memory per pixel of formats that are decoded whole (measured at 4096 x 4096 and 16384 x 16384)."""


def probe(source: Source) -> Header:
    """The header of ``source``, upright; no pixel is decoded and the size limit is already checked.

    Raises subclasses of :class:`InputError`.
    """
    if isinstance(source, Image):
        return source.header
    if isinstance(source, np.ndarray):
        return header_of(source)
    if is_pil(source):
        return from_pil(source, "pil", "<PIL image>").header
    with reader_of(source) as reader:
        return probe_file(reader)


def decode(source: Source, *, allow_truncated: bool = False) -> Image:
    """``source`` as an upright Image whose colour and transparency are explicit.

    Raises subclasses of :class:`InputError`: nothing damaged passes for whole. With ``allow_truncated`` what decodes of a
    truncated file is taken, and the notice ``truncated`` says how much is missing.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, np.ndarray):
        return _without_fringe(image_of(source))
    if is_pil(source):
        return _without_fringe(from_pil(source, "pil", "<PIL image>"))
    with reader_of(source) as reader:
        return decode_file(reader, allow_truncated=allow_truncated)


def reader_of(source: Any) -> Reader:
    """The bytes of a source that is a file: a path or bytes."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Reader.of_bytes(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        return Reader.of_file(source)
    raise InputError(f"cannot read a picture from {type(source).__name__}", hint="give a path, bytes, an array or a PIL image")


def probe_file(reader: Reader) -> Header:
    """:func:`probe` of the bytes behind ``reader``."""
    format, carried = _scanned(reader)
    if format in PILLOW:
        simple = plain.layout_of(reader, format)
        if simple:
            return plain.header_of(reader, format, simple)
        return open_pillow(reader, format, pixels=False, allow_truncated=False).header
    try:
        picture = opened(reader, format, carried)
    except DamagedImageError:
        # A truncated GIF opens leniently only. Whether that will do is for decode() to say: the header is there.
        picture = opened(reader, format, carried, "none")
    return _header(reader, format, picture, carried)


def _scanned(reader: Reader) -> tuple[str, Carried]:
    """Format and what the container says, once both are such that decoding may be tried."""
    format = sniff(reader.read(0, HEAD), reader.name)
    carried = scan(reader, format)
    if carried.raw:
        raise camera_raw(carried.raw, reader.name)
    check_size(carried.size, reader.name, format)
    return format, carried


def decode_file(reader: Reader, *, allow_truncated: bool = False) -> Image:
    """:func:`decode` of the bytes behind ``reader``."""
    format, carried = _scanned(reader)
    check_plausible(carried.least, reader.size, reader.name, allow_truncated=allow_truncated)
    try:
        if format in PILLOW:
            simple = plain.layout_of(reader, format)
            if simple:
                image = plain.read(reader, format, simple, carried, allow_truncated=allow_truncated)
            else:
                image = open_pillow(reader, format, pixels=True, allow_truncated=allow_truncated)
        else:
            image = _decode(reader, format, carried, allow_truncated)
        if belies(reader.name, format):
            image = _noting(image, "name-belies-content", f"the file is named like another format but holds {format.upper()}")
        return _without_fringe(dataclasses.replace(image, sha256=reader.sha256()))
    except MemoryError as error:
        raise no_memory(reader.name) from error


def _noting(image: Image, code: str, message: str) -> Image:
    return dataclasses.replace(image, notices=(*image.notices, Notice(code, message)))


def _without_fringe(image: Image) -> Image:
    return dataclasses.replace(image, samples=bled(image.samples)) if image.alpha else image


def _turn(format: str, carried: Carried) -> int:
    """The orientation to apply, 1 to 8. libheif has already applied that of AVIF (irot, imir), where EXIF's does not count."""
    said = carried.orientation or 1
    return said if format != "avif" and said in range(1, 9) else 1


def _header(reader: Reader, format: str, picture: Any, carried: Carried) -> Header:
    channels, alpha, bits = layout(picture, reader.name)
    width, height = picture.width, picture.height
    if _turn(format, carried) > 4:
        width, height = height, width
    frames = carried.frames or (picture.get("n-pages") if picture.get_typeof("n-pages") else 1)
    at_once = int(1.15 * carried.at_once) or AT_ONCE.get(format, 0) * width * height
    return Header(reader.name, format, width, height, channels, alpha, bits, max(1, frames), reader.size, at_once=at_once)


def _decode(reader: Reader, format: str, carried: Carried, allow_truncated: bool) -> Image:
    try:
        return _sound_jpeg(reader, carried) if format == "jpeg" else _read(reader, format, _copy(carried), "error")[0]
    except InputError as error:
        # Without a decoder's complaint behind it this is a refusal, of which no part can be taken.
        if not allow_truncated or not isinstance(error.__cause__, pyvips.Error):
            raise
        fail_on = "warning" if ENDED.search(reason(error.__cause__)) else "error"
    return _salvaged(reader, format, carried, fail_on)


def _sound_jpeg(reader: Reader, carried: Carried) -> Image:
    """A JPEG of which nothing is missing. To libjpeg all damage is a mere warning: data that ends early is made up in grey.

    So it has to stop at warnings. What they say is either that data has ended, which is damage, or goes into a notice.
    """
    try:
        return _read(reader, "jpeg", _copy(carried), "warning")[0]
    except InputError as error:
        if not isinstance(error.__cause__, pyvips.Error) or ENDED.search(reason(error.__cause__)):
            raise
        warning = reason(error.__cause__).removeprefix("Corrupt JPEG data: ")
    image, _ = _read(reader, "jpeg", _copy(carried), "error")
    return _noting(image, "decoder-warning", f"the JPEG is not quite in order and was decoded all the same ({warning})")


def _salvaged(reader: Reader, format: str, carried: Carried, fail_on: str) -> Image:
    """What decodes of a file that is damaged, as ``fail_on`` found; gaps stay where the file has them.

    Its layout may differ from that of the whole one: GIF gains alpha.
    """
    whole = whole_rows(reader, format, fail_on)
    limit = None
    if format == "png":
        # One stream: past a fault (and what libvips had read ahead of it) nothing is real, only what its buffers held before. So black is
        # left there, and how far the stream goes is counted.
        limit, there = whole + READ_AHEAD, rows_there(reader)
        if there:
            whole = limit = min(limit, there)
    image, filled = _read(reader, format, carried, "none", limit)
    height = image.height if _turn(format, carried) < 5 else image.width
    if format == "png":
        whole = max(whole, filled)
    return _noting(image, "truncated", missing(whole if whole < height else 0, height))


def _copy(carried: Carried) -> Carried:
    """For an attempt that may fail: its notices must not stay."""
    return dataclasses.replace(carried, notices=[*carried.notices])


def _read(reader: Reader, format: str, carried: Carried, fail_on: str, limit: int | None = None) -> tuple[Image, int]:
    """The picture, of which about ``limit`` rows are read, and how many of these are not empty. Notices go into ``carried`` too.

    With ``fail_on`` ``"none"`` a fault ends the picture early, else it raises.
    """
    picture = opened(reader, format, carried, fail_on)
    header = _header(reader, format, picture, carried)
    transfer = Transfer()
    if header.bits == 32:
        transfer = _transfer(picture, header, carried)
        picture = opened(reader, format, carried, fail_on)
    top = top_of(picture)
    picture = with_colour(picture, carried, header)
    end, done = picture.height if limit is None else min(limit, picture.height), 0
    dtype = np.uint8 if header.bits == 8 else np.uint16
    with Canvas(picture.width, picture.height, header.bands, dtype, in_memory=SOURCE_IN_MEMORY) as canvas:
        try:
            as_it_is = header.bits == 8 or (header.bits == 16 and top == 65535)
            if as_it_is and limit is None and fail_on != "none" and canvas.fill(partial(write_rows, picture)):
                done = end
            for y, rows in () if done else rows_of(picture, FINE_ROWS if end < picture.height else None):
                if y >= end:
                    break
                rows = rows[: end - y]
                values = stored(rows, transfer, header.channels) if header.bits == 32 else stretched(rows, top)
                canvas.write(Box(0, y, picture.width, len(rows)), at_depth(values, min(header.bits, 16)))
                done = y + len(rows)
        except pyvips.Error as error:
            if fail_on != "none":
                raise damaged(format, whole_rows(reader, format, fail_on), picture.height, error, reader.name, TRUNCATED_HINT) from error
            if done == 0:
                raise damaged(format, 0, picture.height, error, reader.name, "get a complete copy, nothing of this one decodes") from error
        samples = canvas.samples()
    filled = done if limit is None else rows_before_zeros(samples[:end])
    metadata = _kept(carried, header, format, picture)
    turn = _turn(format, carried)
    jpeg = carried.quantisation and carried.quantisation.upright(turn, header.width, header.height)
    return Image(upright(samples, turn), header, metadata, transfer, tuple(carried.notices), jpeg=jpeg), filled


def _transfer(picture: Any, header: Header, carried: Carried) -> Transfer:
    """The peak of a float picture, found in a pass of its own; what is not a number, or negative, is counted on the way."""
    peak, strange, negative = 1.0, 0, 0
    try:
        for _, rows in rows_of(picture):
            finite = np.isfinite(rows)
            strange += int(rows.size - finite.sum())
            negative += int((rows < 0).sum())
            colour = np.where(finite, rows, 0)[..., : header.channels]
            peak = max(peak, float(colour.max(initial=0)))
    except pyvips.Error:
        # The second pass meets the same fault and knows what to say.
        pass
    if strange:
        carried.note("nan-replaced", f"{strange} values are not finite numbers: NaN became 0, infinity the brightest value")
    if negative:
        carried.note("negative-clipped", f"{negative} negative values became 0")
    return Transfer("linear", peak)


def _kept(carried: Carried, header: Header, format: str, picture: Any) -> Metadata:
    """What the Image keeps, and notices for what it does not."""
    if carried.gain_map:
        carried.note("gain-map-dropped", "the gain map (HDR) was dropped; the base picture is used")
    elif header.frames > 1:
        what = "pages" if format == "tiff" else "pictures" if format == "jpeg" else "frames"
        carried.note("frames-dropped", f"the file holds {header.frames} {what}; only the first is used")
    if carried.palette or format == "gif":
        colour = f"{'grey' if header.channels == 1 else 'RGB'}{' with transparency' if header.alpha else ''}"
        carried.note("palette-expanded", f"the palette became {colour}")
        if picture.get_typeof("gif-palette"):
            # Whole numbers whose bytes, from the lowest, are red, green, blue and alpha.
            carried.colours = np.array(picture.get("gif-palette"), np.int64).astype("<u4").tobytes()
    if carried.orientation is not None and carried.orientation not in range(1, 9):
        carried.note("orientation-invalid", f"orientation {carried.orientation} means nothing and was ignored")
    return dataclasses.replace(
        carried.metadata(),
        exif=md.refresh_exif(carried.exif, header.width, header.height, None),
        xmp=md.refresh_xmp(carried.xmp, header.width, header.height),
    )
