"""What a picture file carries besides its pixels: read straight from the container, so that it is known verbatim.

Everything here is bounded: blobs past their limit are left and named in a notice, compressed ones are never inflated
further than the limit, and chains are followed a limited number of steps.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from enlarger.files import metadata as md
from enlarger.files.reader import Reader
from enlarger.image import Metadata, Notice

MAX_STEPS = 200_000
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
ICC_MARK = b"ICC_PROFILE\0"
PHOTOSHOP_MARK = b"Photoshop 3.0\0"
LIMITS = {"exif": md.MAX_EXIF, "xmp": md.MAX_XMP, "icc": md.MAX_ICC, "iptc": md.MAX_EXIF}


@dataclass
class Carried:
    """What was found. ``orientation`` is what the file says, valid or not; ``frames`` is ``None`` where only libvips knows.

    ``unsupported`` ends a sentence that begins with the format; ``start`` (of the pixels) and ``bottom_up`` are for BMP
    and PPM, whose rows lie there as they are.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int | None = None
    frames: int | None = None
    size: tuple[int, int] | None = None
    gain_map: bool = False
    palette: bool = False
    start: int = 0
    bottom_up: bool = False
    unsupported: str = ""
    notices: list[Notice] = field(default_factory=list)

    def note(self, code: str, message: str) -> None:
        self.notices.append(Notice(code, message))

    def put(self, name: Literal["exif", "xmp", "icc", "iptc"], blob: bytes) -> None:
        """Keep the first blob of its kind; drop it with a notice when it is larger than its limit."""
        if getattr(self, name) is not None or not blob:
            return
        if len(blob) > LIMITS[name]:
            self.note("metadata-too-large", f"{name.upper()} of more than {LIMITS[name] / 1e6:g} MB was dropped")
            blob = b""
        setattr(self, name, blob)

    def metadata(self) -> Metadata:
        """The blobs as a :class:`Metadata`."""
        return Metadata(self.icc or None, self.exif or None, self.xmp or None, self.iptc or None, self.dpi)


def scan(reader: Reader, format: str) -> Carried:
    """What the file behind ``reader`` carries. Damage ends the scan, it never raises: the decoder has the last word."""
    found = Carried()
    scanner = SCANNERS.get(format)
    if scanner is not None:
        # The parsers below index freely; past the end of what a damaged file holds, there is nothing more to find.
        with contextlib.suppress(IndexError):
            scanner(reader, found)
    if found.exif is not None:
        parsed = md.parse(found.exif)
        if parsed is None:
            if found.exif:
                found.note("exif-invalid", "the EXIF data is damaged and was dropped")
            found.exif = None
        elif format not in ("tiff", "avif"):
            found.orientation = md.integer(parsed.main.get(md.ORIENTATION), parsed.order)
        if parsed and found.dpi is None and format != "png":
            found.dpi = md.resolution(parsed.main, parsed.order)
    return found


# --- JPEG --------------------------------------------------------------------------------------------------------------


