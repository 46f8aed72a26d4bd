"""TIFF and BigTIFF: directories, and what stands in them. (TIFF 6.0; Adobe's supplements; DNG 1.7)"""

from __future__ import annotations

from dataclasses import dataclass

from enlarger.files import metadata as md
from enlarger.files.carried import Carried, iptc_of_photoshop
from enlarger.files.reader import Reader


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
    """Entries, their offsets and the next directory's offset. Values of more than 4 MB, or 16 MB in all, are left out.

    Entries may share their values: without the sum, a file of 5 MB could take 16 GB.
    """
    word, count_size = (8, 8) if big else (4, 2)
    step = 4 + 2 * word
    count = int.from_bytes(reader.read(offset, count_size), order)
    if not 0 < count <= 4096:
        return {}, {}, 0
    raw = reader.read(offset + count_size, count * step + word)
    entries: md.Ifd = {}
    spots: dict[int, int] = {}
    left = 4 * md.MAX_ICC
    for i in range(0, min(len(raw), count * step) - step + 1, step):
        tag, kind = int.from_bytes(raw[i : i + 2], order), int.from_bytes(raw[i + 2 : i + 4], order)
        values = int.from_bytes(raw[i + 4 : i + 4 + word], order)
        size = md.SIZES.get(kind, 0) * values
        inline = raw[i + 4 + word : i + step]
        value = (
            inline[:size] if size <= word else reader.read(int.from_bytes(inline, order), size) if size <= min(left, md.MAX_ICC) else b""
        )
        left -= len(value)
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


def scan_tiff(reader: Reader, found: Carried) -> None:
    page = tiff_page(reader)
    if page is None:
        return
    main, order = page.entries, page.order
    found.raw = camera_raw(reader, page)
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


# --- camera raw ---------------------------------------------------------------------------------------------------------

DNG_VERSION, COMPRESSION, PHOTOMETRIC, MAKE, SUB_IFDS = 50706, 259, 262, 271, 330
SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw: a colour filter array, or linear raw."""

RAW_COMPRESSIONS = (32767, 32769, 32770, 34713, 34892, 65000, 65535)
"""Sony ARW, Epson or Samsung packed, Samsung SRW, Nikon NEF, lossy DNG, Kodak, Pentax PEF: none of them holds anything else."""

MAX_DIRECTORIES = 32


def camera_raw(reader: Reader, page: TiffPage) -> str:
    """What camera raw lies in the TIFF: ``"DNG"``, the maker, or ``"of unknown make"``; empty when it is a picture.

    Any directory may tell, since the first is often a mere preview. A maker alone tells nothing: scanners and editors name one.
    """
    order, waiting, seen = page.order, [page.offset], set[int]()
    make = ""
    while waiting and len(seen) < MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if not offset or offset in seen:
            continue
        seen.add(offset)
        entries, _, after = tiff_directory(reader, order, page.big, offset)
        if DNG_VERSION in entries:
            return "DNG"
        make = make or _text(entries.get(MAKE))
        kinds = md.integer(entries.get(PHOTOMETRIC), order), md.integer(entries.get(COMPRESSION), order)
        phase_one = make.startswith("Phase One") and reader.read(8, 4) in (b"IIII", b"MMMM")
        if kinds[0] in SENSOR or kinds[1] in RAW_COMPRESSIONS or phase_one:
            return make or "of unknown make"
        waiting += [after, *_offsets(entries.get(SUB_IFDS), order)]
    return ""


def _text(entry: md.Entry | None) -> str:
    text = entry.value.split(b"\0")[0].decode("latin-1").strip()[:40] if entry and entry.type == 2 else ""
    return text if text.isprintable() else ""


def _offsets(entry: md.Entry | None, order: md.Order) -> list[int]:
    if entry is None or entry.type not in (4, 13, 16, 18):
        return []
    size = md.SIZES[entry.type]
    return [md.number(entry.value[i : i + size], order) for i in range(0, min(len(entry.value), size * MAX_DIRECTORIES), size)]
