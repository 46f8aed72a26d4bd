"""JPEG: its segments, and what stands in them. (ITU T.81; JFIF 1.02; XMP part 3; ICC.1 annex B; CIPA DC-007)"""

from __future__ import annotations

from collections.abc import Iterator

from enlarger.files import metadata as md
from enlarger.files.carried import MAX_STEPS, Carried, iptc_of_photoshop
from enlarger.files.reader import Reader
from enlarger.image import Quantisation

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
ICC_MARK = b"ICC_PROFILE\0"
PHOTOSHOP_MARK = b"Photoshop 3.0\0"


def jpeg_segments(reader: Reader) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and length of the payload of each segment up to the header of the first scan."""
    at = 2
    for _ in range(MAX_STEPS):
        head = reader.read(at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] == 0xFF:
            at += 1
            continue
        if head[1] == 0xD9:
            return
        length = int.from_bytes(head[2:4], "big")
        if length < 2:
            return
        yield head[1], at + 4, length - 2
        if head[1] == 0xDA:
            return
        at += 2 + length


ZIGZAG = tuple(sorted(range(64), key=lambda i: (i // 8 + i % 8, i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
"""Where in rows of 8 the coefficients of a table stand, in the order of the file."""


def scan_jpeg(reader: Reader, found: Carried) -> None:
    icc: dict[int, bytes] = {}
    xmp: list[bytes] = []
    photoshop = b""
    total = 0
    tables: dict[int, tuple[int, ...]] = {}
    components: list[tuple[int, int, int]] = []
    coefficients = 0
    for marker, at, length in jpeg_segments(reader):
        if marker == 0xDB:
            tables.update(_tables(reader.read(at, length)))
        if marker == 0xEE and reader.read(at, 5) == b"Adobe" and length >= 12:
            found.jpeg_rgb = reader.read(at + 11, 1) == b"\0"
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = reader.read(at, 5)
            found.size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
            body = reader.read(at + 6, 3 * min(reader.read(at + 5, 1)[0], 4))
            components = [(body[i + 1] >> 4, body[i + 1] & 15, body[i + 2]) for i in range(0, len(body) - 2, 3)]
            coefficients = _coefficients(found.size, reader.read(at + 5, min(length - 5, 13)))
            if marker % 4 == 2:
                found.at_once = coefficients
            if marker < 0xC4:
                # Huffman codes take a bit at least: one of each 8 x 8 block in the scan that begins it.
                found.least = found.size[0] * found.size[1] // 64 // 8
        if marker == 0xDA and reader.read(at, 1) < bytes([len(components)]):
            # The components come one after the other (T.81 A.2.2): no row is complete before the last of them begins.
            found.at_once = coefficients
        if marker not in (0xE0, 0xE1, 0xE2, 0xED):
            continue
        mark = reader.read(at, min(length, 64))
        if marker == 0xE0 and mark.startswith(b"JFIF\0") and len(mark) >= 12:
            factor = {1: 1.0, 2: 2.54}.get(mark[7], 0.0)
            found.dpi = found.dpi or md.sane_dpi(int.from_bytes(mark[8:10], "big") * factor, int.from_bytes(mark[10:12], "big") * factor)
        elif marker == 0xE1 and mark.startswith(md.EXIF_PREFIX):
            found.put("exif", reader.read(at, length))
        elif marker == 0xE1 and mark.startswith(XMP_MARK):
            total += length
            if total <= md.MAX_XMP:
                xmp.append(reader.read(at + len(XMP_MARK), length - len(XMP_MARK)))
        elif marker == 0xE2 and mark.startswith(ICC_MARK) and len(icc) < 255:
            icc.setdefault(mark[12], reader.read(at + 14, length - 14))
        elif marker == 0xE2 and mark.startswith(b"MPF\0"):
            found.frames = _mpf_count(reader.read(at + 4, length - 4))
        elif marker == 0xE2 and mark.startswith(b"urn:iso:std:iso:ts:21496:-1"):
            found.gain_map = True
        elif marker == 0xED and mark.startswith(PHOTOSHOP_MARK) and len(photoshop) < md.MAX_EXIF:
            photoshop += reader.read(at + len(PHOTOSHOP_MARK), length - len(PHOTOSHOP_MARK))
    found.quantisation = _quantisation(tables, components) if not found.jpeg_rgb else None
    if total > md.MAX_XMP:
        found.note("metadata-too-large", f"XMP of more than {md.MAX_XMP / 1e6:g} MB was dropped")
    elif xmp:
        found.put("xmp", xmp[0])
        found.gain_map |= b"hdrgm:" in xmp[0]
        if b"HasExtendedXMP" in xmp[0]:
            found.note("xmp-lost", "the extended part of the XMP data was dropped")
    found.put("icc", b"".join(icc[i] for i in sorted(icc)))
    found.put("iptc", iptc_of_photoshop(photoshop))


def _coefficients(size: tuple[int, int], components: bytes) -> int:
    """Bytes of what a JPEG of several scans fills in pass by pass: 2 for each coefficient of each component."""
    factors = [(byte >> 4, byte & 15) for byte in components[2 : 1 + 3 * components[0] : 3]] if components else []
    most = max((h for h, _ in factors), default=0) * max((v for _, v in factors), default=0)
    return 2 * size[0] * size[1] * sum(h * v for h, v in factors) // most if most else 6 * size[0] * size[1]


def _mpf_count(body: bytes) -> int:
    """Number of pictures that a multi-picture (CIPA DC-007) index names."""
    parsed = md.parse(body)
    return (md.integer(parsed.main.get(0xB001), parsed.order) or 1) if parsed else 1


def _tables(body: bytes) -> dict[int, tuple[int, ...]]:
    """Quantisation tables by number, in rows (T.81 B.2.4.1)."""
    found, at = {}, 0
    while at < len(body):
        wide, number = body[at] >> 4, body[at] & 15
        size = 128 if wide else 64
        values = body[at + 1 : at + 1 + size]
        if len(values) < size:
            break
        steps = [int.from_bytes(values[i : i + 2], "big") for i in range(0, 128, 2)] if wide else list(values)
        table = [1] * 64
        for place, step in zip(ZIGZAG, steps, strict=True):
            table[place] = max(1, step)
        found[number] = tuple(table)
        at += 1 + size
    return found


def _quantisation(tables: dict[int, tuple[int, ...]], components: list[tuple[int, int, int]]) -> Quantisation | None:
    """Of grey and YCbCr files whose tables came before the scan and whose chroma is sampled in whole pixels."""
    if len(components) not in (1, 3) or any(number not in tables for _, _, number in components):
        return None
    luma = tables[components[0][2]]
    if len(components) == 1:
        return Quantisation(luma, luma)
    (wide, high, _), (blue_wide, blue_high, chroma), red = components
    if red != components[1] or 0 in (wide, high, blue_wide, blue_high) or wide % blue_wide or high % blue_high:
        return None
    return Quantisation(luma, tables[chroma], (wide // blue_wide, high // blue_high))