def jpeg_segments(reader: Reader) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and length of the payload of each segment before the first scan."""
    at = 2
    for _ in range(MAX_STEPS):
        head = reader.read(at, 4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        if head[1] == 0xFF:
            at += 1
            continue
        if head[1] in (0xDA, 0xD9):
            return
        length = int.from_bytes(head[2:4], "big")
        if length < 2:
            return
        yield head[1], at + 4, length - 2
        at += 2 + length


def _scan_jpeg(reader: Reader, found: Carried) -> None:
    icc: dict[int, bytes] = {}
    xmp: list[bytes] = []
    photoshop = b""
    total = 0
    for marker, at, length in jpeg_segments(reader):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = reader.read(at, 5)
            found.size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
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
    if total > md.MAX_XMP:
        found.note("metadata-too-large", f"XMP of more than {md.MAX_XMP / 1e6:g} MB was dropped")
    elif xmp:
        found.put("xmp", xmp[0])
        found.gain_map |= b"hdrgm:" in xmp[0]
        if b"HasExtendedXMP" in xmp[0]:
            found.note("xmp-lost", "the extended part of the XMP data was dropped")
    found.put("icc", b"".join(icc[i] for i in sorted(icc)))
    found.put("iptc", iptc_of_photoshop(photoshop))


def _mpf_count(body: bytes) -> int:
    """Number of pictures that a multi-picture (CIPA DC-007) index names."""
    parsed = md.parse(body)
    return (md.integer(parsed.main.get(0xB001), parsed.order) or 1) if parsed else 1


def iptc_of_photoshop(blob: bytes) -> bytes:
    """The IPTC records (resource 0x0404) of Photoshop image resources."""
    at = 0
    while blob[at : at + 4] == b"8BIM" and at + 12 <= len(blob):
        kind = int.from_bytes(blob[at + 4 : at + 6], "big")
        name = blob[at + 6] + 1
        size_at = at + 6 + name + name % 2
        size = int.from_bytes(blob[size_at : size_at + 4], "big")
        if kind == 0x0404:
            return blob[size_at + 4 : size_at + 4 + size]
        at = size_at + 4 + size + size % 2
    return b""


# --- PNG ---------------------------------------------------------------------------------------------------------------


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


def _scan_png(reader: Reader, found: Carried) -> None:
    for kind, at, length in png_chunks(reader):
        if kind == b"IHDR":
            head = reader.read(at, 13)
            found.size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
            found.palette = head[9:10] == b"\x03"
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
            _png_text(kind, reader.read(at, min(length, md.MAX_XMP + 100)), found)


def _png_profile(data: bytes, found: Carried) -> None:
    _, _, packed = data.partition(b"\0")
    profile = inflate(packed[1:], md.MAX_ICC)
    if profile is None:
        found.note("icc-invalid", "the colour profile is damaged and was dropped: the picture is taken as sRGB")
    else:
        found.put("icc", profile)


def _png_text(kind: bytes, data: bytes, found: Carried) -> None:
    key, _, rest = data.partition(b"\0")
    if key == b"XML:com.adobe.xmp" and kind == b"iTXt" and len(rest) > 2:
        text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        found.put("xmp", (inflate(text, md.MAX_XMP) or b"") if rest[0] else text)
    elif key in RAW_PROFILES and kind in (b"zTXt", b"tEXt"):
        name = RAW_PROFILES[key]
        text = (inflate(rest[1:], 3 * LIMITS[name]) or b"") if kind == b"zTXt" else rest
        found.put(name, _raw_profile(text, name))


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


# --- WebP --------------------------------------------------------------------------------------------------------------


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


def _scan_webp(reader: Reader, found: Carried) -> None:
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


# --- TIFF --------------------------------------------------------------------------------------------------------------


@dataclass
class TiffPage:
    """The first directory of a TIFF file. ``spots`` are the offsets of the entries, ``pointer`` where its own offset stands."""

    order: md.Order
    big: bool
    pointer: int
    offset: int
    entries: md.Ifd
    spots: dict[int, int]
    next: int


def tiff_directory(reader: Reader, order: md.Order, big: bool, offset: int) -> tuple[md.Ifd, dict[int, int], int]:
    """Entries, their offsets and the next directory's offset. Values of more than 4 MB are left out."""
    word, count_size = (8, 8) if big else (4, 2)
    step = 4 + 2 * word
    count = int.from_bytes(reader.read(offset, count_size), order)
    if not 0 < count <= 4096:
        return {}, {}, 0
    raw = reader.read(offset + count_size, count * step + word)
    entries: md.Ifd = {}
    spots: dict[int, int] = {}
    for i in range(0, min(len(raw), count * step) - step + 1, step):
        tag, kind = int.from_bytes(raw[i : i + 2], order), int.from_bytes(raw[i + 2 : i + 4], order)
        values = int.from_bytes(raw[i + 4 : i + 4 + word], order)
        size = md.SIZES.get(kind, 0) * values
        inline = raw[i + 4 + word : i + step]
        value = inline[:size] if size <= word else reader.read(int.from_bytes(inline, order), size) if size <= md.MAX_ICC else b""
        if size and len(value) == size and tag not in entries:
            entries[tag] = md.Entry(kind, values, value)
        spots.setdefault(tag, offset + count_size + i)
    return entries, spots, int.from_bytes(raw[count * step :], order)


def tiff_page(reader: Reader) -> TiffPage | None:
    """The first page, ``None`` when the file ends before it."""
    head = reader.read(0, 16)
    order: md.Order = "little" if head[:2] == b"II" else "big"
    big = int.from_bytes(head[2:4], order) == 43
    pointer, word = (8, 8) if big else (4, 4)
    offset = int.from_bytes(head[pointer : pointer + word], order)
    entries, spots, after = tiff_directory(reader, order, big, offset)
    return TiffPage(order, big, pointer, offset, entries, spots, after) if entries else None


