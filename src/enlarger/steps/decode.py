"""Bytes to Image: format by content, limits before allocation, orientation, colour and transparency made explicit.

Defaults that have to be picked somewhere:

- CMYK without a usable profile is read through libvips' own CMYK profile and becomes sRGB. RGB stays in its own profile.
- Float TIFFs hold linear light (sRGB primaries unless a profile says otherwise); see :class:`enlarger.image.Transfer`.
- Only the first page or frame is taken.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.errors import DamagedImageError, InputError, SourceTooLargeError
from enlarger.files import metadata as md
from enlarger.files.containers import Carried, scan
from enlarger.files.reader import Reader
from enlarger.files.sniff import HEAD, belies, sniff
from enlarger.image import Box, Header, Image, Metadata, Notice, Samples, Transfer
from enlarger.pixels.arrays import finished, header_of, image_of
from enlarger.pixels.bleed import bled, bleed
from enlarger.pixels.transfer import at_depth, stored

# libvips drops its warnings if this is set when it starts; whatever matters comes as an error too.
STARTS_HERE = "pyvips" not in sys.modules
os.environ.setdefault("VIPS_WARNING", "0")
import pyvips  # noqa: E402 (after the variable that it reads)

if TYPE_CHECKING:
    import PIL.Image

    Source: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | PIL.Image.Image | Image

__all__ = ["MAX_PIXELS", "bleed", "decode", "open_picture", "probe", "pyvips", "reason", "rows_of", "vips_of"]

MAX_PIXELS = 300 * 10**6
"""Pixels that Enlarger agrees to decode."""

LAB = ("lab", "labq", "labs", "xyz", "yxy")
STRIP_BYTES = 4 * 2**20
FINE_ROWS = 8
READ_AHEAD = 32
LOADERS = {"jpeg": "jpegload", "png": "pngload", "webp": "webpload", "tiff": "tiffload", "avif": "heifload", "gif": "gifload"}
DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32, "double": np.float64}
UNSUPPORTED = re.compile("not configured|not supported|unsupported|not a whole number|bad labq|not implemented", re.IGNORECASE)
TRUNCATED_HINT = "get a complete copy, or take what decodes with --allow-truncated"

pyvips.block_untrusted_set(True)
pyvips.cache_set_max(0)
# pyvips would call Python for each warning: a hostile file brings millions, and of those that are no UTF-8 it makes
# tracebacks on stderr. Where pyvips was there before us, libvips started without our word, and its handler stays.
logging.getLogger("pyvips").setLevel(logging.ERROR)
if STARTS_HERE and hasattr(pyvips, "_remove_log_handler"):
    pyvips._remove_log_handler()


def probe(source: Source) -> Header:
    """The header of ``source``, upright; no pixel is decoded and the size limit is already checked.

    Raises subclasses of :class:`InputError`.
    """
    if isinstance(source, Image):
        return source.header
    if isinstance(source, np.ndarray):
        return header_of(source)
    if _is_pil(source):
        return _from_pil(source, "pil", "<PIL image>").header
    with _reader(source) as reader:
        format = sniff(reader.read(0, HEAD), reader.name)
        carried = scan(reader, format)
        _check_size(carried.size, reader.name)
        if format in PILLOW:
            return _open_pillow(reader, format, carried, pixels=False, allow_truncated=False).header
        try:
            picture = _opened(reader, format, carried)
        except DamagedImageError:
            # A truncated GIF opens leniently only. Whether that will do is for decode() to say: the header is there.
            picture = _opened(reader, format, carried, "none")
        return _header(reader, format, picture, carried)


def decode(source: Source, *, allow_truncated: bool = False) -> Image:
    """``source`` as an upright Image whose colour and transparency are explicit.

    Raises subclasses of :class:`InputError`: nothing damaged passes for whole. With ``allow_truncated`` what decodes of a
    truncated file is taken, and the notice ``truncated`` says how much is missing.
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, np.ndarray):
        return _without_fringe(image_of(source))
    if _is_pil(source):
        return _without_fringe(_from_pil(source, "pil", "<PIL image>"))
    with _reader(source) as reader:
        format = sniff(reader.read(0, HEAD), reader.name)
        carried = scan(reader, format)
        _check_size(carried.size, reader.name)
        if format in PILLOW:
            image = _open_pillow(reader, format, carried, pixels=True, allow_truncated=allow_truncated)
            image = dataclasses.replace(image, notices=(*carried.notices, *image.notices))
        else:
            image = _decode(reader, format, carried, allow_truncated)
        if belies(reader.name, format):
            image = _noting(image, "name-belies-content", f"the file is named like another format but holds {format.upper()}")
        return _without_fringe(dataclasses.replace(image, sha256=reader.sha256()))


