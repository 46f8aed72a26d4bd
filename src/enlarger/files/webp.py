"""WebP: its chunks, and what stands in them. (WebP container specification)"""

from __future__ import annotations

from collections.abc import Iterator

from enlarger.files import metadata as md
from enlarger.files.carried import MAX_STEPS, Carried
from enlarger.files.reader import Reader


def webp_chunks(reader: Reader) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and length of the data of each chunk."""
    at = 12
    for _ in range(MAX_STEPS):
        head = reader.read(at, 8)
        if len(head) < 8:
            return
        length = int.from_bytes(head[4:], "little")
        yield head[:4], at + 8, length
        at += 8 + length + length % 2


def scan_webp(reader: Reader, found: Carried) -> None:
    frames = 0
    for kind, at, length in webp_chunks(reader):
        if kind == b"EXIF":
            found.put("exif", md.EXIF_PREFIX + md.body_of(reader.read(at, min(length, md.MAX_EXIF + 7))))
        elif kind == b"XMP ":
            found.put("xmp", reader.read(at, min(length, md.MAX_XMP + 1)))
        elif kind == b"ICCP":
            found.put("icc", reader.read(at, min(length, md.MAX_ICC + 1)))
        elif kind == b"VP8X":
            data = reader.read(at, 10)
            found.size = int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
        elif kind == b"ANMF":
            frames += 1
    found.frames = frames or None