def _scan_tiff(reader: Reader, found: Carried) -> None:
    page = tiff_page(reader)
    if page is None:
        return
    main, order = page.entries, page.order
    width, height = md.integer(main.get(md.WIDTH), order), md.integer(main.get(md.LENGTH), order)
    found.size = (width or 0, height or 0)
    found.orientation = md.integer(main.get(md.ORIENTATION), order)
    found.dpi = md.resolution(main, order)
    found.palette = md.integer(main.get(262), order) == 3
    sample = md.integer(main.get(339), order)
    if sample in (5, 6):
        found.unsupported = "holds complex numbers, which are no picture"
    if md.integer(main.get(md.RESOLUTION_UNIT), order) is None and md.X_RESOLUTION not in main:
        found.dpi = None
    for tag, name in ((700, "xmp"), (34675, "icc"), (33723, "iptc")):
        if tag in main:
            found.put(name, main[tag].value)  # type: ignore[arg-type]
    if found.iptc is None and 34377 in main:
        found.put("iptc", iptc_of_photoshop(main[34377].value))
    _tiff_exif(reader, page, found)


def _tiff_exif(reader: Reader, page: TiffPage, found: Carried) -> None:
    """EXIF of a TIFF is spread over its directories: gather it into a blob like those of other formats."""
    subs: dict[int, md.Ifd] = {}
    for tag, parent in ((md.EXIF_IFD, page.entries), (md.GPS_IFD, page.entries), (md.INTEROP_IFD, None)):
        entry = (subs.get(md.EXIF_IFD, {}) if parent is None else parent).get(tag)
        offset = int.from_bytes(entry.value, page.order) if entry and len(entry.value) in (4, 8) else 0
        ifd = tiff_directory(reader, page.order, page.big, offset)[0] if offset else {}
        subs[tag] = {t: e for t, e in ifd.items() if e.type <= 13}
    keep = {t: e for t, e in page.entries.items() if t in DESCRIPTIVE and e.type <= 13}
    exif, gps, interop = (subs[tag] for tag in (md.EXIF_IFD, md.GPS_IFD, md.INTEROP_IFD))
    if keep or exif or gps:
        found.put("exif", md.build(keep, exif, gps, interop, page.order))


# What a TIFF's main directory says about the picture rather than about the file; private and geographic tags stay behind.
DESCRIPTIVE = {0x10E, 0x10F, 0x110, 0x131, 0x132, 0x13B, 0x13C, 0x8298, 0x4746, 0x4749, *range(0x9C9B, 0x9CA0), 0xC4A5}


# --- AVIF --------------------------------------------------------------------------------------------------------------


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each ISO base media box in ``data``."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if size < head or at + size > end:
            return
        yield name, at + head, at + size
        at += size


@dataclass(frozen=True, slots=True)
class Extent:
    """Where an item lies: ``fields_at`` is where its offset (from ``base``) and length stand, ``widths`` their sizes in bytes."""

    offset: int
    length: int
    base: int
    fields_at: int
    widths: tuple[int, int]


@dataclass
class AvifMeta:
    """The meta box of an AVIF file: item types and places, colour boxes, the sizes of its pictures and tiles."""

    items: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, Extent] = field(default_factory=dict)
    colours: list[bytes] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)


def avif_meta(reader: Reader) -> AvifMeta | None:
    """The meta box, ``None`` when there is none in the first boxes of the file."""
    at = 0
    for _ in range(64):
        head = reader.read(at, 16)
        size = int.from_bytes(head[:4], "big")
        size = int.from_bytes(head[8:16], "big") if size == 1 else size
        if len(head) < 8 or size < 8:
            return None
        if head[4:8] == b"meta":
            return _read_meta(reader.read(at, min(size, 4 * 2**20)), at)
        at += size
    return None


def _read_meta(data: bytes, at: int) -> AvifMeta:
    meta = AvifMeta()
    for name, start, end in boxes(data, 12):
        if name == b"iinf":
            wide = data[start] != 0
            for kind, a, b in boxes(data, start + (8 if wide else 6), end):
                if kind == b"infe" and data[a] >= 2:
                    n = 2 if data[a] == 2 else 4
                    item = int.from_bytes(data[a + 4 : a + 4 + n], "big")
                    meta.items[item] = data[a + 6 + n : min(b, a + 10 + n)] + data[a + 10 + n : b]
        elif name == b"iloc":
            meta.places = _read_iloc(data[start:end], at + start)
        elif name == b"iprp":
            for kind, a, b in boxes(data, start, end):
                if kind == b"ipco":
                    found = [(k, data[x:y]) for k, x, y in boxes(data, a, b)]
                    meta.colours += [box for k, box in found if k == b"colr"]
                    meta.sizes += [(int.from_bytes(box[4:8], "big"), int.from_bytes(box[8:12], "big")) for k, box in found if k == b"ispe"]
    return meta