def _is_pil(source: object) -> bool:
    # Pillow is not imported to ask: whoever holds such a picture has done so.
    return any(f"{c.__module__}.{c.__qualname__}" == "PIL.Image.Image" for c in type(source).__mro__)


def _reader(source: Any) -> Reader:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Reader.of_bytes(bytes(source))
    if isinstance(source, (str, os.PathLike)):
        return Reader.of_file(source)
    raise InputError(f"cannot read a picture from {type(source).__name__}", hint="give a path, bytes, an array or a PIL image")


def _noting(image: Image, code: str, message: str) -> Image:
    return dataclasses.replace(image, notices=(*image.notices, Notice(code, message)))


def _without_fringe(image: Image) -> Image:
    return dataclasses.replace(image, samples=bled(image.samples)) if image.alpha else image


def _check_size(size: tuple[int, int] | None, name: str) -> None:
    if size is None:
        return
    width, height = size
    if width <= 0 or height <= 0:
        raise DamagedImageError(f"the header says the picture is {width} x {height} pixels", hint="get a complete copy", subject=name)
    if width * height > MAX_PIXELS:
        mega = width * height / 1e6
        message = f"the picture is {width} x {height} pixels ({mega:.0f} MP), more than the limit of {MAX_PIXELS / 1e6:.0f} MP"
        raise SourceTooLargeError(message, hint="crop or reduce it first", subject=name)


# --- libvips -----------------------------------------------------------------------------------------------------------


def reason(error: pyvips.Error) -> str:
    """The last telling line of a libvips error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [re.sub(r"^(\w+: )+", "", line) for line in lines if not line.startswith("unable to ")]
    return said[-1] if said else "the data makes no sense"


def open_picture(reader: Reader, format: str, *, fail_on: str = "error") -> Any:
    """The libvips picture behind ``reader``, read from top to bottom; raises ``pyvips.Error``."""
    if reader.data is not None:
        source = pyvips.Source.new_from_memory(reader.data)
    else:
        assert reader.fd is not None
        os.lseek(reader.fd, 0, os.SEEK_SET)
        source = pyvips.Source.new_from_descriptor(reader.fd)
    return getattr(pyvips.Image, LOADERS[format] + "_source")(source, access="sequential", fail_on=fail_on)


def rows_of(picture: Any, rows: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """``y`` and samples ``(n, w, bands)`` of strips of a picture, in order; raises ``pyvips.Error`` where decoding fails."""
    region = pyvips.Region.new(picture)
    dtype = np.dtype(DTYPES[picture.format])
    if rows is None:
        rows = max(16, STRIP_BYTES // (picture.width * picture.bands * dtype.itemsize) // 16 * 16)
    for y in range(0, picture.height, rows):
        n = min(rows, picture.height - y)
        yield y, np.frombuffer(region.fetch(0, y, picture.width, n), dtype).reshape(n, picture.width, picture.bands)


def vips_of(samples: NDArray[Any]) -> Any:
    """A libvips picture over ``(h, w, bands)`` samples, which it reads where they lie: keep them as long as the picture."""
    height, width, bands = samples.shape
    form = next(name for name, dtype in DTYPES.items() if samples.dtype == dtype)
    data: Any = np.ascontiguousarray(samples)
    return pyvips.Image.new_from_memory(data, width, height, bands, form)


def _opened(reader: Reader, format: str, carried: Carried, fail_on: str = "error") -> Any:
    if carried.unsupported:
        raise InputError(f"the {format.upper()} {carried.unsupported}", hint="convert it to 16-bit RGB or grey first", subject=reader.name)
    try:
        picture = open_picture(reader, format, fail_on=fail_on)
    except pyvips.Error as error:
        raise _damaged(format, 0, 0, error, reader.name, "get a complete copy") from error
    _check_size((picture.width, picture.height), reader.name)
    return picture


def _layout(picture: Any, name: str) -> tuple[int, bool, int]:
    """Colour channels, alpha and bits that a libvips picture will have here; raises :class:`InputError` when it has no place."""
    bands, kind = picture.bands, picture.interpretation
    bits = {"uchar": 8, "ushort": 16, "float": 32, "double": 32}.get(picture.format)
    if kind in LAB:
        bits = 16
    if bits is None:
        what = {"uint": "32-bit integers", "int": "signed 32-bit integers"}.get(picture.format, f"samples of type {picture.format}")
        raise InputError(f"the picture holds {what}, whose white is not known", hint="convert it to 16-bit first", subject=name)
    colours = 4 if kind == "cmyk" else 1 if bands <= 2 else 3
    if bands - colours not in (0, 1):
        message = f"the picture has {bands} channels, of which Enlarger knows grey, RGB, CMYK and one of transparency"
        raise InputError(message, hint="save the channels you need as RGB or grey first", subject=name)
    return min(colours, 3), bands > colours, bits


def _turn(format: str, carried: Carried) -> int:
    """The orientation to apply, 1 to 8. libheif has already applied that of AVIF (irot, imir), where EXIF's does not count."""
    said = carried.orientation or 1
    return said if format != "avif" and said in range(1, 9) else 1


