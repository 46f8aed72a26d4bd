"""EXIF, XMP and ICC blobs: read, brought up to date, compared. Pure functions on bytes; nothing here decodes pixels.

EXIF blobs begin with ``Exif\\0\\0``, then a TIFF structure whose offsets count from its own start. They are edited in
place wherever possible: MakerNotes hold offsets that would break if anything moved.

Sources: Exif 2.32 (CIPA DC-008), TIFF 6.0, XMP part 1 (ISO 16684-1), ICC.1:2022.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

MAX_XMP = 1_000_000
MAX_ICC = 4_000_000
MAX_EXIF = 1_000_000
EXIF_PREFIX = b"Exif\0\0"

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
SHORT, LONG, RATIONAL = 3, 4, 5

WIDTH, LENGTH, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x100, 0x101, 0x112, 0x11A, 0x11B, 0x128
EXIF_IFD, GPS_IFD, INTEROP_IFD, MAKER_NOTE, PIXEL_X, PIXEL_Y = 0x8769, 0x8825, 0xA005, 0x927C, 0xA002, 0xA003
THUMBNAIL, THUMBNAIL_LENGTH = 0x201, 0x202

UPDATED = {WIDTH, LENGTH, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, PIXEL_X, PIXEL_Y, EXIF_IFD, GPS_IFD, INTEROP_IFD}
"""Tags that are brought up to date, so that a changed value is no loss."""

STRUCTURAL = {*range(254, 263), 266, 273, 274, *range(277, 282), 284, *range(288, 294), 297, 301, *range(317, 348), *range(512, 533)}
STRUCTURAL |= {700, 33723, 34377, 34675, 37724, EXIF_IFD, GPS_IFD, INTEROP_IFD}
"""Tags of a TIFF's main directory that describe its pixels or hold other blobs: never copied from one file to another."""

NAMES = {
    0x10E: "ImageDescription", 0x10F: "Make", 0x110: "Model", 0x131: "Software", 0x132: "DateTime", 0x13B: "Artist", 0x8298: "Copyright",
    0x9003: "DateTimeOriginal", 0x9004: "DateTimeDigitized", 0x9286: "UserComment", MAKER_NOTE: "MakerNote", 0xA434: "LensModel",
    0x829A: "ExposureTime", 0x829D: "FNumber", 0x8827: "ISOSpeedRatings", 0x920A: "FocalLength", 0xA001: "ColorSpace", 0xA433: "LensMake",
}  # fmt: skip


class Entry(NamedTuple):
    """One tag: its TIFF type, number of values and value bytes in the byte order of its file."""

    type: int
    values: int
    value: bytes


Ifd = dict[int, Entry]
Order = Literal["little", "big"]


@dataclass
class Exif:
    """A parsed EXIF structure. ``spots`` are the offsets of entries, ``used`` the ranges that living data occupies.

    ``left`` is how many bytes of values it may still take: entries may share theirs, so that 1 MB could become 13 GB.
    """

    order: Order
    main: Ifd
    exif: Ifd
    gps: Ifd
    interop: Ifd
    thumbnail: Ifd
    offsets: dict[str, int] = field(default_factory=dict)
    spots: dict[tuple[str, int], int] = field(default_factory=dict)
    used: list[tuple[int, int]] = field(default_factory=list)
    next_at: int = 0
    left: int = 4 * MAX_EXIF

    def directories(self) -> Iterator[tuple[str, Ifd]]:
        yield from (("main", self.main), ("exif", self.exif), ("gps", self.gps), ("interop", self.interop))


def body_of(exif: bytes) -> bytes:
    """The TIFF structure of an EXIF blob."""
    return exif[6:] if exif.startswith(EXIF_PREFIX) else exif


def order_of(body: bytes) -> Order | None:
    """The byte order that a classic TIFF structure names, ``None`` when it is none."""
    return "little" if body[:4] == b"II*\0" else "big" if body[:4] == b"MM\0*" else None


def parse(exif: bytes | None) -> Exif | None:
    """The directories of an EXIF blob; entries that point outside are left out. ``None`` when it is no EXIF or is empty."""
    body = body_of(exif or b"")
    order = order_of(body)
    if order is None or len(body) < 14:
        return None
    found = Exif(order, {}, {}, {}, {}, {})
    seen: set[int] = set()
    after = _read_ifd(body, number(body[4:8], order), "main", found.main, found, seen)
    for name, parent, tag in (("exif", found.main, EXIF_IFD), ("gps", found.main, GPS_IFD), ("interop", found.exif, INTEROP_IFD)):
        if tag in parent and len(parent[tag].value) >= 4:
            _read_ifd(body, number(parent[tag].value[:4], order), name, getattr(found, name), found, seen)
    if after:
        living = list(found.used)
        _read_ifd(body, after, "thumbnail", found.thumbnail, found, seen)
        found.used = living
    return found if found.main or found.exif or found.gps else None


