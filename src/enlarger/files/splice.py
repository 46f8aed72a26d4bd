"""Metadata put into files that libvips has written: byte for byte, where libvips would rewrite it or leave it out.

libvips passes EXIF through libexif, which drops what it does not know and invents a resolution of 72 dpi; its TIFF saver
leaves EXIF out. So it is asked to write pixels and profile only, and the rest is added here, without copying pixels:

- JPEG, PNG: what comes in front of the pixels is known beforehand, so libvips writes that much further into the file,
  and its first bytes are then moved to the start.
- TIFF: a new directory is appended and the header pointed at it. AVIF: likewise for the EXIF item.
- WebP: never streams anyway; its chunks are put together anew.
"""

from __future__ import annotations

import os
import zlib

from enlarger.canvas import write_at
from enlarger.files import metadata as md
from enlarger.files.avif import avif_item, avif_meta
from enlarger.files.jpeg import PHOTOSHOP_MARK, XMP_MARK
from enlarger.files.reader import Reader
from enlarger.files.tiff import tiff_page
from enlarger.files.webp import webp_chunks
from enlarger.image import Metadata

SEGMENT = 65533
"""Bytes that a JPEG segment can hold."""


def front(format: str, kept: Metadata) -> bytes:
    """The bytes to insert near the start of a ``jpeg`` or ``png``; empty for other formats."""
    return _jpeg_segments(kept) if format == "jpeg" else _png_chunks(kept) if format == "png" else b""


def finish(fd: int, format: str, kept: Metadata, room: int) -> None:
    """Complete the file ``fd`` that libvips wrote from offset ``room`` (the length of :func:`front`) with ``kept``."""
    if format == "jpeg":
        _finish_jpeg(fd, kept, room)
    elif format == "png":
        _finish_png(fd, kept, room)
    elif format == "webp":
        _finish_webp(fd, kept)
    elif format == "tiff":
        _finish_tiff(fd, kept)
    elif format == "avif" and kept.exif:
        _finish_avif(fd, kept.exif)


def _reader(fd: int) -> Reader:
    return Reader("", fd=os.dup(fd))


# --- JPEG --------------------------------------------------------------------------------------------------------------


def _jpeg_segments(kept: Metadata) -> bytes:
    """JFIF, APP1 and APP13 segments; a blob that does not fit into one is left out (and found missing when the file is checked).

    JFIF is the only place where a JPEG without EXIF states its density; unit 0 states none.
    """
    out = _segment(0xE0, b"JFIF\0\1\1" + _density(kept) + b"\0\0")
    if kept.exif:
        out += _segment(0xE1, kept.exif)
    if kept.xmp:
        out += _segment(0xE1, XMP_MARK + kept.xmp)
    if kept.iptc:
        resource = b"8BIM\x04\x04\0\0" + len(kept.iptc).to_bytes(4, "big") + kept.iptc + bytes(len(kept.iptc) % 2)
        out += _segment(0xED, PHOTOSHOP_MARK + resource)
    return out


def _density(kept: Metadata) -> bytes:
    x, y = (min(65535, max(1, round(v))) for v in kept.dpi or (1, 1))
    return bytes((1 if kept.dpi else 0,)) + x.to_bytes(2, "big") + y.to_bytes(2, "big")


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload if len(payload) <= SEGMENT else b""


def _finish_jpeg(fd: int, kept: Metadata, room: int) -> None:
    with _reader(fd) as reader:
        head = reader.read(room, 20)
    # libvips writes JFIF of its own only when it is asked to keep EXIF; should it do so anyway, it must not contradict.
    if head[2:4] == b"\xff\xe0":
        write_at(fd, memoryview(_density(kept)), room + 13)
    write_at(fd, memoryview(head[:2] + front("jpeg", kept)), 0)


# --- PNG ---------------------------------------------------------------------------------------------------------------