def _header(reader: Reader, format: str, picture: Any, carried: Carried) -> Header:
    channels, alpha, bits = _layout(picture, reader.name)
    width, height = picture.width, picture.height
    if _turn(format, carried) > 4:
        width, height = height, width
    frames = carried.frames or (picture.get("n-pages") if picture.get_typeof("n-pages") else 1)
    return Header(reader.name, format, width, height, channels, alpha, bits, max(1, frames), reader.size)


def _decode(reader: Reader, format: str, carried: Carried, allow_truncated: bool) -> Image:
    picture = _lenient(reader, format, carried) if allow_truncated else _opened(reader, format, carried)
    header = _header(reader, format, picture, carried)
    transfer = _transfer(picture, header, carried) if header.bits == 32 else Transfer()
    if header.bits == 32:
        picture = _lenient(reader, format, carried) if allow_truncated else _opened(reader, format, carried)
    top = _top(picture)
    picture = _with_colour(picture, carried, header)
    whole = _whole_rows(reader, format) if allow_truncated else picture.height
    # PNG is one stream: past a fault (and what libvips had read ahead of it) nothing is real, so black is left there.
    limit = min(picture.height, whole + READ_AHEAD) if format == "png" else picture.height
    done = 0
    with Canvas(picture.width, picture.height, header.bands, np.uint8 if header.bits == 8 else np.uint16) as canvas:
        try:
            for y, rows in rows_of(picture, FINE_ROWS if limit < picture.height else None):
                if y >= limit:
                    break
                values = stored(rows, transfer, header.channels) if header.bits == 32 else _stretched(rows, top)
                canvas.write(Box(0, y, picture.width, len(rows)), at_depth(values, min(header.bits, 16)))
                done = y + len(rows)
        except pyvips.Error as error:
            if not allow_truncated:
                raise _damaged(format, _whole_rows(reader, format), picture.height, error, reader.name, TRUNCATED_HINT) from error
            if done == 0:
                raise _damaged(format, 0, picture.height, error, reader.name, "get a complete copy, nothing of this one decodes") from error
        samples = canvas.samples()
    if whole < picture.height:
        whole = min(done, max(whole, _rows_before_zeros(samples[:limit])) if format == "png" else whole)
        carried.note("truncated", _missing(whole, picture.height))
    metadata = _kept(carried, header, format, picture)
    return Image(_upright(samples, _turn(format, carried)), header, metadata, transfer, tuple(carried.notices))


def _lenient(reader: Reader, format: str, carried: Carried) -> Any:
    """The picture with gaps where the file has them. Its layout may differ from that of the whole one (GIF gains alpha)."""
    return _opened(reader, format, carried, "none")


def _damaged(format: str, whole: int, height: int, error: pyvips.Error, name: str, hint: str) -> InputError:
    """``height`` 0: not even the header could be read."""
    why = reason(error)
    if UNSUPPORTED.search(why):
        return InputError(f"this kind of {format.upper()} cannot be read ({why})", hint="convert it to PNG or TIFF first", subject=name)
    where = f" after row {whole} of {height}" if whole else " before its first rows are complete" if height else ""
    return DamagedImageError(f"the {format.upper()} is cut off or damaged{where} ({why})", hint=hint, subject=name)