def number(raw: bytes | bytearray, order: Order) -> int:
    return int.from_bytes(raw, order)


def _read_ifd(body: bytes, offset: int, name: str, into: Ifd, found: Exif, seen: set[int]) -> int:
    """Read the directory at ``offset`` into ``into``; gives the offset of the next one (0: none)."""
    if offset in seen or not 8 <= offset <= len(body) - 2:
        return 0
    seen.add(offset)
    order = found.order
    count = number(body[offset : offset + 2], order)
    end = offset + 2 + 12 * count
    if count == 0 or end > len(body):
        return 0
    found.offsets[name] = offset
    found.used.append((offset, end + 4))
    for at in range(offset + 2, end, 12):
        tag, kind, n = (number(body[at + a : at + b], order) for a, b in ((0, 2), (2, 4), (4, 8)))
        size = SIZES.get(kind, 0) * n
        start = at + 8 if size <= 4 else number(body[at + 8 : at + 12], order)
        if not size or start + size > len(body) or tag in into or size > found.left:
            continue
        found.left -= size
        into[tag] = Entry(kind, n, body[start : start + size])
        found.spots[name, tag] = at
        found.used.append((start, start + size))
    if name == "main":
        found.next_at = end
    return number(body[end : end + 4], order) if end + 4 <= len(body) else 0


def integer(entry: Entry | None, order: Order) -> int | None:
    """The first value of an integer entry."""
    if entry is None or entry.type not in (1, 3, 4, 13, 16):
        return None
    return number(entry.value[: SIZES[entry.type]], order)


def rational(entry: Entry | None, order: Order) -> float | None:
    """The first value of a RATIONAL (or integer, or float) entry, ``None`` when it is missing or divides by zero."""
    if entry is not None and entry.type == RATIONAL and len(entry.value) >= 8:
        above, below = number(entry.value[:4], order), number(entry.value[4:8], order)
        return above / below if below else None
    whole = integer(entry, order)
    return None if whole is None else float(whole)


def orientation(exif: bytes | None) -> int | None:
    """What the Orientation tag says, valid (1 to 8) or not; ``None`` without one."""
    found = parse(exif)
    return integer(found.main.get(ORIENTATION), found.order) if found else None


def resolution(main: Mapping[int, Entry], order: Order) -> tuple[float, float] | None:
    """Dots per inch that a main directory names. A unit of 1 (none) or nonsense is no resolution."""
    unit = integer(main.get(RESOLUTION_UNIT), order)
    x, y = rational(main.get(X_RESOLUTION), order), rational(main.get(Y_RESOLUTION), order)
    # TIFF and EXIF both say that a missing unit means inches.
    factor = {None: 1.0, 2: 1.0, 3: 2.54}.get(unit)
    if factor is None or not x or not y:
        return None
    return sane_dpi(x * factor, y * factor)


def sane_dpi(x: float, y: float) -> tuple[float, float] | None:
    """``(x, y)`` unless it is out of all reason. What is a whole number but for a conversion to metres and back is made one."""
    if not (0.1 <= x <= 1e6 and 0.1 <= y <= 1e6):
        return None
    x, y = (float(round(v)) if abs(v - round(v)) < 0.026 else v for v in (x, y))
    return x, y


def fraction(value: float, order: Order) -> bytes:
    """A RATIONAL of ``value`` to six digits; whole numbers have a denominator of 1."""
    below = next(d for d in (1, 100, 10_000) if d == 10_000 or abs(value * d - round(value * d)) < 1e-6)
    return round(value * below).to_bytes(4, order) + below.to_bytes(4, order)


def refresh_exif(exif: bytes | None, width: int, height: int, dpi: tuple[float, float] | None) -> bytes | None:
    """The blob for a picture that is now upright and ``width`` x ``height``: orientation 1, sizes, resolution; no thumbnail.

    Without a blob one is made only when there is a ``dpi`` to tell. All other bytes stay where they are.
    """
    found = parse(exif)
    if exif is None or found is None:
        return build({**resolution_tags(dpi, "little")}, {}, {}, {}, "little") if dpi else None
    body = bytearray(body_of(exif))
    _drop_thumbnail(body, found)
    order = found.order
    new: Ifd = {ORIENTATION: Entry(SHORT, 1, (1).to_bytes(2, order))} if ORIENTATION in found.main else {}
    new |= {tag: Entry(LONG, 1, side.to_bytes(4, order)) for tag, side in ((WIDTH, width), (LENGTH, height)) if tag in found.main}
    if dpi:
        new |= resolution_tags(dpi, order)
    for tag, side in ((PIXEL_X, width), (PIXEL_Y, height)):
        if tag in found.exif:
            _patch(body, found, "exif", tag, Entry(LONG, 1, side.to_bytes(4, order)))
    if [tag for tag, entry in new.items() if not _patch(body, found, "main", tag, entry)]:
        body = _with_tags(body, found, new)
    return EXIF_PREFIX + bytes(body)


