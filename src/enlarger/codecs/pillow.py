"""Pillow: BMP and PPM that have to be unpacked, which libvips lacks here, and pictures that are Pillow's already."""

from __future__ import annotations

import dataclasses
import io
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.limits import TRUNCATED_HINT, check_size, missing
from enlarger.codecs.vips import pyvips, vips_of, with_colour
from enlarger.errors import DamagedImageError, InputError, SourceTooLargeError
from enlarger.files import metadata as md
from enlarger.files.containers import Carried
from enlarger.files.reader import Reader
from enlarger.image import Header, Image, Metadata, Notice, Samples
from enlarger.pixels.arrays import finished
from enlarger.pixels.turn import upright

PILLOW = {"bmp": ["BMP"], "ppm": ["PPM"]}


def is_pil(source: object) -> bool:
    # Pillow is not imported to ask: whoever holds such a picture has done so.
    return any(f"{c.__module__}.{c.__qualname__}" == "PIL.Image.Image" for c in type(source).__mro__)


def open_pillow(reader: Reader, format: str, *, pixels: bool, allow_truncated: bool) -> Image:
    """A BMP or PPM that has to be unpacked as an Image; without ``pixels`` a blank one that only has the right header."""
    try:
        with reader.stream() as stream:
            return _load_pillow(stream, reader, format, pixels)
    except DamagedImageError:
        if not (allow_truncated and pixels):
            raise
    # Zeros mean something to all of these; what is read with too few of them is refused after all.
    header = open_pillow(reader, format, pixels=False, allow_truncated=False).header
    image = _load_pillow(io.BytesIO(reader.read(0, reader.size) + bytes(header.width * header.height + 4096)), reader, format, True)
    image = dataclasses.replace(image, header=dataclasses.replace(image.header, size=reader.size))
    return dataclasses.replace(image, notices=(*image.notices, Notice("truncated", missing(0, image.height))))


def _load_pillow(stream: BinaryIO, reader: Reader, format: str, pixels: bool) -> Image:
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(stream, formats=PILLOW[format]) as picture:
                check_size(picture.size, reader.name, f"packed {format.upper()}")
                if pixels:
                    return from_pil(picture, format, reader.name, size=reader.size)
                blank = from_pil(PIL.Image.new(picture.mode, (1, 1)), format, reader.name, size=reader.size)
                return dataclasses.replace(blank, header=dataclasses.replace(blank.header, width=picture.width, height=picture.height))
    except PIL.Image.DecompressionBombError as error:
        raise SourceTooLargeError("the picture has too many pixels", hint="crop or reduce it first", subject=reader.name) from error
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        message = f"the {format.upper()} is cut off or damaged ({error})"
        raise DamagedImageError(message, hint=TRUNCATED_HINT, subject=reader.name) from error


def from_pil(picture: Any, format: str, name: str, *, size: int = 0) -> Image:
    """A Pillow picture of any mode as an Image."""
    picture.load()
    notices: list[Notice] = []
    orientation = picture.getexif().get(md.ORIENTATION)
    exif, icc = picture.info.get("exif"), picture.info.get("icc_profile")
    dpi, xmp = picture.info.get("dpi"), picture.info.get("xmp")
    samples = _pil_samples(picture, name, notices)
    if orientation in range(2, 9):
        samples = upright(samples, orientation)
    height, width, bands = samples.shape
    header = Header(name, format, width, height, 3 if bands > 2 else 1, bands in (2, 4), samples.dtype.itemsize * 8, size=size)
    if picture.mode == "CMYK" or (icc and md.icc_fault(icc, header.channels)):
        icc = None
    metadata = Metadata(
        icc,
        md.refresh_exif(exif, width, height, None),
        md.refresh_xmp(xmp, width, height) if isinstance(xmp, bytes) else None,
        None,
        md.sane_dpi(*map(float, dpi)) if dpi else None,
    )
    return finished(np.ascontiguousarray(samples), header, metadata, tuple(notices))


def _pil_samples(picture: Any, name: str, notices: list[Notice]) -> Samples:
    mode = picture.mode
    clear = "transparency" in picture.info or mode in ("PA", "RGBa", "La")
    if mode in ("P", "PA"):
        notices.append(Notice("palette-expanded", f"the palette became RGB{' with transparency' if clear else ''}"))
        picture = picture.convert("RGBA" if clear else "RGB")
    elif mode == "1":
        picture = picture.convert("L")
    elif mode in ("L", "La"):
        picture = picture.convert("LA") if clear else picture
    elif mode in ("RGB", "RGBa"):
        picture = picture.convert("RGBA") if clear else picture
    elif mode in ("RGBX", "YCbCr", "HSV"):
        picture = picture.convert("RGB")
    values = np.asarray(picture)
    if mode == "CMYK":
        return _pil_cmyk(picture, values, notices)
    if mode.startswith("I"):
        if values.min() < 0 or values.max() > 65535:
            raise InputError("the picture holds integers of more than 16 bits", hint="bring them to 0 to 65535", subject=name)
        values = values.astype(np.uint16)
    elif values.dtype != np.uint8:
        raise InputError(f"a picture of Pillow's mode {mode} has no known white", hint="convert it to L, RGB or I;16", subject=name)
    return values.reshape(picture.height, picture.width, -1)


def _pil_cmyk(picture: Any, values: NDArray[Any], notices: list[Notice]) -> Samples:
    height, width = values.shape[:2]
    vips = vips_of(values).copy(interpretation="cmyk")
    carried = Carried(icc=picture.info.get("icc_profile"))
    if carried.icc:
        vips.set_type(pyvips.GValue.blob_type, "icc-profile-data", carried.icc)
    converted = with_colour(vips, carried, Header("", "pil", width, height, 3, False, 8))
    notices += carried.notices
    return np.frombuffer(converted.write_to_memory(), np.uint8).reshape(height, width, 3)
