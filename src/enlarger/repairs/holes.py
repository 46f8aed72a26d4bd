"""Which marks are one hole, and which part of a picture lies around it: so that time and memory follow the hole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from enlarger.errors import InputError
from enlarger.image import Box, Samples
from enlarger.repairs.patches import Mask, reached

__all__ = ["check", "holes", "within"]

APART = 32
"""Marks closer than this are one hole."""
THIN = 40


def check(samples: Samples, mask: Mask) -> None:
    """Raise :class:`InputError` if ``mask`` ``(h, w)`` has another size than ``samples`` or leaves nothing to fill from."""
    if samples.shape[:2] != mask.shape:
        sizes = [f"{shape[1]} x {shape[0]}" for shape in (mask.shape, samples.shape)]
        raise InputError(f"the mask is {sizes[0]} pixels, the picture {sizes[1]}", hint="give a mask of the picture's size")
    if mask.all():
        raise InputError("the mask covers the whole picture: nothing is left to fill it from", hint="mark only what shall go")


def holes(mask: Mask, strip: int) -> Iterator[Box]:
    """Boxes around marks that belong together, from top to bottom. They do not overlap in what they hold.

    Those longer than ``strip`` pixels and nowhere deeper than :data:`THIN` come in pieces.
    """
    down, across = (np.arange(0, length, APART) for length in mask.shape)
    blocks = np.logical_or.reduceat(np.logical_or.reduceat(mask, down, 0), across, 1)
    marked = {(int(y), int(x)) for y, x in np.argwhere(blocks)}
    for first in sorted(marked):
        if first not in marked:
            continue
        marked.discard(first)
        group, front = [first], [first]
        while front:
            y, x = front.pop()
            near = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (y + dy, x + dx) in marked]
            marked.difference_update(near)
            group += near
            front += near
        rows, columns = [y for y, _ in group], [x for _, x in group]
        whole = Box(min(columns) * APART, min(rows) * APART, (max(columns) - min(columns) + 1) * APART, (max(rows) - min(rows) + 1) * APART)
        yield from _pieces(mask, whole.grown(0, *mask.shape[::-1]), strip)


def _pieces(mask: Mask, whole: Box, strip: int) -> Iterator[Box]:
    cut = max(whole.width, whole.height) > strip
    if cut:
        marks = mask[whole.slices()]
        cut = not bool((~reached(~marks, THIN)).any())
    step = strip if cut else max(whole.width, whole.height)
    for y in range(whole.y, whole.bottom, step):
        for x in range(whole.x, whole.right, step):
            part = Box(x, y, min(step, whole.right - x), min(step, whole.bottom - y))
            marks = mask[part.slices()]
            if marks.any():
                rows, columns = np.flatnonzero(marks.any(1)), np.flatnonzero(marks.any(0))
                yield Box(x + int(columns[0]), y + int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)


def within(box: Box, window: Box) -> tuple[slice, slice]:
    """Where ``box`` lies in a ``window`` that holds it."""
    return Box(box.x - window.x, box.y - window.y, box.width, box.height).slices()
