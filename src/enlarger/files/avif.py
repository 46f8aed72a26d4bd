"""AVIF: boxes of the ISO base media format, items and properties. (ISO 14496-12, 23008-12; AV1 Image File Format)"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from enlarger.files import metadata as md
from enlarger.files.carried import Carried
from enlarger.files.reader import Reader


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


def scan_avif(reader: Reader, found: Carried) -> None:
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