def resolution_tags(dpi: tuple[float, float] | None, order: Order) -> Ifd:
    """The three tags that state ``dpi``."""
    if dpi is None:
        return {}
    x, y = (Entry(RATIONAL, 1, fraction(value, order)) for value in dpi)
    return {X_RESOLUTION: x, Y_RESOLUTION: y, RESOLUTION_UNIT: Entry(SHORT, 1, (2).to_bytes(2, order))}


def _patch(body: bytearray, found: Exif, name: str, tag: int, entry: Entry) -> bool:
    """Overwrite one entry where it stands; ``False`` when there is no room for it."""
    at = found.spots.get((name, tag))
    if at is None:
        return False
    size = len(entry.value)
    if size > 4:
        old: Entry = getattr(found, name)[tag]
        start = number(body[at + 8 : at + 12], found.order)
        if len(old.value) < size or start + size > len(body):
            return False
        body[start : start + size] = entry.value
    else:
        body[at + 8 : at + 12] = entry.value.ljust(4, b"\0")
    body[at + 2 : at + 8] = entry.type.to_bytes(2, found.order) + entry.values.to_bytes(4, found.order)
    return True


def _with_tags(body: bytearray, found: Exif, extra: Ifd) -> bytearray:
    """The main directory written anew at the end, with ``extra``; everything else keeps its place."""
    offset = len(body) + len(body) % 2
    main, rest = directory({**found.main, **extra}, offset, found.order)
    start, end = found.offsets["main"], found.next_at + 4
    body[start:end] = bytes(min(end, len(body)) - start)
    body[4:8] = offset.to_bytes(4, found.order)
    return body.ljust(offset, b"\0") + main + rest


def _drop_thumbnail(body: bytearray, found: Exif) -> None:
    """Unlink the second directory, blank its bytes and cut them off when they are the last."""
    body[found.next_at : found.next_at + 4] = bytes(4)
    start, length = (integer(found.thumbnail.get(tag), found.order) for tag in (THUMBNAIL, THUMBNAIL_LENGTH))
    if not start or not length or start < 8 or start + length > len(body):
        return
    if any(a < start + length and start < b for a, b in found.used):
        return
    if start + length >= len(body) - 1:
        del body[start:]
    else:
        body[start : start + length] = bytes(length)


def directory(ifd: Ifd, offset: int, order: Order, *, big: bool = False, after: int = 0) -> tuple[bytes, bytes]:
    """A directory that will lie at ``offset``, and the longer values that follow it. ``big`` is for BigTIFF."""
    word = 8 if big else 4
    head = len(ifd).to_bytes(8 if big else 2, order)
    data_at = offset + len(head) + (4 + 2 * word) * len(ifd) + word
    entries, data = bytearray(head), bytearray()
    for tag, entry in sorted(ifd.items()):
        entries += tag.to_bytes(2, order) + entry.type.to_bytes(2, order) + entry.values.to_bytes(word, order)
        if len(entry.value) <= word:
            entries += entry.value.ljust(word, b"\0")
        else:
            entries += (data_at + len(data)).to_bytes(word, order)
            data += entry.value + bytes(len(entry.value) % 2)
    return bytes(entries + after.to_bytes(word, order)), bytes(data)


def build(main: Ifd, exif: Ifd, gps: Ifd, interop: Ifd, order: Order) -> bytes:
    """An EXIF blob of these directories (values in ``order``)."""
    mark = b"II*\0" if order == "little" else b"MM\0*"
    placed, body = directories(main, exif, gps, interop, 8, order)
    head, data = directory(placed, 8 + len(body), order)
    return EXIF_PREFIX + mark + (8 + len(body)).to_bytes(4, order) + body + head + data


def directories(main: Ifd, exif: Ifd, gps: Ifd, interop: Ifd, offset: int, order: Order, *, big: bool = False) -> tuple[Ifd, bytes]:
    """The sub-directories as bytes that will lie at ``offset``, and ``main`` with the tags that point at them."""
    body = b""
    main, exif = dict(main), dict(exif)
    for ifd, parent, tag in ((interop, exif, INTEROP_IFD), (exif, main, EXIF_IFD), (gps, main, GPS_IFD)):
        parent.pop(tag, None)
        if ifd:
            at = offset + len(body)
            head, data = directory(ifd, at, order, big=big)
            body += head + data
            body += bytes(len(body) % 2)
            parent[tag] = Entry(LONG, 1, at.to_bytes(4, order)) if not big else Entry(18, 1, at.to_bytes(8, order))
    return main, body


