"""The smallest file that holds what a picture needs: every format that can is tried on the finished picture, and measured.

What is needed are rules: transparency, depth, hard lines without loss, whatever the file carried. What is smallest is measured, never
guessed. Lossy formats are asked for the quality at which they are as near to the picture as a JPEG of the wanted quality, on
squares of it; the numbers that their encoders call quality have nothing in common.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs import indexed
from enlarger.codecs.vips import each_rows, open_picture, pyvips, vips_of
from enlarger.errors import FormatLimitError, OutputError
from enlarger.files.publish import part_name
from enlarger.files.reader import Reader
from enlarger.formats import AUTO, FORMATS, closed_name
from enlarger.image import Image, Metadata, Samples
from enlarger.report import Candidate, Choice
from enlarger.scratch import scratch_folder
from enlarger.steps import budget, encode
from enlarger.steps.encode import Written
from enlarger.steps.estimate import encoding
from enlarger.steps.reopened import Judge, Target

DRAWN = {"illustration", "pixel-art", "document", "line-art"}
"""Kinds of pictures that lossy formats smear visibly, if they are flat too; noise and a JPEG's ringing need not be kept exactly."""

FLAT = 0.5
"""Share of pixels that differ by :data:`STILL` at most from those to the left and above, from which a picture is flat."""

STILL = 1

INVISIBLE = 1.0
"""Root mean square error, of 255, that a lossy format may have in any case."""

SQUARE, SQUARES = 192, 3
"""Side in pixels, and number in a row and in a column, of the squares on which qualities are found."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the file must hold. ``exact`` says why without loss, if it must be; ``palette`` is of every colour, where these are 256 at
    most; ``flat`` is a share of pixels."""

    alpha: bool
    opaque: bool
    bits: int
    exact: str
    flat: float
    palette: bytes | None

    @property
    def words(self) -> tuple[str, ...]:
        told = ("transparency" if self.alpha else "", f"{self.bits} bits" if self.bits > 8 else "", self.exact)
        return tuple(word for word in told if word)


@dataclass(slots=True)
class Made:
    """The chosen file, not under its name yet: ``part``; what it is and why."""

    part: Path
    path: Path
    target: Target
    written: Written
    choice: Choice


@dataclass(slots=True)
class _Tried:
    target: Target
    part: Path
    written: Written
    error: float = 0.0

    @property
    def lost(self) -> tuple[str, ...]:
        """Kinds of metadata that this file does not carry."""
        return tuple(n.code.removesuffix("-lost") for n in self.written.notices if n.code.endswith("-lost"))


@dataclass(slots=True)
class _Trial:
    """One picture in one format after the other."""

    samples: Samples
    target: Target
    source: Image
    path: Path
    needs: Needs
    left_out: list[Candidate] = field(default_factory=list)
    tried: list[_Tried] = field(default_factory=list)

    def write(self, format: str, quality: int | None, *, most: int | None = None) -> _Tried:
        needs = self.needs
        target = replace(
            self.target,
            format=format,
            quality=quality,
            bits=FORMATS[format].depth(self.target.bits),
            max_bytes=most,
            opaque=needs.opaque,
            packed="flat" if needs.flat >= FLAT else "rough",
            palette=needs.palette if format == "png" else None,
        )
        part = part_name(self.path)
        try:
            written = encode.write_part(part, self.samples, target, self.source)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        done = _Tried(replace(target, quality=written.quality), part, written)
        self.tried.append(done)
        return done

    def refuse(self, format: str, why: str, *, lossless: bool = False) -> None:
        self.left_out.append(Candidate(format=format, lossless=lossless, said=why))

    def keep(self, best: _Tried) -> None:
        """Only the file of ``best``."""
        for other in self.tried:
            if other is not best:
                other.part.unlink(missing_ok=True)


# --- what is needed ---------------------------------------------------------------------------------------------------


def needs_of(picture: Any, kind: str) -> Needs:
    """What the file of ``picture`` (of libvips, 8 or 16 bits or float, as it will be written) must hold; ``kind`` is triage's.

    An alpha that is opaque everywhere is none.
    """
    bits = {"uchar": 8, "ushort": 16}.get(picture.format, 32)
    clear = picture.bands in (2, 4)
    top = {8: 255.0, 16: 65535.0}.get(bits, 1.0)
    seen = still = 0
    see_through = False
    colours: NDArray[np.uint32] | None = np.zeros(0, np.uint32)

    def take(_: int, rows: NDArray[Any]) -> None:
        nonlocal seen, still, see_through, colours
        see_through = see_through or (clear and bool((rows[..., -1] < top).any()))
        if bits > 8:
            return
        wide = rows.astype(np.int16)
        across, down = (np.abs(np.diff(wide, axis=axis)).max(2) <= STILL for axis in (1, 0))
        seen += across[1:].size
        still += int((across[1:] & down[:, 1:]).sum())
        if colours is not None and rows.shape[2] >= 3:
            colours = np.union1d(colours, indexed.keys_of(rows, alpha=clear))
            if len(colours) > indexed.MOST:
                colours = None

    each_rows(picture, take)
    few = colours is not None and len(colours) > 0
    flat = still / seen if seen else 1.0
    return Needs(
        alpha=see_through,
        opaque=clear and not see_through,
        bits=bits,
        exact="" if bits > 8 else "few colours" if few else "hard lines" if flat >= FLAT and kind in {*DRAWN, "unknown"} else "",
        flat=flat,
        palette=indexed.palette_bytes(colours) if few and colours is not None else None,
    )