def _read_iloc(data: bytes, at: int) -> dict[int, Extent]:
    """Items of one extent that lie in the file itself (construction method 0)."""
    places: dict[int, Extent] = {}
    version = data[0]
    offset_size, length_size, base_size, index_size = data[4] >> 4, data[4] & 15, data[5] >> 4, data[5] & 15
    id_size = 4 if version == 2 else 2
    pos = 6

    def take(n: int) -> int:
        nonlocal pos
        pos += n
        return int.from_bytes(data[pos - n : pos], "big")

    for _ in range(min(take(id_size), 4096)):
        item = take(id_size)
        method = take(2) & 15 if version else 0
        take(2)
        base, extents = take(base_size), take(2)
        for i in range(min(extents, 4096)):
            take(index_size if version else 0)
            fields = at + pos
            offset, length = take(offset_size), take(length_size)
            if method == 0 and extents == 1 and i == 0:
                places[item] = Extent(base + offset, length, base, fields, (offset_size, length_size))
    return places


def avif_item(meta: AvifMeta, kind: bytes) -> tuple[int, Extent] | None:
    """Number and place of the first item whose type (and content type) starts with ``kind``."""
    return next(((n, meta.places[n]) for n, name in meta.items.items() if name.startswith(kind) and n in meta.places), None)


def _scan_avif(reader: Reader, found: Carried) -> None:
    meta = avif_meta(reader)
    if meta is None:
        return
    found.size = max(meta.sizes, key=lambda size: size[0] * size[1], default=None)
    exif = avif_item(meta, b"Exif")
    if exif and exif[1].length > 4:
        blob = reader.read(exif[1].offset, min(exif[1].length, md.MAX_EXIF + 11))
        skip = int.from_bytes(blob[:4], "big")
        found.put("exif", md.EXIF_PREFIX + md.body_of(blob[4 + skip if skip < len(blob) else 4 :]))
    xmp = next((p for n, p in meta.places.items() if meta.items.get(n, b"").startswith(b"mime") and b"rdf+xml" in meta.items[n]), None)
    if xmp:
        found.put("xmp", reader.read(xmp.offset, min(xmp.length, md.MAX_XMP + 1)))
    for colour in meta.colours:
        if colour[:4] in (b"prof", b"rICC"):
            found.put("icc", colour[4:])
        elif colour[:4] == b"nclx" and (colour[4:6] not in (b"\0\1", b"\0\2") or colour[6:8] in (b"\0\x10", b"\0\x12")) and not found.icc:
            space = f"{int.from_bytes(colour[4:6], 'big')}/{int.from_bytes(colour[6:8], 'big')}"
            found.note("colour-assumed", f"the AVIF names colour space {space} by number; it was taken as sRGB")


# --- BMP, PPM: only their size, so that limits come before Pillow ------------------------------------------------------


def _scan_bmp(reader: Reader, found: Carried) -> None:
    head = reader.read(14, 12)
    wide = head[0] > 12
    width, height = (head[4:8], head[8:12]) if wide else (head[4:6], head[6:8])
    rows = int.from_bytes(height, "little", signed=wide)
    found.size = int.from_bytes(width, "little"), abs(rows)
    found.bottom_up = rows > 0
    found.start = int.from_bytes(reader.read(10, 4), "little")


def _scan_ppm(reader: Reader, found: Carried) -> None:
    gap = rb"(?:\s|#[^\n]*\n)+"
    match = re.match(rb"P(\d)" + gap + rb"(\d{1,10})" + gap + rb"(\d{1,10})" + gap + rb"(\d{0,5})", reader.read(0, 4096))
    if match:
        found.size = int(match[2]), int(match[3])
        found.start = match.end() + 1
        if match[1] in b"36" and int(match[4] or 0) > 255:
            found.note("depth-reduced", "Pillow reads colour PPM of 16 bits as 8 bits; convert it to PNG or TIFF to keep them")


SCANNERS: dict[str, Callable[[Reader, Carried], None]] = {
    "jpeg": _scan_jpeg, "png": _scan_png, "webp": _scan_webp, "tiff": _scan_tiff, "avif": _scan_avif, "bmp": _scan_bmp, "ppm": _scan_ppm,
}  # fmt: skip