def _png_chunks(kept: Metadata) -> bytes:
    out = b""
    if kept.exif:
        out += _chunk(b"eXIf", md.body_of(kept.exif))
    if kept.xmp:
        out += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + kept.xmp)
    if kept.iptc:
        # PNG has no chunk for IPTC; this is the one that ImageMagick introduced and ExifTool reads.
        digits = kept.iptc.hex()
        lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
        out += _chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(f"\niptc\n{len(kept.iptc):8d}\n{lines}\n".encode("ascii")))
    return out


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _finish_png(fd: int, kept: Metadata, room: int) -> None:
    with _reader(fd) as reader:
        head = reader.read(room, 33)
        at = room + 33
        while (chunk := reader.read(at, 8)) and chunk[4:] != b"IDAT":
            if chunk[4:] == b"pHYs":
                x, y = (round(v / 0.0254) for v in kept.dpi) if kept.dpi else (1, 1)
                data = x.to_bytes(4, "big") + y.to_bytes(4, "big") + bytes((1 if kept.dpi else 0,))
                write_at(fd, memoryview(_chunk(b"pHYs", data)), at)
            at += 12 + int.from_bytes(chunk[:4], "big")
    write_at(fd, memoryview(head + front("png", kept)), 0)


# --- WebP --------------------------------------------------------------------------------------------------------------


def _finish_webp(fd: int, kept: Metadata) -> None:
    """An extended WebP with EXIF and XMP chunks behind the picture. A profile is already there."""
    if not kept.exif and not kept.xmp:
        return
    with _reader(fd) as reader:
        chunks = [(kind, reader.read(at, length)) for kind, at, length in webp_chunks(reader)]
    if chunks[0][0] == b"VP8X":
        head = bytearray(chunks.pop(0)[1])
    else:
        kind, data = chunks[0]
        width, height, alpha = _vp8_size(kind, data)
        head = bytearray((0x10 if alpha else 0, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    head[0] |= (0x08 if kept.exif else 0) | (0x04 if kept.xmp else 0)
    chunks = [(b"VP8X", bytes(head)), *chunks]
    chunks += [(kind, data) for kind, data in ((b"EXIF", kept.exif and md.body_of(kept.exif)), (b"XMP ", kept.xmp)) if data]
    body = b"WEBP" + b"".join(kind + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2) for kind, data in chunks)
    write_at(fd, memoryview(b"RIFF" + len(body).to_bytes(4, "little") + body), 0)


def _vp8_size(kind: bytes, data: bytes) -> tuple[int, int, bool]:
    """Width, height and alpha from the bitstream (RFC 6386 section 9.1; WebP lossless specification section 3)."""
    if kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF, False


# --- TIFF --------------------------------------------------------------------------------------------------------------


def _finish_tiff(fd: int, kept: Metadata) -> None:
    """The first directory written anew at the end, with all that belongs into it; nothing else moves."""
    with _reader(fd) as reader:
        page = tiff_page(reader)
        end = reader.size + reader.size % 2
    if page is None or set(page.spots) != set(page.entries):
        return
    order, main = page.order, dict(page.entries)
    main |= md.resolution_tags(kept.dpi or (1.0, 1.0), order)
    if kept.dpi is None:
        main[md.RESOLUTION_UNIT] = md.Entry(md.SHORT, 1, (1).to_bytes(2, order))
    if kept.xmp:
        main[700] = md.Entry(1, len(kept.xmp), kept.xmp)
    if kept.iptc:
        main[33723] = md.Entry(7, len(kept.iptc), kept.iptc)
    found = md.parse(kept.exif)
    body = b""
    if found is not None:
        own, exif, gps, interop = (md.swapped(ifd, found.order, order) for _, ifd in found.directories())
        main |= {tag: entry for tag, entry in own.items() if tag not in md.STRUCTURAL | md.UPDATED}
        main, body = md.directories(main, exif, gps, interop, end, order, big=page.big)
    head, data = md.directory(main, end + len(body), order, big=page.big, after=page.next)
    write_at(fd, memoryview(body + head + data), end)
    write_at(fd, memoryview((end + len(body)).to_bytes(8 if page.big else 4, order)), page.pointer)


# --- AVIF --------------------------------------------------------------------------------------------------------------


def _finish_avif(fd: int, exif: bytes) -> None:
    """The EXIF item that libvips wrote pointed at the verbatim blob, in a box of its own at the end."""
    with _reader(fd) as reader:
        meta, end = avif_meta(reader), reader.size
    item = avif_item(meta, b"Exif") if meta else None
    payload = (6).to_bytes(4, "big") + exif
    if item is None or end + 8 + len(payload) >= 2**32 or item[1].widths != (4, 4):
        return
    place = item[1]
    write_at(fd, memoryview((8 + len(payload)).to_bytes(4, "big") + b"mdat" + payload), end)
    write_at(fd, memoryview((end + 8 - place.base).to_bytes(4, "big") + len(payload).to_bytes(4, "big")), place.fields_at)
