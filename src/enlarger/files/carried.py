"""What a picture file carries besides its pixels, and how much of it is taken.

Everything that fills it is bounded: blobs past their limit are left and named in a notice, compressed ones are never inflated
further than the limit, and chains are followed a limited number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from enlarger.files import metadata as md
from enlarger.image import Metadata, Notice, Quantisation

MAX_STEPS = 200_000
MAX_NOTICES = 20
LIMITS = {"exif": md.MAX_EXIF, "xmp": md.MAX_XMP, "icc": md.MAX_ICC, "iptc": md.MAX_EXIF}


@dataclass
class Carried:
    """What was found. ``orientation`` is what the file says, valid or not; ``frames`` is ``None`` where only libvips knows.

    ``unsupported`` ends a sentence that begins with the format, and ``hint`` says what to do about it; ``least`` is how many
    bytes a file with this many pixels must have; ``at_once`` is how many bytes a decoder holds because the file comes in several
    passes over the whole picture; ``colours`` are those of a palette, four bytes each; ``raw`` is the kind of camera raw that poses
    as a TIFF; ``jpeg_rgb`` says that a JPEG holds RGB rather than YCbCr, ``quantisation`` how one is quantised, not yet turned upright.
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
    colours: bytes | None = None
    least: int = 0
    at_once: int = 0
    unsupported: str = ""
    hint: str = "convert it to 16-bit RGB or grey first"
    raw: str = ""
    jpeg_rgb: bool = False
    quantisation: Quantisation | None = None
    notices: list[Notice] = field(default_factory=list)

    def note(self, code: str, message: str) -> None:
        if len(self.notices) < MAX_NOTICES:
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
        return Metadata(self.icc or None, self.exif or None, self.xmp or None, self.iptc or None, self.dpi, self.colours)


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