def swapped(ifd: Ifd, source: Order, target: Order) -> Ifd:
    """``ifd`` with its numbers in the byte order ``target``. MakerNotes and other undefined bytes stay."""
    if source == target:
        return dict(ifd)
    return {tag: Entry(e.type, e.values, _swap(e.value, WORDS.get(e.type, 1))) for tag, e in ifd.items()}


def _swap(value: bytes, word: int) -> bytes:
    return b"".join(value[i : i + word][::-1] for i in range(0, len(value), word)) if word > 1 else value


def tags(exif: bytes | None) -> dict[str, tuple[int, bytes]]:
    """Type and little-endian value of every tag that must survive, by readable name, for comparing two files."""
    found = parse(exif)
    if found is None:
        return {}
    return {
        tag_name(name, tag): (entry.type, entry.value.rstrip(b"\0") if entry.type == 2 else entry.value)
        for name, ifd in found.directories()
        for tag, entry in swapped(ifd, found.order, "little").items()
        if tag not in UPDATED and not (name == "main" and tag in STRUCTURAL)
    }


def tag_name(name: str, tag: int) -> str:
    """A tag's name for people: ``Copyright``, ``GPS 0x0002``, ``0xA434``."""
    if name == "gps":
        return f"GPS 0x{tag:04X}"
    return NAMES.get(tag, f"0x{tag:04X}") if name != "interop" else f"Interop 0x{tag:04X}"


# --- XMP ---------------------------------------------------------------------------------------------------------------

STALE = ("xmp:Thumbnails", "xap:Thumbnails", "Container:Directory", "GContainer:Directory")
"""Elements that describe the old pixels: previews, and the list of pictures (gain map) that a file held."""


def refresh_xmp(xmp: bytes | None, width: int, height: int) -> bytes | None:
    """The packet for an upright picture of ``width`` x ``height``; thumbnails and gain-map directories are taken out."""
    if xmp is None:
        return None
    values = {
        rb"tiff:Orientation": b"1", rb"tiff:ImageWidth": b"%d" % width, rb"tiff:ImageLength": b"%d" % height,
        rb"exif:PixelXDimension": b"%d" % width, rb"exif:PixelYDimension": b"%d" % height,
    }  # fmt: skip
    for element in STALE:
        xmp = _without(xmp, element.encode("ascii"))
    xmp = re.sub(rb"\shdrgm:\w+=\"[^\"]*\"", b"", xmp)
    for name, value in values.items():
        xmp = re.sub(rb"(\b" + name + rb"\s*=\s*([\"']))[^\"']*(\2)", rb"\g<1>" + value + rb"\g<3>", xmp)
        xmp = re.sub(rb"(<" + name + rb"\b[^<>/]*>)[^<]*(</" + name + rb">)", rb"\g<1>" + value + rb"\g<2>", xmp)
    return xmp


def _without(xmp: bytes, element: bytes) -> bytes:
    """``xmp`` without ``element`` (searched for, not matched: a hostile packet must not cost more than its length)."""
    kept, at = [], 0
    while (start := xmp.find(b"<" + element, at)) >= 0:
        end = xmp.find(b"</" + element + b">", start)
        if end < 0:
            break
        kept.append(xmp[at:start])
        at = end + len(element) + 3
    return b"".join([*kept, xmp[at:]])


# --- ICC ---------------------------------------------------------------------------------------------------------------

ICC_SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


def icc_fault(icc: bytes, channels: int) -> str | None:
    """Why a profile cannot describe a picture of ``channels`` colour channels; ``None`` when it can."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return "it is no ICC profile"
    if int.from_bytes(icc[:4], "big") > len(icc):
        return "it is cut off"
    if icc[12:16] not in (b"mntr", b"scnr", b"prtr", b"spac"):
        return f"it is of the class {icc[12:16].decode('latin-1')!r}"
    count = int.from_bytes(icc[128:132], "big")
    rows = [icc[132 + 12 * i : 144 + 12 * i] for i in range(min(count, 200))]
    if count > 200 or any(len(r) < 12 or int.from_bytes(r[4:8], "big") + int.from_bytes(r[8:12], "big") > len(icc) for r in rows):
        return "its tag table is damaged"
    if ICC_SPACES.get(icc[16:20]) != channels:
        space = icc[16:20].decode("latin-1").strip()
        return f"it is for {space or 'no'} colour, the picture is {({1: 'grey', 4: 'CMYK'}).get(channels, 'RGB')}"
    return None
