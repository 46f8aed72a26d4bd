"""Pictures with metadata for tests, made by Pillow: another hand than the one under test."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational as Ratio

FORMATS = ("jpeg", "png", "webp", "tiff", "avif")
SRGB = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
MAKER_NOTE = b"MAKR\1\2\3\4" + bytes(range(100))
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x50\x00\x06Author\x1c\x02\x78\x00\x07Caption"
XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 tiff:Orientation="6" tiff:ImageWidth="64" tiff:ImageLength="48"><exif:PixelXDimension>64</exif:PixelXDimension>
<exif:PixelYDimension>48</exif:PixelYDimension><dc:rights>kept</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def pixels(height: int = 48, width: int = 64, bands: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """A smooth picture in which every place looks different."""
    y, x = np.mgrid[:height, :width]
    full = np.iinfo(dtype).max
    planes = [x / max(1, width - 1), y / max(1, height - 1), (x + y) / max(1, width + height - 2), 0.25 + 0.75 * x / max(1, width - 1)]
    order = {1: (2,), 2: (2, 3), 3: (0, 1, 2), 4: (0, 1, 2, 3)}[bands]
    return np.stack([np.round(planes[i] * full) for i in order], -1).astype(dtype)


def exif(orientation: int = 1, dpi: int | None = 300) -> PIL.Image.Exif:
    """EXIF as cameras write it: GPS, a MakerNote, an unknown tag, sizes that will be stale."""
    tags = PIL.Image.Exif()
    tags[0x10E], tags[0x10F], tags[0x110], tags[0x13B], tags[0x8298] = "A description", "Maker", "Model", "An artist", "(c) somebody"
    tags[0x112] = orientation
    if dpi:
        tags[0x11A], tags[0x11B], tags[0x128] = Ratio(dpi, 1), Ratio(dpi, 1), 2
    own = tags.get_ifd(0x8769)
    own[0x9003], own[0x829A], own[0x9286], own[0xA434] = "2020:01:02 03:04:05", Ratio(1, 125), b"ASCII\0\0\0a comment", "A lens"
    own[0x927C], own[0xFDE8], own[0xA002], own[0xA003] = MAKER_NOTE, "an unknown tag", 64, 48
    gps = tags.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (Ratio(47), Ratio(22), Ratio(3312, 100)), "E", (Ratio(8), Ratio(32), Ratio(0))
    return tags


def file(
    format: str, array: NDArray[Any] | None = None, *, meta: bool = True, orientation: int = 1, dpi: int | None = 300, **options: Any
) -> bytes:
    """A file of ``array`` by Pillow, with profile, EXIF, XMP and resolution if ``meta``."""
    array = pixels() if array is None else array
    picture = PIL.Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    if meta:
        tags = exif(orientation, dpi)
        options |= {"icc_profile": SRGB, "exif": tags.tobytes()}
        if dpi and format in ("jpeg", "png", "tiff"):
            options["dpi"] = (dpi, dpi)
        if format == "png":
            options["pnginfo"] = PngInfo()
            options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
        elif format == "tiff":
            tags = PIL.Image.Exif()
            tags.load(options["exif"])
            tags[700] = XMP
            options["exif"] = tags
        else:
            options["xmp"] = XMP
    out = io.BytesIO()
    picture.save(out, format, **({"quality": 95} if format in ("jpeg", "webp", "avif") else {}) | options)
    return out.getvalue()
