"""What any picture file carries besides its pixels, read straight from the container, so that it is known verbatim."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from enlarger.files import metadata as md
from enlarger.files.avif import scan_avif
from enlarger.files.carried import Carried
from enlarger.files.jpeg import scan_jpeg
from enlarger.files.plain import scan_bmp, scan_ppm
from enlarger.files.png import scan_png
from enlarger.files.reader import Reader
from enlarger.files.tiff import scan_tiff
from enlarger.files.webp import scan_webp

__all__ = ["Carried", "scan"]

SCANNERS: dict[str, Callable[[Reader, Carried], None]] = {
    "jpeg": scan_jpeg, "png": scan_png, "webp": scan_webp, "tiff": scan_tiff, "avif": scan_avif, "bmp": scan_bmp, "ppm": scan_ppm,
}  # fmt: skip


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
