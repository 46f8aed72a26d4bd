"""How much Enlarger agrees to decode, and the sentences that every decoder shares."""

from __future__ import annotations

from enlarger.errors import DamagedImageError, OutOfMemoryError, SourceTooLargeError

MAX_PIXELS = 300 * 10**6
"""Pixels that Enlarger agrees to decode."""

UNPACKED_WHOLE = {"gif": 100 * 10**6, "packed BMP": 75 * 10**6, "packed PPM": 75 * 10**6}
"""The limits of formats whose decoders hold all pixels several times: these would take more than 1 GB."""

MAX_SIDE = 10**6
"""Pixels of a row or column. Decoders work in rows: one of sixteen million pixels takes gigabytes, and no camera makes it."""

TRUNCATED_HINT = "get a complete copy, or take what decodes with --allow-truncated"


def check_size(size: tuple[int, int] | None, name: str, format: str = "") -> None:
    """Raise :class:`SourceTooLargeError` (or, for no pixels at all, :class:`DamagedImageError`) before anything is allocated."""
    if size is None:
        return
    width, height = size
    if width <= 0 or height <= 0:
        raise DamagedImageError(f"the header says the picture is {width} x {height} pixels", hint="get a complete copy", subject=name)
    if max(width, height) > MAX_SIDE and width * height <= MAX_PIXELS:
        message = f"the picture is {width} x {height} pixels, and the limit for a side is {MAX_SIDE}"
        raise SourceTooLargeError(message, hint="cut it into pieces first", subject=name)
    limit = UNPACKED_WHOLE.get(format, MAX_PIXELS)
    if width * height > limit:
        mega, kind = width * height / 1e6, f" for {format.upper()}" if limit < MAX_PIXELS else ""
        message = f"the picture is {width} x {height} pixels ({mega:.0f} MP), more than the limit of {limit / 1e6:.0f} MP{kind}"
        raise SourceTooLargeError(message, hint="crop or reduce it first", subject=name)


def check_plausible(least: int, size: int, name: str, *, allow_truncated: bool) -> None:
    """Raise :class:`DamagedImageError` when a file of ``size`` bytes promises a picture that takes ``least`` at the very least.

    A few bytes that promise a huge picture cost seconds and gigabytes, and give grey. An eighth is worth a try on request.
    """
    if size < (least // 8 if allow_truncated else least):
        hint = "get a complete copy" if allow_truncated or size < least // 8 else TRUNCATED_HINT
        message = f"the file is cut off or damaged: {size} bytes cannot hold as many pixels as it promises"
        raise DamagedImageError(message, hint=hint, subject=name)


def missing(whole: int, height: int, which: str = "last") -> str:
    if whole == 0:
        return "the file is cut off or damaged and parts of the picture are missing; how much cannot be told"
    lost = height - whole
    return f"the file is cut off or damaged: the {which} {lost} of {height} rows ({100 * lost / height:.0f} %) are missing or wrong"


def no_memory(name: str) -> OutOfMemoryError:
    """What is said when a decoder gets no memory."""
    return OutOfMemoryError(
        "there is not enough memory to decode this picture", hint="close other programs or reduce it first", subject=name
    )
