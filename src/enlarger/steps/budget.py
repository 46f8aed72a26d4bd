"""A file of at most so many bytes: the highest quality that fits, found by writing it a few times."""

from __future__ import annotations

from collections.abc import Callable

from enlarger.errors import OutputError, UsageError
from enlarger.formats import Format

LOWEST = 5
"""The quality below which nothing is written: smaller files of it are no pictures any more."""

SUBJECT = "--max-size"

HIGHEST = {"jpeg": 97, "webp": 99, "avif": 95}
"""Above it files grow and nobody sees why; WebP's 100 would be lossless."""


def highest(written: Callable[[int], int], most: int, format: Format) -> int:
    """The quality from :data:`LOWEST` to :data:`HIGHEST` at which ``written(quality)``, in bytes, is ``most`` at most; it was written last.

    Sizes grow with quality, so seven tries are enough. Raises :class:`OutputError`, which tells how small the file can get.
    """
    check(format)
    low, high = LOWEST, HIGHEST[format.name]
    sizes: dict[int, int] = {}

    def size(quality: int) -> int:
        sizes[quality] = written(quality)
        return sizes[quality]

    if size(high) <= most:
        return high
    if size(low) > most:
        raise OutputError(
            f"cannot be made smaller than {sizes[low] / 1000:.0f} kB as {format.name} of this size, {most / 1000:.0f} kB are allowed",
            hint="allow more, or make it of fewer pixels",
            subject=SUBJECT,
        )
    while high - low > 1:
        middle = (low + high) // 2
        if size(middle) <= most:
            low = middle
        else:
            high = middle
    if list(sizes)[-1] != low:
        written(low)
    return low


def check(format: Format) -> None:
    """:class:`UsageError` for a format whose size nobody can choose."""
    if format.name not in HIGHEST:
        raise UsageError(f"the size of {format.name} cannot be chosen", hint="take jpeg, webp or avif", subject=SUBJECT)
