"""PNG: its chunks, and what stands in them. (PNG specification, third edition; ImageMagick's raw profiles)"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Literal

from enlarger.files import metadata as md
from enlarger.files.carried import LIMITS, MAX_STEPS, Carried, iptc_of_photoshop
from enlarger.files.reader import Reader

MAX_PACKED = 64
"""Compressed texts that a PNG may hold."""

PIECE = 2**13
"""Bytes that decoders take from a chunk of pixels at once; of a piece that the file ends in they take nothing."""

INFLATED = 2**16
"""Bytes that may come of a piece at once."""


def png_chunks(reader: Reader) -> Iterator[tuple[bytes, int, int]]:
    """Type, offset and length of the data of each chunk."""
    at = 8
    for _ in range(MAX_STEPS):
        head = reader.read(at, 8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[:4], "big")
        if length > 2**31 - 1:
            return
        yield head[4:], at + 8, length
        if head[4:] == b"IEND":
            return
        at += 12 + length


def inflate(data: bytes, limit: int) -> bytes | None:
    """``data`` inflated, but no further than ``limit`` bytes and one; ``None`` when it is no zlib stream."""
    try:
        return zlib.decompressobj().decompress(data, limit + 1)
    except zlib.error:
        return None


def rows_there(reader: Reader) -> int | None:
    """How many rows of a PNG can be inflated before its data ends or is found to be wrong; ``None`` when it is interlaced.

    Nothing is kept: memory is that of one piece. Counted is what a decoder gets to see. Filters are not undone, so a row that is there may
    still be no picture.
    """
    stream, got, row, height = zlib.decompressobj(), 0, 1, 0
    for kind, at, length in png_chunks(reader):
        if kind == b"IHDR":
            head = reader.read(at, 13)
            if len(head) < 13 or head[12]:
                return None
            width, height = (int.from_bytes(head[i : i + 4], "big") for i in (0, 4))
            row = 1 + (width * {2: 3, 4: 2, 6: 4}.get(head[9], 1) * head[8] + 7) // 8
        elif kind == b"IDAT":
            sum_, end = zlib.crc32(kind), at + length
            for place in range(at, end, PIECE):
                piece = reader.read(place, min(PIECE, end - place))
                if len(piece) < min(PIECE, end - place):
                    break
                sum_ = zlib.crc32(piece, sum_)
                try:
                    while piece and got < row * height:
                        got += len(stream.decompress(piece, INFLATED))
                        piece = stream.unconsumed_tail
                except zlib.error:
                    return min(got // row, height)
            if reader.read(end, 4) != sum_.to_bytes(4, "big"):
                break
    return min(got // row, height)


def scan_png(reader: Reader, found: Carried) -> None:
    packed = 0
    for kind, at, length in png_chunks(reader):
        if kind == b"IHDR":
            head = reader.read(at, 13)
            found.size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
            found.palette = head[9:10] == b"\x03"
            if head[12:13] == b"\x01":
                samples = {2: 3, 3: 4, 4: 2, 6: 4}.get(head[9], 1)
                found.at_once = found.size[0] * found.size[1] * samples * (2 if head[8] == 16 else 1)
        elif kind == b"PLTE" and found.palette and length <= 3 * 256:
            colours = reader.read(at, length // 3 * 3)
            found.colours = b"".join(colours[i : i + 3] + b"\xff" for i in range(0, len(colours) // 3 * 3, 3))
        elif kind == b"tRNS" and found.colours is not None:
            clear = reader.read(at, min(length, len(found.colours) // 4))
            found.colours = b"".join(
                found.colours[4 * i : 4 * i + 3] + (clear[i : i + 1] or b"\xff") for i in range(len(found.colours) // 4)
            )
        elif kind == b"pHYs" and length == 9:
            data = reader.read(at, 9)
            if data[8] == 1:
                found.dpi = md.sane_dpi(*(int.from_bytes(data[i : i + 4], "big") * 0.0254 for i in (0, 4)))
        elif kind == b"eXIf":
            found.put("exif", md.EXIF_PREFIX + md.body_of(reader.read(at, min(length, md.MAX_EXIF + 1))))
        elif kind == b"iCCP":
            _png_profile(reader.read(at, min(length, md.MAX_ICC)), found)
        elif kind == b"acTL":
            found.frames = int.from_bytes(reader.read(at, 4), "big")
        elif kind == b"cICP":
            data = reader.read(at, 4)
            if data[:2] not in (b"\x01\x0d", b"\x01\x01"):
                found.note("colour-assumed", f"the PNG names colour space {data[:2].hex('/')} by number; its profile or sRGB was used")
        elif kind in (b"iTXt", b"zTXt", b"tEXt"):
            packed += kind != b"tEXt"
            _png_text(kind, reader.read(at, min(length, md.MAX_XMP + 100)), found)
    if packed > MAX_PACKED:
        # libpng inflates all of them, up to 8 MB each, before it comes to the pixels.
        found.unsupported, found.hint = f"holds {packed} compressed texts, more than any picture has", "save it anew with another program"


def _png_profile(data: bytes, found: Carried) -> None:
    # The first of a kind counts, good or bad: a file may hold two hundred thousand, and each has to be inflated.
    if found.icc is not None:
        return
    _, _, packed = data.partition(b"\0")
    profile = inflate(packed[1:], md.MAX_ICC)
    if profile is None:
        found.note("icc-invalid", "the colour profile is damaged and was dropped: the picture is taken as sRGB")
    found.put("icc", profile or b"")
    found.icc = found.icc or b""


def _png_text(kind: bytes, data: bytes, found: Carried) -> None:
    key, _, rest = data.partition(b"\0")
    if key == b"XML:com.adobe.xmp" and kind == b"iTXt" and len(rest) > 2 and found.xmp is None:
        text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        found.put("xmp", (inflate(text, md.MAX_XMP) or b"") if rest[0] else text)
        found.xmp = found.xmp or b""
    elif key in RAW_PROFILES and kind in (b"zTXt", b"tEXt") and getattr(found, RAW_PROFILES[key]) is None:
        name = RAW_PROFILES[key]
        text = (inflate(rest[1:], 3 * LIMITS[name]) or b"") if kind == b"zTXt" else rest
        found.put(name, _raw_profile(text, name))
        setattr(found, name, getattr(found, name) or b"")


RAW_PROFILES: dict[bytes, Literal["exif", "xmp", "iptc"]] = {
    b"Raw profile type exif": "exif", b"Raw profile type APP1": "exif", b"Raw profile type xmp": "xmp", b"Raw profile type iptc": "iptc",
}  # fmt: skip


def _raw_profile(text: bytes, name: str) -> bytes:
    """A blob that ImageMagick wrote as hexadecimal text: a name, its length, digits."""
    match = re.match(rb"\s*\w+\s+\d+\s+([0-9a-fA-F\s]*)", text)
    digits = re.sub(rb"\s", b"", match[1]) if match else b""
    blob = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    if name == "exif":
        return md.EXIF_PREFIX + md.body_of(blob) if md.order_of(md.body_of(blob)) else b""
    return iptc_of_photoshop(blob) or blob if name == "iptc" else blob
