"""What the first bytes of a file say it is. By content only: names lie."""

from __future__ import annotations

import re
import zlib

from enlarger.errors import InputError, NotAnImageError

HEAD = 4096
"""Bytes that :func:`sniff` wants to see."""

READ = "jpeg, png, webp, tiff, avif, gif, bmp and ppm"
CONVERT = "convert it to PNG, TIFF or JPEG first"
DEVELOP = "develop it to TIFF or JPEG first"

SUFFIXES = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "png": ("png", "apng"),
    "webp": ("webp",),
    "tiff": ("tif", "tiff"),
    "avif": ("avif", "avifs"),
    "gif": ("gif",),
    "bmp": ("bmp", "dib"),
    "ppm": ("ppm", "pgm", "pbm", "pnm"),
}
"""File name endings that belong to each format that Enlarger reads."""

REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (rb"%PDF", "a PDF document", "export its page as PNG or TIFF first"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript (EPS), which is a program and not pixels", "export it as PNG or TIFF first"),
    (rb"\s*(?:push graphic-context|viewbox \d)", "an MVG drawing, which is a program and not pixels", "export it as PNG first"),
    (rb"8BPS", "a Photoshop document (PSD)", "export it as TIFF or PNG first"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "JPEG XL, which this build cannot read", CONVERT),
    (rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000, which this build cannot read", CONVERT),
    (rb"v/1\x01", "OpenEXR, which this build cannot read", "convert it to a float TIFF first"),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR picture, which this build cannot read", "convert it to a float TIFF first"),
    (rb"II\*\x00.{4}CR|FUJIFILMCCD-RAW|IIRO|IIRS|MMOR|IIU\x00|FOVb|\x00MRM|II\x1a\x00\x00\x00HEAP", "camera raw", DEVELOP),
    (rb"....ftypcrx ", "camera raw (CR3)", DEVELOP),
    (rb"\x00\x00\x01\x00|\x00\x00\x02\x00", "an icon or cursor (ICO)", "save the size you need as PNG first"),
    (rb"gimp xcf ", "a GIMP document (XCF)", "export it as TIFF or PNG first"),
    (rb"II\xbc\x01", "JPEG XR, which this build cannot read", CONVERT),
    (rb"AT&TFORM", "a DjVu document", "export its page as PNG or TIFF first"),
    (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows metafile, which is vector graphics", "render it at the size you need"),
    (rb"DDS ", "a DDS texture", CONVERT),
    (rb"qoif", "QOI, which this build cannot read", CONVERT),
    (rb"PK\x03\x04", "a ZIP archive", "unpack it first"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!", "a compressed archive", "unpack it first"),
    (rb"\x1aE\xdf\xa3|RIFF....AVI |....ftyp(?:isom|mp4\d|M4V |qt  |avc1)", "a video", "save the frame you need as PNG first"),
)


PROLOGUE = rb"(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*"
"""What may come before the first element of XML. Each comment ends at one place only: else a few thousand took for ever."""


def sniff(head: bytes, name: str) -> str:
    """The format of a file that begins with ``head``, one of the keys of :data:`SUFFIXES`.

    Raises :class:`NotAnImageError` with what the bytes are otherwise, as far as they can be recognised.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head[4:8] == b"ftyp" and _is_avif(head):
        return "avif"
    if head.startswith(b"\x1f\x8b") and b"svg" in (unpacked := _unpacked(head)).lower():
        raise _unknown(unpacked, name)
    for pattern, what, hint in REFUSED:
        if re.match(pattern, head, re.DOTALL):
            raise _refused(what, hint, name)
    if head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "tiff"
    if re.match(rb"BM.{12}[\x0c-\x7c]\x00\x00\x00", head, re.DOTALL):
        return "bmp"
    if re.match(rb"P[1-6][\s#]", head):
        return "ppm"
    raise _unknown(head, name)


def _is_avif(head: bytes) -> bool:
    """Of the ISO media family only AVIF is read; HEIC and video share its first bytes."""
    size = int.from_bytes(head[:4], "big")
    box = head[8 : max(16, min(size, 256))]
    brands = {box[:4], *(box[i : i + 4] for i in range(8, len(box), 4))}
    return bool(brands & {b"avif", b"avis"})


def _as_text(head: bytes) -> bytes:
    """``head`` in lower case as one byte per character, if it is text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode("utf-8")
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()


def _unpacked(head: bytes) -> bytes:
    """What the gzip stream ``head`` begins with; nothing when it is none."""
    try:
        return zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        return b""


def _unknown(head: bytes, name: str) -> InputError:
    if head[4:8] == b"ftyp":
        if head[8:12] in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"):
            return _refused("HEIC/HEIF, which this build cannot read", CONVERT, name)
        return _refused("a video or an unknown ISO media file", "save the frame you need as PNG first", name)
    text = _as_text(head)
    if re.match(rb"(?:<!doctype html|<html|<head|<body)", text):
        return _refused("a web page, not a picture", "download the picture itself", name)
    if text.startswith(b"<") and re.search(rb"<(?:\w+:)?svg[\s>/]|<!doctype svg", text):
        return _refused("SVG, which is vector graphics and needs no enlarging", "render it at the size you need", name)
    if re.match(PROLOGUE + rb"<(?:msl|image|group)[\s>]", text, re.DOTALL):
        return _refused("an ImageMagick script (MSL), which is a program and not pixels", "export its picture as PNG first", name)
    start = head[:16]
    if start and all(32 <= b < 127 or b in b"\t\r\n" for b in start):
        seen = start.decode("ascii")
        return NotAnImageError(f"this is text, not a picture (starts with {seen!r})", hint=f"Enlarger reads {READ}", subject=name)
    seen = start[:8].hex(" ")
    return NotAnImageError(f"this is no picture that Enlarger knows (starts with {seen})", hint=f"Enlarger reads {READ}", subject=name)


def camera_raw(kind: str, name: str) -> NotAnImageError:
    """The refusal of camera raw that begins like a TIFF."""
    return _refused(f"camera raw ({kind})", DEVELOP, name)


def _refused(what: str, hint: str, name: str) -> NotAnImageError:
    return NotAnImageError(f"this is {what}", hint=hint, subject=name)


def belies(name: str, format: str) -> bool:
    """Whether the ending of ``name`` is that of another picture format than ``format``."""
    suffix = name.rpartition(".")[2].lower() if "." in name.rpartition("/")[2] else ""
    return bool(suffix) and suffix not in SUFFIXES[format] and any(suffix in s for s in SUFFIXES.values())
