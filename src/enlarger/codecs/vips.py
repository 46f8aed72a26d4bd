"""libvips: set up so that it trusts nobody, opened on a source, read in strips, brought to grey or RGB."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs import narrow
from enlarger.codecs.limits import check_size, no_memory
from enlarger.errors import DamagedImageError, EnlargerError, InputError
from enlarger.files import metadata as md
from enlarger.files.containers import Carried
from enlarger.files.reader import Reader
from enlarger.image import Header, Samples

# libvips drops its warnings if this is set when it starts; whatever matters comes as an error too.
STARTS_HERE = "pyvips" not in sys.modules
MOST_THREADS = 8
os.environ.setdefault("VIPS_WARNING", "0")
# Each thread has lines of its own in memory, and no picture here is faster with more of them.
if (os.cpu_count() or 1) > MOST_THREADS:
    os.environ.setdefault("VIPS_CONCURRENCY", str(MOST_THREADS))
import pyvips  # noqa: E402 (after the variable that it reads)

__all__ = [
    "LAB",
    "damaged",
    "each_rows",
    "layout",
    "open_picture",
    "opened",
    "pyvips",
    "reason",
    "rows_before_zeros",
    "rows_of",
    "stretched",
    "subject_of",
    "top_of",
    "vips_of",
    "whole_rows",
    "with_colour",
    "write_rows",
]

LAB = ("lab", "labq", "labs", "xyz", "yxy")
STRIP_BYTES = 4 * 2**20
FINE_ROWS = 8
LOADERS = {"jpeg": "jpegload", "png": "pngload", "webp": "webpload", "tiff": "tiffload", "avif": "heifload", "gif": "gifload"}
DTYPES = {"uchar": np.uint8, "ushort": np.uint16, "float": np.float32, "double": np.float64}
UNSUPPORTED = re.compile("not configured|not supported|unsupported|not a whole number|bad labq|not implemented", re.IGNORECASE)
NO_MEMORY = re.compile("out of memory|insufficient memory|memory allocation error(?!: security limit)", re.IGNORECASE)

pyvips.block_untrusted_set(True)
pyvips.cache_set_max(0)
narrow.narrowed()
# pyvips would call Python for each warning: a hostile file brings millions, and of those that are no UTF-8 it makes
# tracebacks on stderr. Where pyvips was there before us, libvips started without our word, and its handler stays.
logging.getLogger("pyvips").setLevel(logging.ERROR)
if STARTS_HERE and hasattr(pyvips, "_remove_log_handler"):
    pyvips._remove_log_handler()


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


def write_rows(picture: Any, fd: int) -> None:
    """All samples of a picture to a file, by libvips' own threads; raises ``pyvips.Error`` where decoding fails.

    Of a stream that is asked for strips from outside (:func:`rows_of`) libvips keeps some 2,000 lines, of one that it writes
    itself hardly any: 30 MB instead of 100 at 8192 pixels a line, in half the time.
    """
    picture.rawsave_target(pyvips.Target.new_to_descriptor(fd))


def each_rows(picture: Any, take: Callable[[int, NDArray[Any]], None]) -> None:
    """Call ``take`` with ``y`` and samples ``(n, w, bands)`` of strips of a picture, in order, as libvips' own threads make them.

    Unlike :func:`rows_of` this keeps no more of a picture that is read from top to bottom than a few strips. Raises what ``take``
    raises, and ``pyvips.Error`` where decoding fails.
    """
    dtype = np.dtype(DTYPES[picture.format])
    width, height, bands = picture.width, picture.height, picture.bands  # asking libvips each time would show
    line = width * bands * dtype.itemsize
    rows = max(16, STRIP_BYTES // line // 16 * 16)
    held, done, failures = bytearray(), 0, list[BaseException]()

    def write(chunk: Any) -> int:
        nonlocal done
        # An exception must not cross libvips: it would only be printed there.
        try:
            held.extend(chunk)
            while not failures and len(held) >= line * (n := min(rows, height - done)) > 0:
                take(done, np.frombuffer(bytes(held[: n * line]), dtype).reshape(n, width, bands))
                del held[: n * line]
                done += n
        except BaseException as error:  # noqa: BLE001 (raised again below)
            failures.append(error)
        return -1 if failures else len(chunk)

    target = pyvips.TargetCustom()
    target.on_write(write)
    try:
        picture.rawsave_target(target)
    except pyvips.Error:
        if not failures:
            raise
    if failures:
        raise failures[0]


def subject_of(samples: NDArray[np.uint8]) -> tuple[int, int]:
    """The pixel ``x, y`` of ``(h, w, 3)`` sRGB that draws the eye most, as libvips' ``smartcrop`` judges attention."""
    side = max(1, min(samples.shape[:2]) - 1)
    picture = vips_of(samples).copy(interpretation="srgb")
    _, found = picture.smartcrop(side, side, interesting="attention", attention_x=True, attention_y=True)
    return found["attention_x"], found["attention_y"]