# --- the choice -------------------------------------------------------------------------------------------------------


def smallest(samples: Samples, target: Target, source: Image, path: Path, *, kind: str, memory: int, judge: Judge | None = None) -> Made:
    """``samples`` as the smallest file that holds them, beside ``path`` under a name of its own; ``judge`` sees the chosen one only.

    ``target.format`` is ``auto``, ``target.quality`` that of a JPEG. What would take an encoder more than ``memory`` bytes is not tried.
    Of files of at most ``target.max_bytes`` it is the nearest to the picture, unless one without loss fits. Raises what
    :func:`enlarger.steps.encode.save` raises.
    """
    as_png = replace(target, format="png", max_bytes=None)
    with encode.translated(str(path)):
        picture = encode.picture_of(samples, as_png, source, alpha=source.alpha and target.ground is None)
        trial = _Trial(samples, target, source, path, needs_of(picture, kind))
        try:
            best = _best(trial, picture, memory)
            trial.keep(best)
            if judge is not None:
                encode.prove(best.part, samples, best.target, source, judge)
        except BaseException:
            for tried in trial.tried:
                tried.part.unlink(missing_ok=True)
            raise
    final = closed_name(path, best.target.format)
    return Made(best.part, final, best.target, best.written, _told(trial, best))


def to_bytes(samples: Samples, target: Target, source: Image, *, kind: str, memory: int) -> bytes:
    """The same file as :func:`smallest` chooses, as bytes."""
    with tempfile.TemporaryDirectory(prefix="enlarger-", dir=scratch_folder()) as folder:
        made = smallest(samples, target, source, Path(folder) / f"picture{AUTO.suffixes[0]}", kind=kind, memory=memory)
        return made.part.read_bytes()


def _best(trial: _Trial, picture: Any, memory: int) -> _Tried:
    for format, quality in _candidates(trial, picture, memory):
        trial.write(format, quality)
        # One file too many at a time, not all of them.
        trial.keep(_least(trial.tried))
    best, most = _least(trial.tried), trial.target.max_bytes
    return best if most is None or best.written.bytes <= most else _within(trial, picture, memory, best, most)


def _least(tried: list[_Tried]) -> _Tried:
    return min(tried, key=lambda one: (len(one.lost), one.written.bytes))


def _candidates(trial: _Trial, picture: Any, memory: int) -> Iterator[tuple[str, int | None]]:
    """Formats, and qualities to write them at; 100 is WebP without loss."""
    needs = trial.needs
    for name, quality in (("png", None), ("webp", 100), ("tiff", None)):
        if name == "tiff" and needs.bits == 8:
            continue
        if (why := _cannot(trial, name, quality, memory)) is None:
            yield name, quality
        else:
            trial.refuse(name, why, lossless=True)
    lossy = {name: f"{needs.exact} would suffer" if needs.exact else _cannot(trial, name, 1, memory) for name in budget.HIGHEST}
    if needs.bits > 8:
        lossy = dict.fromkeys(lossy, f"holds 8 of {needs.bits} bits")
    wanted = trial.target.quality or AUTO.default_quality or 95
    found = equal_qualities(picture, wanted, [name for name, why in lossy.items() if why is None])
    for name, why in lossy.items():
        quality = found.get(name)
        why = why or (_cannot(trial, name, quality, memory) if quality else "does not come as near to the picture as that JPEG")
        if why is None:
            yield name, quality
        else:
            trial.refuse(name, why)


def _cannot(trial: _Trial, name: str, quality: int | None, memory: int) -> str | None:
    """Why this format is not tried."""
    format, target, needs = FORMATS[name], trial.target, trial.needs
    if format.depth(needs.bits) < needs.bits:
        return f"holds {max(format.bits)} of {needs.bits} bits"
    if needs.alpha and not format.alpha:
        return "holds no transparency"
    if not writable(name):
        return "cannot be written by this installation"
    if encoding(name, target.width * target.height, 0) > memory:
        return "is encoded whole, which takes more than --memory"
    try:
        format.check_fits(target.width, target.height, quality=quality)
    except FormatLimitError as error:
        return error.message
    return None


