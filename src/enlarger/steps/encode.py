"""Samples to a file or to bytes: metadata back in, the result reopened and checked before anybody sees it.

Pixels stream: only WebP and AVIF hold the whole picture in memory, as their encoders do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs import deepzoom, indexed
from enlarger.codecs.vips import pyvips, reason, vips_of
from enlarger.errors import DiskFullError, EnlargerError, OutputError, OutputExistsError, UsageError
from enlarger.files import metadata as md
from enlarger.files import splice
from enlarger.files.private import stripped
from enlarger.files.publish import Announce, part_name, publish, sync_folder
from enlarger.files.reader import Reader
from enlarger.formats import FORMATS, Format, format_named
from enlarger.image import Image, Metadata, Notice, Samples, Transfer
from enlarger.pixels.transfer import at_depth, float_table
from enlarger.pyramid import files_of
from enlarger.scratch import scratch_folder
from enlarger.steps import budget, finish, fit
from enlarger.steps.reopened import Judge, Target, checked, judged

if TYPE_CHECKING:
    import PIL.Image

BIG_TIFF = 2 * 10**9
"""Bytes of pixels from which a TIFF is written as BigTIFF (a classic one ends at 4 GB, whatever the compression makes)."""

STRIP_BYTES = 2**20
"""Bytes of the strips of a TIFF, about, of 16 to 128 rows: whoever reads one has several of them in memory."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what did not survive."""

    bytes: int
    sha256: str
    notices: tuple[Notice, ...]
    quality: int | None = None


# --- pixels ------------------------------------------------------------------------------------------------------------


def picture_of(samples: Samples, target: Target, source: Image, *, alpha: bool) -> Any:
    """``samples`` as a libvips picture of the target's size, depth and bands. Nothing is computed yet."""
    height, width, bands = samples.shape
    picture = vips_of(samples)
    top = np.iinfo(samples.dtype).max
    exact = picture
    if width * fit.MOST + 1 < target.picture[0] or height * fit.MOST + 1 < target.picture[1]:
        raise ValueError(f"samples of {width} x {height} are smaller than the target, {target.picture[0]} x {target.picture[1]}")
    if (width, height) != target.picture:
        exact = fit.reduced(picture, *target.picture, top, transparent=bands in (2, 4))
    if bands in (2, 4) and (not alpha or target.ground is not None):
        exact = exact.flatten(background=finish.ink(target.ground, bands - 1, top), max_alpha=top)
    if target.frame is not None:
        clear = alpha or format_named(target.format).alpha
        exact = finish.framed(exact, target.frame, (target.width, target.height), top, alpha=clear)
    return _at_bits(exact, top, target.bits, source.transfer)


def _at_bits(picture: Any, top: int, bits: int, transfer: Transfer) -> Any:
    grey = picture.bands <= 2
    if bits == 8:
        # linear() rounds by cutting off, hence the half; and it clips.
        if picture.format != "uchar":
            picture = picture.linear(255 / top, 0.5, uchar=True)
        return picture.copy(interpretation="b-w" if grey else "srgb")
    if top == 255:
        picture = picture.linear(257, 0)
    if picture.format != "ushort":
        picture = picture.rint().cast("ushort")
    if bits == 16:
        return picture.copy(interpretation="grey16" if grey else "rgb16")
    tables = [float_table(transfer)] * (1 if grey else 3) + [float_table(Transfer())] * (picture.bands in (2, 4))
    return picture.maplut(vips_of(np.stack(tables, -1)[None])).copy(interpretation="b-w" if grey else "scrgb")


# --- files -------------------------------------------------------------------------------------------------------------


def save(
    samples: Samples,
    target: Target,
    source: Image,
    path: Path,
    *,
    overwrite: bool = False,
    announce: Announce | None = None,
    judge: Judge | None = None,
) -> Written:
    """Write ``samples`` ``(h, w, bands)`` as ``target`` to ``path``, with the metadata of ``source``.

    ``samples`` larger than the target are reduced on the way. The file appears under its name whole and checked, or not
    at all; ``announce`` is told once it is checked and safe on the disk, just before it gets that name. ``judge`` sees the rows that
    the file holds, decoded again, and may raise; of files that do not hold all that there was (without alpha, DeepZoom, floats), it
    sees ``samples``.

    Raises :class:`OutputExistsError`, :class:`FormatLimitError`, :class:`DiskFullError`, :class:`OutputError`.
    """
    format_named(target.format).check_fits(target.width, target.height, alpha=source.alpha, quality=target.quality)
    if target.format == "dz":
        if judge is not None:
            judge.of(fit.fitted(samples, *target.picture), str(path))
        return _save_tiles(samples, target, source, path, overwrite=overwrite, announce=announce)
    part = part_name(path)
    with translated(str(path)):
        try:
            written = write_part(part, samples, target, source, judge)
            put(part, path, written, overwrite=overwrite, announce=announce)
        finally:
            # A temporary name that cannot be removed is no reason to call the result a failure; clean_parts finds it later.
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    return written