def _whole_rows(reader: Reader, format: str) -> int:
    """How many rows decode before the first fault, to within :data:`FINE_ROWS`."""
    done = 0
    try:
        for y, rows in rows_of(open_picture(reader, format), FINE_ROWS):
            done = y + len(rows)
    except pyvips.Error:
        pass
    return done


def _rows_before_zeros(samples: Samples) -> int:
    return next((y for y in range(len(samples), 0, -1) if samples[y - 1].any()), 0)


def _missing(whole: int, height: int, which: str = "last") -> str:
    if whole == 0:
        return "the file is cut off or damaged and parts of the picture are missing; how much cannot be told"
    lost = height - whole
    return f"the file is cut off or damaged: the {which} {lost} of {height} rows ({100 * lost / height:.0f} %) are missing or wrong"


def _top(picture: Any) -> int:
    """The largest stored value. libvips shifts 10- and 12-bit AVIF up to 16 bits, which leaves white a little grey."""
    bits = int(picture.get("bits-per-sample")) if picture.get_typeof("bits-per-sample") else 16
    if picture.format == "ushort" and bits in (10, 12) and picture.get_typeof("heif-compression"):
        return 65536 - (1 << (16 - bits))
    return 65535


def _stretched(rows: NDArray[Any], top: int) -> NDArray[Any]:
    return rows if top == 65535 or rows.dtype != np.uint16 else ((rows.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)


def _with_colour(picture: Any, carried: Carried, header: Header) -> Any:
    """``picture`` as grey or RGB; a profile that does not fit is dropped with a notice."""
    kind = picture.interpretation
    if carried.icc:
        fault = md.icc_fault(carried.icc, 4 if kind == "cmyk" else header.channels)
        if fault and kind not in LAB:
            carried.note("icc-invalid", f"the colour profile was dropped: {fault}")
            carried.icc = None
    if kind == "cmyk":
        return _from_cmyk(picture, carried, header)
    if kind in LAB:
        carried.note("colour-converted", f"{kind[:3].upper()} colour became sRGB")
        carried.icc = None
        return picture.colourspace("rgb16")
    return picture


def _from_cmyk(picture: Any, carried: Carried, header: Header) -> Any:
    own = carried.icc is not None
    if not own and picture.get_typeof("icc-profile-data"):
        picture = picture.copy()
        picture.remove("icc-profile-data")
    through = "its own profile" if own else "libvips' default CMYK profile, as the file has none that can be used"
    carried.note("cmyk-converted", f"CMYK became sRGB through {through}")
    carried.icc = None
    alpha = picture[4] if header.alpha else None
    colour = picture[:4] if header.alpha else picture
    colour = colour.icc_transform("srgb", embedded=True, input_profile="cmyk", intent="relative", depth=header.bits)
    return colour.bandjoin(alpha) if alpha is not None else colour


def _transfer(picture: Any, header: Header, carried: Carried) -> Transfer:
    """The peak of a float picture, found in a pass of its own; what is not a number, or negative, is counted on the way."""
    peak, strange, negative = 1.0, 0, 0
    try:
        for _, rows in rows_of(picture):
            finite = np.isfinite(rows)
            strange += int(rows.size - finite.sum())
            negative += int((rows < 0).sum())
            colour = np.where(finite, rows, 0)[..., : header.channels]
            peak = max(peak, float(colour.max(initial=0)))
    except pyvips.Error:
        # The second pass meets the same fault and knows what to say.
        pass
    if strange:
        carried.note("nan-replaced", f"{strange} values are not finite numbers: NaN became 0, infinity the brightest value")
    if negative:
        carried.note("negative-clipped", f"{negative} negative values became 0")
    return Transfer("linear", peak)


def _kept(carried: Carried, header: Header, format: str, picture: Any) -> Metadata:
    """What the Image keeps, and notices for what it does not."""
    if carried.gain_map:
        carried.note("gain-map-dropped", "the gain map (HDR) was dropped; the base picture is used")
    elif header.frames > 1:
        what = "pages" if format == "tiff" else "pictures" if format == "jpeg" else "frames"
        carried.note("frames-dropped", f"the file holds {header.frames} {what}; only the first is used")
    if carried.palette or format == "gif":
        colour = f"{'grey' if header.channels == 1 else 'RGB'}{' with transparency' if header.alpha else ''}"
        carried.note("palette-expanded", f"the palette became {colour}")
    if carried.orientation is not None and carried.orientation not in range(1, 9):
        carried.note("orientation-invalid", f"orientation {carried.orientation} means nothing and was ignored")
    return dataclasses.replace(
        carried.metadata(),
        exif=md.refresh_exif(carried.exif, header.width, header.height, None),
        xmp=md.refresh_xmp(carried.xmp, header.width, header.height),
    )


def _upright(samples: Samples, orientation: int) -> Samples:
    """Samples turned and mirrored as EXIF ``orientation`` asks; large ones from file to file, a band at a time."""
    turned = samples.transpose(1, 0, 2) if orientation > 4 else samples
    # After transposing: 5 as it is, 6 mirrored left to right, 7 both ways, 8 top to bottom.
    mirror, flip = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}.get(orientation, (0, 0))
    turned = turned[:: -1 if flip else 1, :: -1 if mirror else 1]
    if orientation == 1:
        return samples
    height, width, bands = turned.shape
    with Canvas(width, height, bands, samples.dtype.type) as canvas:
        for y in range(0, height, 64):
            canvas.write(Box(0, y, width, min(64, height - y)), turned[y : y + 64])
        return canvas.samples()