def _within(trial: _Trial, picture: Any, memory: int, best: _Tried, most: int) -> _Tried:
    """The file of at most ``most`` bytes that is nearest to the picture. Raises :class:`OutputError` where none is as small."""
    needs, least = trial.needs, best.written.bytes
    fitting: list[_Tried] = []
    for name in budget.HIGHEST if needs.bits == 8 else ():
        if _cannot(trial, name, 1, memory) is not None:
            continue
        try:
            done = trial.write(name, None, most=most)
        except OutputError as error:
            if error.subject != budget.SUBJECT:
                raise
            continue
        with Reader.of_file(done.part) as reader:
            done.error = distance(open_picture(reader, name), picture)
        fitting.append(done)
        trial.keep(min(fitting, key=_nearness))
    if fitting:
        return min(fitting, key=_nearness)
    other = "choose --format jpeg, webp or avif, which hold 8 bits" if needs.bits > 8 else "make it of fewer pixels"
    held = f" with its {needs.bits} bits" if needs.bits > 8 else ""
    raise OutputError(
        f"cannot be made as small as {most / 1000:.0f} kB{held} (the smallest that holds all has {least / 1000:.0f} kB)",
        hint=f"allow more, or {other}",
        subject=budget.SUBJECT,
    )


def _nearness(tried: _Tried) -> tuple[int, float]:
    return len(tried.lost), tried.error


def _told(trial: _Trial, best: _Tried) -> Choice:
    held = " and ".join(trial.needs.words)
    most = trial.target.max_bytes
    if most is not None and best.target.max_bytes is not None:
        said = f"{best.target.format} is nearest to the picture in {most / 1000:.0f} kB"
    else:
        said = f"{best.target.format} is the smallest that holds everything" + (f", {held} too" if held else "")
    rows = []
    for tried in trial.tried:
        lossless = FORMATS[tried.target.format].default_quality is None or (tried.target.format == "webp" and tried.target.quality == 100)
        why = f"without {', '.join(tried.lost)}" if tried.lost and tried is not best else ""
        rows.append(
            Candidate(
                format=tried.target.format,
                quality=tried.target.quality,
                lossless=lossless,
                bytes=tried.written.bytes,
                chosen=tried is best,
                said=why,
            )
        )
    return Choice(needs=trial.needs.words, flat=round(trial.needs.flat, 4), candidates=(*rows, *trial.left_out), said=said)


# --- qualities --------------------------------------------------------------------------------------------------------


def equal_qualities(picture: Any, quality: int, formats: list[str]) -> dict[str, int]:
    """The lowest quality of each of ``formats`` at which it is as near to ``picture`` as a JPEG of ``quality``; without those that are
    never.
    """
    if not formats:
        return {}
    sample = squares(picture)
    allowed = max(INVISIBLE, _error(sample, "jpeg", quality))
    found: dict[str, int] = {}
    for name in formats:
        if name == "jpeg":
            found[name] = quality
            continue
        low, high = budget.LOWEST, budget.HIGHEST[name]
        if _error(sample, name, high) > allowed:
            continue
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _error(sample, name, middle) <= allowed else (middle + 1, high)
        found[name] = high
    return found


def squares(picture: Any) -> Any:
    """Squares of ``picture`` from all over it, without alpha, one below the other; all of it where it is not larger than they are.

    They begin where blocks of codecs do, so that none has a border of two of them inside.
    """
    if picture.bands in (2, 4):
        picture = picture.flatten(background=[128] * (picture.bands - 1))
    width, height = picture.width, picture.height
    if width * height > (SQUARE * SQUARES) ** 2 and min(width, height) >= SQUARE:
        corners = [[(side - SQUARE) * i // (SQUARES - 1) for i in range(SQUARES)] for side in (width, height)]
        parts = [picture.crop(x, y, SQUARE, SQUARE) for y in corners[1] for x in corners[0]]
        picture = pyvips.Image.arrayjoin(parts, across=1)
    form = picture.interpretation
    seen = np.frombuffer(picture.write_to_memory(), np.uint8).reshape(picture.height, picture.width, picture.bands)
    return vips_of(seen).copy(interpretation=form)


def _error(sample: Any, name: str, quality: int) -> float:
    """Root mean square difference, of 255, that ``name`` makes at ``quality``."""
    to = pyvips.Target.new_to_memory()
    encode.save_pixels(sample, to, Target(name, quality, sample.width, sample.height, 8), FORMATS[name], Metadata())
    with Reader.of_bytes(bytes(to.get("blob"))) as reader:
        return distance(open_picture(reader, name), sample)


def distance(one: Any, other: Any) -> float:
    """Root mean square difference of two pictures of libvips, of their samples; what is transparent counts as little as it shows."""
    if one.bands in (2, 4) and other.bands in (2, 4):
        one, other = one.premultiply(), other.premultiply()
    elif other.bands in (2, 4):
        other = other.flatten(background=[255] * (other.bands - 1))
    return math.sqrt(float(((one.cast("float") - other.cast("float")) ** 2).avg()))


def writable(name: str) -> bool:
    """Whether the codecs that are installed here write this format."""
    if name not in _WRITABLE:
        blank = vips_of(np.zeros((16, 16, 3), np.uint8)).copy(interpretation="srgb")
        with contextlib.suppress(pyvips.Error):
            encode.save_pixels(blank, pyvips.Target.new_to_memory(), Target(name, 50, 16, 16, 8), FORMATS[name], Metadata())
            _WRITABLE.add(name)
    return name in _WRITABLE


_WRITABLE: set[str] = set()
