"""Finish: what is added around the finished picture. It streams, and what it adds has exactly the colour that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from enlarger.image import Samples


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the picture lies in the file: ``left`` and ``top`` in pixels, its ``width`` and ``height``, and what is around it.

    ``background`` is red, green and blue, 0 to 255, ``None`` for transparent.
    """

    left: int
    top: int
    width: int
    height: int
    background: tuple[int, int, int] | None


def framed(picture: Any, frame: Frame, size: tuple[int, int], top: int, *, alpha: bool) -> Any:
    """A libvips ``picture`` of grey or RGB in a file of ``size``; ``top`` is white. ``alpha`` says whether the file may have some.

    With a transparent background a picture without alpha gets it; where it may not, the background is white.
    """
    clear = frame.background is None and alpha
    if clear and picture.bands in (1, 3):
        picture = picture.bandjoin(top)
    around = [0.0] * picture.bands if clear else ink(frame.background, picture.bands, top)
    return picture.embed(frame.left, frame.top, *size, extend="background", background=around)


def ink(colour: tuple[int, int, int] | None, bands: int, top: int) -> list[float]:
    """``colour`` (white without one) in ``bands``, grey or RGB, opaque where these hold alpha; ``top`` is white."""
    values = [value * top / 255 for value in colour or (255, 255, 255)]
    return (values if bands >= 3 else values[:1]) + [float(top)] * (bands in (2, 4))


def within(take: Callable[[int, Samples], None], frame: Frame | None) -> Callable[[int, Samples], None]:
    """``take``, which wants rows of the picture, for rows ``(n, width, bands)`` of the file around it."""
    if frame is None:
        return take

    def rows_of_the_picture(y: int, rows: Samples) -> None:
        first, last = max(y, frame.top), min(y + len(rows), frame.top + frame.height)
        if first < last:
            take(first - frame.top, rows[first - y : last - y, frame.left : frame.left + frame.width])

    return rows_of_the_picture
