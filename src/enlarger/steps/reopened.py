"""What was to be written, and whether it was: a file is opened again, and every row of it seen, before it gets its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from enlarger.codecs.vips import each_rows, open_picture
from enlarger.errors import OutputError
from enlarger.files import metadata as md
from enlarger.files.containers import scan
from enlarger.files.reader import Reader
from enlarger.image import Metadata, Notice, Samples
from enlarger.steps import finish
from enlarger.steps.finish import Frame


@dataclass(frozen=True, slots=True)
class Target:
    """What to write: format, quality (``None``: the format's default or none at all), size in pixels, bits per sample.

    ``frame`` says where in it the picture lies; ``None``: it is all of it. ``max_bytes`` is what the file may weigh: of formats with a
    quality the highest that fits is searched for. ``strip`` says what metadata stays out: "private" (place, names, serial numbers, what the
    camera's maker noted, comments, previews) or "all" but colour profile and resolution. ``opaque`` leaves out an alpha that says nothing.
    ``packed`` takes more time for a smaller file without loss, of a picture that is mostly "flat" or "rough", and ``palette`` is of every
    colour in it, as :attr:`Metadata.palette`, where these are few.
    """

    format: str
    quality: int | None
    width: int
    height: int
    bits: int
    frame: Frame | None = None
    max_bytes: int | None = None
    strip: Literal["private", "all"] | None = None
    opaque: bool = False
    packed: Literal["flat", "rough"] | None = None
    palette: bytes | None = None

    @property
    def picture(self) -> tuple[int, int]:
        """Width and height of the picture, without what is around it."""
        return (self.width, self.height) if self.frame is None else (self.frame.width, self.frame.height)

    @property
    def ground(self) -> tuple[int, int, int] | None:
        """The colour that transparency is laid on, red, green and blue of 255, if one was asked for."""
        return None if self.frame is None else self.frame.background


class Judge(Protocol):
    """Who looks at a result before it is published; see :class:`enlarger.proof.Proof`."""

    def begin(self) -> None: ...

    def add(self, y: int, rows: Samples) -> None: ...

    def finish(self, subject: str = "") -> object: ...

    def of(self, samples: Samples, subject: str = "") -> object: ...


def checked(reader: Reader, target: Target, kept: Metadata, wanted: Any, judge: Judge | None) -> list[Notice]:
    """Reopen what was written: size, depth, bands and every row must be there, or :class:`OutputError`; metadata that is
    not becomes notices.
    """
    format = target.format
    picture = open_picture(reader, format)
    grey_too = format not in ("webp", "avif")
    bands = wanted.bands if grey_too else max(3, wanted.bands + (2 if wanted.bands <= 2 else 0))
    # libwebp leaves out an alpha that is opaque everywhere.
    right = (bands, bands - 1) if format == "webp" and bands == 4 else (bands,)
    depth = {"uchar": 8, "ushort": 16, "float": 32}.get(picture.format)
    seen, due = (picture.width, picture.height, depth), (target.width, target.height, target.bits)
    if seen != due or picture.bands not in right:
        is_now, should = (f"{w} x {h}, {d}-bit with {b} bands" for (w, h, d), b in ((seen, picture.bands), (due, bands)))
        raise OutputError(f"the written file is {is_now} instead of {should}: it was not kept", hint="choose another format")
    if judge is not None:
        _judged(picture, target, judge)
    else:
        # A mean asks for every pixel, and streams: strips asked for from outside would keep thousands of lines in memory.
        picture.avg()
    return list(lost(scan(reader, format).metadata(), kept, format.upper()))


def judged(reader: Reader, target: Target, judge: Judge) -> None:
    """Have ``judge`` look at every row of a file of ``target`` that was checked before."""
    _judged(open_picture(reader, target.format), target, judge)


def _judged(picture: Any, target: Target, judge: Judge) -> None:
    if target.opaque:
        # The alpha that was left out because it said nothing.
        picture = picture.bandjoin(255 if picture.format == "uchar" else 65535)
    judge.begin()
    each_rows(picture, finish.within(judge.add, target.frame))
    judge.finish()


def lost(found: Metadata, kept: Metadata, format: str) -> Iterator[Notice]:
    """A notice for each kind of metadata that is not in the file as it should be."""
    want, have = md.tags(kept.exif), md.tags(found.exif)
    gone = sorted(name for name, value in want.items() if have.get(name) != value)
    if gone:
        listed = ", ".join(gone[:12]) + (f" and {len(gone) - 12} more" if len(gone) > 12 else "")
        yield Notice("exif-lost", f"{format} did not take these EXIF tags: {listed}")
    for name in ("icc", "xmp", "iptc"):
        if getattr(kept, name) and getattr(found, name) != getattr(kept, name):
            yield Notice(f"{name}-lost", f"{format} did not take the {name.upper()} data")
    if kept.dpi and (found.dpi is None or any(abs(a - b) > 0.51 for a, b in zip(found.dpi, kept.dpi, strict=True))):
        yield Notice("dpi-lost", f"{format} did not take the resolution of {kept.dpi[0]:g} dpi")
