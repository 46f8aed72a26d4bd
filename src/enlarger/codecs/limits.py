"""How much Enlarger agrees to decode, and the sentences that every decoder shares."""

from __future__ import annotations

from enlarger.errors import DamagedImageError, OutOfMemoryError, SourceTooLargeError

MAX_PIXELS = 300 * 10**6
"""Pixels that Enlarger agrees to decode."""

TRUNCATED_HINT = "get a complete copy, or take what decodes with --allow-truncated"


def check_size(size: tuple[int, int] | None, name: str) -> None:
    if size is None:
        return
    width, height = size
    if width <= 0 or height <= 0:
        raise DamagedImageError(f"the header says the picture is {width} x {height} pixels", hint="get a complete copy", subject=name)
    if width * height > MAX_PIXELS:
        mega = width * height / 1e6
        message = f"the picture is {width} x {height} pixels ({mega:.0f} MP), more than the limit of {MAX_PIXELS / 1e6:.0f} MP"
        raise SourceTooLargeError(message, hint="crop or reduce it first", subject=name)


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