def vips_of(samples: NDArray[Any]) -> Any:
    """A libvips picture over ``(h, w, bands)`` samples, which it reads where they lie: keep them as long as the picture."""
    height, width, bands = samples.shape
    form = next(name for name, dtype in DTYPES.items() if samples.dtype == dtype)
    data: Any = np.ascontiguousarray(samples)
    return pyvips.Image.new_from_memory(data, width, height, bands, form)


def opened(reader: Reader, format: str, carried: Carried, fail_on: str = "error") -> Any:
    if carried.unsupported:
        raise InputError(f"the {format.upper()} {carried.unsupported}", hint=carried.hint, subject=reader.name)
    try:
        picture = open_picture(reader, format, fail_on=fail_on)
    except pyvips.Error as error:
        raise damaged(format, 0, 0, error, reader.name, "get a complete copy") from error
    check_size((picture.width, picture.height), reader.name, format)
    return picture


def damaged(format: str, whole: int, height: int, error: pyvips.Error, name: str, hint: str) -> EnlargerError:
    """``height`` 0: not even the header could be read."""
    why = reason(error)
    if NO_MEMORY.search(why):
        return no_memory(name)
    if UNSUPPORTED.search(why):
        return InputError(f"this kind of {format.upper()} cannot be read ({why})", hint="convert it to PNG or TIFF first", subject=name)
    where = f" after row {whole} of {height}" if whole else " before its first rows are complete" if height else ""
    return DamagedImageError(f"the {format.upper()} is cut off or damaged{where} ({why})", hint=hint, subject=name)


def whole_rows(reader: Reader, format: str, fail_on: str = "error") -> int:
    """How many rows decode before the first fault, to within :data:`FINE_ROWS`."""
    done = 0
    try:
        for y, rows in rows_of(open_picture(reader, format, fail_on=fail_on), FINE_ROWS):
            done = y + len(rows)
    except pyvips.Error:
        pass
    return done


def rows_before_zeros(samples: Samples) -> int:
    return next((y for y in range(len(samples), 0, -1) if samples[y - 1].any()), 0)


def layout(picture: Any, name: str) -> tuple[int, bool, int]:
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


def top_of(picture: Any) -> int:
    """The largest stored value. libvips shifts 10- and 12-bit AVIF up to 16 bits, which leaves white a little grey."""
    bits = int(picture.get("bits-per-sample")) if picture.get_typeof("bits-per-sample") else 16
    if picture.format == "ushort" and bits in (10, 12) and picture.get_typeof("heif-compression"):
        return 65536 - (1 << (16 - bits))
    return 65535


def stretched(rows: NDArray[Any], top: int) -> NDArray[Any]:
    return rows if top == 65535 or rows.dtype != np.uint16 else ((rows.astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)


def with_colour(picture: Any, carried: Carried, header: Header) -> Any:
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