# --- Pillow: formats that libvips lacks, and pictures that are Pillow's already ----------------------------------------

PILLOW = {"bmp": ["BMP"], "ppm": ["PPM"]}


def _open_pillow(reader: Reader, format: str, carried: Carried, *, pixels: bool, allow_truncated: bool) -> Image:
    """A BMP or PPM as an Image; without ``pixels`` a blank one that only has the right header."""
    try:
        with reader.stream() as stream:
            return _load_pillow(stream, reader, format, pixels)
    except DamagedImageError:
        if not (allow_truncated and pixels):
            raise
    # Their rows are mostly stored as they are: with zeros for what is missing, the rest is read.
    header = _open_pillow(reader, format, carried, pixels=False, allow_truncated=False).header
    image = _load_pillow(io.BytesIO(reader.read(0, reader.size) + bytes(header.width * header.height * 8 + 4096)), reader, format, True)
    image = dataclasses.replace(image, header=dataclasses.replace(image.header, size=reader.size))
    lost = math.ceil(image.height * (1 - max(0, reader.size - carried.start) / image.samples.nbytes))
    whole = image.height - lost if lost > 0 else 0
    return _noting(image, "truncated", _missing(whole, image.height, "first" if carried.bottom_up else "last"))


def _load_pillow(stream: BinaryIO, reader: Reader, format: str, pixels: bool) -> Image:
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(stream, formats=PILLOW[format]) as picture:
                _check_size(picture.size, reader.name)
                drawn = picture if pixels else PIL.Image.new(picture.mode, picture.size)
                return _from_pil(drawn, format, reader.name, size=reader.size)
    except PIL.Image.DecompressionBombError as error:
        raise SourceTooLargeError("the picture has too many pixels", hint="crop or reduce it first", subject=reader.name) from error
    except (OSError, ValueError, SyntaxError, TypeError, EOFError, OverflowError) as error:
        message = f"the {format.upper()} is cut off or damaged ({error})"
        raise DamagedImageError(message, hint=TRUNCATED_HINT, subject=reader.name) from error


def _from_pil(picture: Any, format: str, name: str, *, size: int = 0) -> Image:
    """A Pillow picture of any mode as an Image."""
    picture.load()
    notices: list[Notice] = []
    orientation = picture.getexif().get(md.ORIENTATION)
    exif, icc = picture.info.get("exif"), picture.info.get("icc_profile")
    dpi, xmp = picture.info.get("dpi"), picture.info.get("xmp")
    samples = _pil_samples(picture, name, notices)
    if orientation in range(2, 9):
        samples = _upright(samples, orientation)
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
    converted = _with_colour(vips, carried, Header("", "pil", width, height, 3, False, 8))
    notices += carried.notices
    return np.frombuffer(converted.write_to_memory(), np.uint8).reshape(height, width, 3)