def write_part(part: Path, samples: Samples, target: Target, source: Image, judge: Judge | None = None) -> Written:
    """The new file ``part``, whole and safe on the disk; for :func:`put`. Use within :func:`translated`."""
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        written = _write(fd, samples, target, source, judge)
        os.fsync(fd)
    finally:
        os.close(fd)
    return written


def put(part: Path, path: Path, written: Written, *, overwrite: bool, announce: Announce | None) -> None:
    """Give ``part`` its name, ``path``, and have told ``announce`` before."""
    if announce is not None:
        announce(written.bytes, written.sha256)
    publish(part, path, overwrite=overwrite)
    sync_folder(path.parent)


def _save_tiles(samples: Samples, target: Target, source: Image, path: Path, *, overwrite: bool, announce: Announce | None) -> Written:
    """:func:`save` for DeepZoom: made in a hidden folder beside ``path``, then moved into place."""
    part = part_name(path)
    notices = [*_pixel_notices(target, source), *deepzoom.lost(source.metadata)]
    kept = dataclasses.replace(_metadata_for(target, source, notices), exif=None, xmp=None, iptc=None, dpi=None)
    with translated(str(path)):
        if not overwrite and (path.exists() or files_of(path).exists()):
            raise OutputExistsError("the file or its folder of tiles exists already", hint="replace it with --overwrite", subject=str(path))
        part.mkdir()
        try:
            picture = _tagged(picture_of(samples, target, source, alpha=source.alpha), kept, "dz")
            quality = target.quality or FORMATS["dz"].default_quality or 85
            size, digest = deepzoom.write(picture, part / "tiles", quality, alpha=picture.bands in (2, 4))
            if announce is not None:
                announce(size, digest)
            deepzoom.publish(part / "tiles", path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync_folder(path.parent)
    return Written(size, digest, tuple(notices))


def to_bytes(samples: Samples, target: Target, source: Image) -> tuple[bytes, tuple[Notice, ...]]:
    """The same file as :func:`save` writes, as bytes."""
    format_named(target.format).check_fits(target.width, target.height, alpha=source.alpha, quality=target.quality)
    if target.format == "dz":
        raise UsageError("DeepZoom is many files and cannot be bytes", hint="save it to NAME.dzi", subject="--format")
    with translated("<bytes>"), tempfile.TemporaryFile(prefix="enlarger-", dir=scratch_folder()) as file:
        written = _write(file.fileno(), samples, target, source)
        file.seek(0)
        return file.read(), written.notices


@contextlib.contextmanager
def translated(subject: str) -> Iterator[None]:
    """Errors of libvips and the system as ours."""
    try:
        yield
    except EnlargerError as error:
        error.subject = error.subject or subject
        raise
    except (OSError, pyvips.Error) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = str(error) if isinstance(error, pyvips.Error) else ""
        if full or os.strerror(errno.ENOSPC) in said or os.strerror(errno.EDQUOT) in said:
            raise DiskFullError("the disk is full", hint="free some space and start again", subject=subject) from error
        why = reason(error) if isinstance(error, pyvips.Error) else (error.strerror or str(error)).lower()
        raise OutputError(f"the result could not be written ({why})", hint="choose another place or format", subject=subject) from error


def _write(fd: int, samples: Samples, target: Target, source: Image, judge: Judge | None = None) -> Written:
    """All but the name: pixels, metadata, check."""
    format = format_named(target.format)
    alpha = source.alpha and format.alpha and target.ground is None and not target.opaque
    picture = picture_of(samples, target, source, alpha=alpha)
    notices = list(_pixel_notices(target, source))
    kept = _metadata_for(target, source, notices)
    tagged = _tagged(picture, kept, format.name)
    palette = target.palette or source.metadata.palette if format.name == "png" and target.bits == 8 and picture.bands >= 3 else None
    colours = indexed.palette_of(palette, alpha=picture.bands == 4) if palette else None
    in_palette = False

    def written(quality: int | None) -> int:
        nonlocal in_palette
        os.ftruncate(fd, 0)
        front = splice.front(format.name, kept)
        os.lseek(fd, len(front), os.SEEK_SET)
        in_palette = colours is not None and _save_indexed(tagged, fd, len(front), colours, kept)
        if not in_palette:
            save_pixels(tagged, pyvips.Target.new_to_descriptor(fd), dataclasses.replace(target, quality=quality), format, kept)
        splice.finish(fd, format.name, kept, len(front))
        return os.fstat(fd).st_size

    quality = target.quality
    if target.max_bytes is None:
        written(quality)
    else:
        quality = budget.highest(written, target.max_bytes, format)
    if in_palette and target.palette is None:
        notices.append(Notice("palette-kept", "every colour is one of the source's palette, so the file has that palette"))
    with Reader("", fd=os.dup(fd)) as reader:
        whole = target.bits <= 16 and (alpha == source.alpha or target.opaque)
        notices += checked(reader, target, kept, picture, judge if whole else None)
        if judge is not None and not whole:
            judge.of(fit.fitted(samples, *target.picture))
        return Written(reader.size, reader.sha256(), tuple(notices), quality)


def prove(part: Path, samples: Samples, target: Target, source: Image, judge: Judge) -> None:
    """Have ``judge`` look at what :func:`write_part` wrote without one. Use within :func:`translated`."""
    if target.bits > 16:
        judge.of(fit.fitted(samples, *target.picture))
        return
    with Reader.of_file(part) as reader:
        judged(reader, target, judge)


def _pixel_notices(target: Target, source: Image) -> Iterator[Notice]:
    """What of the samples themselves the format does not hold."""
    if source.alpha and target.opaque:
        yield Notice("alpha-opaque", "every pixel is opaque, so the file holds no transparency")
    elif source.alpha and target.ground is None and not FORMATS[target.format].alpha:
        able = ", ".join(f.name for f in FORMATS.values() if f.alpha)
        yield Notice("alpha-dropped", f"{target.format.upper()} holds no transparency: it was laid on white; {able} would keep it")
    bits = source.header.bits
    if target.bits < bits:
        was = "float" if bits == 32 else f"{bits}-bit"
        able = " or ".join(f.name for f in FORMATS.values() if bits in f.bits)
        yield Notice("depth-reduced", f"{was} samples became {target.bits}-bit in {target.format.upper()}; {able} would keep them")
    if target.bits != 32 and source.transfer.curve == "linear" and source.transfer.peak > 1:
        yield Notice("range-compressed", f"linear light up to {source.transfer.peak:g} was scaled to white; tiff would keep it")


def _metadata_for(target: Target, source: Image, notices: list[Notice]) -> Metadata:
    """What the file will carry: sizes and resolution up to date, without a profile that would lie about the samples."""
    had = source.metadata if target.strip is None else stripped(source.metadata, target.strip)
    icc = had.icc
    linear = source.transfer.curve == "linear"
    if icc and linear and target.bits != 32:
        notices.append(Notice("icc-lost", "the profile describes linear light, the result is encoded: it is written as sRGB"))
        icc = None
    if icc and source.channels == 1 and target.format in ("webp", "avif"):
        notices.append(Notice("icc-lost", f"{target.format.upper()} holds no grey, so the grey profile was left out"))
        icc = None
    # WebP and AVIF have no field for resolution but EXIF; elsewhere EXIF is only kept in step.
    dpi = had.dpi if had.exif or target.format in ("webp", "avif") else None
    exif = md.refresh_exif(had.exif, target.width, target.height, dpi)
    return dataclasses.replace(had, icc=icc, exif=exif, xmp=md.refresh_xmp(had.xmp, target.width, target.height))


def _tagged(picture: Any, kept: Metadata, format: str) -> Any:
    """``picture`` with what libvips itself is to write: profile, density, and into AVIF XMP and a stand-in for EXIF."""
    picture = picture.copy(xres=(kept.dpi or (25.4, 25.4))[0] / 25.4, yres=(kept.dpi or (25.4, 25.4))[1] / 25.4)
    blobs = {"icc-profile-data": kept.icc}
    if format == "avif":
        blobs |= {"xmp-data": kept.xmp, "exif-data": kept.exif}
    for name, blob in blobs.items():
        if blob:
            picture.set_type(pyvips.GValue.blob_type, name, blob)
    return picture


def _save_indexed(picture: Any, fd: int, start: int, colours: NDArray[np.uint8], kept: Metadata) -> bool:
    """A PNG with the palette ``colours``; ``False`` if the picture has others, and nothing of use was written."""
    try:
        indexed.write(picture, fd, start, colours, kept.icc)
    except indexed.ForeignColourError:
        os.ftruncate(fd, start)
        os.lseek(fd, start, os.SEEK_SET)
        return False
    return True


def save_pixels(picture: Any, to: Any, target: Target, format: Format, kept: Metadata) -> None:
    """``picture`` as ``target`` to libvips' target ``to``, with what :func:`_tagged` put on it."""
    quality = target.quality or format.default_quality or 100
    keep = "icc"
    if format.name == "jpeg":
        picture.jpegsave_target(to, Q=quality, subsample_mode="off" if quality >= 90 else "on", keep=keep)
    elif format.name == "png":
        # Rows of flat areas are shortest as they are, those of photographs with whatever filter fits each.
        level, filter = {None: (3, "up"), "flat": (9, "none"), "rough": (6, "all")}[target.packed]
        picture.pngsave_target(to, compression=level, filter=filter, keep=keep)
    elif format.name == "webp":
        lossless = quality == 100
        picture.webpsave_target(to, Q=quality, lossless=lossless, effort=1 if lossless and not target.packed else 4, keep=keep)
    elif format.name == "tiff":
        raw = picture.width * picture.height * picture.bands * target.bits // 8
        predictor = "float" if target.bits == 32 else "horizontal"
        level = 9 if target.packed else 3
        deflate = {"compression": "deflate", "level": level, "predictor": predictor}
        strip = min(128, max(16, STRIP_BYTES * picture.height // raw // 16 * 16))
        picture.tiffsave_target(to, **deflate, tile_height=strip, bigtiff=raw > BIG_TIFF, resunit="inch", keep=keep)
    else:
        subsample = "off" if quality >= 90 else "on"
        # Asked to keep EXIF where there is none, libvips makes some up.
        keep = "|".join(["icc", *(["xmp"] if kept.xmp else []), *(["exif"] if kept.exif else [])])
        picture.heifsave_target(to, compression="av1", Q=quality, effort=1, bitdepth=8, subsample_mode=subsample, keep=keep)


# --- objects -----------------------------------------------------------------------------------------------------------


def reduced(samples: Samples, target: Target, source: Image) -> Samples:
    """``samples`` at the target's size: ``(h, w, bands)``, ``uint8`` or ``uint16`` as asked, ``uint16`` for float."""
    height, width, bands = samples.shape
    bits = min(target.bits, 16)
    if target.frame is None and (width, height) == target.picture:
        return at_depth(samples, bits)
    with translated("<memory>"):
        # Arrays and the like hold alpha, whatever format was asked for beside them.
        picture = picture_of(samples, dataclasses.replace(target, bits=bits, format="tiff"), source, alpha=bands in (2, 4))
        raw = picture.write_to_memory()
    return np.frombuffer(raw, np.uint8 if bits == 8 else np.uint16).reshape(target.height, target.width, picture.bands)


def to_array(samples: Samples, target: Target, source: Image) -> NDArray[Any]:
    """An array like the source array: its dtype (``float64`` becomes ``float32``), 2-D if it was 2-D. Target bits 32 is float in [0, 1]."""
    pixels = reduced(samples, target, source)
    if target.bits == 32:
        pixels = float_table(source.transfer)[pixels]
    return pixels[..., 0] if source.header.flat else np.ascontiguousarray(pixels)


def to_pil(samples: Samples, target: Target, source: Image) -> PIL.Image.Image:
    """A Pillow picture (L, LA, RGB, RGBA, or I;16 for plain 16-bit grey) with profile, EXIF, XMP and dpi in ``info``.

    What Pillow cannot hold is told by notices in ``info["enlarger"]``.
    """
    import PIL.Image

    notices: list[Notice] = []
    bits = 16 if target.bits > 8 and samples.shape[2] == 1 else 8
    if target.bits > bits:
        notices.append(Notice("depth-reduced", f"Pillow holds no {target.bits}-bit samples here: they became {bits}-bit"))
    pixels = reduced(samples, dataclasses.replace(target, bits=bits), source)
    picture = PIL.Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    kept = _metadata_for(dataclasses.replace(target, format="tiff", bits=bits), source, notices)
    info = {"icc_profile": kept.icc, "exif": kept.exif, "xmp": kept.xmp, "dpi": kept.dpi, "enlarger": tuple(notices)}
    picture.info.update({key: value for key, value in info.items() if value})
    return picture
