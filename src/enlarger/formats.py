"""File formats that Enlarger writes, and what each can hold. Pure data: the planner and the encoder read the same table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enlarger.errors import FormatLimitError, UsageError


@dataclass(frozen=True, slots=True)
class Format:
    """One output format.

    ``max_side`` is the longest width or height in pixels that the format (through the encoder that Enlarger uses) can
    hold, ``bits`` the sample depths, ``default_quality`` the 1-100 quality used when none is asked for (``None``: the
    format is lossless and ``quality`` does not apply).
    """

    name: str
    suffixes: tuple[str, ...]
    max_side: int
    bits: tuple[int, ...]
    alpha: bool
    default_quality: int | None
    streams: bool

    def depth(self, bits: int) -> int:
        """Bits per sample for a source of ``bits``: its own where the format holds them, else the next lower that it does."""
        return max((b for b in self.bits if b <= bits), default=min(self.bits))

    def check_fits(self, width: int, height: int, *, alpha: bool = False, quality: int | None = None) -> None:
        """Raise :class:`FormatLimitError`, naming formats that would do, when ``width`` x ``height`` is more than it can hold."""
        side = max(width, height)
        if side <= self.max_side:
            if self.name == "webp":
                _check_lossy_webp(width * height, self.default_quality if quality is None else quality)
            return
        fitting = [f.name for f in FORMATS.values() if side <= f.max_side and (f.alpha or not alpha)]
        raise FormatLimitError(
            f"{width} x {height} is more than {self.name} can hold ({self.max_side} pixels a side)",
            hint=f"choose --format {' or '.join(fitting)}" if fitting else "choose a smaller --scale",
        )


# Lossy WebP fails below its nominal limit: the first partition of a frame may hold 512 kB of modes. Measured with libwebp at
# effort 4: 67 MP at any quality and 151 MP at 80 do fit.
LOSSY_WEBP = ((68 * 10**6, 99), (151 * 10**6, 80))


def _check_lossy_webp(pixels: int, quality: int | None) -> None:
    if quality == 100 or any(pixels <= most and (quality or 0) <= best for most, best in LOSSY_WEBP):
        return
    raise FormatLimitError(
        f"lossy webp does not hold {pixels / 1e6:.0f} MP at quality {quality}",
        hint="choose --quality 80 up to 151 MP, --quality 100 (lossless), or --format jpeg, png, tiff or avif",
    )


# Limits measured with libvips 8.18: libjpeg stops at 65500 (not 65535), WebP at 16383, AVIF at 16384.
FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), 65500, (8,), False, 95, True),
        Format("png", (".png",), 2**31 - 1, (8, 16), True, None, True),
        Format("webp", (".webp",), 16383, (8,), True, 95, False),
        Format("tiff", (".tif", ".tiff"), 2**31 - 1, (8, 16, 32), True, None, True),
        Format("avif", (".avif",), 16384, (8,), True, 85, False),
        Format("dz", (".dzi",), 2**31 - 1, (8,), True, 85, True),
    )
}

ALIASES = {"jpg": "jpeg", "tif": "tiff"}

AUTO = Format("auto", (".auto",), 2**31 - 1, (8, 16, 32), True, 95, False)
"""Whichever is smallest of those that hold the picture, known once it is made. Its quality is that of a JPEG; others equal it. Until the
choice is made, names of files end in its suffix; no file does."""

CHOSEN_FROM = ("jpeg", "png", "webp", "tiff", "avif")
"""What :data:`AUTO` chooses from."""

OTHERS = {".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm"}
"""Suffixes of formats that are read and not written."""


def format_named(name: str) -> Format:
    """The format called ``name`` (``jpg`` and ``tif`` are accepted), or :data:`AUTO`; raises :class:`UsageError`."""
    key = ALIASES.get(name.lower(), name.lower())
    if key == AUTO.name:
        return AUTO
    if key not in FORMATS:
        raise UsageError(f"unknown output format {name!r}", hint=f"choose one of {', '.join(FORMATS)} or auto", subject="--format")
    return FORMATS[key]


def format_of_suffix(suffix: str) -> Format | None:
    """The format that a file name ending in ``suffix`` (with its dot) stands for, or ``None``."""
    return next((f for f in (*FORMATS.values(), AUTO) if suffix.lower() in f.suffixes), None)


def open_name(path: Path) -> Path:
    """``path`` as the name of a result whose format is :data:`AUTO`; :class:`UsageError` where it has a format's ending already."""
    if path.suffix == AUTO.suffixes[0]:
        return path
    if format_of_suffix(path.suffix) is not None or path.suffix.lower() in OTHERS:
        hint = f"leave out {path.suffix}" + ("" if path.suffix.lower() in OTHERS else ", or --format auto")
        raise UsageError(f"auto chooses the ending, and {path.name} has one", hint=hint, subject="--format")
    return path.with_name(path.name + AUTO.suffixes[0])


def closed_name(path: Path, format: str) -> Path:
    """What the result is called that was planned as ``path``, once its ``format`` is known."""
    return path.with_suffix(FORMATS[format].suffixes[0]) if path.suffix == AUTO.suffixes[0] else path


def possible_names(path: Path) -> list[Path]:
    """What the result that is planned as ``path`` may be called in the end: itself, unless its format is :data:`AUTO`."""
    return [closed_name(path, name) for name in CHOSEN_FROM] if path.suffix == AUTO.suffixes[0] else [path]
