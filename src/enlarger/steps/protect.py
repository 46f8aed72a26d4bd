"""Protect: where no net may draw as it likes. Print, faces and boxes become what the source vouches for, plainly enlarged and locked,
feathered into the rest; flat graphics are redrawn in their own colours (redraw.py), which is far truer there than plain enlarging."""

from __future__ import annotations

import numpy as np

from enlarger.errors import InputError, UsageError
from enlarger.image import Box, Image
from enlarger.looks import faces, graphics
from enlarger.looks.islands import labelled
from enlarger.looks.lettering import lines_of
from enlarger.looks.sample import crop_of
from enlarger.regions import parse
from enlarger.report import Protected

STRIP = 256
"""Rows in which text is looked for at a time, and how many the next ones share: a line of letters lies whole in one of them."""
SHARED = 64

CELL = 8
"""Pixels that text boxes are rounded to before neighbours become one."""

AROUND_FACE = 0.2
"""Of a face's width, around what the detector calls face."""


def protected(words: str, picture: Image, size: tuple[int, int]) -> list[Protected]:
    """What is to be protected of ``picture``, as boxes in the result of ``size``. Raises :class:`UsageError` and :class:`InputError`."""
    kinds, boxes = parse(words)
    found: list[tuple[str, Box]] = []
    for box in (Box(*numbers) for numbers in boxes):
        if box.right > picture.width or box.bottom > picture.height:
            raise InputError(
                f"the box {box.x},{box.y},{box.width},{box.height} to be protected reaches outside the picture, "
                f"which is {picture.width} x {picture.height}",
                hint="give x,y,width,height in pixels of the upright source",
                subject=picture.header.name,
            )
        found.append(("box", box))
    drawn = graphics.boxes(picture) if "graphics" in kinds else []
    if "text" in kinds:
        # Letters on a graphic are better off as a part of it.
        found += [("text", box) for box in text_of(picture) if not any(_within(box, place) for place in drawn)]
    if "faces" in kinds:
        places = faces.boxes(picture)
        if places is None:
            raise UsageError(
                "faces cannot be looked for",
                hint="pip install 'enlarger[faces]' and enlarger models --fetch yunet, or name boxes",
                subject="--protect",
            )
        found += [("face", box.grown(round(AROUND_FACE * box.width), picture.width, picture.height)) for box in places]
    found += [("graphic", box) for box in drawn]
    across, down = size[0] / picture.width, size[1] / picture.height
    return [Protected(kind=kind, box=_scaled(box, across, down)) for kind, box in found]


def _scaled(box: Box, across: float, down: float) -> tuple[int, int, int, int]:
    x, y = round(box.x * across), round(box.y * down)
    return x, y, round(box.right * across) - x, round(box.bottom * down) - y


def _within(box: Box, other: Box) -> bool:
    return other.x <= box.x and other.y <= box.y and box.right <= other.right and box.bottom <= other.bottom


def text_of(picture: Image) -> list[Box]:
    """Where lines of letters are, with what is above and below their small letters; neighbouring lines are one box."""
    marked = np.zeros((-(-picture.height // CELL), -(-picture.width // CELL)), bool)
    for y in range(0, picture.height, STRIP - SHARED):
        for left, top, right, bottom in lines_of(crop_of(picture, Box(0, y, picture.width, min(STRIP, picture.height - y)))):
            high = bottom - top
            rows = slice(max(0, y + top - high) // CELL, -(-min(picture.height, y + bottom + high) // CELL))
            marked[rows, left // CELL : -(-right // CELL)] = True
    cells = (Box(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in labelled(marked)[1])
    return [box.scaled(CELL).grown(0, picture.width, picture.height) for box in cells]
